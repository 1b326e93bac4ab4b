//! Stories of a consumer: what it is told, what it does not take, and what becomes of that.

use std::collections::HashMap;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::ids::{Revision, ScopeName};
use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Graph, Schema, Value};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use super::*;
use crate::metrics::Metrics;
use crate::scope::Scope;
use crate::storage::{
    Call, ConsumerStorage, Evolution, Guarded, Horizon, LetterId, MemoryStorage, Retention,
    Storage, StorageError, StoredScope,
};

const CONSUMER: &str = "mail";

fn schema() -> Arc<Schema> {
    let schema = Schema::builder().model("Counter", |m| m.property("count", "Number")).build();
    Arc::new(schema.unwrap())
}

/// A store, scopes in it, and a consumer.
struct World {
    storage: MemoryStorage,
    schema: Arc<Schema>,
    metrics: Metrics,
    options: NotifyOptions,
}

impl World {
    fn new() -> Self {
        let options = NotifyOptions {
            retry_pause: Duration::from_millis(1),
            retry_pause_max: Duration::from_millis(5),
            ..NotifyOptions::default()
        };
        let keep = Retention { age_ms_max: u64::MAX, bytes_max: u64::MAX };
        let storage = MemoryStorage::keeping(keep);
        Self { storage, schema: schema(), metrics: Metrics::new(), options }
    }

    fn notifier(&self, consumer: impl Consumer) -> Notifier {
        self.notifier_over(Arc::new(self.storage.clone()), consumer)
    }

    fn notifier_over(&self, storage: Arc<dyn Storage>, consumer: impl Consumer) -> Notifier {
        let evolution = Arc::new(Evolution::only(self.schema.clone()));
        Notifier::builder(CONSUMER, storage, evolution)
            .options(self.options.clone())
            .metrics(self.metrics.clone())
            .build(consumer)
    }

    fn scope(&self, name: &str, notifier: &Notifier) -> Scope {
        let (model, _) = self.schema.find("Counter").unwrap();
        let root = "c0000000-0000-4000-8000-000000000001".parse().unwrap();
        let graph = Graph::new(self.schema.clone(), root, model);
        Scope::builder(name, graph)
            .storage(Arc::new(self.storage.clone()))
            .metrics(self.metrics.clone())
            .notify(notifier.clone())
            .build()
    }

    fn key(&self, name: &str) -> StoredScope {
        StoredScope::new(name.into(), self.schema.clone())
    }

    /// How far the consumer has got.
    async fn got(&self, name: &str) -> u64 {
        self.storage.progress(&name.into(), CONSUMER).await.unwrap().unwrap().revision.0
    }

    async fn wait_for(&self, name: &str, revision: u64) {
        while self.got(name).await < revision {
            tokio::task::yield_now().await;
        }
    }
}

async fn count(scope: &Scope, value: u64) {
    let change = scope.update_with(move |graph| {
        let (id, model) = graph.schema().find("Counter").unwrap();
        let (count, _) = model.find("count").unwrap();
        let fragment = Fragment::new(FragmentKind::Change, graph.root(), id)
            .with(count, Value::Scalar(Some((value as f64).into())));
        (ChangeSet::new([fragment]), ())
    });
    change.await.unwrap().0.accepted().unwrap();
}

/// What a notice says: its scope, and the revisions; or from where to where they are missing.
fn said(notice: &Notice) -> String {
    let body: Json = serde_json::from_str(notice.body()).unwrap();
    let data = &body["data"];
    assert_eq!(data["scope"], notice.scope().as_str());
    assert_eq!(
        (data["after"].as_u64(), data["revision"].as_u64()),
        (Some(notice.after().0), Some(notice.revision().0))
    );
    match body["type"].as_str() {
        Some("scope.changed") => {
            let commits = data["commits"].as_array().unwrap();
            let revisions = commits.iter().map(|c| c["revision"].as_u64().unwrap().to_string());
            format!("{} {}", notice.scope(), revisions.collect::<Vec<_>>().join(","))
        }
        Some("scope.missed") => {
            format!("{} missed {}..{}", notice.scope(), notice.after(), notice.revision())
        }
        other => panic!("{other:?}"),
    }
}

/// A consumer that passes on what it is told, and answers what it is told to.
fn consumer(
    answer: impl Fn(&Notice) -> Result<(), NotTaken> + Send + Sync + 'static,
) -> (impl Consumer, mpsc::UnboundedReceiver<String>) {
    let (told, heard) = mpsc::unbounded_channel();
    let consumer = move |notice: &Notice| {
        let _ = told.send(said(notice));
        ready(answer(notice))
    };
    (consumer, heard)
}

fn taking() -> (impl Consumer, mpsc::UnboundedReceiver<String>) {
    consumer(|_| Ok(()))
}

async fn next(heard: &mut mpsc::UnboundedReceiver<String>) -> String {
    heard.recv().await.unwrap()
}

#[tokio::test]
async fn commits_are_told_in_order_and_what_came_together_is_told_together() {
    let world = World::new();
    let (consumer, mut heard) = taking();
    let notifier = world.notifier(consumer);
    let scope = world.scope("one", &notifier);
    for value in 1..=3 {
        count(&scope, value).await;
    }
    notifier.begin();
    assert_eq!(next(&mut heard).await, "one 1,2,3");
    world.wait_for("one", 3).await;
    count(&scope, 4).await;
    assert_eq!(next(&mut heard).await, "one 4");
    world.wait_for("one", 4).await;
    notifier.stop().await;
    assert!(heard.try_recv().is_err(), "nothing twice");
}

#[tokio::test]
async fn a_notice_holds_what_it_may_and_the_rest_follows() {
    let mut world = World::new();
    world.options.batch_commits_max = 2;
    let (consumer, mut heard) = taking();
    let notifier = world.notifier(consumer);
    let scope = world.scope("one", &notifier);
    for value in 1..=5 {
        count(&scope, value).await;
    }
    notifier.begin();
    for expected in ["one 1,2", "one 3,4", "one 5"] {
        assert_eq!(next(&mut heard).await, expected);
    }
    world.options = NotifyOptions { batch_bytes_max: 1, ..NotifyOptions::default() };
    notifier.stop().await;
    let (consumer, mut heard) = taking();
    let notifier = world.notifier(consumer);
    for value in 6..=7 {
        count(&scope, value).await;
    }
    notifier.begin();
    assert_eq!(next(&mut heard).await, "one 6", "one commit, however long it is");
    assert_eq!(next(&mut heard).await, "one 7");
}

#[tokio::test]
async fn what_is_told_is_spelled_as_on_the_wire() {
    let world = World::new();
    let (told, mut heard) = mpsc::unbounded_channel();
    let notifier = world.notifier(move |notice: &Notice| {
        let _ = told.send((notice.key().to_owned(), notice.body().to_string()));
        ready(Ok(()))
    });
    let scope = world.scope("boards/\"1\"", &notifier);
    count(&scope, 7).await;
    notifier.begin();
    let (key, body) = heard.recv().await.unwrap();
    let body: Json = serde_json::from_str(&body).unwrap();
    let time = body["timestamp"].clone();
    let fragment = json!({
        "type": "change", "uuid": "c0000000-0000-4000-8000-000000000001", "clsName": "Counter",
        "properties": {"count": 7},
    });
    let expected = json!({
        "type": "scope.changed",
        "timestamp": time,
        "data": {
            "scope": "boards/\"1\"", "after": 0, "revision": 1,
            "commits": [{"revision": 1, "time": time, "fragments": [fragment]}],
        },
    });
    assert_eq!(body, expected);
    assert!(time.as_str().unwrap().ends_with('Z'));
    assert!(key.len() == 36 && key.starts_with("msg_"), "{key}");
}

#[tokio::test]
async fn what_was_left_is_told_by_the_next_server_without_opening_a_scope() {
    let world = World::new();
    let first = world.notifier(|_: &Notice| pending());
    let scope = world.scope("one", &first);
    count(&scope, 1).await;
    count(&scope, 2).await;
    scope.close().await;
    drop((scope, first));
    let closed = Guarded::new(world.storage.clone(), |call| {
        assert_ne!(call, Call::Load, "no scope is opened for it");
        Box::pin(ready(Ok(())))
    });
    let (consumer, mut heard) = taking();
    let second = world.notifier_over(Arc::new(closed), consumer);
    second.begin();
    assert_eq!(next(&mut heard).await, "one 1,2");
    world.wait_for("one", 2).await;
}

#[tokio::test]
async fn more_scopes_than_are_read_at_a_time_are_all_told_about() {
    let mut world = World::new();
    world.options.scopes_at_a_time_max = 3;
    let before = world.notifier(taking().0);
    for number in 0..600 {
        let scope = world.scope(&format!("{number}"), &before);
        count(&scope, 1).await;
        scope.close().await;
    }
    let (consumer, mut heard) = taking();
    let notifier = world.notifier(consumer);
    notifier.begin();
    let mut told = std::collections::BTreeSet::new();
    for _ in 0..600 {
        told.insert(next(&mut heard).await);
    }
    assert_eq!(told.len(), 600);
}

#[tokio::test]
async fn a_scope_whose_news_are_not_taken_keeps_its_order_and_no_other_waiting() {
    let world = World::new();
    let failing = Arc::new(Mutex::new(true));
    let fails = failing.clone();
    let (consumer, mut heard) = consumer(move |notice| {
        let fails = *fails.lock() && notice.scope().as_str() == "bad";
        if fails { Err(NotTaken::later("not now")) } else { Ok(()) }
    });
    let notifier = world.notifier(consumer);
    let (bad, good) = (world.scope("bad", &notifier), world.scope("good", &notifier));
    notifier.begin();
    count(&bad, 1).await;
    assert_eq!(next(&mut heard).await, "bad 1");
    count(&bad, 2).await;
    count(&good, 1).await;
    while next(&mut heard).await != "good 1" {}
    world.wait_for("good", 1).await;
    let since = world.storage.progress(&"bad".into(), CONSUMER).await.unwrap().unwrap();
    assert_eq!((since.revision, since.failing_since.is_some()), (Revision(0), true));
    // It is the same notice again, also when more has come meanwhile.
    assert_eq!(next(&mut heard).await, "bad 1");
    *failing.lock() = false;
    world.wait_for("bad", 2).await;
    let mut told = Vec::new();
    while let Ok(notice) = heard.try_recv() {
        told.push(notice);
    }
    assert_eq!(told.last().unwrap(), "bad 2");
    assert!(told[..told.len() - 1].iter().all(|notice| notice == "bad 1"), "{told:?}");
    let progress = world.storage.progress(&"bad".into(), CONSUMER).await.unwrap().unwrap();
    assert_eq!(progress.failing_since, None);
}

#[tokio::test]
async fn a_consumer_that_hangs_or_panics_delays_no_scope() {
    let world = World::new();
    let hangs = world.notifier(|_: &Notice| pending());
    hangs.begin();
    let scope = world.scope("one", &hangs);
    for value in 1..100 {
        count(&scope, value).await;
    }
    assert_eq!(scope.revision(), Revision(99));

    let mut world = World::new();
    world.options.retry_for = Duration::MAX;
    let times = Mutex::new(0);
    let (told, mut heard) = mpsc::unbounded_channel();
    let panics = world.notifier(move |notice: &Notice| {
        *times.lock() += 1;
        assert!(*times.lock() > 2, "a mistake of the application's");
        let _ = told.send(said(notice));
        ready(Ok(()))
    });
    panics.begin();
    let scope = world.scope("one", &panics);
    count(&scope, 1).await;
    assert_eq!(next(&mut heard).await, "one 1");
    assert_eq!(world.metrics.handler_panics.get(), 2);
}

#[tokio::test]
async fn who_is_behind_what_is_kept_is_told_what_it_misses() {
    let world = World::new();
    let (consumer, mut heard) = taking();
    let notifier = world.notifier(consumer);
    let scope = world.scope("one", &notifier);
    for value in 1..=6 {
        count(&scope, value).await;
    }
    let key = world.key("one");
    let stored = world.storage.load(&key).await.unwrap().unwrap();
    let snapshot = stored.until(jetstream_core::ids::Position(4)).rebuild(&key).unwrap().snapshot();
    world.storage.compact(&key, snapshot).await.unwrap();
    world.storage.trim(&key, Horizon::NOW).await.unwrap();
    notifier.begin();
    assert_eq!(next(&mut heard).await, "one missed 0..4");
    assert_eq!(next(&mut heard).await, "one 5,6");
    world.wait_for("one", 6).await;
}

#[tokio::test]
async fn what_is_not_taken_for_its_time_is_set_aside_and_the_next_follows() {
    let mut world = World::new();
    world.options.retry_for = Duration::from_millis(1);
    world.options.batch_commits_max = 1;
    let (consumer, _heard) = consumer(|notice| match notice.revision() {
        Revision(1) => Err(NotTaken::later("it does not like the first")),
        _ => Ok(()),
    });
    let notifier = world.notifier(consumer);
    let scope = world.scope("one", &notifier);
    count(&scope, 1).await;
    count(&scope, 2).await;
    notifier.begin();
    world.wait_for("one", 2).await;
    let letters = notifier.letters(None, 10).await.unwrap();
    let [(id, letter)] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.after, letter.revision), (Revision(0), Revision(1)));
    assert_eq!((&*letter.consumer, &*letter.why), (CONSUMER, "it does not like the first"));
    assert!(world.storage.letter_text(*id).await.unwrap().unwrap().contains("scope.changed"));
    let text = world.metrics.render();
    assert!(text.contains("jetstream_notify_dead_letters{consumer=\"mail\"} 1"), "{text}");
    assert!(world.metrics.of_consumer(CONSUMER).failures.get() >= 2, "it was tried again");
}

#[tokio::test]
async fn what_was_set_aside_can_be_told_again_with_its_key_or_forgotten() {
    let world = World::new();
    let keys = Arc::new(Mutex::new(HashMap::<String, u32>::new()));
    let (refusing, noted) = (Arc::new(Mutex::new(true)), keys.clone());
    let refuses = refusing.clone();
    let (consumer, mut heard) = consumer(move |notice| {
        *noted.lock().entry(notice.key().to_owned()).or_default() += 1;
        if *refuses.lock() { Err(NotTaken::Never("what is this?".to_owned())) } else { Ok(()) }
    });
    let notifier = world.notifier(consumer);
    notifier.begin();
    let scope = world.scope("one", &notifier);
    for value in 1..=2 {
        count(&scope, value).await;
        world.wait_for("one", value).await;
    }
    let letters = notifier.letters(None, 10).await.unwrap();
    let [(first, letter), (second, _)] = &letters[..] else { panic!("{letters:?}") };
    let stays = notifier.retry(*first, letter).await.unwrap_err();
    assert_eq!(stays.to_string(), "it was not taken: what is this?");
    *refusing.lock() = false;
    notifier.retry(*first, letter).await.unwrap();
    assert_eq!(keys.lock()[&letter.key], 3, "the key is the same each time");
    let unknown = notifier.retry(*first, letter).await;
    assert_eq!(unknown, Err(LetterError::Unknown(*first)));
    notifier.forget(*second).await.unwrap();
    notifier.forget(LetterId(99)).await.unwrap();
    assert!(notifier.letters(None, 10).await.unwrap().is_empty());
    assert_eq!(notifier.standing().letters, 0);
    heard.close();
}

#[tokio::test]
async fn a_consumer_that_is_gone_is_told_nothing_until_it_is_resumed() {
    let world = World::new();
    let gone = Arc::new(Mutex::new(true));
    let is_gone = gone.clone();
    let (consumer, mut heard) = consumer(move |_| {
        if *is_gone.lock() { Err(NotTaken::Gone("moved away".to_owned())) } else { Ok(()) }
    });
    let notifier = world.notifier(consumer);
    notifier.begin();
    let (one, other) = (world.scope("one", &notifier), world.scope("other", &notifier));
    count(&one, 1).await;
    assert_eq!(next(&mut heard).await, "one 1");
    while notifier.standing().stopped.is_none() {
        tokio::task::yield_now().await;
    }
    count(&one, 2).await;
    count(&other, 1).await;
    *gone.lock() = false;
    notifier.resume().await;
    world.wait_for("one", 2).await;
    world.wait_for("other", 1).await;
    assert_eq!(notifier.standing().stopped, None);
    assert!(notifier.letters(None, 10).await.unwrap().is_empty(), "nothing was given up");
    let mut told = vec![next(&mut heard).await, next(&mut heard).await, next(&mut heard).await];
    told.sort();
    assert_eq!(told, ["one 1", "one 2", "other 1"]);
}

#[tokio::test]
async fn with_too_many_dead_letters_nothing_more_is_given_up() {
    let mut world = World::new();
    world.options.letters_max = 1;
    let (consumer, _heard) = consumer(|_| Err(NotTaken::Never("no".to_owned())));
    let notifier = world.notifier(consumer);
    notifier.begin();
    let scope = world.scope("one", &notifier);
    count(&scope, 1).await;
    world.wait_for("one", 1).await;
    count(&scope, 2).await;
    while notifier.standing().stopped.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!((world.got("one").await, notifier.standing().letters), (1, 1));
    // A server that begins anew knows of them.
    notifier.stop().await;
    let (consumer, _heard) = self::consumer(|_| Err(NotTaken::Never("no".to_owned())));
    let again = world.notifier(consumer);
    again.begin();
    while again.standing().stopped.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!((world.got("one").await, again.standing().letters), (1, 1));
}

#[tokio::test]
async fn a_consumer_that_is_away_loses_nothing_and_no_time_of_its_notices() {
    let mut world = World::new();
    world.options.retry_for = Duration::ZERO;
    let times = Arc::new(Mutex::new(0));
    let asked = times.clone();
    let (consumer, mut heard) = consumer(move |_| {
        *asked.lock() += 1;
        if *asked.lock() < 4 { Err(NotTaken::Away(Duration::from_millis(2))) } else { Ok(()) }
    });
    let notifier = world.notifier(consumer);
    notifier.begin();
    let scope = world.scope("one", &notifier);
    count(&scope, 1).await;
    for _ in 0..4 {
        assert_eq!(next(&mut heard).await, "one 1");
    }
    world.wait_for("one", 1).await;
    assert!(notifier.letters(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_loses_nothing() {
    let world = World::new();
    let failing = Arc::new(Mutex::new(true));
    let fails = failing.clone();
    let guarded = Guarded::new(world.storage.clone(), move |call| {
        let fails = *fails.lock() && matches!(call, Call::Read | Call::Write);
        let failed = || StorageError::Failed("a test".to_owned());
        Box::pin(ready(if fails { Err(failed()) } else { Ok(()) }))
    });
    let (consumer, mut heard) = taking();
    let unheard = world.notifier(|_: &Notice| pending::<Result<(), NotTaken>>());
    let scope = world.scope("one", &unheard);
    count(&scope, 1).await;
    let notifier = world.notifier_over(Arc::new(guarded), consumer);
    notifier.begin();
    notifier.wake(&ScopeName::from("one"), Revision(1));
    while world.metrics.of_consumer(CONSUMER).lag_revisions.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(heard.try_recv().is_err());
    *failing.lock() = false;
    assert_eq!(next(&mut heard).await, "one 1");
}
