//! One shared tree of objects: its members, its revisions, who is told what and when.
//!
//! [`Scope`] is the only writer of its graph. It judges ChangeSets in the order in which they come,
//! turns them into [`Commit`]s, and holds back everything that depends on a commit until the shell says
//! that it is durable.

use std::sync::Arc;

use crate::ids::{
    MemberId, MessageIndex, Origin, Revision, ScopeName, SessionId, SharedText, Ticket,
};
use crate::model::{ChangeSet, Fragment, Rejection};
use crate::time::Timestamp;
use crate::wire::message::Dialect;

/// What the shell tells a scope.
#[derive(Debug)]
pub enum Input {
    /// A session fetched the scope. Answered by [`Output::State`].
    Join {
        /// The membership; one session may have several.
        member: MemberId,
        /// Whose.
        session: SessionId,
        /// What it understands.
        dialect: Dialect,
    },
    /// A member is gone. Unknown members are ignored.
    Leave {
        /// Which.
        member: MemberId,
    },
    /// A member needs the state afresh. Answered by [`Output::State`].
    Resync {
        /// Which.
        member: MemberId,
    },
    /// A member's ChangeSet. Answered by [`Output::Reply`].
    Sync {
        /// Who.
        member: MemberId,
        /// The message that carried it.
        message: MessageIndex,
        /// What.
        changes: ChangeSet,
    },
    /// The application's own ChangeSet. Answered by [`Output::Updated`].
    Update {
        /// Goes into the answer.
        ticket: Ticket,
        /// What.
        changes: ChangeSet,
    },
    /// All commits up to this one are durable.
    Persisted {
        /// The last of them.
        revision: Revision,
    },
}

/// What a scope wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Make this durable, then answer with [`Input::Persisted`]. Commits come in revision order.
    Commit(Arc<Commit>),
    /// Give the member the whole state; from here on it gets every [`Output::Broadcast`].
    State {
        /// Who.
        member: MemberId,
        /// `"rootUUID":…,"fragments":[…]`.
        body: SharedText,
    },
    /// Give the member its answer.
    Reply {
        /// Who.
        member: MemberId,
        /// The message that is answered.
        message: MessageIndex,
        /// `[…]`, one entry a fragment.
        body: SharedText,
    },
    /// Give all members but one, that have their state, what a commit changed.
    Broadcast {
        /// What changed.
        commit: Arc<Commit>,
        /// Who is not told: the author, who has the reply.
        except: Option<MemberId>,
        /// The fragments, encoded once for each dialect.
        bodies: Bodies,
    },
    /// The answer to [`Input::Update`].
    Updated {
        /// From the question.
        ticket: Ticket,
        /// The revision that it made, with the replies; or one refusal for each fragment.
        result: Vec<Result<(), Rejection>>,
        /// The scope's revision afterwards.
        revision: Revision,
    },
}

/// One text for each dialect that some member speaks.
#[derive(Debug, Clone, Default)]
pub struct Bodies {
    /// For peers below 1.0, if there are any.
    pub original: Option<SharedText>,
    /// For peers from 1.0 on, if there are any.
    pub v1: Option<SharedText>,
}

impl Bodies {
    /// The text for this dialect.
    pub fn get(&self, dialect: Dialect) -> Option<&SharedText> {
        match dialect {
            Dialect::Original => self.original.as_ref(),
            Dialect::V1 => self.v1.as_ref(),
        }
    }
}

/// One step of a scope from a revision to the next: what is stored, and what others are told.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The scope's revision after it.
    pub revision: Revision,
    /// When the scope made it.
    pub time: Timestamp,
    /// The message that it came from; `None`: the application.
    pub origin: Option<Origin>,
    /// The fragments that were applied, in order.
    pub fragments: Arc<[Fragment]>,
    /// The answer that the author gets, so that it can be given again after a crash.
    pub reply: SharedText,
}

/// Which scope, for logs and stores.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name under which clients fetch it.
    pub name: ScopeName,
}
