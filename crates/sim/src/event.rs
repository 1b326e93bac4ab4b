//! What happens in a world, as far as a property may want to know.

use jetstream_core::ids::{MessageIndex, Origin, Revision, ScopeIndex, SessionId, SharedText};
use jetstream_core::model::{ChangeSet, Graph};
use jetstream_core::time::Millis;
use jetstream_core::wire::message::Dialect;

use crate::veil::Level;

/// Which of a world's clients.
pub type ClientId = usize;

/// Which of a world's scopes.
pub type ScopeId = usize;

/// Something that happened. Properties are told each at once, in the order in which they happen.
#[derive(Debug)]
pub enum Event<'a> {
    /// The server has accepted a session.
    SessionBegan {
        /// The session.
        session: SessionId,
        /// What it speaks.
        dialect: Dialect,
    },
    /// The server has ended a session.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// How long nothing had been heard from its client, in milliseconds.
        silent_ms: u64,
    },
    /// A client has given up a session that the server still has.
    GaveUp {
        /// The session.
        session: SessionId,
    },
    /// The server has read a frame of a session's client.
    Read {
        /// The session.
        session: SessionId,
        /// How many messages it holds.
        messages: u64,
        /// When.
        at: Millis,
    },
    /// The server has refused something because the client of a session goes too fast.
    Hurried {
        /// The session.
        session: SessionId,
        /// Whether it was sent away for it.
        sent_away: bool,
        /// When.
        at: Millis,
    },
    /// A client has asked something of its session.
    Asked {
        /// The session.
        session: SessionId,
        /// The index that the message has.
        message: MessageIndex,
        /// What it asks.
        request: Request,
    },
    /// The server's session has taken a request up.
    Processed {
        /// The session.
        session: SessionId,
        /// The message.
        message: MessageIndex,
        /// What the server understood.
        request: Request,
    },
    /// A session became a member of a scope.
    Joined {
        /// The session.
        session: SessionId,
        /// The index that it knows the scope by.
        index: ScopeIndex,
        /// The scope.
        scope: ScopeId,
    },
    /// What a member may see from now on, in a world with rules.
    Sees {
        /// Its session.
        session: SessionId,
        /// The index that it knows the scope by.
        index: ScopeIndex,
        /// The scope.
        scope: ScopeId,
        /// How much.
        level: Level,
    },
    /// A session has written a frame.
    Sent {
        /// The session.
        session: SessionId,
        /// The frame.
        text: &'a str,
    },
    /// A scope has judged a ChangeSet.
    Judged {
        /// The scope.
        scope: ScopeId,
        /// What its author speaks.
        dialect: Dialect,
        /// What was judged.
        changes: &'a ChangeSet,
        /// The scope afterwards.
        graph: &'a Graph,
        /// Its revision afterwards.
        revision: Revision,
    },
    /// Somebody has decided about a ChangeSet.
    Decided {
        /// The scope.
        scope: ScopeId,
        /// The message that carried it.
        origin: Origin,
        /// Whether nothing of it may be applied.
        refused: bool,
    },
    /// A scope that asks somebody has made a commit of a member's ChangeSet.
    Committed {
        /// The scope.
        scope: ScopeId,
        /// The message that carried it.
        origin: Origin,
    },
    /// A scope's commits up to a revision are durable.
    Persisted {
        /// The scope.
        scope: ScopeId,
        /// The last of them.
        revision: Revision,
    },
    /// A scope has something for a member, which goes to the member's session.
    Told(Told),
    /// A client has received a numbered message.
    Received {
        /// The session.
        session: SessionId,
        /// The message's index.
        message: MessageIndex,
        /// What it is, if a scope told it.
        news: Option<News>,
    },
    /// A client has taken a message over into its copy of a scope.
    Shown {
        /// The session.
        session: SessionId,
        /// Which of its scopes.
        index: ScopeIndex,
        /// The state as far as it is confirmed.
        confirmed: &'a Graph,
    },
    /// A client made an edit.
    Edited {
        /// The session.
        session: SessionId,
        /// The message that carries it.
        message: MessageIndex,
    },
    /// A client knows what became of an edit.
    Settled {
        /// The session.
        session: SessionId,
        /// The message that carried it.
        message: MessageIndex,
        /// Whether it was answered; if not, its session was lost.
        answered: bool,
    },
    /// How much a session keeps for its client.
    Backlog {
        /// The session.
        session: SessionId,
        /// In bytes.
        bytes: usize,
        /// The longest state that any scope has told, in bytes.
        longest_state: usize,
    },
}

/// What a scope tells a member.
#[derive(Debug, Clone)]
pub struct Told {
    /// The member's session.
    pub session: SessionId,
    /// The index that it knows the scope by.
    pub index: ScopeIndex,
    /// The scope.
    pub scope: ScopeId,
    /// The revision that it is about, or stands behind.
    pub revision: Revision,
    /// What.
    pub news: News,
}

/// A state, a change or an answer, as its text goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A scope's whole state.
    State(ScopeIndex, SharedText),
    /// What somebody changed.
    Sync(ScopeIndex, SharedText),
    /// The answer to a message.
    Reply(MessageIndex, usize),
}

/// What a client can ask of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A scope.
    Fetch(String),
    /// A change of so many fragments.
    Sync(ScopeIndex, usize),
    /// To leave a scope.
    Unfetch(ScopeIndex),
    /// To end the session.
    Close,
}
