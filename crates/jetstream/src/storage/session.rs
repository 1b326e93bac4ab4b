//! What is kept of a session, so that its client can resume after the server was gone.

use jetstream_core::ids::{MessageIndex, ScopeIndex, ScopeName, SessionId};
use jetstream_core::session::Shown;
use jetstream_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a server keeps of a session's token. From it no token can be made, and comparing two tells
/// nothing about the tokens by the time that it takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; Self::BYTES]);

impl TokenHash {
    /// The length of a SHA-256.
    pub const BYTES: usize = 32;

    /// From the bytes that [`as_bytes`](Self::as_bytes) gave.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store's index.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// From hexadecimal digits.
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        if text.len() != 2 * Self::BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl std::fmt::Display for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenHash({self})")
    }
}

impl Serialize for TokenHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// A session as it is stored: what a client that comes back with its token must be recognised by.
///
/// Stores keep it as the JSON that serde makes of it; a field that is added has to have a default, so
/// that what an older version wrote is still read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredSession {
    /// Never given to two sessions of one store: an [`Origin`](jetstream_core::ids::Origin) names it.
    pub id: SessionId,
    /// The token that its client has.
    pub token: TokenHash,
    /// The version of the protocol that its client speaks.
    pub version: String,
    /// What the client added for the application when it began.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Who its client is; `None`: nothing is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<StoredIdentity>,
    /// The scopes that it has fetched and not left, by index.
    #[serde(default)]
    pub scopes: Vec<StoredFetch>,
    /// The index of the scope that it fetches next.
    #[serde(default)]
    pub next_scope: ScopeIndex,
    /// The highest index of a client's message that the server may have acknowledged.
    #[serde(default)]
    pub position: MessageIndex,
    /// How long its client may still stay away, in milliseconds. The time during which no server runs does
    /// not count.
    pub remaining_ms: u64,
}

/// Who a session's client is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredIdentity {
    /// What access rules know as `session`.
    pub claims: Map<String, Value>,
    /// Up to when that is good, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Where the client showed it when the session began; `None`: the application said so, and is asked
    /// again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
}

impl StoredIdentity {
    /// Whether it is no longer good.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        let seconds = now.0.div_euclid(1_000);
        self.expires_at.is_some_and(|at| i64::try_from(at).is_ok_and(|at| at <= seconds))
    }
}

/// A scope that a session has fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredFetch {
    /// What the session calls it.
    pub index: ScopeIndex,
    /// The name that was asked for.
    pub name: ScopeName,
    /// The message that asked: sent again, it gets the same index.
    pub message: MessageIndex,
    /// What the client added for the application, which is asked again.
    #[serde(default)]
    pub params: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_as_digits_and_read_again() {
        let hash = TokenHash::new(std::array::from_fn(|at| at as u8 * 8));
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(&text[..9], "\"00081018");
        assert_eq!(serde_json::from_str::<TokenHash>(&text).unwrap(), hash);
        for wrong in ["\"\"", "\"00\"", "7", &text.replace("08", "+8"), &text.replace("08", "é")] {
            assert!(serde_json::from_str::<TokenHash>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_session_of_an_older_version_is_read_with_defaults() {
        let token = "00".repeat(32);
        let text = format!(
            "{{\"id\":7,\"token\":\"{token}\",\"version\":\"1.0.0\",\"remaining_ms\":5,\"later\":1}}"
        );
        let session: StoredSession = serde_json::from_str(&text).unwrap();
        assert_eq!((session.id, session.position), (SessionId(7), MessageIndex(0)));
        assert!(
            session.scopes.is_empty() && session.params.is_empty() && session.identity.is_none()
        );
    }
}
