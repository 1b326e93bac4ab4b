//! How far others have got with what happened: the part of a store that remembers it.
//!
//! A consumer is somebody who is told of the commits of scopes and takes its time: a web service, for example.
//! The store knows for each scope how far each of its consumers has got, and, without looking at the other
//! scopes, which ones have more for it. What a consumer never took is kept as a [`DeadLetter`].

use std::fmt;

use jetstream_core::ids::{Revision, ScopeName, SharedText};
use jetstream_core::time::Timestamp;

use super::{StorageError, StoredScope};
use crate::future::BoxFuture;

/// How far a consumer has got with a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// It has every commit up to this one, or was told that it cannot have them.
    pub revision: Revision,
    /// Since when it has not taken what comes next; `None`: it takes what it is given.
    pub failing_since: Option<Timestamp>,
}

/// A scope with commits that a consumer has not got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Its name.
    pub scope: ScopeName,
    /// How far the consumer has got.
    pub got: Revision,
    /// The scope's last commit.
    pub last: Revision,
}

/// Counts dead letters, in the order in which they were set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(pub u64);

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a consumer was to be told and did not take, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Who was to get it.
    pub consumer: String,
    /// The scope that it is about.
    pub scope: ScopeName,
    /// It is about what came after this revision,
    pub after: Revision,
    /// up to this one.
    pub revision: Revision,
    /// When it was set aside.
    pub time: Timestamp,
    /// What the consumer knows it by, however often it is sent.
    pub key: String,
    /// Why it was not taken, in plain words.
    pub why: String,
}

/// The part of a [`Storage`](super::Storage) that remembers how far consumers have got.
///
/// What is given to a call that succeeded is there for every call that begins afterwards, and survives a crash
/// as far as the store's commits do.
pub trait ConsumerStorage: Send + Sync + 'static {
    /// Remembers from now on how far a consumer has got with a scope, and gives it. One that is new begins
    /// behind the scope's last commit.
    ///
    /// Refuses a scope that is not stored.
    fn follow<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Progress, StorageError>>;

    /// How far a consumer has got with a scope; `None` if it never followed it.
    fn progress<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Option<Progress>, StorageError>>;

    /// Notes how far a consumer has got, and keeps with it what it did not take: both or neither.
    ///
    /// Refuses to go back, and a consumer that does not follow the scope.
    fn advance<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
        progress: Progress,
        letter: Option<(DeadLetter, SharedText)>,
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// The scopes with commits that a consumer has not got, whose names come after `after`, in the order of their
    /// names' bytes, at most `max`. A commit is in this list from the moment in which it is durable. What that
    /// costs does not depend on how many scopes have nothing for it.
    fn behind<'a>(
        &'a self,
        consumer: &'a str,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<Behind>, StorageError>>;

    /// From where on all commits of a scope are known that are stored: those after this revision. `None` if it
    /// was never stored.
    fn past_begins<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Revision>, StorageError>>;

    /// The dead letters after `after`, in order, at most `max`.
    fn letters(
        &self,
        after: Option<LetterId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<(LetterId, DeadLetter)>, StorageError>>;

    /// The text of a dead letter, if it is there.
    fn letter_text(
        &self,
        letter: LetterId,
    ) -> BoxFuture<'_, Result<Option<SharedText>, StorageError>>;

    /// Forgets dead letters; those that are not there are passed over.
    fn drop_letters<'a>(
        &'a self,
        letters: &'a [LetterId],
    ) -> BoxFuture<'a, Result<(), StorageError>>;
}

/// That a consumer does not follow a scope, or is further than it is said to be.
pub(super) fn cannot_advance(
    scope: &ScopeName,
    consumer: &str,
    progress: Progress,
) -> StorageError {
    let revision = progress.revision;
    StorageError::Refused(format!(
        "{consumer:?} cannot get to revision {revision} of {scope:?}: it does not follow it, or is further"
    ))
}
