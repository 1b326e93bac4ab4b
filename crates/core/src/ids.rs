//! The names of things: newtypes, so that two numbers of different meaning cannot be swapped.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Text that many owners hold: encoded once, delivered to many.
pub type SharedText = Arc<str>;

/// Identifies a ModelObject everywhere: on the wire, in the store, in every client.
///
/// Read in any case, always written in lower case with hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Uuid);

impl ObjectId {
    /// The length of a UUID in its hyphenated form.
    pub const TEXT_LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;

    /// The UUID of zeros, where some id must stand and none is meant.
    pub const NIL: Self = Self(Uuid::nil());

    /// Wraps a UUID of any version.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// A UUID of version 4 from bytes that nobody could guess.
    pub const fn from_random_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The UUID itself.
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// Writes the hyphenated lower-case form into `buffer`, without allocating.
    pub fn encode<'a>(&self, buffer: &'a mut [u8; Self::TEXT_LENGTH]) -> &'a str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

/// The text was no UUID in the hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a uuid of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")]
pub struct NotAnObjectId;

impl FromStr for ObjectId {
    type Err = NotAnObjectId;

    /// Takes the hyphenated form only: braces, URNs and bare hex digits are other spellings of the
    /// same object, and peers would compare them as text.
    fn from_str(text: &str) -> Result<Self, NotAnObjectId> {
        if text.len() != Self::TEXT_LENGTH {
            return Err(NotAnObjectId);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| NotAnObjectId)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; Self::TEXT_LENGTH]))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.encode(&mut [0; Self::TEXT_LENGTH]))
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A message's place in one side's numbering within a session: 1, 2, 3, …; 0 is outside it.
    MessageIndex(u64)
}
number! {
    /// Which of a session's fetched scopes, counted from 0 in the order of acceptance.
    ScopeIndex(u32)
}
number! {
    /// How many commits a scope has seen. The state before the first is revision 0.
    Revision(u64)
}
number! {
    /// How many entries a scope's log has seen: an entry's place in it, counted from 1.
    Position(u64)
}
number! {
    /// Names a session inside the server. No secret, unlike its token, so logs may show it.
    SessionId(u64)
}
number! {
    /// Names one session's membership in one scope: a session that fetches a scope twice is two members.
    MemberId(u64)
}
number! {
    /// Names a connection inside the server, so that what arrives late from an old one is recognised.
    ConnectionId(u64)
}
number! {
    /// Names a question that a machine asked its shell, so that the answer finds its way back.
    Ticket(u64)
}

/// The name under which clients fetch a scope.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeName(Arc<str>);

impl ScopeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for ScopeName {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where a ChangeSet came from: a resend after a crash is recognised by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The session that sent it.
    pub session: SessionId,
    /// The index of the message that carried it.
    pub message: MessageIndex,
}

impl Origin {
    /// That of a request of a program, which has no session: by hashes of the key that the program gave it,
    /// and of what it asks.
    pub const fn of_request(key: u64, content: u64) -> Self {
        // 0 is what sessions have before their first message.
        let content = if content == 0 { 1 } else { content };
        Self { session: SessionId(key | REQUEST), message: MessageIndex(content) }
    }

    /// Whether it is that of a request.
    pub const fn is_request(&self) -> bool {
        self.session.0 & REQUEST != 0
    }
}

/// Ids of sessions have 53 bits, so none of them has this one.
const REQUEST: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_id_is_read_in_any_case_and_written_in_lower_case() {
        let id: ObjectId = "CA000000-0000-4000-8000-00000000000A".parse().unwrap();
        assert_eq!(id.to_string(), "ca000000-0000-4000-8000-00000000000a");
    }

    #[test]
    fn other_spellings_of_a_uuid_are_refused() {
        for text in [
            "",
            "ca0000000000400080000000000000aa",
            "{ca000000-0000-4000-8000-00000000000a}",
            "urn:uuid:ca000000-0000-4000-8000-00000000000a",
            "zz000000-0000-4000-8000-00000000000a",
            "ca000000-0000-4000-8000-00000000000\u{e9}",
        ] {
            assert_eq!(text.parse::<ObjectId>(), Err(NotAnObjectId), "{text}");
        }
    }
}
