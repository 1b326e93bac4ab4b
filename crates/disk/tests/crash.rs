//! The embedded store on a disk that crashes after every write and every sync, whose unsynced sectors
//! reach it in any order, that is full, and whose syncs fail: what was acknowledged is there, in order and
//! once, and what was refused is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use jetstream::Storage;
use jetstream::core::ids::{MessageIndex, ObjectId, Revision, ScopeIndex, SessionId};
use jetstream::core::model::{Fragment, FragmentKind, Graph, Schema, Value};
use jetstream::core::scope::{Commit, Entry};
use jetstream::core::time::Timestamp;
use jetstream::storage::{
    EmbeddedOptions, EmbeddedStorage, Horizon, Snapshot, StoredScope, StoredSession, TokenHash,
};
use jetstream_disk::{Crash, Disk, Event, Fault, Plan};

/// What the work did, in the order in which it did it: notes on the disk are places in this list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fact {
    Begun { scope: usize },
    Tried { scope: usize, revision: u64, text: String },
    Acknowledged { scope: usize, revision: u64, text: String },
    Refused { text: String },
    SessionSaved { position: u64 },
}

/// One run of the work.
struct World {
    disk: Disk,
    vfs: String,
    folder: tempfile::TempDir,
    facts: Vec<Fact>,
    scopes: Vec<StoredScope>,
    /// The last acknowledged revision of each scope.
    revisions: Vec<u64>,
    attempts: usize,
}

static WORLDS: AtomicUsize = AtomicUsize::new(0);

const SCOPES: usize = 3;

impl World {
    fn new() -> Self {
        let vfs = format!("watched {}", WORLDS.fetch_add(1, Ordering::Relaxed));
        let schema = Schema::builder().model("Note", |m| m.property("text", "String")).build();
        let schema = Arc::new(schema.unwrap());
        let scope = |number| StoredScope::new(format!("scope {number}").into(), schema.clone());
        Self {
            disk: Disk::register(&vfs),
            vfs,
            folder: folder(),
            facts: Vec::new(),
            scopes: (0..SCOPES).map(scope).collect(),
            revisions: vec![0; SCOPES],
            attempts: 0,
        }
    }

    fn note(&mut self, fact: Fact) {
        self.disk.note(self.facts.len());
        self.facts.push(fact);
    }

    fn open(&self) -> EmbeddedStorage {
        let options = EmbeddedOptions {
            vfs: Some(self.vfs.clone()),
            checkpoint_pages: 12,
            ..EmbeddedOptions::new(self.folder.path())
        };
        EmbeddedStorage::open(&options).unwrap()
    }

    /// Some commits, snapshots, sessions, and a restart in between.
    async fn work(&mut self, plan: Option<Plan>) {
        for round in 0..2 {
            let storage = self.open();
            if round == 0 {
                for scope in 0..SCOPES {
                    let key = &self.scopes[scope];
                    storage.compact(key, beginning(key)).await.unwrap();
                    self.note(Fact::Begun { scope });
                }
                self.disk.plan(plan);
            }
            for turn in 0..6 {
                self.commit_to_all(&storage, turn).await;
                self.save_session(&storage, round * 10 + turn).await;
                let scope = &self.scopes[turn as usize % SCOPES];
                let stored = storage.load(scope).await.unwrap().unwrap();
                let snapshot = stored.rebuild(scope).unwrap().snapshot();
                // The store may be read-only just now; the next one does it.
                if storage.compact(scope, snapshot).await.is_ok() && turn % 2 == 0 {
                    let _ = storage.trim(scope, Horizon::NOW).await;
                }
            }
        }
    }

    /// A commit to each scope at the same time, again and again until all are acknowledged.
    async fn commit_to_all(&mut self, storage: &EmbeddedStorage, turn: u64) {
        let mut open: Vec<usize> = (0..SCOPES).collect();
        while !open.is_empty() {
            self.attempts += 1;
            let mut asked = Vec::new();
            for scope in open.drain(..) {
                let revision = self.revisions[scope] + 1;
                let size = if turn % 3 == scope as u64 { 6_000 } else { 50 };
                let text = format!("{scope}/{revision}/{} {}", self.attempts, "x".repeat(size));
                self.note(Fact::Tried { scope, revision, text: text.clone() });
                asked.push((scope, revision, text));
            }
            let appends = asked.iter().map(|(scope, revision, text)| {
                let key = &self.scopes[*scope];
                let entry = commit(key, *revision, text);
                async move { storage.append(key, &[entry]).await }
            });
            let answers = join_all(appends).await;
            for ((scope, revision, text), answer) in asked.into_iter().zip(answers) {
                match answer {
                    Ok(()) => {
                        self.revisions[scope] = revision;
                        self.note(Fact::Acknowledged { scope, revision, text });
                    }
                    Err(_) => {
                        self.note(Fact::Refused { text });
                        open.push(scope);
                    }
                }
            }
            if !open.is_empty() {
                let mut health = storage.health();
                health.wait_for(|health| health.is_good()).await.unwrap();
            }
        }
    }

    async fn save_session(&mut self, storage: &EmbeddedStorage, position: u64) {
        if storage.save_sessions(&[session(position)]).await.is_ok() {
            self.note(Fact::SessionSaved { position });
        }
    }
}

fn folder() -> tempfile::TempDir {
    // Nothing here is about a real disk, so it need not be one.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn root() -> ObjectId {
    "c0000000-0000-4000-8000-000000000001".parse().unwrap()
}

fn beginning(scope: &StoredScope) -> Snapshot {
    let (model, _) = scope.schema.find("Note").unwrap();
    Snapshot::of(&Graph::new(scope.schema.clone(), root(), model), Revision(0), Timestamp(0))
}

fn commit(scope: &StoredScope, revision: u64, text: &str) -> Entry {
    let (id, model) = scope.schema.find("Note").unwrap();
    let (property, _) = model.find("text").unwrap();
    let fragment = Fragment::new(FragmentKind::Change, root(), id)
        .with(property, Value::Scalar(Some(text.into())));
    Entry::Commit(Arc::new(Commit {
        revision: Revision(revision),
        time: Timestamp(revision as i64),
        author: None,
        origin: None,
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

/// What must hold of a store after these facts, of which the last may not have been told to anybody.
async fn check(storage: &EmbeddedStorage, scopes: &[StoredScope], facts: &[Fact], cut: &str) {
    for (number, scope) in scopes.iter().enumerate() {
        let begun = facts.contains(&Fact::Begun { scope: number });
        let Some(stored) = storage.load(scope).await.unwrap_or_else(|e| panic!("{cut}: {e}"))
        else {
            assert!(!begun, "{cut}: {} is gone", scope.name);
            continue;
        };
        let (mut tried, mut promised) = (BTreeMap::<u64, Vec<&str>>::new(), 0);
        for fact in facts {
            match fact {
                Fact::Tried { scope, revision, text } if *scope == number => {
                    tried.entry(*revision).or_default().push(text);
                }
                Fact::Acknowledged { scope, revision, text } if *scope == number => {
                    promised = *revision;
                    tried.insert(*revision, vec![text]);
                }
                Fact::Refused { text } => {
                    tried.values_mut().for_each(|texts| texts.retain(|other| other != text));
                }
                _ => {}
            }
        }
        let first = stored.snapshot.revision.0;
        let revisions: Vec<u64> =
            stored.entries.iter().filter_map(Entry::commit).map(|c| c.revision.0).collect();
        let expected: Vec<u64> = (first + 1..=first + revisions.len() as u64).collect();
        assert_eq!(revisions, expected, "{cut}: in order and once");
        let last = stored.revision().0;
        assert!(last >= promised, "{cut}: {} has {last} and was promised {promised}", scope.name);
        let rebuilt = stored.rebuild(scope).unwrap_or_else(|e| panic!("{cut}: {e}"));
        let (_, model) = scope.schema.find("Note").unwrap();
        let (property, _) = model.find("text").unwrap();
        let value = rebuilt.graph.object(root()).unwrap().value(property);
        let allowed = tried.get(&last).map(Vec::as_slice).unwrap_or_default();
        match value {
            Value::Scalar(Some(text)) => {
                let found = allowed.iter().any(|allowed| text == (*allowed).into());
                assert!(
                    found,
                    "{cut}: {} has at {last} what was refused or never said",
                    scope.name
                );
            }
            _ => assert_eq!(last, 0, "{cut}"),
        }
    }
    let saved = facts.iter().rev().find_map(|fact| match fact {
        Fact::SessionSaved { position } => Some(*position),
        _ => None,
    });
    let found = storage.load_session(&session(0).token).await.unwrap();
    let found = found.map(|session| session.position.0);
    assert!(found >= saved, "{cut}: the session is at {found:?} and was saved at {saved:?}");
}

/// A source of chances.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Cuts the power after the given events, and looks at what is left; `kinds` ways for each.
async fn crash_at(world: &World, wanted: impl Fn(usize, &Event) -> usize) -> usize {
    let events = world.disk.events();
    let (mut crash, mut known, mut crashes) = (Crash::default(), 0, 0);
    for (at, event) in events.iter().enumerate() {
        crash.take(event);
        if let Event::Note(note) = event {
            known = note + 1;
        }
        for kind in 0..wanted(at, event) {
            let mut dice = Dice(0x9e37_79b9 ^ ((at as u64) << 8) ^ kind as u64);
            // Nothing of what is uncertain, all of it, or any of it.
            let share = [50, 0, 100, 90, 10][kind % 5];
            let left = folder();
            crash.leave(left.path(), || dice.next() % 100 < share).unwrap();
            let options = EmbeddedOptions::new(left.path());
            let cut = format!("after event {at} of {}, way {kind}", events.len());
            let storage =
                EmbeddedStorage::open(&options).unwrap_or_else(|error| panic!("{cut}: {error}"));
            check(&storage, &world.scopes, &world.facts[..known], &cut).await;
            crashes += 1;
        }
    }
    crashes
}

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing_that_was_acknowledged() {
    let mut world = World::new();
    world.work(None).await;
    let crashes = crash_at(&world, |_, event| match event {
        Event::Write { .. } => 1,
        Event::Sync { .. } | Event::Truncate { .. } | Event::Delete { .. } => 2,
        _ => 0,
    })
    .await;
    assert!(crashes > 100, "{crashes} crashes");
}

/// Runs the work with a fault at each of some steps, and crashes some times after it.
async fn with_faults(fault: Fault, steps: usize, stride: usize) {
    for from in (0..steps).step_by(stride) {
        let mut world = World::new();
        let until = from + 1 + from % 4;
        world.work(Some(Plan { fault, from, until })).await;
        let refused = world.facts.iter().any(|fact| matches!(fact, Fact::Refused { .. }));
        let failed = world.disk.syncs().max(world.disk.writes()) > from;
        assert!(failed || !refused, "nothing is refused without a reason");
        let events = world.disk.events().len();
        let every = (events / 8).max(1);
        crash_at(&world, |at, _| usize::from(at % every == from % every)).await;
        let storage = EmbeddedStorage::open(&EmbeddedOptions::new(world.folder.path())).unwrap();
        check(&storage, &world.scopes, &world.facts, &format!("after the fault at {from}")).await;
        let promised = world.facts.iter().filter(|f| matches!(f, Fact::Acknowledged { .. }));
        assert_eq!(promised.count(), 2 * 6 * SCOPES, "in the end everything was taken");
    }
}

#[tokio::test]
async fn a_failed_sync_leaves_nothing_in_doubt() {
    with_faults(Fault::Sync, 30, 2).await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_taken_up_again() {
    with_faults(Fault::Full, 60, 5).await;
}

#[tokio::test]
async fn a_write_that_fails_loses_nothing() {
    with_faults(Fault::Write, 60, 7).await;
}
