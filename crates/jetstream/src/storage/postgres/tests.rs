//! The store over a cluster of PostgreSQL that every test has for itself.

#[path = "../../../tests/support/postgres.rs"]
mod cluster;
mod encryption;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::ids::{ObjectId, Revision};
use jetstream_core::model::{Fragment, FragmentKind, Graph, Schema, Value};
use jetstream_core::scope::{Commit, Entry};
use jetstream_core::time::Timestamp;

use self::cluster::Cluster;
use super::{PostgresAddress, PostgresStorage};
use crate::storage::{Retention, Snapshot, Storage, StorageError, StorageHealth, StoredScope};

async fn open(address: &str) -> Result<PostgresStorage, StorageError> {
    let address = PostgresAddress::parse(address, Path::new("")).unwrap();
    PostgresStorage::open(&address, Retention::default(), Duration::from_secs(20)).await
}

#[tokio::test]
async fn the_contract_is_kept() {
    let cluster = Cluster::start();
    let mut count = 0;
    let mut empty = || {
        count += 1;
        cluster.database(&format!("contract{count}"))
    };
    crate::storage_contract! { in turn: open(&empty()).await.unwrap() }
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart_of_both() {
    let mut cluster = Cluster::start();
    let address = cluster.database("restart");
    let scope = begun(&open(&address).await.unwrap()).await;
    for revision in 1..4 {
        let storage = open(&address).await.unwrap();
        assert_eq!(revisions(&storage, &scope).await, (1..revision).collect::<Vec<_>>());
        storage.append(&scope, &[commit(&scope, revision)]).await.unwrap();
        drop(storage);
        cluster.kill();
        cluster.resume();
    }
}

#[tokio::test]
async fn a_store_has_one_server_at_a_time() {
    let cluster = Cluster::start();
    let address = cluster.database("one");
    let first = open(&address).await.unwrap();
    let parsed = PostgresAddress::parse(&address, Path::new("")).unwrap();
    let patience = Duration::from_millis(200);
    let second = PostgresStorage::open(&parsed, Retention::default(), patience).await;
    let error = second.unwrap_err().to_string();
    assert!(error.contains("another server has the store: process"), "{error}");
    drop(first);
    // As soon as the first has let go.
    open(&address).await.unwrap();
}

#[tokio::test]
async fn who_lost_the_store_writes_nothing_more() {
    let cluster = Cluster::start();
    let address = cluster.database("lost");
    let first = open(&address).await.unwrap();
    let scope = begun(&first).await;
    // The lock is gone and the server does not know: the fence has to hold by itself.
    cluster.sql("lost", "UPDATE jetstream.owner SET ended = now() WHERE ended IS NULL");
    let refused = first.append(&scope, &[commit(&scope, 1)]).await.unwrap_err();
    assert!(refused.to_string().contains("another server"), "{refused}");
    assert_eq!(revisions(&first, &scope).await, [] as [u64; 0]);
    assert!(!first.health().borrow().is_good());
    // And for good.
    first.append(&scope, &[commit(&scope, 1)]).await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_comes_back_too_late_finds_the_store_taken() {
    let cluster = Cluster::start();
    let address = cluster.database("late");
    let first = open(&address).await.unwrap();
    let scope = begun(&first).await;
    first.append(&scope, &[commit(&scope, 1)]).await.unwrap();
    // Its connection is cut; before it has the store again, another server takes it.
    cluster.sql("late", "UPDATE jetstream.owner SET instance = 'another' WHERE ended IS NULL");
    cluster.sql("late", CUT);
    let mut health = first.health();
    health.wait_for(|health| says(health, "another server")).await.unwrap();
    first.append(&scope, &[commit(&scope, 2)]).await.unwrap_err();
    assert_eq!(revisions(&first, &scope).await, [1]);
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_anew() {
    let cluster = Cluster::start();
    let address = cluster.database("cut");
    let storage = open(&address).await.unwrap();
    let scope = begun(&storage).await;
    let mut stored = Vec::new();
    for revision in 1..=20 {
        if revision % 5 == 0 {
            cluster.sql("cut", CUT);
        }
        let mut health = storage.health();
        match storage.append(&scope, &[commit(&scope, revision)]).await {
            Ok(()) => stored.push(revision),
            Err(StorageError::Failed(_) | StorageError::ReadOnly(_)) => {
                health.wait_for(StorageHealth::is_good).await.unwrap();
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(stored.len() >= 12, "{stored:?}");
    assert_eq!(revisions(&storage, &scope).await, stored);
}

/// The database dies at any moment, also between a commit and its answer: what was answered is true.
#[tokio::test]
async fn an_answer_is_true_whenever_the_database_dies() {
    let mut cluster = Cluster::start();
    let address = cluster.database("dies");
    let storage = Arc::new(open(&address).await.unwrap());
    let scope = begun(&storage).await;
    let (mut stored, mut next) = (Vec::new(), 1);
    for round in 0..8 {
        let (storage, scope) = (storage.clone(), scope.clone());
        let writing = tokio::spawn(async move {
            let mut answers = Vec::new();
            for revision in next.. {
                let answer = storage.append(&scope, &[commit(&scope, revision)]).await;
                let failed = answer.is_err();
                answers.push((revision, answer.is_ok()));
                if failed {
                    return answers;
                }
            }
            answers
        });
        tokio::time::sleep(Duration::from_millis(15 + 7 * round)).await;
        cluster.kill();
        cluster.resume();
        let answers = writing.await.unwrap();
        next = answers.last().unwrap().0 + 1;
        stored.extend(answers.iter().filter(|(_, stored)| *stored).map(|(revision, _)| *revision));
    }
    storage.health().wait_for(StorageHealth::is_good).await.unwrap();
    assert_eq!(revisions(&*storage, &scope).await, stored);
}

#[tokio::test]
async fn who_is_in_doubt_is_told_what_the_record_says() {
    let cluster = Cluster::start();
    let address = cluster.database("doubt");
    let storage = Arc::new(open(&address).await.unwrap());
    let scope = begun(&storage).await;
    // The commit is stored, and its answer never comes: the database waits for a standby that is not there.
    cluster.sql("doubt", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    cluster.sql("doubt", "SELECT pg_reload_conf()");
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let append = {
        let (storage, scope) = (storage.clone(), scope.clone());
        tokio::spawn(async move { storage.append(&scope, &[commit(&scope, 1)]).await })
    };
    while cluster.sql("doubt", waiting) == "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cluster.sql("doubt", "ALTER SYSTEM RESET synchronous_standby_names");
    cluster.sql("doubt", CUT);
    cluster.sql("doubt", "SELECT pg_reload_conf()");
    append.await.unwrap().unwrap();
    assert_eq!(revisions(&*storage, &scope).await, [1]);
}

#[tokio::test]
async fn one_scope_that_may_not_be_written_does_not_fail_the_others() {
    let cluster = Cluster::start();
    let storage = open(&cluster.database("others")).await.unwrap();
    let known = begun(&storage).await;
    let unknown = StoredScope::new("unknown".into(), known.schema.clone());
    let (one, other) = ([commit(&known, 1)], [commit(&unknown, 1)]);
    let (one, other) = tokio::join!(storage.append(&known, &one), storage.append(&unknown, &other));
    one.unwrap();
    assert!(matches!(other, Err(StorageError::Refused(_))), "{other:?}");
    let nul = StoredScope::new("a\0b".into(), known.schema.clone());
    assert!(matches!(storage.load(&nul).await, Err(StorageError::Refused(_))));
}

#[tokio::test]
async fn a_database_that_takes_nothing_makes_the_store_read_only_until_it_does() {
    let cluster = Cluster::start();
    let storage = open(&cluster.database("crowded")).await.unwrap();
    let scope = begun(&storage).await;
    // As a full disk answers.
    cluster.sql(
        "crowded",
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON jetstream.log
             FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
         CREATE TRIGGER full_disk BEFORE INSERT ON jetstream.probe
             FOR EACH STATEMENT EXECUTE FUNCTION full_disk();",
    );
    let error = storage.append(&scope, &[commit(&scope, 1)]).await.unwrap_err();
    assert!(matches!(&error, StorageError::Full(why) if why.contains("extend")), "{error}");
    assert!(says(&storage.health().borrow(), "extend"));
    let error = storage.append(&scope, &[commit(&scope, 1)]).await.unwrap_err();
    assert!(matches!(error, StorageError::ReadOnly(_)), "{error}");
    assert_eq!(revisions(&storage, &scope).await, [] as [u64; 0]);
    cluster.sql("crowded", "DROP FUNCTION full_disk CASCADE");
    storage.health().wait_for(StorageHealth::is_good).await.unwrap();
    storage.append(&scope, &[commit(&scope, 1)]).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_in_the_middle_stops_its_scope_only() {
    let cluster = Cluster::start();
    let storage = open(&cluster.database("damage")).await.unwrap();
    let (scope, other) = (begun(&storage).await, named(&storage, "other").await);
    for revision in 1..=5 {
        storage.append(&scope, &[commit(&scope, revision)]).await.unwrap();
        storage.append(&other, &[commit(&other, revision)]).await.unwrap();
    }
    let of_scope = "scope = (SELECT id FROM jetstream.scope WHERE name = 'scope')";
    for (position, missing) in [(5, "its entry 5"), (3, "its entry 3")] {
        let gone = format!("DELETE FROM jetstream.log WHERE position = {position} AND {of_scope}");
        cluster.sql("damage", &gone);
        let error = storage.load(&scope).await.unwrap_err();
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(missing), "{error}");
    }
    cluster.sql("damage", &format!("DELETE FROM jetstream.snapshot WHERE {of_scope}"));
    let error = storage.load(&scope).await.unwrap_err();
    assert!(error.to_string().contains("no snapshot"), "{error}");
    assert_eq!(revisions(&storage, &other).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn tables_of_a_newer_version_are_left_alone() {
    let cluster = Cluster::start();
    let address = cluster.database("newer");
    drop(open(&address).await.unwrap());
    cluster.sql("newer", "INSERT INTO jetstream.migration (version) VALUES (1000)");
    let error = open(&address).await.unwrap_err().to_string();
    assert!(error.contains("version 1000"), "{error}");
}

#[tokio::test]
async fn a_database_that_cannot_be_used_says_why() {
    let cluster = Cluster::start();
    let wrong = cluster.address("missing");
    let error = open(&wrong).await.unwrap_err().to_string();
    assert!(error.contains("\"missing\" does not exist"), "{error}");
    let address = cluster.database("used");
    cluster.sql("used", "CREATE ROLE guest LOGIN; REVOKE CREATE ON DATABASE used FROM PUBLIC");
    let error = open(&address.replace("postgres@", "guest:hunter2@")).await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

/// Cuts the connections of servers, as a network or an operator would.
const CUT: &str = "
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jetstream'";

fn says(health: &StorageHealth, text: &str) -> bool {
    matches!(health, StorageHealth::ReadOnly { why } if why.contains(text))
}

async fn begun(storage: &PostgresStorage) -> StoredScope {
    named(storage, "scope").await
}

async fn named(storage: &PostgresStorage, name: &str) -> StoredScope {
    let schema = Schema::builder().model("Counter", |m| m.property("count", "Number")).build();
    let scope = StoredScope::new(name.into(), Arc::new(schema.unwrap()));
    let (model, _) = scope.schema.find("Counter").unwrap();
    let graph = Graph::new(scope.schema.clone(), root(), model);
    storage.compact(&scope, Snapshot::of(&graph, Revision(0), Timestamp(1))).await.unwrap();
    scope
}

fn root() -> ObjectId {
    "c0000000-0000-4000-8000-000000000001".parse().unwrap()
}

fn commit(scope: &StoredScope, revision: u64) -> Entry {
    let (id, model) = scope.schema.find("Counter").unwrap();
    let (count, _) = model.find("count").unwrap();
    let value = Value::Scalar(Some((revision as f64).into()));
    let fragment = Fragment::new(FragmentKind::Change, root(), id).with(count, value);
    Entry::Commit(Arc::new(Commit {
        revision: Revision(revision),
        time: Timestamp(revision as i64),
        author: None,
        origin: None,
        delivered: jetstream_core::ids::MessageIndex(0),
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    }))
}

async fn revisions(storage: &dyn Storage, scope: &StoredScope) -> Vec<u64> {
    let stored = storage.load(scope).await.unwrap().unwrap();
    stored.entries.iter().filter_map(Entry::commit).map(|commit| commit.revision.0).collect()
}
