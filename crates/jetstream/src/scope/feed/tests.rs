use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Graph, Lifetime, Value};

use super::*;
use crate::storage::{Horizon, MemoryStorage, Retention, Snapshot, Storage, StoredScope};

const ROOT: &str = "c0000000-0000-4000-8000-000000000001";
const CURSOR: &str = "c0000000-0000-4000-8000-000000000002";

fn graph() -> Graph {
    let schema = Schema::builder()
        .model("Cursor", |model| model.lifetime(Lifetime::Session).property("at", "Number"))
        .model("Board", |model| model.property("count", "Number").property("cursors", "[Cursor]"))
        .build();
    let schema = Arc::new(schema.unwrap());
    let (model, _) = schema.find("Board").unwrap();
    Graph::new(schema, ROOT.parse().unwrap(), model)
}

fn counter() -> Graph {
    let schema = Schema::builder().model("Counter", |model| model.property("count", "Number"));
    let schema = Arc::new(schema.build().unwrap());
    let (model, _) = schema.find("Counter").unwrap();
    Graph::new(schema, ROOT.parse().unwrap(), model)
}

fn kept() -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::keeping(Retention::default()))
}

fn stored(graph: Graph, storage: &Arc<MemoryStorage>) -> Scope {
    Scope::builder("Feed", graph).storage(storage.clone()).build()
}

/// Counts up to here, one commit each.
async fn count(scope: &Scope, to: u64) {
    for count in scope.revision().0 + 1..=to {
        let set = move |graph: &Graph| {
            let root = graph.object(graph.root()).unwrap();
            let (property, _) = graph.schema().model(root.model()).find("count").unwrap();
            let change = Fragment::new(FragmentKind::Change, root.id(), root.model());
            let value = Value::Scalar(Some((count as f64).into()));
            (ChangeSet::new([change.with(property, value)]), ())
        };
        scope.update_with(set).await.unwrap().0.accepted().unwrap();
    }
}

/// The revisions of the next commits.
async fn read(feed: &mut Feed, count: usize) -> Vec<u64> {
    let mut revisions = Vec::new();
    for _ in 0..count {
        revisions.push(feed.next().await.unwrap().unwrap().commit.revision.0);
    }
    revisions
}

async fn refused(scope: &Scope, after: u64) -> FeedError {
    scope.changes_after(Revision(after)).await.unwrap_err()
}

fn gone(after: u64) -> FeedError {
    FeedError::Gone { scope: "Feed".into(), after: Revision(after) }
}

#[tokio::test]
async fn what_is_past_comes_before_what_comes_live_and_each_commit_once() {
    let storage = kept();
    let scope = stored(counter(), &storage);
    count(&scope, 200).await;
    let mut feed = scope.changes_after(Revision(0)).await.unwrap();
    // While the past is read, more is committed.
    assert_eq!(read(&mut feed, 10).await, (1..=10).collect::<Vec<_>>());
    count(&scope, 210).await;
    assert_eq!(read(&mut feed, 200).await, (11..=210).collect::<Vec<_>>());
    count(&scope, 212).await;
    assert_eq!(read(&mut feed, 2).await, [211, 212]);
    assert_eq!(feed.revision(), Revision(212));
    let mut later = scope.changes_after(Revision(211)).await.unwrap();
    assert_eq!(read(&mut later, 1).await, [212]);
    scope.close().await;
    assert!(feed.next().await.is_none() && later.next().await.is_none());
    assert!(matches!(refused(&scope, 0).await, FeedError::Scope(ScopeError::Closed(_))));
}

#[tokio::test]
async fn a_reader_goes_on_behind_its_revision_when_the_scope_was_closed() {
    let storage = kept();
    let scope = stored(counter(), &storage);
    count(&scope, 3).await;
    scope.close().await;
    let scope = stored(counter(), &storage);
    let mut feed = scope.changes_after(Revision(1)).await.unwrap();
    count(&scope, 4).await;
    assert_eq!(read(&mut feed, 3).await, [2, 3, 4]);
}

#[tokio::test]
async fn a_past_that_is_forgotten_is_gone_and_so_is_a_revision_that_never_was() {
    let storage = kept();
    let scope = stored(counter(), &storage);
    count(&scope, 5).await;
    let mut slow = scope.changes_after(Revision(0)).await.unwrap();
    assert_eq!(read(&mut slow, 1).await, [1]);
    let key = StoredScope::new("Feed".into(), scope.schema().clone());
    let loaded = storage.load(&key).await.unwrap().unwrap();
    let snapshot: Snapshot = loaded.rebuild(&key).unwrap().snapshot();
    storage.compact(&key, snapshot).await.unwrap();
    storage.trim(&key, Horizon::NOW).await.unwrap();
    count(&scope, 6).await;
    for after in [0, 3, 4, 7] {
        assert_eq!(refused(&scope, after).await, gone(after));
    }
    let mut feed = scope.changes_after(Revision(5)).await.unwrap();
    assert_eq!(read(&mut feed, 1).await, [6]);
    // It has the page that it has read, and then the commits of the scope, which told it of all of them.
    assert_eq!(read(&mut slow, 5).await, [2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_slow_reader_reads_in_the_log_what_it_has_missed() {
    let storage = kept();
    let scope = stored(counter(), &storage);
    let mut feed = scope.changes_after(Revision(0)).await.unwrap();
    count(&scope, 1500).await;
    assert_eq!(read(&mut feed, 1500).await, (1..=1500).collect::<Vec<_>>());
    count(&scope, 1501).await;
    assert_eq!(read(&mut feed, 1).await, [1501]);
}

#[tokio::test]
async fn without_a_store_there_is_only_the_present() {
    let scope = Scope::new("Feed", counter());
    count(&scope, 2).await;
    assert_eq!(refused(&scope, 1).await, gone(1));
    let mut feed = scope.changes_after(Revision(2)).await.unwrap();
    count(&scope, 1100).await;
    let expected: Vec<u64> = (3..=1026).collect();
    assert_eq!(read(&mut feed, 1024).await, expected);
    count(&scope, 1101).await;
    assert_eq!(feed.next().await.unwrap().unwrap_err(), gone(1026));
    assert!(feed.next().await.is_none());
}

#[tokio::test]
async fn objects_that_leave_with_their_session_are_not_in_the_feed_of_a_stored_scope() {
    let storage = kept();
    let scope = stored(graph(), &storage);
    let mut feed = scope.changes_after(Revision(0)).await.unwrap();
    count(&scope, 1).await;
    let cursor = |graph: &Graph| {
        let root = graph.object(graph.root()).unwrap();
        let (model, _) = graph.schema().find("Cursor").unwrap();
        let (cursors, _) = graph.schema().model(root.model()).find("cursors").unwrap();
        let id = CURSOR.parse().unwrap();
        let hold = Fragment::new(FragmentKind::Change, root.id(), root.model())
            .with(cursors, Value::References([id].into()));
        (ChangeSet::new([Fragment::new(FragmentKind::Add, id, model), hold]), ())
    };
    scope.update_with(cursor).await.unwrap().0.accepted().unwrap();
    assert_eq!(scope.revision(), Revision(2));
    let mut behind = scope.changes_after(Revision(2)).await.unwrap();
    count(&scope, 3).await;
    assert_eq!(read(&mut feed, 2).await, [1, 3]);
    assert_eq!(read(&mut behind, 1).await, [3]);
}
