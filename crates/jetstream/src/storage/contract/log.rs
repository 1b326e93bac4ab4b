//! Sentences about what a scope is loaded from.

use jetstream_core::ids::{MessageIndex, Origin, Position, Revision, SessionId};
use jetstream_core::model::Value;
use jetstream_core::scope::Entry;

use super::{
    answer, beginning, begun, commit, commit_from, ends, entries, grown, load, revisions, scope,
    shown, snapshot, time,
};
use crate::storage::{Horizon, Moment, Storage, StorageError};

/// A scope that was never stored is `None`.
pub async fn what_was_never_stored_is_none(storage: &dyn Storage) {
    let nothing = scope("nothing");
    assert!(storage.load(&nothing).await.unwrap().is_none());
    assert!(storage.commits(&nothing, Revision(0), 10).await.unwrap().is_empty());
    let past = storage.snapshot_at(&nothing, Moment::Revision(Revision(9))).await.unwrap();
    assert!(past.is_none());
    assert!(storage.scopes(None, 10).await.unwrap().is_empty());
}

/// The first snapshot makes a scope known, at whatever revision.
pub async fn a_new_scope_is_its_snapshot(storage: &dyn Storage) {
    for (name, revision) in [("new", 0), ("imported", 7)] {
        let scope = scope(name);
        let first = snapshot(&scope, revision);
        storage.compact(&scope, first.clone()).await.unwrap();
        let stored = load(storage, &scope).await;
        assert_eq!(stored.snapshot, first);
        assert!(stored.entries.is_empty());
        storage.append(&scope, &[commit(&scope, revision + 1)]).await.unwrap();
        ends(storage, &scope, &[revision + 1], revision + 1).await;
    }
}

/// Entries come back as they were appended: commits of sessions and of the application, and answers.
pub async fn appended_entries_come_back_in_order(storage: &dyn Storage) {
    let scope = begun(storage, "order").await;
    let origin = Origin { session: SessionId(1 << 63), message: MessageIndex(5) };
    let appended = [
        commit(&scope, 1),
        commit_from(&scope, 2, origin),
        Entry::Answer(answer(6)),
        Entry::Answer(answer(7)),
        commit(&scope, 9),
    ];
    storage.append(&scope, &appended[..2]).await.unwrap();
    storage.append(&scope, &appended[2..]).await.unwrap();
    assert_eq!(entries(storage, &scope).await, shown(&appended));
    let stored = load(storage, &scope).await;
    assert_eq!((stored.position(), stored.revision()), (Position(5), Revision(9)));
}

/// A batch is durable as a whole or not at all; its revisions rise, with gaps or without.
pub async fn revisions_that_do_not_rise_are_refused_as_a_whole(storage: &dyn Storage) {
    let scope = begun(storage, "rise").await;
    storage.append(&scope, &[commit(&scope, 3)]).await.unwrap();
    for batch in [vec![3], vec![1], vec![4, 4], vec![5, 4]] {
        let batch: Vec<_> = batch.into_iter().map(|revision| commit(&scope, revision)).collect();
        let refused = storage.append(&scope, &batch).await;
        assert!(matches!(refused, Err(StorageError::Refused(_))), "{refused:?}");
        ends(storage, &scope, &[3], 1).await;
    }
    storage.append(&scope, &[commit(&scope, 4), commit(&scope, 8)]).await.unwrap();
    ends(storage, &scope, &[3, 4, 8], 3).await;
}

/// An empty batch is taken and leaves nothing.
pub async fn a_batch_of_nothing_changes_nothing(storage: &dyn Storage) {
    let scope = begun(storage, "empty").await;
    storage.append(&scope, &[]).await.unwrap();
    ends(storage, &scope, &[], 0).await;
}

/// Entries without a beginning are refused.
pub async fn a_scope_without_a_snapshot_takes_no_entries(storage: &dyn Storage) {
    let scope = scope("unknown");
    let refused = storage.append(&scope, &[commit(&scope, 1)]).await;
    assert!(matches!(refused, Err(StorageError::Refused(_))), "{refused:?}");
    assert!(storage.load(&scope).await.unwrap().is_none());
}

/// Entries after the newest snapshot stay, also those of the batch that it stands in the middle of.
pub async fn a_scope_is_loaded_from_its_newest_snapshot(storage: &dyn Storage) {
    let scope = grown(storage, "compact", 4).await;
    storage.compact(&scope, snapshot(&scope, 3)).await.unwrap();
    assert_eq!(load(storage, &scope).await.snapshot, snapshot(&scope, 3));
    ends(storage, &scope, &[4], 4).await;
    storage.append(&scope, &[commit(&scope, 5)]).await.unwrap();
    ends(storage, &scope, &[4, 5], 5).await;
    // An older one is of the past, and a newer one of the present.
    storage.compact(&scope, snapshot(&scope, 2)).await.unwrap();
    ends(storage, &scope, &[4, 5], 5).await;
    storage.compact(&scope, snapshot(&scope, 5)).await.unwrap();
    ends(storage, &scope, &[], 5).await;
}

/// A snapshot keeps the replies that it was given, and another one at its place replaces it.
pub async fn what_a_snapshot_says_was_answered_comes_back(storage: &dyn Storage) {
    let scope = begun(storage, "answered").await;
    storage.append(&scope, &[Entry::Answer(answer(1)), Entry::Answer(answer(2))]).await.unwrap();
    let with = |answered| beginning(&scope).behind(Position(2), answered);
    storage.compact(&scope, with(vec![answer(1), answer(2)])).await.unwrap();
    let stored = load(storage, &scope).await;
    assert_eq!(stored.snapshot.answered[..], [answer(1), answer(2)]);
    storage.compact(&scope, with(vec![answer(2)])).await.unwrap();
    assert_eq!(load(storage, &scope).await.snapshot.answered[..], [answer(2)]);
    let rebuilt = load(storage, &scope).await.rebuild(&scope).unwrap();
    let answered: Vec<_> = rebuilt.answered.iter().cloned().collect();
    assert_eq!((rebuilt.position, answered), (Position(2), vec![answer(2)]));
}

/// A snapshot contains only what is stored.
pub async fn a_snapshot_of_what_is_not_stored_is_refused(storage: &dyn Storage) {
    let scope = grown(storage, "future", 1).await;
    let of_the_future = [
        snapshot(&scope, 2),
        beginning(&scope).behind(Position(2), []),
        snapshot(&scope, 2).behind(Position(1), []),
    ];
    for snapshot in of_the_future {
        let refused = storage.compact(&scope, snapshot).await;
        assert!(matches!(refused, Err(StorageError::Refused(_))), "{refused:?}");
    }
    ends(storage, &scope, &[1], 1).await;
}

/// A snapshot that nothing leads on from would be a past with a hole.
pub async fn a_snapshot_of_what_is_forgotten_is_refused(storage: &dyn Storage) {
    let scope = grown(storage, "forgotten", 4).await;
    storage.compact(&scope, snapshot(&scope, 3)).await.unwrap();
    storage.trim(&scope, Horizon::NOW).await.unwrap();
    let refused = storage.compact(&scope, snapshot(&scope, 2)).await;
    assert!(matches!(refused, Err(StorageError::Refused(_))), "{refused:?}");
    ends(storage, &scope, &[4], 4).await;
}

/// What is stored for one scope is not seen in another.
pub async fn scopes_do_not_mix(storage: &dyn Storage) {
    let (one, other) = (begun(storage, "one").await, begun(storage, "other").await);
    storage.append(&one, &[commit(&one, 1)]).await.unwrap();
    ends(storage, &other, &[], 0).await;
    storage.append(&other, &[commit(&other, 5)]).await.unwrap();
    storage.compact(&one, snapshot(&one, 1)).await.unwrap();
    storage.trim(&one, Horizon::NOW).await.unwrap();
    ends(storage, &other, &[5], 1).await;
}

/// A graph rebuilt from a store has the values of the last commit, and its revision.
pub async fn what_is_rebuilt_is_what_was_committed(storage: &dyn Storage) {
    let scope = grown(storage, "rebuild", 2).await;
    let stored = load(storage, &scope).await;
    let rebuilt = stored.rebuild(&scope).unwrap();
    assert_eq!((rebuilt.revision, rebuilt.position), (Revision(2), Position(2)));
    assert_eq!(rebuilt.time, time(2));
    let (property, _) = scope.schema.find("Counter").unwrap().1.find("count").unwrap();
    let root = rebuilt.graph.object(rebuilt.graph.root()).unwrap();
    assert_eq!(root.value(property), Value::Scalar(Some(2.0.into())));
}

/// A removed scope can be begun anew.
pub async fn a_removed_scope_is_as_if_it_had_never_been(storage: &dyn Storage) {
    let scope = grown(storage, "removed", 3).await;
    let other = grown(storage, "stays", 3).await;
    assert!(storage.remove_scope(&scope.name).await.unwrap());
    assert!(!storage.remove_scope(&scope.name).await.unwrap());
    assert!(storage.load(&scope).await.unwrap().is_none());
    assert!(storage.append(&scope, &[commit(&scope, 4)]).await.is_err());
    storage.compact(&scope, beginning(&scope)).await.unwrap();
    ends(storage, &scope, &[], 0).await;
    assert_eq!(revisions(storage, &other).await, [1, 2, 3]);
}

/// The list is in the order of the names' bytes, and says what there is of each scope.
pub async fn scopes_are_listed_by_name_page_by_page(storage: &dyn Storage) {
    for (name, commits) in [("b", 2), ("é", 0), ("B", 1), ("a", 3)] {
        grown(storage, name, commits).await;
    }
    let all = storage.scopes(None, 10).await.unwrap();
    let listed: Vec<_> = all.iter().map(|s| (s.name.as_str(), s.revision.0)).collect();
    assert_eq!(listed, [("B", 1), ("a", 3), ("b", 2), ("é", 0)]);
    assert_eq!(all[1].modified, time(3));
    assert!(all[1].bytes > all[3].bytes && all[3].bytes > 0);
    let page = storage.scopes(Some(&all[0].name), 2).await.unwrap();
    assert_eq!(page, all[1..3]);
    assert!(storage.scopes(Some(&all[3].name), 2).await.unwrap().is_empty());
}
