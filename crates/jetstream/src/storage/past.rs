//! A scope as it was, and what has happened to it since: read from any store.

use std::collections::VecDeque;

use jetstream_core::ids::{Revision, ScopeName};
use jetstream_core::scope::{Commit, Entry};

use super::{
    Moment, PastCommit, Rebuilt, ScopeSummary, Storage, StorageError, Stored, StoredScope,
};

impl Moment {
    /// Whether a commit had happened by then.
    pub fn includes(self, commit: &Commit) -> bool {
        match self {
            Self::Revision(revision) => commit.revision <= revision,
            Self::Time(time) => commit.time <= time,
        }
    }
}

/// The state of a scope at a moment, in the present schema; `None` if its past does not reach back so far,
/// or it was never stored.
///
/// # Errors
///
/// What is stored is damaged, or cannot be brought to the present schema.
pub async fn state_at(
    storage: &dyn Storage,
    scope: &StoredScope,
    moment: Moment,
) -> Result<Option<Rebuilt>, StorageError> {
    let Some(snapshot) = storage.snapshot_at(scope, moment).await? else { return Ok(None) };
    let mut commits = Commits::after(storage, scope, snapshot.revision);
    let mut entries = Vec::new();
    while let Some(past) = commits.next().await? {
        // Behind entries of one schema a snapshot stands before those of the next.
        if !moment.includes(&past.commit) || past.version != snapshot.version {
            break;
        }
        entries.push(Entry::Commit(past.commit));
    }
    let stored = Stored { snapshot, entries };
    rebuild(stored, scope).await.map(Some)
}

/// Rebuilds a state where it keeps nobody else from working: that of a large scope takes its time.
pub(crate) async fn rebuild(stored: Stored, scope: &StoredScope) -> Result<Rebuilt, StorageError> {
    let key = scope.clone();
    let rebuilt = tokio::task::spawn_blocking(move || stored.rebuild(&key));
    rebuilt.await.map_err(|error| StorageError::Failed(error.to_string()))?
}

/// The commits of a scope, oldest first, as far as they are known: read page by page.
pub struct Commits<'a> {
    storage: &'a dyn Storage,
    scope: &'a StoredScope,
    last: Revision,
    page: VecDeque<PastCommit>,
}

impl<'a> Commits<'a> {
    /// Those after a revision.
    pub const fn after(
        storage: &'a dyn Storage,
        scope: &'a StoredScope,
        revision: Revision,
    ) -> Self {
        Self { storage, scope, last: revision, page: VecDeque::new() }
    }

    /// The next one.
    ///
    /// # Errors
    ///
    /// The store cannot read it.
    pub async fn next(&mut self) -> Result<Option<PastCommit>, StorageError> {
        if self.page.is_empty() {
            self.page = self.storage.commits(self.scope, self.last, PAGE_COMMITS).await?.into();
        }
        let next = self.page.pop_front();
        self.last = next.as_ref().map_or(self.last, |past| past.commit.revision);
        Ok(next)
    }
}

/// All scopes of a store by name: read page by page.
pub struct Summaries<'a> {
    storage: &'a dyn Storage,
    last: Option<ScopeName>,
    page: VecDeque<ScopeSummary>,
}

impl<'a> Summaries<'a> {
    /// All of them.
    pub const fn of(storage: &'a dyn Storage) -> Self {
        Self { storage, last: None, page: VecDeque::new() }
    }

    /// The next one.
    ///
    /// # Errors
    ///
    /// The store cannot read it.
    pub async fn next(&mut self) -> Result<Option<ScopeSummary>, StorageError> {
        if self.page.is_empty() {
            self.page = self.storage.scopes(self.last.as_ref(), PAGE_SCOPES).await?.into();
        }
        let next = self.page.pop_front();
        if let Some(summary) = &next {
            self.last = Some(summary.name.clone());
        }
        Ok(next)
    }
}

/// How many commits are read at a time: enough to spare calls, few enough to be held in memory.
const PAGE_COMMITS: usize = 1000;
/// How many scopes are listed at a time.
const PAGE_SCOPES: usize = 1000;
