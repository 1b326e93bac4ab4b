//! The commits of a scope after a revision: those of its past out of the store, then each one as it comes.
//!
//! A reader keeps the last revision that it has dealt with, and goes on behind it, after a lost connection
//! or a restart. It misses nothing and gets nothing twice; or it is told that the past is gone. It does not
//! hold up the scope, however slowly it reads.

use std::collections::VecDeque;
use std::sync::Arc;

use jetstream_core::ids::{Revision, ScopeName};
use jetstream_core::model::Schema;
use jetstream_core::scope::Commit;

use super::state::has_passing;
use super::{Changes, Scope, ScopeError};
use crate::storage::{Moment, PastCommit, StorageError};

/// The commits of a scope, in order, after the revision that [`Scope::changes_after`] was given.
///
/// Of a scope that is kept in a store it gives what is stored: changes of objects that leave with their
/// session are not in it, and revisions have gaps where there were such changes only. A reader that falls
/// behind is given what it missed out of the store. Without a store there is no past: a reader that falls
/// behind by more than 1024 commits is told that they are gone.
#[derive(Debug)]
pub struct Feed {
    scope: Scope,
    live: Changes,
    /// The last revision that was given, or to begin behind.
    last: Revision,
    /// Up to here the log has been looked at; what it does not have is not to last.
    looked_up: Revision,
    source: Source,
    /// Commits that were read from the log, oldest first.
    page: VecDeque<FeedCommit>,
}

/// Where the next commit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Out of the store, where more may be.
    Log,
    /// From the scope: there is nothing more in the store.
    Live,
    /// From nowhere: the scope has ended, or there was an error.
    Ended,
}

/// A commit and what its fragments are typed with: those of the past may be of an older schema.
#[derive(Debug, Clone)]
pub struct FeedCommit {
    /// The models that its ids belong to.
    pub schema: Arc<Schema>,
    /// What was committed.
    pub commit: Arc<Commit>,
}

/// Why a feed cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// What came after the revision is not known any more, or the scope never was at that revision. Whoever
    /// reads begins anew with the state.
    #[error("the changes of {scope:?} after revision {after} are not known: begin with the state")]
    Gone {
        /// The scope.
        scope: ScopeName,
        /// The revision.
        after: Revision,
    },
    /// The scope is closed.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The past cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Feed {
    pub(super) async fn from_now(scope: &Scope) -> Result<Self, FeedError> {
        scope.ready().await?;
        let (live, at) = scope.subscribe();
        let (last, looked_up, source, page) = (at, at, Source::Live, VecDeque::new());
        Ok(Self { scope: scope.clone(), live, last, looked_up, source, page })
    }

    pub(super) async fn after(scope: &Scope, after: Revision) -> Result<Self, FeedError> {
        // Before anything is read: what is stored later than that comes from the scope.
        let mut feed = Self::from_now(scope).await?;
        let at = std::mem::replace(&mut feed.last, after);
        if after > at || (after < at && scope.0.status.log.is_none()) {
            return Err(feed.gone());
        }
        if after < at {
            feed.read_log().await?;
        }
        Ok(feed)
    }

    /// The revision up to which everything was given.
    pub const fn revision(&self) -> Revision {
        self.last
    }

    /// Whether everything was given that the scope has told of so far.
    pub fn is_caught_up(&self) -> bool {
        let at = self.scope.revision();
        let known = self.source == Source::Live && self.page.is_empty();
        self.source == Source::Ended || (known && at <= self.last.max(self.looked_up))
    }

    /// The next commit; `None` after the last one of the scope. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// The past is gone or cannot be read. Nothing comes after that.
    pub async fn next(&mut self) -> Option<Result<FeedCommit, FeedError>> {
        loop {
            if let Some(next) = self.page.pop_front() {
                self.last = next.commit.revision;
                return Some(Ok(next));
            }
            let step = match self.source {
                Source::Ended => return None,
                Source::Log => self.read_log().await.map(|()| None),
                Source::Live => self.follow().await,
            };
            match step {
                Ok(Some(commit)) => return Some(Ok(commit)),
                Ok(None) => {}
                Err(error) => {
                    self.source = Source::Ended;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Waits for what the scope tells; a commit, if that was one to give.
    async fn follow(&mut self) -> Result<Option<FeedCommit>, FeedError> {
        let at = {
            // Whoever tells commits holds it: those up to this revision are in the queue, or were missed.
            let _told = self.scope.0.status.subscribers.lock();
            self.scope.revision()
        };
        if at < self.looked_up {
            // The scope was rebuilt, and counts those again that were not to last.
            return self.missed();
        }
        let told = match self.live.try_next() {
            Some(told) => told,
            None if at > self.last.max(self.looked_up) => return self.missed(),
            None => self.live.next().await,
        };
        match told {
            None => self.source = Source::Ended,
            Some(Ok(commit)) if commit.revision <= self.last.max(self.looked_up) => {}
            Some(Ok(commit)) if !self.reads_log_only() => {
                self.last = commit.revision;
                let schema = self.scope.schema().clone();
                return Ok(Some(FeedCommit { schema, commit }));
            }
            Some(_) => return self.missed(),
        }
        Ok(None)
    }

    /// There is something that only the log can tell.
    fn missed(&mut self) -> Result<Option<FeedCommit>, FeedError> {
        if self.scope.0.status.log.is_none() {
            return Err(self.gone());
        }
        self.source = Source::Log;
        Ok(None)
    }

    /// Whether commits are taken from the log even when the scope has just told of them: what it tells may
    /// be about objects that the log has not.
    fn reads_log_only(&self) -> bool {
        let status = &self.scope.0.status;
        status.log.is_some() && has_passing(&status.schema)
    }

    /// Reads the next page of the log.
    ///
    /// The store forgets the oldest commits, perhaps just now. So each page begins with the commit before it:
    /// while that is there, nothing between is missing.
    async fn read_log(&mut self) -> Result<(), FeedError> {
        let Some((storage, key)) = self.scope.0.status.log.clone() else { return Err(self.gone()) };
        // Everything up to the present revision is in the log before it is told of.
        self.looked_up = self.scope.revision();
        let before = Revision(self.last.0.saturating_sub(1));
        let read = storage.commits(&key, before, PAGE_COMMITS).await?;
        let is_joined = read.first().is_some_and(|first| first.commit.revision == self.last);
        // A revision may also not be in the log: the beginning, or a commit that was not to last. If the state
        // at that time can still be told, so can what followed. Asked after the page was read, since what the
        // answer is about could be forgotten in between.
        let moment = Moment::Revision(self.last);
        if !is_joined && storage.snapshot_at(&key, moment).await?.is_none() {
            return Err(self.gone());
        }
        let last = self.last;
        let is_new = |past: &PastCommit| past.commit.revision > last;
        for PastCommit { version, commit } in read.into_iter().filter(is_new) {
            let schema = key.schema_of(version)?.clone();
            self.page.push_back(FeedCommit { schema, commit });
        }
        self.source = if self.page.is_empty() { Source::Live } else { Source::Log };
        Ok(())
    }

    fn gone(&self) -> FeedError {
        FeedError::Gone { scope: self.scope.name().clone(), after: self.last }
    }
}

/// How many commits are read at a time. Each may be as large as a message, so fewer than elsewhere.
const PAGE_COMMITS: usize = 64;

#[cfg(test)]
mod tests;
