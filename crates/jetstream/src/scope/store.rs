//! A scope's part of a store: what it begins with, what it adds, and when it is written anew.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use jetstream_core::ids::{Position, Revision, SharedText};
use jetstream_core::scope::{Entry, Restored};
use jetstream_core::time::Timestamp;
use tokio::sync::watch;

use super::Log;
use super::beginning::{BeginError, Beginning};
use crate::clock;
use crate::future::BoxFuture;
use crate::notify::Notifier;
use crate::storage::{
    Rebuilt, Snapshot, Storage, StorageError, StorageHealth, Stored, StoredScope,
};

/// Where one scope is kept.
///
/// One append is under way at a time. What comes meanwhile waits, and goes into the next one as a whole: so
/// however long the disk takes, it is asked once for all that waited.
pub(super) struct Store {
    storage: Arc<dyn Storage>,
    key: Arc<StoredScope>,
    health: watch::Receiver<StorageHealth>,
    /// Entries that wait for their turn, and the place of the last of them.
    waiting: Vec<Entry>,
    last: Position,
    appending: Option<(Position, Work)>,
    /// Entries since the last snapshot.
    since_snapshot: usize,
    objects: usize,
    compacting: Option<((), Work)>,
    /// Who is told of commits when they are stored.
    notifiers: Vec<Notifier>,
    /// The last commit of the append that is under way, if there is one in it.
    appended: Option<Revision>,
}

/// What came of a store's work.
pub(super) enum News {
    /// Entries up to this place are durable. Or they could not be stored; then nothing of what waits is,
    /// and the scope has to be [loaded](Store::load) again.
    Stored(Result<Position, StorageError>),
    /// The store can be written again, or not any more.
    Health,
    /// Nothing that is of consequence.
    Nothing,
}

type Work = BoxFuture<'static, Result<(), StorageError>>;

impl Store {
    pub(super) fn new((storage, key): Log, notifiers: Vec<Notifier>) -> Self {
        Self {
            health: storage.health(),
            storage,
            key,
            waiting: Vec::new(),
            last: Position(0),
            appending: None,
            since_snapshot: 0,
            objects: 0,
            compacting: None,
            notifiers,
            appended: None,
        }
    }

    /// What is stored; or `beginning`, which is stored then. A store that is away is waited for, as long as
    /// `is_left` does not say that nobody waits any more.
    pub(super) async fn load(
        &mut self,
        beginning: Option<Beginning>,
        is_left: impl Fn() -> bool,
    ) -> Result<Restored, BeginError> {
        let stored = self.read(is_left).await?;
        let restored = self.restore(stored, beginning).await?;
        // Before there can be a commit that they would not know of.
        for notifier in &self.notifiers {
            notifier.follow(&self.key.name).await?;
        }
        Ok(restored)
    }

    /// Somebody always waits for a scope that is loaded: its members, whoever fetches it, or a session that
    /// comes back to it after a crash and would lose it. So a store that cannot be read is asked again.
    ///
    /// Gives up if that cannot help: what is stored is damaged, or the store says for long that it is well
    /// and answers with an error all the same.
    async fn read(&mut self, is_left: impl Fn() -> bool) -> Result<Option<Stored>, StorageError> {
        let (mut failures_left, mut pause) = (FAILURES_WHILE_WELL_MAX, LOAD_PAUSE_MIN);
        loop {
            let error = match self.storage.load(&self.key).await {
                Err(error) if error.may_pass() && !is_left() => error,
                read => return read,
            };
            if self.health.borrow().is_good() {
                failures_left -= 1;
                if failures_left == 0 {
                    return Err(error);
                }
            }
            tracing::warn!(scope = %self.key.name, %error, "waits for the store");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Ok(()) = self.health.changed() => {}
            }
            pause = (2 * pause).min(LOAD_PAUSE_MAX);
        }
    }

    async fn restore(
        &mut self,
        stored: Option<Stored>,
        beginning: Option<Beginning>,
    ) -> Result<Restored, BeginError> {
        let Some(stored) = stored else {
            let beginning = beginning.ok_or_else(|| StorageError::unknown(&self.key.name))?;
            let beginning = beginning.graph().await?;
            let snapshot = Snapshot::of(&beginning, Revision(0), clock::now().wall);
            self.storage.compact(&self.key, snapshot).await?;
            return Ok(Restored::new(beginning));
        };
        self.since_snapshot = stored.entries.len();
        // Of a large scope this takes longer than others may wait for.
        let key = self.key.clone();
        let rebuilt = tokio::task::spawn_blocking(move || stored.rebuild(&key)).await;
        let rebuilt =
            rebuilt.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        if rebuilt.written != self.key.version {
            // What comes now is of the present schema, and must not stand behind another one's.
            self.storage.compact(&self.key, rebuilt.snapshot()).await?;
            self.since_snapshot = 0;
        }
        let Rebuilt { graph, revision, position, answered, recent, .. } = rebuilt;
        (self.last, self.objects) = (position, graph.len());
        Ok(Restored { graph, revision, position, answered, recent })
    }

    /// Takes an entry that has to be made durable.
    pub(super) fn enter(&mut self, position: Position, entry: Entry) {
        self.last = position;
        self.waiting.push(entry);
    }

    /// Whether everything is durable.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.appending.is_none()
    }

    /// Whether no more entries should be made before some are durable.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= ENTRIES_WAITING_MAX
    }

    /// Goes on with what there is to do, and says what came of it. Nothing is lost if it is dropped. Waits
    /// for ever if there is nothing to do.
    pub(super) async fn news(&mut self) -> News {
        self.begin();
        let Self { key, health, waiting, appending, compacting, notifiers, appended, .. } = self;
        tokio::select! {
            biased;
            result = poll_fn(|context| poll_slot(appending, context)) => {
                match (&result.1, appended.take()) {
                    (Ok(()), Some(last)) => {
                        notifiers.iter().for_each(|notifier| notifier.wake(&key.name, last));
                    }
                    (Ok(()), None) => {}
                    (Err(_), _) => waiting.clear(),
                }
                News::Stored(result.1.map(|()| result.0))
            }
            ((), result) = poll_fn(|context| poll_slot(compacting, context)) => {
                if let Err(error) = result {
                    // The log is as good without it; it is tried again when it has grown further.
                    tracing::warn!(scope = %key.name, %error, "no snapshot was taken");
                }
                News::Nothing
            }
            Ok(()) = health.changed() => News::Health,
            else => std::future::pending().await,
        }
    }

    /// Why nothing can be stored at present.
    pub(super) fn frozen(&mut self) -> Option<SharedText> {
        match &*self.health.borrow_and_update() {
            StorageHealth::Good => None,
            StorageHealth::ReadOnly { why } => Some(why.as_str().into()),
        }
    }

    /// Begins the next append and, now and then, a snapshot.
    fn begin(&mut self) {
        if self.appending.is_none() && !self.waiting.is_empty() {
            let entries = std::mem::take(&mut self.waiting);
            self.since_snapshot += entries.len();
            let last = entries.iter().rev().find_map(Entry::commit);
            self.appended = last.map(|commit| commit.revision);
            let (storage, key) = (self.storage.clone(), self.key.clone());
            let append = async move { storage.append(&key, &entries).await };
            self.appending = Some((self.last, Box::pin(append)));
        }
        // Rare enough that its cost, which grows with the scope, is spread over as many entries.
        if self.compacting.is_none()
            && self.since_snapshot >= self.objects.max(ENTRIES_BETWEEN_SNAPSHOTS)
        {
            self.since_snapshot = 0;
            let compact = compact(self.storage.clone(), self.key.clone());
            self.compacting = Some(((), Box::pin(compact)));
        }
    }
}

/// Waits for the work in a slot, and empties it.
fn poll_slot<T: Copy>(
    slot: &mut Option<(T, Work)>,
    context: &mut Context<'_>,
) -> Poll<(T, Result<(), StorageError>)> {
    let Some((name, work)) = slot else { return Poll::Pending };
    let (name, result) = (*name, ready!(work.as_mut().poll(context)));
    *slot = None;
    Poll::Ready((name, result))
}

/// Takes a snapshot of what is stored, beside the scope, which goes on meanwhile.
async fn compact(storage: Arc<dyn Storage>, key: Arc<StoredScope>) -> Result<(), StorageError> {
    let Some(stored) = storage.load(&key).await? else { return Ok(()) };
    let scope = key.clone();
    let snapshot = tokio::task::spawn_blocking(move || {
        stored.rebuild(&scope).map(|rebuilt| rebuilt.snapshot())
    });
    let snapshot =
        snapshot.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    storage.compact(&key, snapshot).await?;
    let now: Timestamp = clock::now().wall;
    storage.trim(&key, storage.retention().horizon(now)).await
}

/// How long a scope waits before it asks a store again that is away: at first, and at most.
const LOAD_PAUSE_MIN: Duration = Duration::from_millis(50);
const LOAD_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often a store may fail to load a scope while it says that it is well. It learns of a lost
/// connection a moment later than who asks it, so once is not enough; some ten seconds are.
const FAILURES_WHILE_WELL_MAX: usize = 15;

/// How many entries there are at least between two snapshots.
const ENTRIES_BETWEEN_SNAPSHOTS: usize = 1000;

/// How many entries wait for the disk before the scope waits with them: a few seconds' worth of a scope
/// under load, for a disk that hangs must not fill the memory.
const ENTRIES_WAITING_MAX: usize = 16_384;
