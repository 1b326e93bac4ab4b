//! The contract of a [`Storage`] as a suite: each function is one sentence of it.
//!
//! An implementation invokes [`storage_contract!`](crate::storage_contract) in a test module with an
//! expression that makes an empty store; the expression may `await`.

mod consumers;
mod history;
mod log;
mod sessions;

use std::sync::Arc;

use jetstream_core::ids::{MessageIndex, ObjectId, Origin, Position, Revision, SessionId};
use jetstream_core::model::{Fragment, FragmentKind, Graph, Schema, Value};
use jetstream_core::scope::{Answer, Commit, Entry};
use jetstream_core::time::Timestamp;

use super::{Snapshot, Storage, Stored, StoredScope};

pub use consumers::*;
pub use history::*;
pub use log::*;
pub use sessions::*;

/// One test for each sentence, for an expression that makes an empty store. `in turn:` before it makes one
/// test of all, for stores that need something which takes long to start.
#[macro_export]
macro_rules! storage_contract {
    (in turn: $storage:expr) => {
        $crate::storage_contract! { @sentences in_turn $storage }
    };
    (@in_turn $storage:expr, $($sentence:ident,)*) => {
        $( $crate::storage::contract::$sentence(&$storage).await; )*
    };
    (@tests $storage:expr, $($sentence:ident,)*) => {
        $(
            #[tokio::test]
            async fn $sentence() {
                $crate::storage::contract::$sentence(&$storage).await;
            }
        )*
    };
    (@sentences $way:ident $storage:expr) => {
        $crate::storage_contract! { @$way $storage,
            what_was_never_stored_is_none,
            a_new_scope_is_its_snapshot,
            appended_entries_come_back_in_order,
            revisions_that_do_not_rise_are_refused_as_a_whole,
            a_batch_of_nothing_changes_nothing,
            a_scope_without_a_snapshot_takes_no_entries,
            a_scope_is_loaded_from_its_newest_snapshot,
            what_a_snapshot_says_was_answered_comes_back,
            a_snapshot_of_what_is_not_stored_is_refused,
            a_snapshot_of_what_is_forgotten_is_refused,
            scopes_do_not_mix,
            what_is_rebuilt_is_what_was_committed,
            a_removed_scope_is_as_if_it_had_never_been,
            scopes_are_listed_by_name_page_by_page,
            the_past_is_there_until_it_is_trimmed,
            commits_are_read_page_by_page,
            every_record_says_of_which_schema_it_is,
            what_is_inside_the_horizon_stays,
            a_session_is_found_by_its_token,
            a_saved_session_replaces_what_was_stored_of_it,
            a_forgotten_session_is_gone_with_its_token,
            sessions_are_listed_by_id_page_by_page,
            a_consumer_begins_behind_the_last_commit_and_keeps_its_place,
            a_scope_has_something_for_a_consumer_from_its_first_commit_to_its_last,
            scopes_with_something_for_a_consumer_are_listed_by_name_page_by_page,
            a_consumer_never_goes_back,
            a_removed_scope_has_nothing_for_anybody,
            where_the_known_past_begins_is_told,
            a_dead_letter_is_kept_with_the_progress_that_passes_it_over,
            schemas_are_kept_in_order_and_never_changed,
            a_store_that_nothing_happened_to_is_good,
        }
    };
    ($storage:expr) => {
        $crate::storage_contract! { @sentences tests $storage }
    };
}

fn scope(name: &str) -> StoredScope {
    let schema = Schema::builder().model("Counter", |m| m.property("count", "Number")).build();
    StoredScope::new(name.into(), Arc::new(schema.unwrap()))
}

/// A scope with its first snapshot.
async fn begun(storage: &dyn Storage, name: &str) -> StoredScope {
    let scope = scope(name);
    storage.compact(&scope, beginning(&scope)).await.unwrap();
    scope
}

/// A scope whose log has these commits.
async fn grown(storage: &dyn Storage, name: &str, commits: u64) -> StoredScope {
    let scope = begun(storage, name).await;
    let entries: Vec<_> = (1..=commits).map(|revision| commit(&scope, revision)).collect();
    storage.append(&scope, &entries).await.unwrap();
    scope
}

fn root() -> ObjectId {
    "c0000000-0000-4000-8000-000000000001".parse().unwrap()
}

fn beginning(scope: &StoredScope) -> Snapshot {
    let (model, _) = scope.schema.find("Counter").unwrap();
    Snapshot::of(&Graph::new(scope.schema.clone(), root(), model), Revision(0), time(0))
}

/// The state after so many commits, where the log has nothing else.
fn snapshot(scope: &StoredScope, commits: u64) -> Snapshot {
    let entries = (1..=commits).map(|revision| commit(scope, revision)).collect();
    let stored = Stored { snapshot: beginning(scope), entries };
    stored.rebuild(scope).unwrap().snapshot()
}

/// A moment later for each revision.
const fn time(revision: u64) -> Timestamp {
    Timestamp(1_400_000_000_000 + 1000 * revision as i64)
}

/// A commit of the application's that sets the counter to its revision.
fn commit(scope: &StoredScope, revision: u64) -> Entry {
    let (id, model) = scope.schema.find("Counter").unwrap();
    let (count, _) = model.find("count").unwrap();
    let fragment = Fragment::new(FragmentKind::Change, root(), id)
        .with(count, Value::Scalar(Some((revision as f64).into())));
    Entry::Commit(Arc::new(Commit {
        revision: Revision(revision),
        time: time(revision),
        author: None,
        origin: None,
        delivered: MessageIndex(0),
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    }))
}

/// The same from a session.
fn commit_from(scope: &StoredScope, revision: u64, origin: Origin) -> Entry {
    let Entry::Commit(commit) = commit(scope, revision) else { unreachable!("made as one") };
    Entry::Commit(Arc::new(Commit { origin: Some(origin), ..(*commit).clone() }))
}

fn answer(message: u64) -> Answer {
    let origin = Origin { session: SessionId(u64::MAX), message: MessageIndex(message) };
    let (time, delivered) = (time(message), MessageIndex(message - 1));
    Answer { origin, time, delivered, reply: "[{\"error\":{\"message\":\"é\\\"\"}}]".into() }
}

async fn load(storage: &dyn Storage, scope: &StoredScope) -> Stored {
    storage.load(scope).await.unwrap().unwrap()
}

/// What of commits must come back, one text for each entry.
async fn entries(storage: &dyn Storage, scope: &StoredScope) -> Vec<String> {
    load(storage, scope).await.entries.iter().map(|entry| format!("{entry:?}")).collect()
}

async fn revisions(storage: &dyn Storage, scope: &StoredScope) -> Vec<u64> {
    let stored = load(storage, scope).await;
    stored.entries.iter().filter_map(Entry::commit).map(|commit| commit.revision.0).collect()
}

fn shown(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{entry:?}")).collect()
}

/// That the store has these commits after its newest snapshot, and where its log ends.
async fn ends(storage: &dyn Storage, scope: &StoredScope, commits: &[u64], position: u64) {
    assert_eq!(revisions(storage, scope).await, commits);
    assert_eq!(load(storage, scope).await.position(), Position(position));
}
