//! Keeps the commits of scopes: the seam behind which nobody is told before a commit is durable.
//!
//! A scope is stored as a [`Snapshot`] and the commits after it. [`MemoryStorage`] keeps them for as long
//! as it lives, so that a scope that was closed because nobody used it comes back as it was.
//! `contract` (feature `contract`) holds every implementation to the sentences below.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod memory;

use std::sync::Arc;

use jetstream_core::ids::{ObjectId, Revision, ScopeName};
use jetstream_core::model::{ChangeSet, Fragment, Graph, JudgeLimits, Schema, judge};
use jetstream_core::scope::{Commit, state_fragments};

use crate::future::BoxFuture;

pub use memory::MemoryStorage;

/// Keeps the commits of scopes.
///
/// Calls for one scope never overlap; calls for different scopes may.
pub trait Storage: Send + Sync + 'static {
    /// Everything that is needed to rebuild the scope, or `None` if it was never stored.
    fn load<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Stored>, StorageError>>;

    /// Makes `commits` durable, all or none. On `Ok` they survive a crash.
    ///
    /// Refuses a batch that does not start one past the last stored revision, or is not consecutive
    /// itself, and a scope that has no snapshot.
    fn append<'a>(
        &'a self,
        scope: &'a StoredScope,
        commits: &'a [Arc<Commit>],
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Replaces everything up to the snapshot's revision by the snapshot; commits after it stay. The
    /// first snapshot makes the scope known.
    ///
    /// Refuses a snapshot of a revision that is past the last stored one, unless it is the first.
    fn compact<'a>(
        &'a self,
        scope: &'a StoredScope,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StorageError>>;
}

/// Which scope is meant, and what its fragments are typed with.
#[derive(Debug, Clone)]
pub struct StoredScope {
    /// The name under which it is fetched, which is its key in the store.
    pub name: ScopeName,
    /// Its models. Stores write names rather than ids, so that a schema may grow.
    pub schema: Arc<Schema>,
}

/// A scope's whole state at a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The last commit that it contains.
    pub revision: Revision,
    /// The object that everything is reached from.
    pub root: ObjectId,
    /// First a `change` of the root, then an `add` for each other object.
    pub fragments: Arc<[Fragment]>,
}

impl Snapshot {
    /// The state of a graph.
    pub fn of(graph: &Graph, revision: Revision) -> Self {
        Self { revision, root: graph.root(), fragments: state_fragments(graph).into() }
    }
}

/// What a store has of a scope.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Where it begins.
    pub snapshot: Snapshot,
    /// What came after, in revision order.
    pub commits: Vec<Arc<Commit>>,
}

impl Stored {
    /// The graph after the last commit, and its revision.
    ///
    /// # Errors
    ///
    /// If the state does not fit the schema any more.
    pub fn rebuild(self, schema: Arc<Schema>) -> Result<(Graph, Revision), StorageError> {
        let unfit = |revision: Revision, problem: &dyn std::fmt::Display| {
            StorageError(format!("the stored state at revision {revision}: {problem}"))
        };
        let Snapshot { mut revision, root, fragments } = self.snapshot;
        let mut graph = Graph::from_state(schema, root, fragments.to_vec())
            .map_err(|errors| unfit(revision, &errors[0]))?;
        for commit in self.commits {
            revision = commit.revision;
            let changes = ChangeSet::new(commit.fragments.iter().cloned());
            let judgement = judge(&graph, &changes, &JudgeLimits::NONE);
            if let Some(refused) = judgement.replies.into_iter().find_map(Result::err) {
                return Err(unfit(revision, &refused));
            }
            if let Some(plan) = judgement.plan {
                graph.apply(plan);
            }
        }
        Ok((graph, revision))
    }
}

/// The store could not do what it was asked; in plain words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("storage: {0}")]
pub struct StorageError(pub String);
