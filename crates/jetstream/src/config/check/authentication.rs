//! `[authentication]`: who clients are.

use std::sync::Arc;
use std::time::Duration;

use super::limits::{Unit, number};
use super::reader::{Reader, boolean, string};
use super::service::{bearer, options};
use super::{Context, file};
use crate::authentication::{HttpAuthenticator, Jwt, KEY_REFRESH};
use crate::config::AuthenticationConfig;
use crate::config::tree::{Entry, Node, Value, quoted};
use crate::http::{Service, ServiceOptions};
use crate::metrics::Metrics;

/// Reads how clients say who they are.
pub(super) fn read(entry: &Entry, context: &mut Context) -> Option<AuthenticationConfig> {
    let mut reader = Reader::open("[authentication]", &entry.node, &mut context.mistakes)?;
    let (tokens, service) = (reader.take("jwt"), reader.take("http"));
    let always = reader.take("resume_with_credential");
    let always = always.map(|entry| boolean(&entry.node, &mut context.mistakes));
    reader.finish(&mut context.mistakes);
    let authenticator: Option<Arc<dyn crate::authentication::Authenticator>> =
        match (tokens, service) {
            (Some(entry), None) => jwt(&entry.node, context).map(|jwt| Arc::new(jwt) as _),
            (None, Some(entry)) => http(&entry.node, context).map(|http| Arc::new(http) as _),
            (Some(_), Some(entry)) => {
                let help = "take out the one or the other";
                let message = "a service means nothing beside \"jwt\"";
                context.mistakes.add_with_help(entry.key_place, message, help);
                None
            }
            (None, None) => {
                let message = "[authentication] needs the key \"jwt\" or the key \"http\"";
                context.mistakes.add(entry.node.place, message);
                None
            }
        };
    let resume_with_credential = always.unwrap_or(Some(false))?;
    Some(AuthenticationConfig { authenticator: authenticator?, resume_with_credential })
}

fn jwt(node: &Node, context: &mut Context) -> Option<Jwt> {
    let mut reader = Reader::open("tokens", node, &mut context.mistakes)?;
    let keys = reader.require("keys", &mut context.mistakes);
    let refresh = reader.take("refresh");
    let audience = reader.take("audience");
    let issuer = reader.take("issuer");
    let skew = reader.take("skew_seconds");
    let anonymous = reader.take("anonymous");
    reader.finish(&mut context.mistakes);
    let mut jwt = keys_of(&keys?.node, refresh, context)?;
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

/// From a file, which is read at once, or from an address, which is not asked before the server starts.
fn keys_of(node: &Node, refresh: Option<&Entry>, context: &mut Context) -> Option<Jwt> {
    let text = string(node, "a file with keys or their address", &mut context.mistakes)?;
    let made = if text.contains("://") {
        let period = match refresh {
            Some(entry) => number(&entry.node, Unit::Milliseconds, &mut context.mistakes)?,
            None => KEY_REFRESH.as_millis() as u64,
        };
        let jwt = Jwt::from_url(text, Duration::from_millis(period), Metrics::process());
        jwt.map_err(|error| error.to_string())
    } else {
        if let Some(entry) = refresh {
            let message = "a file is read again when it changes";
            context.mistakes.add_with_help(entry.key_place, message, "take the key out");
        }
        let path = file(node, context)?;
        let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        read.and_then(|text| Jwt::from_file(&path, &text).map_err(|error| error.to_string()))
    };
    made.map_err(|error| context.mistakes.add(node.place, error)).ok()
}

fn http(node: &Node, context: &mut Context) -> Option<HttpAuthenticator> {
    let mut reader =
        Reader::open("a service that knows who clients are", node, &mut context.mistakes)?;
    let url = reader.require("url", &mut context.mistakes);
    let (options, _) = options(&mut reader, asked_by_waiting_clients(), &mut context.mistakes);
    let secret = reader.take("bearer_file").map(|entry| bearer(&entry.node, context));
    let anonymous = reader.take("anonymous");
    let anonymous = anonymous.map(|entry| boolean(&entry.node, &mut context.mistakes));
    reader.finish(&mut context.mistakes);
    let entry = url?;
    let url = string(&entry.node, "the address of a service", &mut context.mistakes)?;
    let parsed = reqwest::Url::parse(url).ok();
    if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        let message = format!("{} is no address of a web service", quoted(url));
        let help = "for example \"https://accounts.example.com/check\"";
        context.mistakes.add_with_help(entry.node.place, message, help);
        return None;
    }
    let service = Service::new(options, Metrics::process());
    let service = service.map_err(|error| {
        context.mistakes.add(node.place, format!("no service can be called: {error}"));
    });
    let secret = secret.map_or(Some(None), |secret| secret.map(Some))?;
    let anonymous = anonymous.unwrap_or(Some(false))?;
    let http = HttpAuthenticator::new(Arc::new(service.ok()?), url);
    Some(http.bearer(secret).anonymous(anonymous))
}

/// A client waits ten seconds for its session, and there are two attempts in that time.
fn asked_by_waiting_clients() -> ServiceOptions {
    ServiceOptions {
        timeout: Duration::from_secs(4),
        retries: 1,
        answer_bytes_max: ANSWER_BYTES_MAX,
        ..ServiceOptions::default()
    }
}

/// The longest answer, in bytes: it is kept for as long as the session.
const ANSWER_BYTES_MAX: usize = 64 << 10;

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
