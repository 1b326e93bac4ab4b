//! What only a store in files can show: that it comes back, and what it does when the files are not what
//! they were.

mod damage;
mod log_ahead;

use std::fs;
use std::ops::Deref;
use std::sync::Arc;

use jetstream_core::ids::{
    MessageIndex, ObjectId, Origin, Position, Revision, ScopeIndex, SessionId,
};
use jetstream_core::model::{Fragment, FragmentKind, Graph, Schema, Value};
use jetstream_core::scope::{Answer, Commit, Entry};
use jetstream_core::time::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::storage::Stored;

/// A store in a folder that goes with it.
struct Temporary {
    storage: EmbeddedStorage,
    _folder: TempDir,
}

impl Temporary {
    fn new() -> Self {
        let folder = folder();
        Self { storage: open(&folder), _folder: folder }
    }
}

impl Deref for Temporary {
    type Target = EmbeddedStorage;

    fn deref(&self) -> &EmbeddedStorage {
        &self.storage
    }
}

crate::storage_contract!(*Temporary::new());

/// A folder in memory, where that is possible: nothing here is about a real disk.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn open(folder: &TempDir) -> EmbeddedStorage {
    opened(folder.path())
}

fn opened(folder: &Path) -> EmbeddedStorage {
    EmbeddedStorage::open(&EmbeddedOptions::new(folder)).unwrap()
}

fn scope(name: &str) -> StoredScope {
    let schema = Schema::builder().model("Note", |m| m.property("text", "String")).build();
    StoredScope::new(name.into(), Arc::new(schema.unwrap()))
}

fn root() -> ObjectId {
    "c0000000-0000-4000-8000-000000000001".parse().unwrap()
}

fn commit(scope: &StoredScope, revision: u64, text: &str) -> Entry {
    let (id, model) = scope.schema.find("Note").unwrap();
    let (property, _) = model.find("text").unwrap();
    let fragment = Fragment::new(FragmentKind::Change, root(), id)
        .with(property, Value::Scalar(Some(text.into())));
    Entry::Commit(Arc::new(Commit {
        revision: Revision(revision),
        time: Timestamp(1_000 * revision as i64),
        author: None,
        origin: Some(Origin { session: SessionId(1), message: MessageIndex(revision) }),
        delivered: Default::default(),
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    }))
}

fn session(position: u64) -> StoredSession {
    StoredSession {
        id: SessionId(1),
        token: TokenHash::new([7; TokenHash::BYTES]),
        version: "1.0.0".to_owned(),
        params: Default::default(),
        identity: None,
        scopes: Vec::new(),
        next_scope: ScopeIndex(0),
        position: MessageIndex(position),
        remaining_ms: 1,
    }
}

fn other_session(position: u64) -> StoredSession {
    let token = TokenHash::new([8; TokenHash::BYTES]);
    StoredSession { id: SessionId(2), token, ..session(position) }
}

async fn begin(storage: &EmbeddedStorage, name: &str) -> StoredScope {
    let scope = scope(name);
    let (model, _) = scope.schema.find("Note").unwrap();
    let graph = Graph::new(scope.schema.clone(), root(), model);
    storage.compact(&scope, Snapshot::of(&graph, Revision(0), Timestamp(0))).await.unwrap();
    scope
}

async fn grow(storage: &EmbeddedStorage, scope: &StoredScope, revisions: std::ops::Range<u64>) {
    for revision in revisions {
        let text = format!("{} {revision} {}", scope.name, "x".repeat(200));
        storage.append(scope, &[commit(scope, revision, &text)]).await.unwrap();
    }
}

async fn load(storage: &EmbeddedStorage, scope: &StoredScope) -> Stored {
    storage.load(scope).await.unwrap().unwrap()
}

async fn revisions(storage: &EmbeddedStorage, scope: &StoredScope) -> Vec<u64> {
    let stored = load(storage, scope).await;
    stored.entries.iter().filter_map(Entry::commit).map(|commit| commit.revision.0).collect()
}

#[tokio::test]
async fn everything_is_there_when_the_store_is_opened_again() {
    let folder = folder();
    let storage = open(&folder);
    let scope = begin(&storage, "again").await;
    grow(&storage, &scope, 1..4).await;
    let origin = Origin { session: SessionId(7), message: MessageIndex(9) };
    let answer = Answer {
        origin,
        time: Timestamp(5),
        delivered: Default::default(),
        reply: "[{\"error\":{}}]".into(),
    };
    storage.append(&scope, &[Entry::Answer(answer.clone())]).await.unwrap();
    let before = format!("{:?}", load(&storage, &scope).await);
    drop(storage);
    let storage = open(&folder);
    assert_eq!(format!("{:?}", load(&storage, &scope).await), before);
    grow(&storage, &scope, 4..6).await;
    drop(storage);
    let storage = open(&folder);
    assert_eq!(revisions(&storage, &scope).await, [1, 2, 3, 4, 5]);
    assert_eq!(load(&storage, &scope).await.position(), Position(6));
    assert_eq!(*storage.report(), OpeningReport::default());
}

#[tokio::test]
async fn a_folder_belongs_to_one_server_at_a_time() {
    let folder = folder();
    let first = open(&folder);
    let second = EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap_err();
    assert!(second.to_string().contains("in use by another server"), "{second}");
    drop(first);
    open(&folder);
}

#[tokio::test]
async fn a_file_of_another_program_is_not_touched() {
    let folder = folder();
    let path = folder.path().join(layout::DATABASE);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs(x)").unwrap();
    drop(other);
    let refused = EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap_err();
    assert!(refused.to_string().contains("another program"), "{refused}");
    fs::write(&path, "not a database, but long enough that nobody takes it for one").unwrap();
    let refused = EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap_err();
    assert!(matches!(refused, StorageError::Failed(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_many_scopes_share_transactions_and_lose_nothing() {
    let storage = Arc::new(Temporary::new());
    let writers = (0..50).map(|number| {
        let storage = storage.clone();
        tokio::spawn(async move {
            let scope = begin(&storage, &format!("scope {number}")).await;
            grow(&storage, &scope, 1..11).await;
            scope
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        let scope = writer.await.unwrap();
        assert_eq!(revisions(&storage, &scope).await, (1..11).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_snapshot_of_many_parts_comes_back() {
    let folder = folder();
    let storage = open(&folder);
    let scope = begin(&storage, "large").await;
    let text = "é".repeat(3 * PART_BYTES / 2);
    storage.append(&scope, &[commit(&scope, 1, &text)]).await.unwrap();
    let rebuilt = load(&storage, &scope).await.rebuild(&scope).unwrap();
    let snapshot = rebuilt.snapshot();
    storage.compact(&scope, snapshot.clone()).await.unwrap();
    storage.trim(&scope, Horizon::NOW).await.unwrap();
    drop(storage);
    let stored = load(&open(&folder), &scope).await;
    assert!(stored.entries.is_empty());
    assert_eq!(stored.snapshot, snapshot);
}

/// What lies in a table.
fn count(folder: &TempDir, table: &str) -> i64 {
    let db = Connection::open(folder.path().join(layout::DATABASE)).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_is_not_needed_any_more_is_swept_also_after_a_restart() {
    let folder = folder();
    let storage = open(&folder);
    let scope = begin(&storage, "swept").await;
    grow(&storage, &scope, 1..51).await;
    let snapshot = load(&storage, &scope).await.rebuild(&scope).unwrap().snapshot();
    storage.compact(&scope, snapshot).await.unwrap();
    storage.trim(&scope, Horizon::NOW).await.unwrap();
    storage.change(Change::Stage { serial: 99, part: 0, record: vec![1; 10] }).await.unwrap();
    drop(storage);
    let storage = open(&folder);
    // The sweeping comes with transactions.
    grow(&storage, &scope, 51..61).await;
    let removed = begin(&storage, "removed").await;
    storage.remove_scope(&removed.name).await.unwrap();
    grow(&storage, &scope, 61..71).await;
    drop(storage);
    assert_eq!(["log", "snapshots", "parts"].map(|table| count(&folder, table)), [20, 1, 1]);
}

#[tokio::test]
async fn a_copy_made_while_serving_is_a_store() {
    let (folder, other) = (folder(), folder());
    let storage = open(&folder);
    let scope = begin(&storage, "copied").await;
    grow(&storage, &scope, 1..5).await;
    storage.back_up(other.path()).await.unwrap();
    grow(&storage, &scope, 5..7).await;
    let again = storage.back_up(other.path()).await.unwrap_err();
    assert!(again.to_string().contains("there is a store"), "{again}");
    assert_eq!(revisions(&open(&other), &scope).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_copy_takes_its_place_in_one_step_and_only_where_there_is_no_store() {
    let [copy, empty, full] = [(); 3].map(|()| folder());
    let storage = open(&full);
    let scope = begin(&storage, "restored").await;
    grow(&storage, &scope, 1..5).await;
    storage.back_up(copy.path()).await.unwrap();
    let refused = |from: &TempDir, to: &TempDir| {
        Restoring::begin(from.path(), to.path()).unwrap_err().to_string()
    };
    assert!(refused(&empty, &copy).contains("there is no store in"));
    assert!(refused(&full, &empty).contains("a server has"));
    assert!(refused(&copy, &full).contains("in use by another server"));
    drop(storage);
    assert!(refused(&copy, &full).contains("there is a store in"));

    let half = Restoring::begin(copy.path(), empty.path()).unwrap();
    assert_eq!(revisions(&opened(half.part()), &scope).await, [1, 2, 3, 4]);
    drop(half);
    assert!(!EmbeddedStorage::is_in(empty.path()), "not before it is finished");
    Restoring::begin(copy.path(), empty.path()).unwrap().finish().unwrap();
    let files: Vec<_> =
        fs::read_dir(empty.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!files.iter().any(|file| file == "restore.part"), "{files:?}");
    assert_eq!(revisions(&open(&empty), &scope).await, [1, 2, 3, 4]);
    assert_eq!(revisions(&open(&full), &scope).await, [1, 2, 3, 4], "what was copied stays");
}
