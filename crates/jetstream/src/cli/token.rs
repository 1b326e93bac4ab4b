//! `jetstream token`: a signed token for trying access rules, while there is no issuer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value};

use super::{MISTAKEN, complain, say};

#[derive(Debug, Args)]
pub(super) struct Token {
    /// The set of keys (JWKS). The first one for HS256 signs: no other kind can, for the server has no
    /// private keys.
    keys: PathBuf,
    /// Claims, as NAME=VALUE: sub=ann 'roles=["moderator"]'. A value that is no JSON is a text.
    claims: Vec<String>,
    /// How long the token is good, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 43_200)]
    seconds: u64,
}

/// Prints a token. Its claims are whatever the caller says: who has the key can be anybody.
pub(super) fn token(arguments: &Token) -> ExitCode {
    match sign(arguments) {
        Ok(token) => {
            complain("for development: whoever has the key of this token can be anybody");
            say(&token);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            complain(&format!("error: {problem}"));
            ExitCode::from(MISTAKEN)
        }
    }
}

fn sign(arguments: &Token) -> Result<String, String> {
    let name = arguments.keys.display();
    let text = std::fs::read_to_string(&arguments.keys)
        .map_err(|error| format!("cannot read {name}: {error}"))?;
    // What the parser says names what it expected, never what stands there.
    let set: JwkSet = serde_json::from_str(&text)
        .map_err(|error| format!("{name} is no set of keys (JWKS): line {}", error.line()))?;
    let Some((jwk, secret)) = set.keys.iter().find_map(|jwk| Some((jwk, secret(jwk)?))) else {
        return Err(format!("{name} has no key for HS256"));
    };
    // Key sets leave the padding out, the decoder wants it.
    let padding = "=".repeat(secret.len().next_multiple_of(4) - secret.len());
    let key = EncodingKey::from_urlsafe_base64_secret(&format!("{secret}{padding}"))
        .map_err(|_| format!("the key for HS256 in {name} cannot be read"))?;
    let header = Header { kid: jwk.common.key_id.clone(), ..Header::new(Algorithm::HS256) };
    let mut claims = Map::new();
    let expires = now().saturating_add(arguments.seconds);
    claims.insert("exp".to_owned(), Value::from(expires));
    for claim in &arguments.claims {
        let Some((name, value)) = claim.split_once('=') else {
            return Err(format!("a claim is NAME=VALUE, not {claim:?}"));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        claims.insert(name.to_owned(), value);
    }
    encode(&header, &claims, &key).map_err(|_| "the token cannot be signed".to_owned())
}

fn secret(jwk: &Jwk) -> Option<&str> {
    match &jwk.algorithm {
        AlgorithmParameters::OctetKey(key) => Some(&key.value),
        _ => None,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
