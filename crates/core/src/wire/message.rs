//! The messages of the Jetstream Sync protocol as data.

use crate::ids::{MessageIndex, ObjectId, ScopeIndex, SharedText};
use crate::model::Rejection;

/// Which protocol a peer speaks, by the version that it named in `SessionCreate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Below 1.0: the original clients. They know `add` and `change`, and whole collections.
    Original,
    /// 1.0 and later: all kinds of fragments, edits of collections, `ack` on every message.
    V1,
}

impl Dialect {
    /// The dialect of a peer that names this version.
    ///
    /// A prerelease of 1.0.0 is below it, as semver has it.
    pub fn of(version: &semver::Version) -> Self {
        if *version >= semver::Version::new(1, 0, 0) { Self::V1 } else { Self::Original }
    }
}

/// A fragment as it came: JSON that nobody has looked at yet. It can only be typed once the scope's
/// schema is known.
pub type RawFragment = Box<serde_json::value::RawValue>;

/// A message from a client.
#[derive(Debug, Clone)]
pub struct ClientMessage {
    /// Its place in the client's numbering.
    pub index: MessageIndex,
    /// The highest index of ours that the client has, on a Ping or (1.0) on any message.
    pub ack: Option<MessageIndex>,
    /// What it says.
    pub body: ClientBody,
}

/// What a client can say.
#[derive(Debug, Clone)]
pub enum ClientBody {
    /// Asks for a session.
    SessionCreate {
        /// For the application, an object.
        params: serde_json::Map<String, serde_json::Value>,
        /// What the client speaks.
        version: semver::Version,
    },
    /// Asks for a scope.
    ScopeFetch {
        /// Which.
        name: String,
        /// For the application, an object.
        params: serde_json::Map<String, serde_json::Value>,
    },
    /// Changes a scope.
    ScopeSync {
        /// Which of the session's scopes.
        scope_index: ScopeIndex,
        /// What changes.
        fragments: Vec<RawFragment>,
        /// All or nothing.
        atomic: bool,
        /// The procedure called. A text that is no procedure's name stays a text, so that the answer
        /// can name it.
        procedure: Option<String>,
    },
    /// Leaves a scope (1.0).
    ScopeUnfetch {
        /// Which of the session's scopes.
        scope_index: ScopeIndex,
    },
    /// Ends the session (1.0).
    SessionClose,
    /// Shows a new credential for the session that lives (1.0). It is answered with a Reply.
    SessionRenew {
        /// Where the credential stands, as in SessionCreate.
        params: serde_json::Map<String, serde_json::Value>,
    },
    /// Acknowledges, and keeps the connection alive.
    Ping {
        /// Asks for everything after `ack` again.
        resend_missing: bool,
    },
    /// Answers one of our messages. Nothing that a server sends wants an answer.
    Reply {
        /// Which.
        reply_to: MessageIndex,
    },
}

/// One entry of a `ScopeSyncReply`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FragmentReply {
    /// Why the fragment was refused; `None`: accepted.
    pub error: Option<Rejection>,
    /// Property values that the server put in place of those sent, or beside them, as the JSON text of
    /// an object: `{"width":100}`.
    pub modifications: Option<SharedText>,
}

/// A message from a server.
#[derive(Debug, Clone)]
pub struct ServerMessage {
    /// Its place in the server's numbering; 0 for `SessionCreateReply` and Ping.
    pub index: MessageIndex,
    /// The highest index of the client's that the server has settled, on a Ping or (1.0) on any message.
    pub ack: Option<MessageIndex>,
    /// What it says.
    pub body: ServerBody,
}

/// What a server can say.
#[derive(Debug, Clone)]
pub enum ServerBody {
    /// Answers `SessionCreate`.
    SessionCreateReply {
        /// The token that resumes the session, or why there is none.
        result: Result<String, Rejection>,
        /// What the server holds the client to (1.0).
        limits: Option<ClientLimits>,
    },
    /// Answers `ScopeFetch`.
    ScopeFetchReply {
        /// The message that asked.
        reply_to: MessageIndex,
        /// The scope's index in this session, or why it was denied.
        result: Result<ScopeIndex, Rejection>,
    },
    /// A scope's whole state.
    ScopeState {
        /// Which of the session's scopes.
        scope_index: ScopeIndex,
        /// The root object.
        root: ObjectId,
        /// The root, then all other objects.
        fragments: Vec<RawFragment>,
    },
    /// What somebody else changed.
    ScopeSync {
        /// Which of the session's scopes.
        scope_index: ScopeIndex,
        /// What changed, in order.
        fragments: Vec<RawFragment>,
    },
    /// Answers `ScopeSync`.
    ScopeSyncReply {
        /// The message that is answered.
        reply_to: MessageIndex,
        /// One entry for each of its fragments, in order.
        replies: Vec<FragmentReply>,
    },
    /// Acknowledges, and keeps the connection alive.
    Ping {
        /// Asks for everything after `ack` again.
        resend_missing: bool,
    },
    /// Answers some other message: `SessionRenew` (1.0).
    Reply {
        /// Which.
        reply_to: MessageIndex,
        /// Why it was refused; `None`: it was not.
        error: Option<Rejection>,
    },
    /// The credential that the client has shown is good for so long, and then the session ends (1.0).
    SessionExpiring {
        /// From now on.
        seconds: u64,
    },
}

/// The limits that a server tells its client in `SessionCreateReply` (1.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// The longest message that the server reads, in bytes.
    pub message_bytes_max: u64,
    /// The most fragments in one ChangeSet.
    pub fragments_max: u64,
}
