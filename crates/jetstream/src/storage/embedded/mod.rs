//! A store in a folder, with nothing to install: SQLite inside the process.
//!
//! - `layout`: the tables.
//! - `writer`: the one thread that writes, a transaction at a time for all who wait; `queue` is what waits,
//!   `change` what a transaction consists of.
//! - `consumers`: how far those have got who are told of commits.
//! - `read`: everything that only reads, on connections of its own.
//! - `wal`: what SQLite would take back at the start without a word.
//! - `trouble`: what SQLite says, sorted by whose matter it is.
//! - `folder`: one server at a time, and room for when the disk is full.

mod change;
mod consumers;
mod folder;
#[cfg(any(test, feature = "contract"))]
pub mod fuzzing;
mod layout;
mod queue;
mod read;
mod trouble;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
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
use change::{Append, Change, Changes, NewSnapshot};
use folder::Folder;
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
    next_snapshot: AtomicI64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    folder: Arc<Folder>,
}

impl EmbeddedStorage {
    /// Opens the store, or makes an empty one. How long that takes does not depend on how much is stored.
    ///
    /// # Errors
    ///
    /// If another server has it open, it is another program's or a later version's, the disk fails, or the
    /// middle of the log that is written ahead is damaged.
    pub fn open(options: &EmbeddedOptions) -> Result<Self, StorageError> {
        let folder = Arc::new(Folder::take(&options.path)?);
        let report = look_at_log(&folder.path)?;
        let opened = Self::open_in(folder, options, report);
        opened.map_err(|trouble| {
            let path = options.path.display();
            match trouble.of(None) {
                StorageError::Failed(what) => {
                    StorageError::Failed(format!("cannot open the store in {path}: {what}"))
                }
                other => other,
            }
        })
    }

    fn open_in(
        folder: Arc<Folder>,
        options: &EmbeddedOptions,
        report: OpeningReport,
    ) -> Result<Self, Trouble> {
        let vfs = options.vfs.as_deref();
        let mut db = layout::connect(&folder.path, vfs)?;
        layout::prepare(&db)?;
        let next_snapshot = forget_half_snapshots(&db)?;
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
        let next_snapshot = AtomicI64::new(next_snapshot);
        let inner = Inner {
            queue,
            places,
            readers,
            retention,
            health: health_seen,
            report,
            next_snapshot,
            threads,
            folder,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0.folder.path
    }

    /// What was found at the start.
    pub fn report(&self) -> &OpeningReport {
        &self.0.report
    }

    /// Writes a copy of everything, as it is at this moment, to a file that is not there yet, while the
    /// store goes on. A folder with the copy named `jetstream.db` is a store.
    ///
    /// # Errors
    ///
    /// If the disk fails or the file is there.
    pub async fn back_up(&self, to: PathBuf) -> Result<(), StorageError> {
        let inner = self.0.clone();
        let copy = move || {
            let db = layout::connect(&inner.folder.path, inner.readers.vfs())?;
            let path = to
                .to_str()
                .ok_or_else(|| Trouble::Foreign(format!("{} is no Unicode", to.display())))?;
            db.execute("VACUUM INTO ?1", [path])?;
            // SQLite leaves it to the system when the copy is on the disk.
            std::fs::File::open(&to)?.sync_all()?;
            Ok(())
        };
        match tokio::task::spawn_blocking(copy).await {
            Ok(copied) => copied.map_err(|trouble: Trouble| trouble.of(None)),
            Err(panic) => Err(StorageError::Failed(format!("the copy fell over: {panic}"))),
        }
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
        let id = self.0.next_snapshot.fetch_add(1, Ordering::Relaxed);
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
            self.change(Change::Stage { snapshot: id, part, record }).await?;
        }
        let last_part = last.map_or((0, Vec::new()), |(part, record)| (part, record.to_vec()));
        let (scope, version) = (scope.name.clone(), scope.version);
        let snapshot =
            NewSnapshot { scope, version, id, position, revision, time, bytes, crc, last_part };
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

/// Sees what SQLite is going to pass over.
fn look_at_log(folder: &Path) -> Result<OpeningReport, StorageError> {
    let found = wal::inspect(folder).map_err(|error| {
        let path = folder.join(layout::LOG_AHEAD);
        StorageError::Failed(format!("cannot read {}: {error}", path.display()))
    })?;
    match found {
        wal::Found::Whole => Ok(OpeningReport::default()),
        wal::Found::Torn(torn_bytes) => {
            tracing::warn!(
                bytes = torn_bytes,
                "a crash has torn the last transaction; nobody was told that it is stored"
            );
            Ok(OpeningReport { torn_bytes })
        }
        wal::Found::Damaged(byte) => Err(StorageError::Failed(format!(
            "{} is damaged at byte {byte}, and commits behind it were promised to be durable: \
             restore a backup, or move the file away to go on with what is before it",
            folder.join(layout::LOG_AHEAD).display()
        ))),
    }
}

/// Throws away snapshots that were not written to their end, and gives the next one's id.
fn forget_half_snapshots(db: &Connection) -> Result<i64, Trouble> {
    db.execute("UPDATE garbage SET kind = 1 WHERE kind = 0", [])?;
    let last = "SELECT max(ifnull((SELECT max(id) FROM snapshots), 0),
                           ifnull((SELECT max(snapshot) FROM parts), 0))";
    Ok(db.query_row(last, [], |row| row.get::<_, i64>(0))?.saturating_add(1))
}

fn make_checkpoints(db: &Connection, asked: &Receiver<()>, queue: &Queue) {
    while asked.recv().is_ok() && !queue.is_closed() {
        match checkpoint(db, "PASSIVE") {
            Ok(()) => queue.finish_checkpoint(),
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
