//! A scope's part of a store: what it begins with, what it adds, and when it is written anew.

use std::sync::Arc;

use jetstream_core::ids::{Position, Revision};
use jetstream_core::model::Graph;
use jetstream_core::scope::{Answer, Commit, Entry};
use jetstream_core::time::Timestamp;

use crate::storage::{Snapshot, Storage, StorageError, StoredScope};

/// Where one scope is kept.
pub(super) struct Store {
    storage: Arc<dyn Storage>,
    key: StoredScope,
    /// The last entry's place.
    position: Position,
    /// The last commit that is stored, and when it was made.
    last: (Revision, Timestamp),
    /// Entries since the last snapshot.
    entries: usize,
}

impl Store {
    pub(super) fn new(storage: Arc<dyn Storage>, key: StoredScope) -> Self {
        let last = (Revision(0), Timestamp(0));
        Self { storage, key, position: Position(0), last, entries: 0 }
    }

    /// What is stored, and its revision; or `beginning`, which is stored then.
    pub(super) async fn load(
        &mut self,
        now: Timestamp,
        beginning: Graph,
    ) -> Result<(Graph, Revision), StorageError> {
        let Some(stored) = self.storage.load(&self.key).await? else {
            let snapshot = Snapshot::of(&beginning, Revision(0), now);
            self.storage.compact(&self.key, snapshot).await?;
            self.last = (Revision(0), now);
            return Ok((beginning, Revision(0)));
        };
        self.entries = stored.entries.len();
        let rebuilt = stored.rebuild(&self.key)?;
        if rebuilt.written != self.key.version {
            // What comes now is of the present schema, and must not stand behind another one's.
            self.storage.compact(&self.key, rebuilt.snapshot()).await?;
            self.entries = 0;
        }
        self.position = rebuilt.position;
        self.last = (rebuilt.revision, rebuilt.time);
        Ok((rebuilt.graph, rebuilt.revision))
    }

    /// Makes commits durable.
    pub(super) async fn append(&mut self, commits: &[Arc<Commit>]) -> Result<(), StorageError> {
        let entries: Vec<_> = commits.iter().cloned().map(Entry::Commit).collect();
        self.storage.append(&self.key, &entries).await?;
        self.entries += entries.len();
        self.position.0 += entries.len() as u64;
        if let Some(commit) = commits.last() {
            self.last = (commit.revision, commit.time);
        }
        Ok(())
    }

    /// Takes a snapshot now and then. Rare enough that its cost, which grows with the scope, is spread
    /// over as many commits.
    pub(super) async fn compact(
        &mut self,
        now: Timestamp,
        graph: &Graph,
    ) -> Result<(), StorageError> {
        if self.entries >= graph.len().max(COMMITS_BETWEEN_SNAPSHOTS) {
            let (revision, time) = self.last;
            let answered: [Answer; 0] = [];
            let snapshot = Snapshot::of(graph, revision, time).behind(self.position, answered);
            self.storage.compact(&self.key, snapshot).await?;
            self.storage.trim(&self.key, self.storage.retention().horizon(now)).await?;
            self.entries = 0;
        }
        Ok(())
    }
}

/// How many commits there are at least between two snapshots.
const COMMITS_BETWEEN_SNAPSHOTS: usize = 1000;
