//! A scope's part of a store: what it begins with, what it adds, and when it is written anew.

use std::sync::Arc;

use jetstream_core::ids::Revision;
use jetstream_core::model::Graph;
use jetstream_core::scope::Commit;

use crate::storage::{Snapshot, Storage, StorageError, StoredScope};

/// Where one scope is kept.
pub(super) struct Store {
    storage: Arc<dyn Storage>,
    key: StoredScope,
    /// Commits since the last snapshot.
    commits: usize,
}

impl Store {
    pub(super) fn new(storage: Arc<dyn Storage>, key: StoredScope) -> Self {
        Self { storage, key, commits: 0 }
    }

    /// What is stored, and its revision; or `beginning`, which is stored then.
    pub(super) async fn load(
        &mut self,
        beginning: Graph,
    ) -> Result<(Graph, Revision), StorageError> {
        match self.storage.load(&self.key).await? {
            Some(stored) => {
                self.commits = stored.commits.len();
                stored.rebuild(self.key.schema.clone())
            }
            None => {
                let snapshot = Snapshot::of(&beginning, Revision(0));
                self.storage.compact(&self.key, snapshot).await?;
                Ok((beginning, Revision(0)))
            }
        }
    }

    /// Makes commits durable.
    pub(super) async fn append(&mut self, commits: &[Arc<Commit>]) -> Result<(), StorageError> {
        self.storage.append(&self.key, commits).await?;
        self.commits += commits.len();
        Ok(())
    }

    /// Takes a snapshot now and then. Rare enough that its cost, which grows with the scope, is spread
    /// over as many commits.
    pub(super) async fn compact(
        &mut self,
        graph: &Graph,
        revision: Revision,
    ) -> Result<(), StorageError> {
        if self.commits >= graph.len().max(COMMITS_BETWEEN_SNAPSHOTS) {
            let snapshot = Snapshot::of(graph, revision);
            self.storage.compact(&self.key, snapshot).await?;
            self.commits = 0;
        }
        Ok(())
    }
}

/// How many commits there are at least between two snapshots.
const COMMITS_BETWEEN_SNAPSHOTS: usize = 1000;
