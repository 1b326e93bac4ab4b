//! Stories of a scope's task: who is told what, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use jetstream_core::ids::{MessageIndex, ObjectId, Revision, ScopeIndex, SessionId};
use jetstream_core::limits::{Limit, Limits};
use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Graph, Schema, Value};
use jetstream_core::session::Delivery;
use jetstream_core::time::Now;
use jetstream_core::wire::message::Dialect;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::room::SCOPE_BYTES;
use super::*;
use crate::metrics::Metrics;
use crate::procedure::{ActionCall, Verdict};
use crate::storage::{Call, Guarded, MemoryStorage, Storage, StorageError, StoredScope};

/// A member that writes down what it is told.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }

    /// Waits until there is a line with this text. Only for a clock that is stopped: it moves when nobody
    /// has anything to do.
    async fn until(&self, text: &str) {
        while !self.0.lock().iter().any(|line| line.contains(text)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Recipient for Notes {
    fn deliver(&self, _: Now, scope: ScopeIndex, delivery: Delivery) {
        self.0.lock().push(match delivery {
            Delivery::State { body, .. } => format!("{scope} state {body}"),
            Delivery::Sync { body, .. } => format!("{scope} sync {body}"),
            Delivery::Recall => format!("{scope} recall"),
            Delivery::Reply { message, body, .. } => format!("{scope} reply {message} {body}"),
        });
    }

    fn send(&self, now: Now, scope: ScopeIndex, delivery: Delivery, _: &mut Departure) {
        self.deliver(now, scope, delivery);
        self.flush(now);
    }

    fn flush_with(&self, now: Now, _: &mut Departure) {
        self.flush(now);
    }

    fn held_up(&self, _: Now) {}

    fn scope_closed(&self, _: Now, scope: ScopeIndex) {
        self.0.lock().push(format!("{scope} closed"));
    }

    fn flush(&self, _: Now) {
        self.0.lock().push("flush".to_owned());
    }

    fn session(&self) -> Option<&crate::server::SessionInfo> {
        None
    }
}

fn root() -> ObjectId {
    "c0000000-0000-4000-8000-000000000001".parse().unwrap()
}

fn graph() -> Graph {
    let schema = Schema::builder().model("Counter", |m| m.property("count", "Number")).build();
    let schema = Arc::new(schema.unwrap());
    let (model, _) = schema.find("Counter").unwrap();
    Graph::new(schema, root(), model)
}

fn set(graph: &Graph, count: f64) -> ChangeSet {
    let (id, model) = graph.schema().find("Counter").unwrap();
    let (property, _) = model.find("count").unwrap();
    let value = Value::Scalar(Some(count.into()));
    ChangeSet::new([Fragment::new(FragmentKind::Change, root(), id).with(property, value)])
}

fn count(graph: &Graph) -> Value {
    let (property, _) = graph.schema().find("Counter").unwrap().1.find("count").unwrap();
    graph.object(graph.root()).unwrap().value(property)
}

fn is(count: f64) -> Value {
    Value::Scalar(Some(count.into()))
}

async fn join(scope: &Scope, index: u32) -> (MemberId, Arc<Notes>) {
    let (member, notes) = (scope.next_member(), Arc::new(Notes::default()));
    let joining = Joining {
        member,
        session: SessionId(u64::from(index)),
        dialect: Dialect::Original,
        claims: std::sync::Arc::default(),
        index: ScopeIndex(index),
        returns: false,
        recipient: notes.clone(),
    };
    scope.send(Request::Join(joining)).await.unwrap();
    settle(scope).await;
    (member, notes)
}

/// Returns when the scope has done and told what was asked before.
async fn settle(scope: &Scope) {
    scope.read(|_| ()).await.unwrap();
}

async fn sync(scope: &Scope, member: MemberId, message: u64, value: f64) {
    let changes = set(&graph(), value);
    let message = MessageIndex(message);
    scope
        .send(Request::Sync { member, message, delivered: MessageIndex(0), changes })
        .await
        .unwrap();
    settle(scope).await;
}

#[tokio::test]
async fn the_author_gets_a_reply_and_the_others_the_change() {
    let scope = Scope::new("Counter", graph());
    let (ann, anns) = join(&scope, 0).await;
    let (_, bos) = join(&scope, 1).await;
    let state = anns.take();
    assert!(state[0].starts_with("0 state \"rootUUID\":"), "{state:?}");
    assert_eq!(scope.member_count(), 2);
    bos.take();
    sync(&scope, ann, 7, 1.0).await;
    assert_eq!(anns.take(), ["0 reply 7 [{}]", "flush"]);
    let told = bos.take();
    assert!(told[0].starts_with("1 sync [{\"type\":\"change\""), "{told:?}");
    assert_eq!(told[1..], ["flush"]);
    assert_eq!(scope.revision(), Revision(1));
    scope.send(Request::Leave(ann)).await.unwrap();
    settle(&scope).await;
    assert_eq!(scope.member_count(), 1);
}

#[tokio::test]
async fn updates_see_the_present_state_and_hand_back_what_they_found() {
    let scope = Scope::new("Counter", graph());
    let mut changes = scope.changes();
    scope.update(set(&graph(), 1.0)).await.unwrap().accepted().unwrap();
    let (updated, before) =
        scope.update_with(|graph| (set(graph, 2.0), count(graph))).await.unwrap();
    assert_eq!((updated.accepted(), before), (Ok(Revision(2)), is(1.0)));
    assert_eq!(scope.read(count).await.unwrap(), is(2.0));
    for revision in 1..=2 {
        assert_eq!(changes.next().await.unwrap().unwrap().revision, Revision(revision));
    }
}

#[tokio::test]
async fn a_function_that_panics_harms_nobody() {
    let scope = Scope::new("Counter", graph());
    let error = scope.read(|_| -> () { panic!("oh no") }).await.unwrap_err();
    assert_eq!(error, ScopeError::Panicked("oh no".to_owned()));
    let error = scope.update_with(|_| -> (ChangeSet, ()) { panic!("oh dear") }).await.unwrap_err();
    assert_eq!(error, ScopeError::Panicked("oh dear".to_owned()));
    scope.update(set(&graph(), 3.0)).await.unwrap().accepted().unwrap();
}

#[tokio::test]
async fn a_closed_scope_tells_its_members_and_refuses_everything() {
    let scope = Scope::new("Counter", graph());
    let (_, notes) = join(&scope, 4).await;
    let mut changes = scope.changes();
    notes.take();
    scope.close().await;
    assert_eq!(notes.take(), ["4 closed", "flush"]);
    assert!(changes.next().await.is_none());
    assert!(scope.is_closed());
    assert!(matches!(scope.read(count).await, Err(ScopeError::Closed(_))));
    assert!(scope.changes().next().await.is_none());
    scope.close().await;
}

#[tokio::test]
async fn a_scope_ends_when_nobody_holds_it() {
    let scope = Scope::new("Counter", graph());
    scope.ready().await.unwrap();
    let mut changes = scope.changes();
    drop(scope);
    assert!(changes.next().await.is_none());
}

/// A store that breaks after one batch; or it does not say so, but falls over.
fn breaking(kept: MemoryStorage, panics: bool) -> impl Storage {
    let batches = AtomicUsize::new(1);
    Guarded::new(kept, move |call| {
        let broken = call == Call::Append && batches.fetch_sub(1, Ordering::Relaxed) == 0;
        assert!(!(broken && panics), "the store has a mistake");
        let full = || StorageError::Full("the disk".to_owned());
        Box::pin(std::future::ready(if broken { Err(full()) } else { Ok(()) }))
    })
}

#[tokio::test]
async fn what_could_not_be_stored_is_refused_and_the_scope_goes_on_with_what_is() {
    let kept = MemoryStorage::new();
    let breaking = Arc::new(breaking(kept.clone(), false));
    let scope = Scope::builder("Counter", graph()).storage(breaking).build();
    let (ann, anns) = join(&scope, 0).await;
    let (_, bos) = join(&scope, 1).await;
    let mut changes = scope.changes();
    scope.update(set(&graph(), 1.0)).await.unwrap().accepted().unwrap();
    drop((anns.take(), bos.take()));
    sync(&scope, ann, 7, 2.0).await;
    let told = anns.take();
    assert!(told[0].starts_with("0 reply 7 [{\"error\":{\"message\":\"not saved: "), "{told:?}");
    assert!(told[1].starts_with("0 state ") && told[1].contains("\"count\":1"), "{told:?}");
    let told = bos.take();
    assert!(told[0].starts_with("1 state ") && told[0].contains("\"count\":1"), "{told:?}");
    sync(&scope, ann, 8, 3.0).await;
    assert_eq!(anns.take(), ["0 reply 8 [{}]", "flush"]);
    assert!(bos.take()[0].contains("\"count\":3"));
    for revision in 1..=2 {
        assert_eq!(changes.next().await.unwrap().unwrap().revision, Revision(revision));
    }
    scope.close().await;
    let again = Scope::builder("Counter", graph()).storage(Arc::new(kept)).build();
    assert_eq!(again.read(count).await.unwrap(), is(3.0));
}

/// A store that is away from its second batch on, until so many attempts to load have failed.
fn away(kept: MemoryStorage, loads: usize) -> impl Storage {
    let (batches, loads) = (AtomicUsize::new(0), AtomicUsize::new(loads));
    Guarded::new(kept, move |call| {
        let is_away = match call {
            Call::Append => batches.fetch_add(1, Ordering::Relaxed) == 1,
            Call::Load if batches.load(Ordering::Relaxed) > 1 => loads
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok(),
            _ => false,
        };
        let gone = || StorageError::Failed("nobody answers".to_owned());
        Box::pin(std::future::ready(if is_away { Err(gone()) } else { Ok(()) }))
    })
}

#[tokio::test(start_paused = true)]
async fn a_scope_waits_for_a_store_that_cannot_even_be_read_and_keeps_its_members() {
    let storage = Arc::new(away(MemoryStorage::new(), 3));
    let scope = Scope::builder("Counter", graph()).storage(storage).build();
    let (ann, anns) = join(&scope, 0).await;
    sync(&scope, ann, 1, 1.0).await;
    anns.take();
    sync(&scope, ann, 2, 2.0).await;
    sync(&scope, ann, 3, 3.0).await;
    let told = anns.take();
    let refused =
        |line: &&String| line.starts_with("0 reply 2 [{\"error\":{\"message\":\"not saved: ");
    assert!(told.iter().any(|line| refused(&line)), "{told:?}");
    assert!(told.iter().any(|line| line == "0 reply 3 [{}]"), "{told:?}");
    assert_eq!(scope.read(count).await.unwrap(), is(3.0));
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_is_fetched_while_its_store_is_away_waits_for_it() {
    let loads = AtomicUsize::new(3);
    let storage = Guarded::new(MemoryStorage::new(), move |call| {
        let one_less = |left: usize| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let is_away = call == Call::Load && loads.fetch_update(set, fetch, one_less).is_ok();
        let gone = || StorageError::Failed("nobody answers".to_owned());
        Box::pin(std::future::ready(if is_away { Err(gone()) } else { Ok(()) }))
    });
    let scope = Scope::builder("Counter", graph()).storage(Arc::new(storage)).build();
    scope.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_scope_gives_up_a_store_that_says_it_is_well_and_never_reads() {
    let storage = Arc::new(away(MemoryStorage::new(), usize::MAX));
    let scope = Scope::builder("Counter", graph()).storage(storage).build();
    let (ann, notes) = join(&scope, 0).await;
    sync(&scope, ann, 1, 1.0).await;
    notes.take();
    let changes = set(&graph(), 2.0);
    let (message, delivered) = (MessageIndex(2), MessageIndex(0));
    scope.send(Request::Sync { member: ann, message, delivered, changes }).await.unwrap();
    scope.ended().await;
    assert_eq!(notes.take(), ["0 closed", "flush"]);
}

#[tokio::test]
async fn a_scope_that_makes_a_mistake_goes_on_with_what_is_stored() {
    let kept = Arc::new(MemoryStorage::new());
    let scope = Scope::builder("Counter", graph()).storage(kept).build();
    let (ann, anns) = join(&scope, 0).await;
    sync(&scope, ann, 1, 1.0).await;
    anns.take();
    scope.send(Request::Panic).await.unwrap();
    sync(&scope, ann, 2, 2.0).await;
    let told = anns.take();
    // What was answered before comes once more: a session that has it passes it over.
    assert_eq!(told[0], "0 reply 1 [{}]");
    assert!(told[1].starts_with("0 state ") && told[1].contains("\"count\":1"), "{told:?}");
    assert_eq!(told[3..], ["0 reply 2 [{}]", "flush"]);
    assert_eq!(scope.read(count).await.unwrap(), is(2.0));
}

#[tokio::test]
async fn while_the_disk_is_at_work_a_scope_goes_on_and_asks_it_once_for_all() {
    let (busy, appends) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (disk, count_of) = (busy.clone(), appends.clone());
    let slow = Guarded::new(MemoryStorage::new(), move |call| {
        let (disk, count_of) = (disk.clone(), count_of.clone());
        Box::pin(async move {
            if call == Call::Append {
                count_of.fetch_add(1, Ordering::Relaxed);
                disk.acquire().await.unwrap().forget();
            }
            Ok(())
        })
    });
    let scope = Scope::builder("Counter", graph()).storage(Arc::new(slow)).build();
    let (ann, notes) = join(&scope, 0).await;
    notes.take();
    for message in 1..=100 {
        let (delivered, changes) = (MessageIndex(0), set(&graph(), message as f64));
        let message = MessageIndex(message);
        scope.send(Request::Sync { member: ann, message, delivered, changes }).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!((appends.load(Ordering::Relaxed), notes.take()), (1, vec![]));
    busy.add_permits(2);
    settle(&scope).await;
    let replies = notes.take();
    assert_eq!(replies.iter().filter(|line| line.contains("reply")).count(), 100);
    assert_eq!(appends.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_scope_whose_store_falls_over_leaves_nobody_waiting() {
    let kept = MemoryStorage::new();
    let breaking = Arc::new(breaking(kept.clone(), true));
    let scope = Scope::builder("Counter", graph()).storage(breaking).build();
    let (_, notes) = join(&scope, 0).await;
    let mut changes = scope.changes();
    scope.update(set(&graph(), 1.0)).await.unwrap();
    notes.take();
    let lost = scope.update(set(&graph(), 2.0)).await;
    assert!(matches!(lost, Err(ScopeError::Closed(_))), "{lost:?}");
    scope.ended().await;
    assert_eq!(notes.take(), ["0 closed", "flush"]);
    assert_eq!(changes.next().await.unwrap().unwrap().revision, Revision(1));
    assert!(changes.next().await.is_none());
    let again = Scope::builder("Counter", graph()).storage(Arc::new(kept)).build();
    assert_eq!(again.read(count).await.unwrap(), is(1.0));
    assert_eq!(again.revision(), Revision(1));
}

#[tokio::test]
async fn many_commits_are_compacted_and_come_back() {
    let kept = Arc::new(MemoryStorage::new());
    let scope = Scope::builder("Counter", graph()).storage(kept.clone()).build();
    for value in 1..=1500 {
        scope.update(set(&graph(), f64::from(value))).await.unwrap();
    }
    let key = StoredScope::new(scope.name().clone(), scope.schema().clone());
    // The log is shortened beside the scope's work, in its own time.
    while kept.load(&key).await.unwrap().unwrap().entries.len() >= 1000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    scope.close().await;
    let again = Scope::builder("Counter", graph()).storage(kept).build();
    assert_eq!(again.read(count).await.unwrap(), is(1500.0));
}

fn boards(idle_ms: u64) -> Scopes {
    let limits = Limits { scope_idle_ms: idle_ms, ..Limits::default() };
    Scopes::builder()
        .limits(limits)
        .storage(MemoryStorage::new())
        .scope("boards/{id}", |asked| match asked.parameter("id") {
            Some("none") => Err(Rejection::message("no such board")),
            _ => Ok(graph()),
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_family_makes_one_scope_for_each_name() {
    let scopes = boards(60_000);
    let (one, same, other) =
        tokio::join!(scopes.open("boards/1"), scopes.open("boards/1"), scopes.open("boards/2"));
    let (one, same, other) = (one.unwrap(), same.unwrap(), other.unwrap());
    assert!(one.is(&same) && !one.is(&other));
    assert_eq!(scopes.list().len(), 2);
    let unknown = scopes.open("tables/1").await.unwrap_err();
    assert_eq!(Rejection::from(unknown), Rejection::message("No such scope"));
    let refused = scopes.open("boards/none").await.unwrap_err();
    assert_eq!(Rejection::from(refused), Rejection::message("no such board"));
    scopes.close().await;
    assert!(one.is_closed() && scopes.list().is_empty());
}

#[tokio::test]
async fn a_family_has_no_more_scopes_than_the_limit_and_no_endless_names() {
    let limits = Limits { scopes_max: 2, ..Limits::default() };
    let scopes =
        Scopes::builder().limits(limits).scope("boards/{id}", |_| Ok(graph())).build().unwrap();
    let long = scopes.open(&format!("boards/{}", "x".repeat(2_000))).await.unwrap_err();
    assert_eq!(Rejection::from(long), Rejection::message("No such scope"));
    let held = [scopes.open("boards/1").await.unwrap(), scopes.open("boards/2").await.unwrap()];
    let refused = Rejection::from(scopes.open("boards/3").await.unwrap_err());
    assert_eq!(refused.code.as_deref(), Some("too-large"));
    assert!(held[0].is(&scopes.open("boards/1").await.unwrap()), "what is open is not affected");
}

/// Boards that are kept, with these limits.
fn kept_boards(limits: Limits, metrics: &Metrics) -> Scopes {
    let scopes = Scopes::builder().limits(limits).storage(MemoryStorage::new());
    let scopes = scopes.metrics(metrics.clone()).scope("boards/{id}", |_| Ok(graph()));
    scopes.build().unwrap()
}

/// Opens a board, changes it, and lets go of it.
async fn visit(scopes: &Scopes, board: &str, value: f64) {
    let scope = scopes.open(board).await.unwrap();
    scope.update(set(&graph(), value)).await.unwrap();
    scope.read(|_| ()).await.unwrap();
}

fn open_names(scopes: &Scopes) -> Vec<String> {
    scopes.list().iter().map(|scope| scope.name().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_scope_that_was_not_used_for_longest_makes_room_for_another() {
    let limits = Limits { scopes_max: 3, ..Limits::default() };
    let metrics = Metrics::new();
    let scopes = kept_boards(limits, &metrics);
    for (board, value) in [("boards/1", 1.0), ("boards/2", 2.0), ("boards/3", 3.0)] {
        visit(&scopes, board, value).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    visit(&scopes, "boards/1", 11.0).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    visit(&scopes, "boards/4", 4.0).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(open_names(&scopes), ["boards/1", "boards/3", "boards/4"]);
    assert_eq!(metrics.scopes_evicted.get(), 1);
    let again = scopes.open("boards/2").await.unwrap();
    assert_eq!(again.read(count).await.unwrap(), is(2.0), "nothing of it is lost");
}

#[tokio::test(start_paused = true)]
async fn open_scopes_take_no_more_memory_than_the_limit_and_those_in_use_stay() {
    let limits = Limits { scopes_bytes_max: 3 * SCOPE_BYTES, ..Limits::default() };
    let metrics = Metrics::new();
    let scopes = kept_boards(limits, &metrics);
    let mut held = Vec::new();
    for board in ["boards/1", "boards/2", "boards/3"] {
        visit(&scopes, board, 1.0).await;
        held.push(scopes.open(board).await.unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let taken = metrics.scopes_bytes.get();
    assert!(taken > 3 * SCOPE_BYTES as i64, "{taken}");
    let refused = Rejection::from(scopes.open("boards/4").await.unwrap_err());
    assert_eq!(refused.code.as_deref(), Some("too-large"));
    assert!(refused.message.contains("take at most"), "{refused:?}");
    assert_eq!(refused.limit, Some(Limit::ScopesBytes));
    assert_eq!(open_names(&scopes).len(), 3, "they are in use");
    drop(held.remove(1));
    visit(&scopes, "boards/4", 4.0).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(open_names(&scopes), ["boards/1", "boards/3", "boards/4"]);
    assert_eq!(metrics.scopes_bytes.get(), taken, "one went and another came");
    drop(held);
    scopes.close().await;
    assert_eq!(metrics.scopes_bytes.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_nothing_is_let_go_of_for_its_room() {
    let limits = Limits { scopes_max: 1, ..Limits::default() };
    let scopes = Scopes::builder().limits(limits).scope("boards/{id}", |_| Ok(graph()));
    let scopes = scopes.build().unwrap();
    visit(&scopes, "boards/1", 1.0).await;
    assert!(scopes.open("boards/2").await.is_err());
    let again = scopes.open("boards/1").await.unwrap();
    assert_eq!(again.read(count).await.unwrap(), is(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_scope_of_a_family_is_closed_when_idle_and_comes_back_as_it_was() {
    let scopes = boards(1_000);
    let held = scopes.open("boards/1").await.unwrap();
    held.update(set(&graph(), 5.0)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5_000)).await;
    assert!(scopes.get("boards/1").is_some_and(|scope| scope.is(&held)), "somebody holds it");
    drop(held);
    tokio::time::sleep(Duration::from_millis(5_000)).await;
    assert!(scopes.list().is_empty(), "nobody holds it");
    let again = scopes.open("boards/1").await.unwrap();
    assert_eq!(again.read(count).await.unwrap(), is(5.0));
}

#[tokio::test(start_paused = true)]
async fn a_scope_is_idle_from_its_last_use_on() {
    let scopes = boards(1_000);
    let held = scopes.open("boards/1").await.unwrap();
    held.update(set(&graph(), 5.0)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    held.read(count).await.unwrap();
    drop(held);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(scopes.list().len(), 1, "the timer that was set before it was read does not count");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(scopes.list().is_empty(), "a second is over");
}

#[tokio::test]
async fn an_update_by_paths_changes_the_scope_or_is_refused() {
    let scope = Scope::new("Counter", graph());
    let update = |text: &str| Update::parse(text).unwrap();
    let set = update(r#"{"query": null, "update": {"$set": {"count": 7}}}"#);
    assert_eq!(scope.update_by(set).await.unwrap().accepted(), Ok(Revision(1)));
    assert_eq!(scope.read(count).await.unwrap(), is(7.0));
    let wrong = update(r#"{"query": null, "update": {"$set": {"cuont": 8}}}"#);
    let refused = scope.update_by(wrong).await.unwrap().accepted().unwrap_err();
    assert_eq!(refused.message, "cuont: no property \"cuont\" on \"Counter\"");
    assert_eq!(scope.revision(), Revision(1));
}

/// A scope whose changes an action decides about.
fn validated(action: impl crate::procedure::Action) -> Scope {
    Scope::builder("Counter", graph()).validate(action).build()
}

async fn send(scope: &Scope, member: MemberId, message: u64, value: f64) {
    let (changes, message) = (set(&graph(), value), MessageIndex(message));
    scope
        .send(Request::Sync { member, message, delivered: MessageIndex(0), changes })
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_an_action_decides_only_the_author_waits() {
    // Five seconds for whoever sets the count to 5.
    let scope = validated(|call: &ActionCall<'_>| {
        let slow = call.value("Counter", "count") == Some(&is(5.0));
        async move {
            tokio::time::sleep(Duration::from_secs(if slow { 5 } else { 0 })).await;
            Verdict::ACCEPT
        }
    });
    let (ann, anns) = join(&scope, 0).await;
    let mut others = Vec::new();
    for index in 1..=50 {
        others.push(join(&scope, index).await);
    }
    anns.take();
    let began = tokio::time::Instant::now();
    send(&scope, ann, 1, 5.0).await;
    send(&scope, ann, 2, 6.0).await;
    for (other, notes) in &others {
        notes.take();
        send(&scope, *other, 1, 1.0).await;
        notes.until("reply 1 [{}]").await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "nobody has waited for Ann");
    assert!(!anns.take().iter().any(|line| line.contains("reply")));
    anns.until("reply 2 [{}]").await;
    assert!(began.elapsed() >= Duration::from_secs(5));
    assert_eq!(scope.read(count).await.unwrap(), is(6.0));
    assert_eq!(scope.revision(), Revision(52));
}

#[tokio::test(start_paused = true)]
async fn an_action_that_panics_or_never_answers_refuses_its_change_set_and_no_other() {
    let scope = validated(|call: &ActionCall<'_>| {
        let value = call.value("Counter", "count").cloned();
        assert_ne!(value, Some(is(1.0)), "at once");
        async move {
            assert_ne!(value, Some(is(2.0)), "later");
            if value == Some(is(3.0)) {
                std::future::pending::<()>().await;
            }
            Verdict::ACCEPT
        }
    });
    let (ann, anns) = join(&scope, 0).await;
    for value in 1..=4 {
        send(&scope, ann, value, value as f64).await;
    }
    anns.until("reply 4 [{}]").await;
    let lines = anns.take();
    let failed = |line: &&String| line.contains("procedure-failed");
    assert_eq!(lines.iter().filter(failed).count(), 3, "{lines:?}");
    assert_eq!(scope.revision(), Revision(1));
}

#[tokio::test]
async fn a_request_is_recognised_when_the_scope_was_loaded_anew() {
    let kept = Arc::new(MemoryStorage::new());
    let scope = || Scope::builder("Counter", graph()).storage(kept.clone()).build();
    let text = r#"{"query": null, "update": {"$set": {"count": 3}}}"#;
    let ask = async |scope: Scope, author, content: &str| {
        let request = scope.on_behalf_of(author).key("k", content);
        let result = request.update_by(Update::parse(text).unwrap()).await;
        scope.close().await;
        result
    };
    let first = ask(scope(), "billing", "a").await.unwrap();
    assert_eq!(first.revision, Revision(1));
    assert_eq!(ask(scope(), "billing", "a").await.unwrap(), first);
    let name = ScopeName::from("Counter");
    assert_eq!(ask(scope(), "billing", "b").await, Err(ScopeError::KeyUsed(name)));
    assert_eq!(ask(scope(), "shipping", "b").await.unwrap().revision, Revision(2), "their own key");
}

#[tokio::test]
async fn a_state_is_known_again_by_its_tag_and_so_is_one_that_is_over() {
    let kept = Arc::new(MemoryStorage::new());
    let stored = || Scope::builder("Counter", graph()).storage(kept.clone()).build();
    let memory = || Scope::new("Counter", graph());
    let tag = async |scope: &Scope| scope.state(None).await.unwrap().unwrap().tag;
    let change = async |scope: &Scope, tag| {
        scope.on_behalf_of("billing").at(tag).update(set(&graph(), 1.0)).await
    };
    for (lasts, make) in [(true, &stored as &dyn Fn() -> Scope), (false, &memory)] {
        let first = make();
        let beginning = tag(&first).await;
        assert!(first.state(Some(beginning)).await.unwrap().is_none());
        assert_eq!(change(&first, beginning).await.unwrap().revision, Revision(1));
        let moved = ScopeError::Moved { scope: "Counter".into(), revision: Revision(1) };
        assert_eq!(change(&first, beginning).await, Err(moved));
        let by_revision = StateTag::of(Revision(1));
        assert_eq!(change(&first, by_revision).await.unwrap().revision, Revision(2));
        let last = tag(&first).await;
        first.close().await;
        let second = make();
        assert_eq!(change(&second, last).await.is_ok(), lasts);
        if !lasts {
            change(&second, StateTag::of(Revision(0))).await.unwrap();
            change(&second, StateTag::of(Revision(1))).await.unwrap();
            assert_ne!(tag(&second).await, last, "the same revision of another life");
        }
    }
    let object = memory().object(root()).await.unwrap().unwrap();
    assert_eq!((object.fragment.object, object.tag.revision), (root(), Revision(0)));
    assert!(memory().object(new_object_id()).await.unwrap().is_none());
}
