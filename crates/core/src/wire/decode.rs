//! A frame's text into messages.
//!
//! Each message is read on its own: one that cannot be read is an [`Unreadable`] in its place and takes
//! nothing else with it. Fragments stay raw, because only the scope's schema can type them; see
//! [`change_set`](super::change_set).

use std::fmt;

use serde_json::value::RawValue;

use super::json;
use super::message::{
    ClientBody, ClientLimits, ClientMessage, FragmentReply, RawFragment, ServerBody, ServerMessage,
};
use crate::ids::{MessageIndex, ScopeIndex};
use crate::limits::Limits;
use crate::model::Rejection;

/// Why a message could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Unreadable {
    /// The index that it names, where that much could be read.
    pub index: Option<MessageIndex>,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an unreadable message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The frame is no JSON at all.
    #[error("not JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("a message is an object")]
    NotAnObject,
    /// Its type is none that this side reads.
    #[error("unknown message type")]
    UnknownType,
    /// A field is missing or holds something else than it must.
    #[error("{field}: expected {expected}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it must hold.
        expected: &'static str,
    },
    /// `version` is a text, but no semantic version.
    #[error("version: expected a semantic version such as 1.0.0")]
    Version,
    /// A ScopeSync has so many fragments that not even refusing each of them makes sense.
    #[error("fragments: far too many")]
    TooManyFragments,
}

/// The frame holds more messages than are allowed; none of them was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {max} messages in one frame")]
pub struct TooManyMessages {
    /// The limit.
    pub max: usize,
}

/// Reads a client's frame: one message or an array of them, in ascending order of their indices.
///
/// Messages with the same index keep their order. An empty array holds nothing.
///
/// # Errors
///
/// If the frame holds more than [`Limits::frame_messages_max`] messages.
pub fn frame(
    text: &str,
    limits: &Limits,
) -> Result<Vec<Result<ClientMessage, Unreadable>>, TooManyMessages> {
    let fragments_max = limits.fragments_max.saturating_mul(FRAGMENTS_REFUSED_FACTOR);
    let mut messages =
        split(text, limits.frame_messages_max, |text| client_message(text, fragments_max))?;
    messages.sort_by_key(|message| match message {
        Ok(message) => message.index,
        Err(unreadable) => unreadable.index.unwrap_or_default(),
    });
    Ok(messages)
}

/// Reads a server's frame: one message or an array of them, in ascending order of their indices.
///
/// No limit but that of the frame's length, which the transport knows: a client trusts its server.
pub fn server_frame(text: &str) -> Vec<Result<ServerMessage, Unreadable>> {
    let mut messages = split(text, usize::MAX, server_message).unwrap_or_default();
    messages.sort_by_key(|message| match message {
        Ok(message) => message.index,
        Err(unreadable) => unreadable.index.unwrap_or_default(),
    });
    messages
}

/// Reads an error object: a text of its own, such as the reason of a close frame.
pub fn error(text: &str) -> Option<Rejection> {
    rejection(serde_json::from_str(text).ok()?).ok()
}

/// Reads each message of a frame.
fn split<M>(
    text: &str,
    max: usize,
    read: impl Fn(&str) -> Result<M, Unreadable>,
) -> Result<Vec<Result<M, Unreadable>>, TooManyMessages> {
    if !text.trim_start_matches(BLANKS).starts_with('[') {
        return Ok(vec![read(text)]);
    }
    match json::elements(text, max) {
        Ok(Some(elements)) => Ok(elements.into_iter().map(|element| read(element.get())).collect()),
        Ok(None) => Err(TooManyMessages { max }),
        Err(_) => Ok(vec![Err(Unreadable { index: None, fault: Fault::NotJson })]),
    }
}

fn client_message(text: &str, fragments_max: usize) -> Result<ClientMessage, Unreadable> {
    let fields = Fields::read(text)?;
    let read = || {
        let index = fields.message_index("index")?;
        let ack = fields.ack();
        let body = match fields.kind()?.as_ref() {
            "ScopeSync" => fields.scope_sync(fragments_max)?,
            "Ping" => {
                fields.message_index("ack")?;
                ClientBody::Ping { resend_missing: fields.resend_missing() }
            }
            "SessionCreate" => {
                ClientBody::SessionCreate { version: fields.version()?, params: fields.params()? }
            }
            "ScopeFetch" => {
                ClientBody::ScopeFetch { name: fields.text("name")?, params: fields.params()? }
            }
            "ScopeUnfetch" => ClientBody::ScopeUnfetch { scope_index: fields.scope_index()? },
            "SessionClose" => ClientBody::SessionClose,
            "SessionRenew" => ClientBody::SessionRenew { params: fields.params()? },
            "Reply" => ClientBody::Reply { reply_to: fields.message_index("replyTo")? },
            _ => return Err(Fault::UnknownType),
        };
        Ok(ClientMessage { index, ack, body })
    };
    read().map_err(|fault| fields.unreadable(fault))
}

fn server_message(text: &str) -> Result<ServerMessage, Unreadable> {
    let fields = Fields::read(text)?;
    let read = || {
        let index = fields.message_index("index")?;
        let ack = fields.ack();
        let body = match fields.kind()?.as_ref() {
            "ScopeSync" => ServerBody::ScopeSync {
                scope_index: fields.scope_index()?,
                fragments: fields.fragments(usize::MAX)?,
            },
            "ScopeSyncReply" => ServerBody::ScopeSyncReply {
                reply_to: fields.message_index("replyTo")?,
                replies: fields.fragment_replies()?,
            },
            "ScopeState" => ServerBody::ScopeState {
                scope_index: fields.scope_index()?,
                root: fields
                    .text("rootUUID")?
                    .parse()
                    .map_err(|_| expected("rootUUID", "a uuid"))?,
                fragments: fields.fragments(usize::MAX)?,
            },
            "ScopeFetchReply" => ServerBody::ScopeFetchReply {
                reply_to: fields.message_index("replyTo")?,
                result: fields.error_or(Fields::scope_index)?,
            },
            "SessionCreateReply" | "SessionCreateResponse" => ServerBody::SessionCreateReply {
                result: fields.error_or(|fields| fields.text("sessionToken"))?,
                limits: fields.client_limits(),
            },
            "Ping" => {
                fields.message_index("ack")?;
                ServerBody::Ping { resend_missing: fields.resend_missing() }
            }
            "Reply" => ServerBody::Reply {
                reply_to: fields.message_index("replyTo")?,
                error: fields.get("error").map(rejection).transpose()?,
            },
            "SessionExpiring" => ServerBody::SessionExpiring { seconds: fields.seconds()? },
            _ => return Err(Fault::UnknownType),
        };
        Ok(ServerMessage { index, ack, body })
    };
    read().map_err(|fault| fields.unreadable(fault))
}

/// The fields of one message, still raw.
struct Fields<'a>([Option<&'a RawValue>; NAMES.len()]);

/// Every field that any message has. The most frequent first.
const NAMES: [&str; 19] = [
    "type",
    "index",
    "scopeIndex",
    "fragments",
    "ack",
    "atomic",
    "replyTo",
    "fragmentReplies",
    "resendMissing",
    "procedure",
    "name",
    "params",
    "version",
    "rootUUID",
    "sessionToken",
    "error",
    "limits",
    "resumed",
    "seconds",
];

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self, Unreadable> {
        json::object(text, &NAMES).map(Self).map_err(|error| {
            let fault = if error.is_data() { Fault::NotAnObject } else { Fault::NotJson };
            Unreadable { index: None, fault }
        })
    }

    fn unreadable(&self, fault: Fault) -> Unreadable {
        Unreadable { index: self.message_index("index").ok(), fault }
    }

    fn get(&self, field: &'static str) -> Option<&'a RawValue> {
        NAMES.iter().position(|name| *name == field).and_then(|at| self.0[at])
    }

    fn kind(&self) -> Result<std::borrow::Cow<'a, str>, Fault> {
        self.get("type").and_then(json::string).ok_or(expected("type", "a string"))
    }

    fn text(&self, field: &'static str) -> Result<String, Fault> {
        let text = self.get(field).and_then(json::string);
        text.map(Into::into).ok_or(expected(field, "a string"))
    }

    fn message_index(&self, field: &'static str) -> Result<MessageIndex, Fault> {
        let index = self.get(field).and_then(json::index);
        index.map(MessageIndex).ok_or(expected(field, "a whole number that is not negative"))
    }

    fn seconds(&self) -> Result<u64, Fault> {
        let seconds = self.get("seconds").and_then(json::index);
        seconds.ok_or(expected("seconds", "a whole number that is not negative"))
    }

    /// The acknowledgement on any message. On others than a Ping it is an addition of 1.0, so a peer
    /// that does not know it may have put anything there.
    fn ack(&self) -> Option<MessageIndex> {
        self.get("ack").and_then(json::index).map(MessageIndex)
    }

    fn scope_index(&self) -> Result<ScopeIndex, Fault> {
        let index = self.get("scopeIndex").and_then(json::index);
        let index = index.ok_or(expected("scopeIndex", "a whole number that is not negative"))?;
        // No session has that many scopes: as good as any other index that does not exist.
        Ok(ScopeIndex(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// Only `true` itself asks for a resend.
    fn resend_missing(&self) -> bool {
        self.get("resendMissing").and_then(json::boolean) == Some(true)
    }

    fn version(&self) -> Result<semver::Version, Fault> {
        let text = self.text("version")?;
        semver::Version::parse(text.strip_prefix('v').unwrap_or(&text)).map_err(|_| Fault::Version)
    }

    fn params(&self) -> Result<serde_json::Map<String, serde_json::Value>, Fault> {
        // Clients in the field write null for "none".
        match self.get("params").filter(|params| params.get() != "null") {
            None => Ok(serde_json::Map::new()),
            Some(params) if params.get().len() > PARAMS_BYTES_MAX => {
                Err(expected("params", "an object of at most 64 KiB"))
            }
            Some(params) => {
                serde_json::from_str(params.get()).map_err(|_| expected("params", "an object"))
            }
        }
    }

    fn fragments(&self, max: usize) -> Result<Vec<RawFragment>, Fault> {
        let missing = expected("fragments", "an array");
        let fragments = self.get("fragments").ok_or(missing.clone())?;
        let fragments = json::elements(fragments.get(), max).map_err(|_| missing)?;
        let fragments = fragments.ok_or(Fault::TooManyFragments)?;
        Ok(fragments.into_iter().map(ToOwned::to_owned).collect())
    }

    fn scope_sync(&self, fragments_max: usize) -> Result<ClientBody, Fault> {
        let atomic = match self.get("atomic") {
            None => false,
            Some(atomic) => json::boolean(atomic).ok_or(expected("atomic", "true or false"))?,
        };
        // A procedure that is no text becomes one that is no name: the sender learns that from the
        // answer, while an unreadable message would leave it waiting.
        let procedure = self.get("procedure");
        Ok(ClientBody::ScopeSync {
            scope_index: self.scope_index()?,
            fragments: self.fragments(fragments_max)?,
            atomic,
            procedure: procedure.map(|text| json::string(text).unwrap_or_default().into_owned()),
        })
    }

    fn error_or<T>(
        &self,
        accepted: impl FnOnce(&Self) -> Result<T, Fault>,
    ) -> Result<Result<T, Rejection>, Fault> {
        match self.get("error") {
            None => accepted(self).map(Ok),
            Some(error) => Ok(Err(rejection(error)?)),
        }
    }

    fn fragment_replies(&self) -> Result<Vec<FragmentReply>, Fault> {
        let missing = expected("fragmentReplies", "an array");
        let replies = self.get("fragmentReplies").ok_or(missing.clone())?;
        let replies = json::elements(replies.get(), usize::MAX).map_err(|_| missing)?;
        replies.unwrap_or_default().into_iter().map(fragment_reply).collect()
    }

    fn client_limits(&self) -> Option<ClientLimits> {
        let [bytes, fragments] =
            json::object(self.get("limits")?.get(), &["messageBytes", "fragments"]).ok()?;
        Some(ClientLimits {
            message_bytes_max: json::index(bytes?)?,
            fragments_max: json::index(fragments?)?,
        })
    }
}

fn expected(field: &'static str, expected: &'static str) -> Fault {
    Fault::Field { field, expected }
}

fn rejection(error: &RawValue) -> Result<Rejection, Fault> {
    let wrong = expected("error", "an object with a message");
    let [message, code] =
        json::object(error.get(), &["message", "type"]).map_err(|_| wrong.clone())?;
    let message = message.and_then(json::string).ok_or(wrong)?.into_owned();
    let code = code.and_then(json::string).map(|code| code.into_owned().into());
    Ok(Rejection { code, message, limit: None })
}

fn fragment_reply(reply: &RawValue) -> Result<FragmentReply, Fault> {
    let [error, modifications] = json::object(reply.get(), &["error", "modifications"])
        .map_err(|_| expected("fragmentReplies", "an array of objects"))?;
    Ok(FragmentReply {
        error: error.map(rejection).transpose()?,
        modifications: modifications.map(|properties| properties.get().into()),
    })
}

impl fmt::Display for ClientBody {
    /// The message's type, for logs: nothing of what a client sends belongs there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl ClientBody {
    /// The `type` on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SessionCreate { .. } => "SessionCreate",
            Self::ScopeFetch { .. } => "ScopeFetch",
            Self::ScopeSync { .. } => "ScopeSync",
            Self::ScopeUnfetch { .. } => "ScopeUnfetch",
            Self::SessionClose => "SessionClose",
            Self::SessionRenew { .. } => "SessionRenew",
            Self::Ping { .. } => "Ping",
            Self::Reply { .. } => "Reply",
        }
    }
}

/// The longest `params`, in bytes. They are kept as long as the session, and as values they take many
/// times their length.
const PARAMS_BYTES_MAX: usize = 64 << 10;

/// What JSON takes for blank.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// Up to this many times [`Limits::fragments_max`] each fragment is refused in a reply; beyond it the
/// message is unreadable, because a reply would be many times longer than what was sent.
const FRAGMENTS_REFUSED_FACTOR: usize = 4;

#[cfg(test)]
mod tests;
