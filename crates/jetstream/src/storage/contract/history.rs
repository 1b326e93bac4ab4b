//! Sentences about a scope's past.

use std::sync::Arc;

use jetstream_core::ids::Revision;
use jetstream_core::model::Schema;
use jetstream_core::model::schema::ModelBuilder;

use super::{commit, ends, grown, snapshot, time};
use crate::storage::{
    Evolution, Horizon, Migrations, Moment, PastCommit, SchemaVersion, Storage, StorageError,
    StoredScope,
};

/// A scope of eight commits, with a snapshot before each odd one.
async fn with_a_past(storage: &dyn Storage) -> StoredScope {
    let scope = grown(storage, "past", 8).await;
    for revision in [2, 4, 6] {
        storage.compact(&scope, snapshot(&scope, revision)).await.unwrap();
    }
    scope
}

async fn snapshot_before(
    storage: &dyn Storage,
    scope: &StoredScope,
    moment: Moment,
) -> Option<u64> {
    storage.snapshot_at(scope, moment).await.unwrap().map(|snapshot| snapshot.revision.0)
}

async fn at(storage: &dyn Storage, scope: &StoredScope, revision: u64) -> Option<u64> {
    snapshot_before(storage, scope, Moment::Revision(Revision(revision))).await
}

async fn known(storage: &dyn Storage, scope: &StoredScope) -> Vec<u64> {
    let commits = storage.commits(scope, Revision(0), 100).await.unwrap();
    commits.iter().map(|past| past.commit.revision.0).collect()
}

/// Every revision has a snapshot before it, and so has every time, until the past is forgotten.
pub async fn the_past_is_there_until_it_is_trimmed(storage: &dyn Storage) {
    let scope = with_a_past(storage).await;
    for (revision, found) in [(0, 0), (1, 0), (2, 2), (5, 4), (6, 6), (99, 6)] {
        assert_eq!(at(storage, &scope, revision).await, Some(found), "{revision}");
        let moment = Moment::Time(time(revision));
        assert_eq!(snapshot_before(storage, &scope, moment).await, Some(found), "{revision}");
    }
    let found = storage.snapshot_at(&scope, Moment::Revision(Revision(5))).await.unwrap();
    assert_eq!(found.unwrap(), snapshot(&scope, 4));
    storage.trim(&scope, Horizon::NOW).await.unwrap();
    assert_eq!(at(storage, &scope, 5).await, None);
    assert_eq!(at(storage, &scope, 6).await, Some(6));
    assert_eq!(known(storage, &scope).await, [7, 8]);
    ends(storage, &scope, &[7, 8], 8).await;
    storage.append(&scope, &[commit(&scope, 9)]).await.unwrap();
    ends(storage, &scope, &[7, 8, 9], 9).await;
}

/// Commits are read in order, at most as many as asked for, whatever snapshots lie between.
pub async fn commits_are_read_page_by_page(storage: &dyn Storage) {
    let scope = with_a_past(storage).await;
    for (after, max, expected) in [
        (0, 3, vec![1, 2, 3]),
        (3, 3, vec![4, 5, 6]),
        (6, 3, vec![7, 8]),
        (8, 3, vec![]),
        (0, 0, vec![]),
    ] {
        let page = storage.commits(&scope, Revision(after), max).await.unwrap();
        let revisions: Vec<_> = page.iter().map(|past| past.commit.revision.0).collect();
        assert_eq!(revisions, expected, "after {after}");
    }
    let page = storage.commits(&scope, Revision(3), 1).await.unwrap();
    assert_eq!(
        format!("{:?}", page[0].commit),
        format!("{:?}", commit(&scope, 4).commit().unwrap())
    );
}

/// What is needed for the state at the horizon stays.
pub async fn what_is_inside_the_horizon_stays(storage: &dyn Storage) {
    let scope = with_a_past(storage).await;
    let everything = Horizon { since: time(0), bytes_max: u64::MAX };
    storage.trim(&scope, everything).await.unwrap();
    assert_eq!(at(storage, &scope, 0).await, Some(0));
    assert_eq!(known(storage, &scope).await, [1, 2, 3, 4, 5, 6, 7, 8]);
    let since_five = Horizon { since: time(5), bytes_max: u64::MAX };
    storage.trim(&scope, since_five).await.unwrap();
    assert_eq!(at(storage, &scope, 3).await, None);
    assert_eq!(at(storage, &scope, 5).await, Some(4));
    assert!(known(storage, &scope).await.ends_with(&[5, 6, 7, 8]));
    let no_room = Horizon { since: time(0), bytes_max: 1 };
    storage.trim(&scope, no_room).await.unwrap();
    assert_eq!(at(storage, &scope, 5).await, None);
    ends(storage, &scope, &[7, 8], 8).await;
}

/// A scope that goes on in a new schema is loaded in the old one, takes nothing before it has a snapshot in
/// the new one, and its past keeps the schemas that it was written with.
pub async fn every_record_says_of_which_schema_it_is(storage: &dyn Storage) {
    let old = super::scope("evolving");
    let model = |m: ModelBuilder| m.property("note", "String").property("count", "Number");
    let new = Arc::new(Schema::builder().model("Counter", model).build().unwrap());
    let first = Evolution::step(&[], &old.schema, &Migrations::new()).unwrap();
    let known = [first.add.unwrap()];
    let second = Evolution::step(&known, &new, &Migrations::new()).unwrap();
    let old = StoredScope::evolving(old.name, Arc::new(first.evolution));
    let new = StoredScope::evolving(old.name.clone(), Arc::new(second.evolution));

    storage.compact(&old, super::beginning(&old)).await.unwrap();
    storage.append(&old, &[commit(&old, 1)]).await.unwrap();
    let refused = storage.append(&new, &[commit(&new, 2)]).await;
    assert!(matches!(refused, Err(StorageError::Refused(_))), "{refused:?}");
    let rebuilt = super::load(storage, &new).await.rebuild(&new).unwrap();
    assert_eq!(rebuilt.written, old.version);
    assert!(Arc::ptr_eq(rebuilt.graph.schema(), &new.schema));
    storage.compact(&new, rebuilt.snapshot()).await.unwrap();
    storage.append(&new, &[commit(&new, 2)]).await.unwrap();

    let rebuilt = super::load(storage, &new).await.rebuild(&new).unwrap();
    assert_eq!((rebuilt.written, rebuilt.revision), (new.version, Revision(2)));
    let commits = storage.commits(&new, Revision(0), 10).await.unwrap();
    let versions: Vec<SchemaVersion> = commits.iter().map(|past| past.version).collect();
    assert_eq!(versions, [old.version, new.version]);
    let count = |past: &PastCommit, scope: &StoredScope| {
        let (_, model) = scope.schema.find("Counter").unwrap();
        let (property, _) = past.commit.fragments[0].properties[0];
        model.property(property).name().to_string()
    };
    assert_eq!([count(&commits[0], &old), count(&commits[1], &new)], ["count", "count"]);
}
