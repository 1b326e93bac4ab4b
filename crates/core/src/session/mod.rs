//! A client's standing with the server: numbering, acknowledgement, resend.
//!
//! [`ServerSession`] is the server's end, [`ClientSession`] the client's; both are built on
//! [`Reliable`], which makes a stream of messages out of connections that break. A session outlives its
//! connections, knows which scopes were fetched, and nothing of what is in them.

mod binding;
mod close;
mod frame;
mod handshake;
pub(crate) mod jitter;
mod outgoing;
mod queue;
pub mod reliable;

mod client;
mod server;

use std::sync::Arc;

use crate::ids::{ConnectionId, MessageIndex, Revision, ScopeIndex, ScopeName, SharedText};
use crate::limits::Limit;
use crate::model::{ChangeSet, Rejection, Schema};
use crate::time::Timestamp;
use crate::wire::StateBody;

pub use binding::{Resumption, Shown};
pub use client::{ClientConfig, ClientInput, ClientOutput, ClientSession};
pub use close::CloseReason;
pub use frame::{Frame, FramePart, FrameParts};
pub use handshake::{Accepted, Handshake, HandshakeOutput};
pub use reliable::Reliable;
pub use server::{FetchRecord, Record, ServerSession};

/// What the shell tells a [`ServerSession`].
#[derive(Debug)]
pub enum Input<'a> {
    /// A connection named this session's token (or has just created the session). It replaces an older
    /// one.
    Connected {
        /// The new connection.
        connection: ConnectionId,
    },
    /// A whole frame arrived. Frames of replaced connections are ignored.
    Frame {
        /// From where.
        connection: ConnectionId,
        /// Its text.
        text: &'a str,
    },
    /// The client has sent what is no frame: what its transport says for itself, or much around little text.
    Overhead {
        /// From where.
        connection: ConnectionId,
        /// How much of it.
        bytes: usize,
    },
    /// A connection is gone. Of no consequence if it was replaced.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// [`deadline`](ServerSession::deadline) has come.
    Deadline,
    /// The application accepted a fetch.
    FetchAccepted {
        /// The message that asked.
        message: MessageIndex,
        /// The scope's name: an original client that fetches the same scope again gets the same index.
        scope: ScopeName,
        /// What ScopeSyncs to this scope are typed with.
        schema: Arc<Schema>,
    },
    /// The application denied a fetch.
    FetchDenied {
        /// The message that asked.
        message: MessageIndex,
        /// Why.
        error: Rejection,
    },
    /// The application lets a restored session have a scope again: the answer to [`Output::Rejoin`].
    RejoinAccepted {
        /// Which of the session's scopes.
        scope: ScopeIndex,
        /// What ScopeSyncs to this scope are typed with.
        schema: Arc<Schema>,
    },
    /// The application does not let it have the scope any more.
    RejoinDenied {
        /// Which of the session's scopes.
        scope: ScopeIndex,
    },
    /// The session is stored: the answer to [`Output::Save`].
    Saved {
        /// The position that was stored; `None`: it could not be stored.
        position: Option<MessageIndex>,
    },
    /// Something for this session's member of a scope.
    Deliver {
        /// Which of the session's scopes.
        scope: ScopeIndex,
        /// What.
        delivery: Delivery,
    },
    /// The scope is closed: nothing more will come, and changes to it are refused.
    ScopeClosed {
        /// Which of the session's scopes.
        scope: ScopeIndex,
    },
    /// It is known anew who the client is. What is stored of the session has to say so.
    Known {
        /// Up to when; `None`: for as long as the session lives. Then the session ends, and a client of 1.0
        /// is warned before.
        until: Option<Timestamp>,
    },
    /// A new credential was looked at: the answer to [`Output::Renew`]. What it says is told with
    /// [`Input::Known`].
    Renewed {
        /// The message that showed it.
        message: MessageIndex,
        /// Whether it counts.
        result: Result<(), Rejection>,
    },
    /// The application or the server ends the session; the client is told with close code 4097.
    End {
        /// The reason in plain words.
        message: String,
    },
    /// The client may not have the session any more. It is told with close code 4097, and gets nothing of what
    /// waits for it.
    Revoke {
        /// The reason in plain words.
        message: String,
    },
}

/// What a scope has for a member. Encoded once, shared by all members of the same dialect.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// The scope's whole state: `"rootUUID":…,"fragments":[…]`.
    State {
        /// The revision that it is the state of.
        revision: Revision,
        /// The encoded part.
        body: StateBody,
    },
    /// What a ChangeSet of somebody else changed: `[…]`, the fragments.
    Sync {
        /// The revision that has it.
        revision: Revision,
        /// The encoded part.
        body: SharedText,
    },
    /// What has not reached the client of what it was told of the scope is not for it any more.
    Recall,
    /// The answer to the session's own ChangeSet: `[…]`, the fragment replies.
    Reply {
        /// The message that is answered.
        message: MessageIndex,
        /// The scope's revision with it.
        revision: Revision,
        /// Whether the scope could give it again after a crash.
        lasting: bool,
        /// The encoded part.
        body: SharedText,
    },
}

/// What a [`ServerSession`] wants done.
#[derive(Debug)]
pub enum Output {
    /// Ask the application; answer with `FetchAccepted` or `FetchDenied`. Until then the session keeps
    /// its client's later messages waiting.
    Fetch {
        /// The message that asks.
        message: MessageIndex,
        /// The scope's name.
        name: String,
        /// What the client adds for the application.
        params: serde_json::Map<String, serde_json::Value>,
    },
    /// The fetch has its index: make the session a member of the scope, which answers with its state.
    Join {
        /// The message that asked.
        message: MessageIndex,
        /// The index that it has from now on.
        scope: ScopeIndex,
        /// The session had it before the server was gone.
        returns: bool,
    },
    /// The session was restored and had fetched this scope: ask the application again; answer with
    /// `RejoinAccepted` or `RejoinDenied`. [`Output::Join`] follows.
    Rejoin {
        /// Which of the session's scopes.
        scope: ScopeIndex,
        /// The name that was asked for.
        name: String,
        /// What the client added for the application.
        params: serde_json::Map<String, serde_json::Value>,
    },
    /// Store what [`record`](ServerSession::record) gives; answer with `Saved`. Only from sessions that are
    /// [kept](ServerSession::kept).
    Save,
    /// The session has lost changes of this scope, or asked for it again: it needs the state afresh.
    Resync {
        /// Which of the session's scopes.
        scope: ScopeIndex,
    },
    /// A ChangeSet for a scope, which answers with a [`Delivery::Reply`].
    Sync {
        /// Which of the session's scopes.
        scope: ScopeIndex,
        /// The message that carried it.
        message: MessageIndex,
        /// Up to which message the client has the answers to what it sent to this scope.
        delivered: MessageIndex,
        /// What changes.
        changes: ChangeSet,
    },
    /// The client has acknowledged everything of this scope up to this revision. Only clients below 1.0
    /// make this of consequence, so it only comes from their sessions.
    Seen {
        /// Which of the session's scopes.
        scope: ScopeIndex,
        /// Up to where.
        revision: Revision,
    },
    /// The session leaves the scope.
    Leave {
        /// Which of the session's scopes.
        scope: ScopeIndex,
    },
    /// Close this connection, after what [`next_frame`](ServerSession::next_frame) still has for it.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// The client has met a bound. Nothing is to be done, but it is to be counted.
    Limited(Limit),
    /// The client shows a new credential: look at it, and answer with `Renewed`. The session goes on
    /// meanwhile.
    Renew {
        /// The message that shows it.
        message: MessageIndex,
        /// Where it stands.
        params: serde_json::Map<String, serde_json::Value>,
    },
    /// The session is over: forget its token and leave its scopes.
    Ended,
}
