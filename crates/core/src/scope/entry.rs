//! What a scope's log is made of.

use std::sync::Arc;

use crate::ids::{MessageIndex, Origin, Revision, SharedText};
use crate::model::Fragment;
use crate::time::Timestamp;

/// One step of a scope from a revision to the next: what is stored, and what others are told.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The scope's revision after it.
    pub revision: Revision,
    /// When the scope made it.
    pub time: Timestamp,
    /// The message or the request that it came from; `None`: the application, which gave no key.
    pub origin: Option<Origin>,
    /// On whose behalf the application made it, if it said so.
    pub author: Option<SharedText>,
    /// Up to which message the author had its answers when it sent this one.
    pub delivered: MessageIndex,
    /// The fragments that were applied, in order.
    pub fragments: Arc<[Fragment]>,
    /// The answer that the author gets, so that it can be given again after a crash.
    pub reply: SharedText,
}

/// One thing that has to be durable before anybody is told of it.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A step from a revision to the next.
    Commit(Arc<Commit>),
    /// A reply without a commit: nothing of its ChangeSet was applied.
    ///
    /// It is stored, too. Otherwise the ChangeSet, sent again after a crash, could be judged otherwise
    /// than its author has been told.
    Answer(Answer),
}

impl Entry {
    /// When it was made.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Commit(commit) => commit.time,
            Self::Answer(answer) => answer.time,
        }
    }

    /// The commit, if it is one.
    pub const fn commit(&self) -> Option<&Arc<Commit>> {
        match self {
            Self::Commit(commit) => Some(commit),
            Self::Answer(_) => None,
        }
    }

    /// The reply that its author is to get; the application gets none, unless it gave a key.
    pub fn answer(&self) -> Option<Answer> {
        match self {
            Self::Commit(commit) => commit.origin.map(|origin| Answer {
                origin,
                time: commit.time,
                delivered: commit.delivered,
                reply: commit.reply.clone(),
            }),
            Self::Answer(answer) => Some(answer.clone()),
        }
    }
}

/// What the author of a ChangeSet is told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The message that is answered.
    pub origin: Origin,
    /// When.
    pub time: Timestamp,
    /// Up to which message the author had its answers when it sent this one: those need not be kept.
    pub delivered: MessageIndex,
    /// To a message: `[…]`, one entry a fragment. To a request: what the scope needs to answer it again.
    pub reply: SharedText,
}
