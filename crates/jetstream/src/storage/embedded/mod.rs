//! A store in a folder, with nothing to install: SQLite inside the process.
//!
//! - `layout`: the tables. `key`: how their rows are numbered; `head`: where a scope's log ends.
//! - `writer`: the one thread that writes, a transaction at a time for all who wait; `queue` is what waits,
//!   `change` what a transaction consists of.
//! - `consumers`: how far those have got who are told of commits.
//! - `read`: everything that only reads, on connections of its own.
//! - `wal`: what SQLite would take back at the start without a word; `promises`: what was promised of it,
//!   and `recovery`: what becomes of that when the files are not what they were.
//! - `trouble`: what SQLite says, sorted by whose matter it is.
//! - `folder`: one server at a time, and room for when the disk is full.
//! - `copy`: a copy of it, and the way back; `salvage`: a new store of what is left of a damaged one.

mod change;
mod consumers;
mod copy;
mod folder;
#[cfg(any(test, feature = "contract"))]
pub mod fuzzing;
mod head;
mod key;
mod layout;
mod promises;
mod queue;
mod read;
mod recovery;
mod salvage;
mod trouble;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use jetstream_core::ids::{Revision, ScopeName, SessionId};
use jetstream_core::scope::Entry;
use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    Horizon, Moment, PastCommit, Retention, ScopeSummary, Snapshot, Storage, StorageError,
    StorageHealth, Stored, StoredSchema, StoredScope, StoredSession, TokenHash, record,
};
use crate::future::BoxFuture;
pub use copy::Restoring;
pub use salvage::Salvaged;

use change::{Append, Change, Changes, NewSnapshot};
use folder::Folder;
use promises::{Promised, Promises};
use queue::{Job, Queue};
use read::Readers;
use trouble::Trouble;
use writer::{Writer, checkpoint};

/// Where and how an [`EmbeddedStorage`] keeps what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// The folder; it is made if it is not there.
    pub path: PathBuf,
    /// How much of the past is kept.
    pub retention: Retention,
    /// How long the log that is written ahead may become before it is brought into the database, in pages
    /// of 4 KiB. A start reads it.
    pub checkpoint_pages: usize,
    /// The name under which SQLite knows the way to the disk; `None`: the system's own.
    pub vfs: Option<String>,
}

impl EmbeddedOptions {
    /// In this folder, with everything else as usual.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let (retention, checkpoint_pages) = (Retention::default(), CHECKPOINT_PAGES);
        Self { path: path.into(), retention, checkpoint_pages, vfs: None }
    }
}

/// What was found when a store was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpeningReport {
    /// The bytes of a transaction that a crash has torn. Nobody had been told that it is stored.
    pub torn_bytes: u64,
    /// Where the log ahead was damaged, in bytes. What was left of it was put together.
    pub damaged_log: Option<u64>,
    /// The scopes that have lost what was promised, and are not opened any more.
    pub damaged: Vec<ScopeName>,
    /// How many sessions were not as they had been, and begin anew.
    pub sessions_forgotten: usize,
}

/// Keeps everything in a folder. Clones share it; it is closed with the last one.
#[derive(Debug, Clone)]
pub struct EmbeddedStorage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Arc<Queue>,
    /// Free places in the queue.
    places: Arc<Semaphore>,
    readers: Arc<Readers>,
    retention: Retention,
    health: watch::Receiver<StorageHealth>,
    report: OpeningReport,
    threads: Mutex<Vec<JoinHandle<()>>>,
    folder: Arc<Folder>,
}

impl EmbeddedStorage {
    /// Opens the store, or makes an empty one. How long that takes does not depend on how much is stored.
    ///
    /// # Errors
    ///
    /// If another server has it open, it is another program's or another version's, the disk fails, or so much
    /// is damaged that what is left does not fit together.
    pub fn open(options: &EmbeddedOptions) -> Result<Self, StorageError> {
        let folder = Arc::new(Folder::take(&options.path)?);
        let failed = |error: std::io::Error| {
            let path = folder.path.join(layout::PROMISES);
            StorageError::Failed(format!("cannot read {}: {error}", path.display()))
        };
        let mut promised = Promised::read(&folder.path).map_err(failed)?;
        let report = recovery::look(&folder.path, promised.as_ref())?;
        if let Some(list) = &promised
            && !recovery::is_telling(&folder.path, list).map_err(failed)?
        {
            promised = None;
        }
        let opened = Self::open_in(folder, options, report, promised);
        opened.map_err(|trouble| {
            let path = options.path.display();
            let hint = match &trouble {
                Trouble::Damaged(_) => recovery::HINT,
                _ => "",
            };
            match trouble.of(None) {
                StorageError::Failed(what) => {
                    StorageError::Failed(format!("cannot open the store in {path}: {what}{hint}"))
                }
                other => other,
            }
        })
    }

    fn open_in(
        folder: Arc<Folder>,
        options: &EmbeddedOptions,
        mut report: OpeningReport,
        promised: Option<Promised>,
    ) -> Result<Self, Trouble> {
        let vfs = options.vfs.as_deref();
        let mut db = layout::connect(&folder.path, vfs)?;
        layout::prepare(&db)?;
        if let Some(promised) = &promised {
            recovery::compare(&db, promised, &mut report)?;
        }
        forget_half_snapshots(&db)?;
        folder.make_reserve()?;
        let pages = Arc::new(AtomicUsize::new(0));
        let counted = pages.clone();
        db.wal_hook(Some(move |_: &mut Wal, pages: i32| {
            counted.store(usize::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let queue = Arc::new(Queue::default());
        let (health, health_seen) = watch::channel(StorageHealth::Good);
        let (checkpoints, asked) = sync_channel(1);
        let beside = layout::connect(&folder.path, vfs)?;
        let writer = Writer {
            db,
            folder: folder.clone(),
            queue: queue.clone(),
            changes: Changes::new(),
            promises: Promises::resume(&folder.path, promised.as_ref()),
            health,
            pages,
            checkpoint_pages: options.checkpoint_pages,
            checkpoints,
        };
        let threads = vec![
            spawn("store-checkpoints", {
                let queue = queue.clone();
                move || make_checkpoints(&beside, &asked, &queue)
            })?,
            spawn("store-writer", move || writer.run())?,
        ];
        let readers = Arc::new(Readers::new(folder.path.clone(), options.vfs.clone()));
        let places = Arc::new(Semaphore::new(WAITING_MAX));
        let (retention, threads) = (options.retention, Mutex::new(threads));
        let inner = Inner {
            queue,
            places,
            readers,
            retention,
            health: health_seen,
            report,
            threads,
            folder,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The name of the file that makes a folder a store.
    pub const FILE: &str = layout::DATABASE;

    /// Whether there is a store in a folder.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(layout::DATABASE).exists()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0.folder.path
    }

    /// What was found at the start.
    pub fn report(&self) -> &OpeningReport {
        &self.0.report
    }

    /// Hands a change to the writer and waits until it is durable, or will never be.
    async fn change(&self, change: Change) -> Result<bool, StorageError> {
        let place = self.0.places.clone().acquire_owned().await.expect("nobody closes it");
        let (answer, answered) = oneshot::channel();
        self.0.queue.push(Job { change, answer, _place: place });
        let closed = || StorageError::Failed("the store was closed".to_owned());
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Asks a question that only reads.
    async fn ask<T: Send + 'static>(
        &self,
        scope: Option<ScopeName>,
        question: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.0.readers.ask(scope, question).await
    }

    async fn add_snapshot(
        &self,
        scope: &StoredScope,
        snapshot: Snapshot,
    ) -> Result<(), StorageError> {
        let serial = key::draw_snapshot().map_err(|trouble| trouble.of(Some(&scope.name)))?;
        let Snapshot { position, revision, time, .. } = snapshot;
        let sealed = {
            let scope = scope.clone();
            let write = move || record::write_snapshot(&scope, &snapshot);
            tokio::task::spawn_blocking(write).await
        };
        let sealed = sealed
            .map_err(|panic| StorageError::Failed(format!("a snapshot fell over: {panic}")))?;
        let (bytes, crc) = (sealed.text.len(), sealed.crc);
        let text = sealed.text.into_bytes();
        let mut parts = text.chunks(PART_BYTES).enumerate();
        let last = parts.next_back();
        for (part, record) in parts {
            let record = record.to_vec();
            self.change(Change::Stage { serial, part, record }).await?;
        }
        let last_part = last.map_or((0, Vec::new()), |(part, record)| (part, record.to_vec()));
        let (scope, version) = (scope.name.clone(), scope.version);
        let snapshot =
            NewSnapshot { scope, version, serial, position, revision, time, bytes, crc, last_part };
        self.change(Change::Snapshot(snapshot)).await.map(drop)
    }

    fn append_of(scope: &StoredScope, entries: &[Entry]) -> Result<Append, StorageError> {
        let commits = || entries.iter().filter_map(Entry::commit);
        let mut pairs = commits().zip(commits().skip(1));
        if let Some((one, next)) = pairs.find(|(one, next)| one.revision >= next.revision) {
            let (one, next) = (one.revision, next.revision);
            let refused = format!("revision {next} does not come after {one}");
            return Err(StorageError::Refused(refused));
        }
        let first_and_last = commits().next().zip(commits().next_back());
        Ok(Append {
            scope: scope.name.clone(),
            version: scope.version,
            entries: entries.len() as u64,
            commits: first_and_last.map(|(first, last)| (first.revision, last.revision, last.time)),
            text: record::entries_text(scope, entries),
        })
    }
}

/// Throws away snapshots that were not written to their end.
fn forget_half_snapshots(db: &Connection) -> Result<(), Trouble> {
    let forgotten = db.execute("UPDATE garbage SET kind = 1 WHERE kind = 0", []);
    match forgotten.map_err(Trouble::from) {
        Err(Trouble::Damaged(error)) => {
            tracing::error!(error, "half snapshots of an earlier server are never swept");
            Ok(())
        }
        other => other.map(drop),
    }
}

fn make_checkpoints(db: &Connection, asked: &Receiver<()>, queue: &Queue) {
    while asked.recv().is_ok() && !queue.is_closed() {
        match checkpoint(db, "PASSIVE") {
            Ok(_) => queue.finish_checkpoint(),
            Err(trouble) => queue.report(trouble),
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Trouble> {
    Ok(thread::Builder::new().name(name.to_owned()).spawn(run)?)
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        self.readers.close();
        // The folder is free for the next when nobody writes to it any more.
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Storage for EmbeddedStorage {
    fn load<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Stored>, StorageError>> {
        let (name, scope) = (scope.name.clone(), scope.clone());
        Box::pin(self.0.readers.ask(Some(name), move |db| read::load(db, &scope)))
    }

    fn append<'a>(
        &'a self,
        scope: &'a StoredScope,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            if entries.is_empty() {
                return Ok(());
            }
            let append = Self::append_of(scope, entries)?;
            self.change(Change::Append(append)).await.map(drop)
        })
    }

    fn compact<'a>(
        &'a self,
        scope: &'a StoredScope,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(self.add_snapshot(scope, snapshot))
    }

    fn trim<'a>(
        &'a self,
        scope: &'a StoredScope,
        horizon: Horizon,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let scope = scope.name.clone();
        Box::pin(async move { self.change(Change::Trim { scope, horizon }).await.map(drop) })
    }

    fn retention(&self) -> Retention {
        self.0.retention
    }

    fn snapshot_at<'a>(
        &'a self,
        scope: &'a StoredScope,
        moment: Moment,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, StorageError>> {
        let (name, scope) = (scope.name.clone(), scope.clone());
        Box::pin(self.0.readers.ask(Some(name), move |db| read::snapshot_at(db, &scope, moment)))
    }

    fn commits<'a>(
        &'a self,
        scope: &'a StoredScope,
        after: Revision,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PastCommit>, StorageError>> {
        let (name, scope) = (scope.name.clone(), scope.clone());
        Box::pin(self.0.readers.ask(Some(name), move |db| read::commits(db, &scope, after, max)))
    }

    fn scopes<'a>(
        &'a self,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<ScopeSummary>, StorageError>> {
        let after = after.cloned();
        Box::pin(self.0.readers.ask(None, move |db| read::scopes(db, after.as_ref(), max)))
    }

    fn remove_scope<'a>(
        &'a self,
        scope: &'a ScopeName,
    ) -> BoxFuture<'a, Result<bool, StorageError>> {
        Box::pin(self.change(Change::Remove(scope.clone())))
    }

    fn load_session<'a>(
        &'a self,
        token: &'a TokenHash,
    ) -> BoxFuture<'a, Result<Option<StoredSession>, StorageError>> {
        let token = *token;
        Box::pin(self.0.readers.ask(None, move |db| read::session(db, &token)))
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredSession>, StorageError>> {
        Box::pin(self.0.readers.ask(None, move |db| read::sessions(db, after, max)))
    }

    fn save_sessions<'a>(
        &'a self,
        sessions: &'a [StoredSession],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let sealed = sessions
            .iter()
            .map(|session| (session.id, session.token, record::write_session(session)));
        let change = Change::SaveSessions(sealed.collect());
        Box::pin(async move { self.change(change).await.map(drop) })
    }

    fn forget_sessions<'a>(
        &'a self,
        sessions: &'a [SessionId],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let change = Change::ForgetSessions(sessions.to_vec());
        Box::pin(async move { self.change(change).await.map(drop) })
    }

    fn schemas(&self) -> BoxFuture<'_, Result<Vec<StoredSchema>, StorageError>> {
        Box::pin(self.0.readers.ask(None, read::schemas))
    }

    fn add_schema(&self, schema: StoredSchema) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move { self.change(Change::AddSchema(schema)).await.map(drop) })
    }

    fn back_up<'a>(&'a self, folder: &'a Path) -> BoxFuture<'a, Result<(), StorageError>> {
        let (inner, to) = (self.0.clone(), folder.to_owned());
        Box::pin(async move {
            // Not one of the readers, which others wait for: a large copy takes minutes.
            let copy = move || copy::write(&inner.folder.path, inner.readers.vfs(), &to);
            let copied = tokio::task::spawn_blocking(copy).await;
            let fell = |panic| StorageError::Failed(format!("the copy fell over: {panic}"));
            copied.map_err(fell)?.map_err(|trouble| trouble.of(None))
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, StorageError>> {
        Box::pin(self.0.readers.ask(None, read::check))
    }

    fn health(&self) -> watch::Receiver<StorageHealth> {
        self.0.health.clone()
    }
}

/// How many changes wait for the writer. More wait for a place: then the disk is what is too slow, and
/// memory must not become the next.
const WAITING_MAX: usize = 4096;

/// The size of a snapshot's parts: none of its transactions keeps the others waiting for long.
const PART_BYTES: usize = 256 << 10;

/// 16 MiB: some ten milliseconds of a start.
const CHECKPOINT_PAGES: usize = 4096;
