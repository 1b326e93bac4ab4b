//! `[authentication]`: who clients are.

use std::sync::Arc;

use super::reader::{Reader, boolean, string};
use super::{Context, file};
use crate::authentication::Jwt;
use crate::config::tree::{Entry, Node, Value};

/// Reads how clients say who they are.
pub(super) fn read(entry: &Entry, context: &mut Context) -> Option<Arc<Jwt>> {
    let mut reader = Reader::open("[authentication]", &entry.node, &mut context.mistakes)?;
    let jwt =
        reader.require("jwt", &mut context.mistakes).and_then(|entry| jwt(&entry.node, context));
    let why = "sessions are checked by tokens only; take the key out";
    reader.later("http", why, &mut context.mistakes);
    reader.finish(&mut context.mistakes);
    jwt.map(Arc::new)
}

fn jwt(node: &Node, context: &mut Context) -> Option<Jwt> {
    let mut reader = Reader::open("tokens", node, &mut context.mistakes)?;
    let keys = reader.require("keys", &mut context.mistakes);
    let audience = reader.take("audience");
    let issuer = reader.take("issuer");
    let skew = reader.take("skew_seconds");
    let anonymous = reader.take("anonymous");
    reader.finish(&mut context.mistakes);
    let keys = keys?;
    let path = file(&keys.node, context)?;
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let read = read.and_then(|text| Jwt::from_jwks(&text).map_err(|error| error.to_string()));
    let mut jwt = match read {
        Ok(jwt) => jwt,
        Err(error) => {
            context.mistakes.add(keys.node.place, error);
            return None;
        }
    };
    if let Some(entry) = audience {
        jwt = jwt.audience(string(&entry.node, "an audience", &mut context.mistakes)?);
    }
    if let Some(entry) = issuer {
        jwt = jwt.issuer(string(&entry.node, "an issuer", &mut context.mistakes)?);
    }
    if let Some(entry) = skew {
        jwt = jwt.skew_seconds(seconds(&entry.node, context)?);
    }
    if let Some(entry) = anonymous {
        jwt = jwt.anonymous(boolean(&entry.node, &mut context.mistakes)?);
    }
    Some(jwt)
}

/// A day is more than any two clocks are apart.
fn seconds(node: &Node, context: &mut Context) -> Option<u64> {
    match node.value {
        Value::Integer(seconds @ 0..=86_400) => Some(seconds as u64),
        ref other => {
            let message =
                format!("expected a number of seconds up to 86400, found {}", other.found());
            context.mistakes.add(node.place, message);
            None
        }
    }
}
