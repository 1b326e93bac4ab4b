//! What goes into a scope, and what comes out of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Call, Claims, Commit, Entry, Outcome, Terms, Verdict};
use crate::ids::{MemberId, MessageIndex, Position, Revision, SessionId, SharedText, Ticket};
use crate::limits::Limit;
use crate::model::{ChangeSet, Rejection};
use crate::wire::StateBody;
use crate::wire::message::Dialect;

/// What the shell tells a scope.
#[derive(Debug)]
pub enum Input {
    /// A session fetched the scope. Answered by [`Output::State`], and, if the session was here before a
    /// crash, first by the answers that may not have reached it.
    Join {
        /// The membership; one session may have several.
        member: MemberId,
        /// Whose.
        session: SessionId,
        /// What it understands.
        dialect: Dialect,
        /// Who it is. Only a scope with rules asks.
        claims: Arc<Claims>,
        /// The session had the scope before, and its client may have edits under way: after a crash, or
        /// because the scope begins anew.
        returns: bool,
    },
    /// Something else is known about who a member is. In a scope with rules it is told what came into its
    /// view or left it, or gets [`Output::Dismissed`].
    Claims {
        /// Which member.
        member: MemberId,
        /// Who it is.
        claims: Arc<Claims>,
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
    /// A member has acknowledged everything of this scope up to this revision. Only worth telling of
    /// members below 1.0.
    Seen {
        /// Which.
        member: MemberId,
        /// Up to where.
        revision: Revision,
    },
    /// A member's ChangeSet. Answered by [`Output::Reply`].
    Sync {
        /// Who.
        member: MemberId,
        /// The message that carried it.
        message: MessageIndex,
        /// Up to which message the member has the answers to what it sent to this scope.
        delivered: MessageIndex,
        /// What.
        changes: ChangeSet,
    },
    /// The application's own ChangeSet. Answered by [`Output::Updated`].
    Update {
        /// Goes into the answer.
        ticket: Ticket,
        /// On which terms.
        terms: Terms,
        /// What.
        changes: ChangeSet,
    },
    /// The answer to an [`Output::Call`]. One that comes late or twice is ignored.
    Verdict {
        /// From the question.
        ticket: Ticket,
        /// What becomes of the ChangeSet.
        verdict: Verdict,
    },
    /// All entries up to this one are durable.
    Persisted {
        /// The last of them.
        position: Position,
    },
    /// Nothing can be stored at present, and why; `None`: it can again. Until then what would have to be
    /// stored is refused.
    Frozen {
        /// In plain words.
        why: Option<SharedText>,
    },
    /// [`deadline`](super::Scope::deadline) has come. It is at once as long as somebody waits for a state
    /// that is too long to be written in one go.
    Deadline,
}

/// What a scope wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Make this durable, then answer with [`Input::Persisted`]. Only from scopes that are
    /// [stored](super::Options::stored).
    Persist {
        /// Its place in the scope's log; they come one after the other.
        position: Position,
        /// What.
        entry: Entry,
    },
    /// A member has met a bound. Nothing is to be done, but it is to be counted.
    Limited(Limit),
    /// A commit is durable, or needs not be: those who follow the scope's commits are told.
    Committed(Arc<Commit>),
    /// Give the member the whole state; from here on it gets every [`Output::Broadcast`].
    State {
        /// Who.
        member: MemberId,
        /// The revision that it is the state of.
        revision: Revision,
        /// `"rootUUID":…,"fragments":[…]`.
        body: StateBody,
    },
    /// State present values to a member that may show others: to one below 1.0 whose edit crossed somebody
    /// else's, and to one whose own edit, or whose claims, changed what it sees.
    Repair {
        /// Who.
        member: MemberId,
        /// The revision whose values these are.
        revision: Revision,
        /// `[…]`, the fragments.
        body: SharedText,
    },
    /// Give the member its answer.
    Reply {
        /// Who.
        member: MemberId,
        /// The message that is answered.
        message: MessageIndex,
        /// The scope's revision with it.
        revision: Revision,
        /// Whether it stands in the log, from which it can be given again.
        lasting: bool,
        /// `[…]`, one entry a fragment.
        body: SharedText,
    },
    /// Give members, of those that have their state, what a commit changed.
    Broadcast {
        /// What changed.
        commit: Arc<Commit>,
        /// Who is told.
        to: Listeners,
        /// The fragments, encoded once for each dialect.
        bodies: Bodies,
    },
    /// Find out whether this may be applied, then answer with [`Input::Verdict`]. If there is no answer in
    /// time, nothing of it is applied.
    Call(Call),
    /// Give some members what a commit changed, as they see it. A scope whose members see different
    /// things gives this instead of [`Output::Broadcast`].
    Sync {
        /// Who.
        to: Arc<[MemberId]>,
        /// The revision that this leads to.
        revision: Revision,
        /// `[…]`, the fragments.
        body: SharedText,
    },
    /// What these members were told before, and what has not reached them, is not for them any more: they are
    /// to get the state instead, as they see it now. What narrows their view comes right behind.
    Recall {
        /// Who.
        to: Arc<[MemberId]>,
    },
    /// A member may not be here, or not any more: it is none from now on.
    Dismissed {
        /// Who.
        member: MemberId,
        /// Why.
        error: Rejection,
    },
    /// The answer to [`Input::Update`].
    Updated {
        /// From the question.
        ticket: Ticket,
        /// The scope's revision afterwards.
        revision: Revision,
        /// What became of it.
        outcome: Outcome,
    },
}

/// Who is told of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listeners {
    /// All members.
    All,
    /// All but the author, who has the reply.
    AllBut(MemberId),
    /// All but these, some of whom are told later.
    AllButThese(Arc<BTreeSet<MemberId>>),
    /// These, who were left out before.
    Only(Arc<BTreeSet<MemberId>>),
}

impl Listeners {
    /// Whether this member is told.
    pub fn has(&self, member: MemberId) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(author) => *author != member,
            Self::AllButThese(others) => !others.contains(&member),
            Self::Only(these) => these.contains(&member),
        }
    }
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
