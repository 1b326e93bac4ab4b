//! A store that lives as long as the process.

use std::collections::HashMap;
use std::sync::Arc;

use jetstream_core::ids::{Revision, ScopeName};
use jetstream_core::scope::Commit;
use parking_lot::Mutex;

use super::{Snapshot, Storage, StorageError, Stored, StoredScope};
use crate::future::BoxFuture;

/// Keeps everything in memory. Clones share what they keep.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    scopes: Arc<Mutex<HashMap<ScopeName, Stored>>>,
}

impl MemoryStorage {
    /// A store without any scope.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Storage for MemoryStorage {
    fn load<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Stored>, StorageError>> {
        Box::pin(async { Ok(self.scopes.lock().get(&scope.name).cloned()) })
    }

    fn append<'a>(
        &'a self,
        scope: &'a StoredScope,
        commits: &'a [Arc<Commit>],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let mut scopes = self.scopes.lock();
            let stored = scopes
                .get_mut(&scope.name)
                .ok_or_else(|| StorageError(format!("no scope {:?} is stored", scope.name)))?;
            let mut expected = last_revision(stored).next();
            for commit in commits {
                if commit.revision != expected {
                    let found = commit.revision;
                    return Err(StorageError(format!("revision {expected} is next, not {found}")));
                }
                expected = expected.next();
            }
            stored.commits.extend(commits.iter().cloned());
            Ok(())
        })
    }

    fn compact<'a>(
        &'a self,
        scope: &'a StoredScope,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async {
            let mut scopes = self.scopes.lock();
            let Some(stored) = scopes.get_mut(&scope.name) else {
                scopes.insert(scope.name.clone(), Stored { snapshot, commits: Vec::new() });
                return Ok(());
            };
            let last = last_revision(stored);
            if snapshot.revision > last {
                let found = snapshot.revision;
                return Err(StorageError(format!("revision {last} is the last, not {found}")));
            }
            stored.commits.retain(|commit| commit.revision > snapshot.revision);
            if snapshot.revision > stored.snapshot.revision {
                stored.snapshot = snapshot;
            }
            Ok(())
        })
    }
}

fn last_revision(stored: &Stored) -> Revision {
    stored.commits.last().map_or(stored.snapshot.revision, |commit| commit.revision)
}

#[cfg(test)]
mod tests {
    crate::storage_contract!(super::MemoryStorage::new());
}
