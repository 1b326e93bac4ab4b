//! The contract of a [`Storage`] as a suite: each function is one sentence of it.
//!
//! An implementation invokes [`storage_contract!`](crate::storage_contract) in a test module with an
//! expression that makes an empty store.

use std::sync::Arc;

use jetstream_core::ids::{ObjectId, Revision};
use jetstream_core::model::{Fragment, FragmentKind, Graph, Schema, Value};
use jetstream_core::scope::Commit;
use jetstream_core::time::Timestamp;

use super::{Snapshot, Storage, StoredScope};

/// One test for each sentence, for an expression that makes an empty store.
#[macro_export]
macro_rules! storage_contract {
    ($storage:expr) => {
        $crate::storage_contract! { $storage,
            what_was_never_stored_is_none,
            a_new_scope_is_its_snapshot,
            appended_commits_come_back_in_order,
            a_batch_that_leaves_a_gap_is_refused_as_a_whole,
            a_scope_without_a_snapshot_takes_no_commits,
            a_snapshot_replaces_what_it_contains_and_nothing_else,
            a_snapshot_of_the_future_is_refused,
            scopes_do_not_mix,
            what_is_rebuilt_is_what_was_committed,
        }
    };
    ($storage:expr, $($sentence:ident,)*) => {
        $(
            #[tokio::test]
            async fn $sentence() {
                $crate::storage::contract::$sentence(&$storage).await;
            }
        )*
    };
}

/// A scope that was never stored is `None`.
pub async fn what_was_never_stored_is_none(storage: &dyn Storage) {
    assert!(storage.load(&scope("nothing")).await.unwrap().is_none());
}

/// The first snapshot makes a scope known.
pub async fn a_new_scope_is_its_snapshot(storage: &dyn Storage) {
    let scope = scope("new");
    storage.compact(&scope, snapshot(&scope, 0)).await.unwrap();
    let stored = storage.load(&scope).await.unwrap().unwrap();
    assert_eq!(stored.snapshot, snapshot(&scope, 0));
    assert!(stored.commits.is_empty());
}

/// Commits come back as they were appended.
pub async fn appended_commits_come_back_in_order(storage: &dyn Storage) {
    let scope = begun(storage, "order").await;
    storage.append(&scope, &[commit(&scope, 1), commit(&scope, 2)]).await.unwrap();
    storage.append(&scope, &[commit(&scope, 3)]).await.unwrap();
    assert_eq!(revisions(storage, &scope).await, [1, 2, 3]);
    let stored = storage.load(&scope).await.unwrap().unwrap();
    let (expected, found) = (commit(&scope, 2), &stored.commits[1]);
    assert_eq!(found.fragments, expected.fragments);
    assert_eq!((found.time, found.origin, &found.reply), (expected.time, None, &expected.reply));
}

/// A batch is durable as a whole or not at all, and begins one past the last revision.
pub async fn a_batch_that_leaves_a_gap_is_refused_as_a_whole(storage: &dyn Storage) {
    let scope = begun(storage, "gap").await;
    storage.append(&scope, &[commit(&scope, 1)]).await.unwrap();
    for batch in [vec![3], vec![1], vec![2, 4], vec![2, 2]] {
        let batch: Vec<_> = batch.into_iter().map(|revision| commit(&scope, revision)).collect();
        assert!(storage.append(&scope, &batch).await.is_err());
        assert_eq!(revisions(storage, &scope).await, [1]);
    }
}

/// Commits without a beginning are refused.
pub async fn a_scope_without_a_snapshot_takes_no_commits(storage: &dyn Storage) {
    let scope = scope("unknown");
    assert!(storage.append(&scope, &[commit(&scope, 1)]).await.is_err());
}

/// Commits after the snapshot stay.
pub async fn a_snapshot_replaces_what_it_contains_and_nothing_else(storage: &dyn Storage) {
    let scope = begun(storage, "compact").await;
    let commits: Vec<_> = (1..=4).map(|revision| commit(&scope, revision)).collect();
    storage.append(&scope, &commits).await.unwrap();
    storage.compact(&scope, snapshot(&scope, 3)).await.unwrap();
    let stored = storage.load(&scope).await.unwrap().unwrap();
    assert_eq!(stored.snapshot.revision, Revision(3));
    assert_eq!(revisions(storage, &scope).await, [4]);
    storage.append(&scope, &[commit(&scope, 5)]).await.unwrap();
    assert_eq!(revisions(storage, &scope).await, [4, 5]);
}

/// A snapshot contains only what is stored.
pub async fn a_snapshot_of_the_future_is_refused(storage: &dyn Storage) {
    let scope = begun(storage, "future").await;
    storage.append(&scope, &[commit(&scope, 1)]).await.unwrap();
    assert!(storage.compact(&scope, snapshot(&scope, 2)).await.is_err());
    assert_eq!(revisions(storage, &scope).await, [1]);
}

/// What is stored for one scope is not seen in another.
pub async fn scopes_do_not_mix(storage: &dyn Storage) {
    let (one, other) = (begun(storage, "one").await, begun(storage, "other").await);
    storage.append(&one, &[commit(&one, 1)]).await.unwrap();
    assert_eq!(revisions(storage, &other).await, [] as [u64; 0]);
}

/// A graph rebuilt from a store has the values of the last commit, and its revision.
pub async fn what_is_rebuilt_is_what_was_committed(storage: &dyn Storage) {
    let scope = begun(storage, "rebuild").await;
    storage.append(&scope, &[commit(&scope, 1), commit(&scope, 2)]).await.unwrap();
    let stored = storage.load(&scope).await.unwrap().unwrap();
    let (graph, revision) = stored.rebuild(scope.schema.clone()).unwrap();
    assert_eq!(revision, Revision(2));
    let (property, _) = scope.schema.find("Counter").unwrap().1.find("count").unwrap();
    let root = graph.object(graph.root()).unwrap();
    assert_eq!(root.value(property), Value::Scalar(Some(2.0.into())));
}

fn scope(name: &str) -> StoredScope {
    let schema = Schema::builder().model("Counter", |m| m.property("count", "Number")).build();
    StoredScope { name: name.into(), schema: Arc::new(schema.unwrap()) }
}

async fn begun(storage: &dyn Storage, name: &str) -> StoredScope {
    let scope = scope(name);
    storage.compact(&scope, snapshot(&scope, 0)).await.unwrap();
    scope
}

fn root() -> ObjectId {
    "c0000000-0000-4000-8000-000000000001".parse().unwrap()
}

fn snapshot(scope: &StoredScope, revision: u64) -> Snapshot {
    let (model, _) = scope.schema.find("Counter").unwrap();
    Snapshot::of(&Graph::new(scope.schema.clone(), root(), model), Revision(revision))
}

/// A commit that sets the counter to its revision.
fn commit(scope: &StoredScope, revision: u64) -> Arc<Commit> {
    let (id, model) = scope.schema.find("Counter").unwrap();
    let (count, _) = model.find("count").unwrap();
    let fragment = Fragment::new(FragmentKind::Change, root(), id)
        .with(count, Value::Scalar(Some((revision as f64).into())));
    Arc::new(Commit {
        revision: Revision(revision),
        time: Timestamp(1_400_000_000_000 + revision as i64),
        origin: None,
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    })
}

async fn revisions(storage: &dyn Storage, scope: &StoredScope) -> Vec<u64> {
    let stored = storage.load(scope).await.unwrap().unwrap();
    stored.commits.iter().map(|commit| commit.revision.0).collect()
}
