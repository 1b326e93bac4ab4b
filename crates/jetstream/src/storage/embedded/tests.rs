//! What only a store in files can show: that it comes back, and what it does when the files are not what
//! they were.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Deref;
use std::sync::Arc;

use jetstream_core::ids::{MessageIndex, ObjectId, Origin, Position, Revision, SessionId};
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
        let folder = tempfile::tempdir().unwrap();
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

fn open(folder: &TempDir) -> EmbeddedStorage {
    EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap()
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
        origin: Some(Origin { session: SessionId(1), message: MessageIndex(revision) }),
        delivered: Default::default(),
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    }))
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
    let folder = tempfile::tempdir().unwrap();
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
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder);
    let second = EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap_err();
    assert!(second.to_string().contains("in use by another server"), "{second}");
    drop(first);
    open(&folder);
}

#[tokio::test]
async fn a_file_of_another_program_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
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
    let folder = tempfile::tempdir().unwrap();
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
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder);
    let scope = begin(&storage, "swept").await;
    grow(&storage, &scope, 1..51).await;
    let snapshot = load(&storage, &scope).await.rebuild(&scope).unwrap().snapshot();
    storage.compact(&scope, snapshot).await.unwrap();
    storage.trim(&scope, Horizon::NOW).await.unwrap();
    storage.change(Change::Stage { snapshot: 99, part: 0, record: vec![1; 10] }).await.unwrap();
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

/// Changes stored bytes as a disk might, behind the store's back.
fn damage(folder: &TempDir, sql: &str) {
    let db = Connection::open(folder.path().join(layout::DATABASE)).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
}

#[tokio::test]
async fn damage_stops_the_scope_that_it_is_in_and_no_other() {
    let damages = [
        "UPDATE log SET record = replace(record, 'x', 'y') WHERE scope = 1 AND position = 2",
        "UPDATE log SET crc = crc + 1 WHERE scope = 1 AND position = 4",
        "UPDATE log SET entries = 7 WHERE scope = 1 AND position = 1",
        "DELETE FROM log WHERE scope = 1 AND position = 3",
        "DELETE FROM log WHERE scope = 1 AND position = 0",
        "UPDATE parts SET record = substr(record, 2) WHERE id = 1",
        "DELETE FROM parts WHERE id = 1",
        "UPDATE log SET record = 7 WHERE scope = 1 AND position = 2",
        "UPDATE log SET record = X'ff' WHERE scope = 1 AND position = 2",
    ];
    for sql in damages {
        let folder = tempfile::tempdir().unwrap();
        let storage = open(&folder);
        let (hurt, whole) = (begin(&storage, "hurt").await, begin(&storage, "whole").await);
        grow(&storage, &hurt, 1..6).await;
        grow(&storage, &whole, 1..6).await;
        drop(storage);
        damage(&folder, sql);
        let storage = open(&folder);
        let error = storage.load(&hurt).await.unwrap_err();
        assert!(matches!(&error, StorageError::Damaged { .. }), "{sql}: {error}");
        assert!(error.to_string().contains("\"hurt\" is damaged"), "{error}");
        assert_eq!(revisions(&storage, &whole).await, [1, 2, 3, 4, 5]);
        grow(&storage, &whole, 6..8).await;
        assert!(storage.health().borrow().is_good(), "{sql}");
    }
}

#[tokio::test]
async fn damage_of_the_file_never_gives_wrong_entries() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder);
    let mut scopes = Vec::new();
    for number in 0..8 {
        let scope = begin(&storage, &format!("scope {number}")).await;
        grow(&storage, &scope, 1..40).await;
        let stored = format!("{:?}", load(&storage, &scope).await);
        scopes.push((scope, stored));
    }
    drop(storage);
    let path = folder.path().join(layout::DATABASE);
    let length = fs::metadata(&path).unwrap().len();
    let mut file = fs::File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(length / 2)).unwrap();
    file.write_all(&[0x5a; 4096]).unwrap();
    drop(file);
    let storage = open(&folder);
    let mut stopped = 0;
    for (scope, before) in &scopes {
        match storage.load(scope).await {
            Ok(Some(stored)) => assert_eq!(format!("{stored:?}"), *before),
            Ok(None) => panic!("{} is gone without a word", scope.name),
            Err(error) => {
                assert!(error.to_string().contains("is damaged"), "{error}");
                stopped += 1;
            }
        }
    }
    assert!((1..8).contains(&stopped), "{stopped} scopes stopped");
}

/// The folder of a server that was killed, as it is then: with a log ahead.
async fn killed(scope_name: &str, commits: u64) -> (TempDir, StoredScope) {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage = open(&folder);
    let scope = begin(&storage, scope_name).await;
    grow(&storage, &scope, 1..commits + 1).await;
    for file in [layout::DATABASE, layout::LOG_AHEAD] {
        fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    (copy, scope)
}

#[tokio::test]
async fn a_torn_end_is_cut_and_reported() {
    let (folder, scope) = killed("torn", 6).await;
    let path = folder.path().join(layout::LOG_AHEAD);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    let storage = open(&folder);
    assert!(storage.report().torn_bytes > 3_000, "{:?}", storage.report());
    assert_eq!(revisions(&storage, &scope).await, [1, 2, 3, 4, 5]);
    grow(&storage, &scope, 6..7).await;
    drop(storage);
    let storage = open(&folder);
    assert_eq!(revisions(&storage, &scope).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(storage.report().torn_bytes, 0);
}

#[tokio::test]
async fn a_log_that_was_damaged_in_the_middle_is_not_cut_in_silence() {
    let (folder, scope) = killed("middle", 6).await;
    let path = folder.path().join(layout::LOG_AHEAD);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 10].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let refused = EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap_err();
    assert!(refused.to_string().contains("is damaged at byte"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was touched");
    bytes[..4].fill(0);
    fs::write(&path, &bytes).unwrap();
    let refused = EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap_err();
    assert!(refused.to_string().contains("is damaged at byte 0"), "{refused}");
    fs::remove_file(&path).unwrap();
    // An operator's decision.
    let storage = open(&folder);
    assert!(matches!(storage.load(&scope).await, Ok(None) | Err(_)));
}

#[tokio::test]
async fn a_copy_made_while_serving_is_a_store() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage = open(&folder);
    let scope = begin(&storage, "copied").await;
    grow(&storage, &scope, 1..5).await;
    let copy = other.path().join(layout::DATABASE);
    storage.back_up(copy.clone()).await.unwrap();
    grow(&storage, &scope, 5..7).await;
    assert!(storage.back_up(copy).await.is_err(), "nothing is written over");
    assert_eq!(revisions(&open(&other), &scope).await, [1, 2, 3, 4]);
}
