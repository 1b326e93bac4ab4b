//! The one thread that writes.
//!
//! What has come while a transaction was made durable goes into the next one, whatever scopes it is for: one
//! flush of the disk serves all who wait. Each change is a savepoint in it, so that one that cannot be
//! carried out takes no other with it.
//!
//! When the disk fails, nobody knows whether the transaction would be there after a crash. It is not tried
//! again, for a failed flush may have lost what a second one then reports as written. The store becomes
//! read-only, and those who wait are answered when another transaction has taken the place of the
//! doubtful one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::watch;

use super::super::{StorageError, StorageHealth};
use super::change::{Change, Changes};
use super::folder::Folder;
use super::promises::Promises;
use super::queue::{Job, Next, Queue};
use super::trouble::Trouble;

pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) folder: Arc<Folder>,
    pub(super) queue: Arc<Queue>,
    pub(super) changes: Changes,
    pub(super) promises: Promises,
    pub(super) health: watch::Sender<StorageHealth>,
    /// How many pages the log ahead has.
    pub(super) pages: Arc<AtomicUsize>,
    /// How many it may have.
    pub(super) checkpoint_pages: usize,
    /// Wakes the thread that makes checkpoints.
    pub(super) checkpoints: SyncSender<()>,
}

impl Writer {
    pub(super) fn run(mut self) {
        loop {
            let patience = self.changes.garbage.then_some(SWEEP_AFTER);
            match self.queue.next(patience) {
                Next::Jobs(jobs) => self.commit(jobs),
                Next::Trouble(trouble) => self.recover(Vec::new(), &trouble),
                Next::FinishCheckpoint => self.finish_checkpoint(),
                Next::Idle => self.commit(Vec::new()),
                Next::Closed => break,
            }
            if self.pages.load(Ordering::Relaxed) >= self.checkpoint_pages {
                // If it is full, one is coming.
                let _ = self.checkpoints.try_send(());
            }
        }
        match checkpoint(&self.db, "TRUNCATE") {
            Ok(true) => self.promises.forget(),
            Ok(false) => {}
            Err(trouble) => {
                tracing::warn!(%trouble, "the store's last checkpoint failed; the next start makes it");
            }
        }
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        match self.transaction(&jobs) {
            Ok(answers) => {
                for (job, answer) in jobs.into_iter().zip(answers) {
                    // Who does not wait any more is told nothing.
                    let _ = job.answer.send(answer);
                }
            }
            Err(Trouble::Damaged(what)) => self.commit_apart(jobs, &what),
            Err(trouble) => self.recover(jobs, &trouble),
        }
    }

    /// Damage that is met by the transaction as a whole: each change goes alone, and those that cannot be carried
    /// out take no other with them. The disk does what it is told, so nothing is in doubt.
    fn commit_apart(&mut self, mut jobs: Vec<Job>, what: &str) {
        self.changes.forget(None);
        self.roll_back();
        match jobs.len() {
            // There was only something to sweep.
            0 => self.changes.garbage = false,
            1 => {
                let job = jobs.remove(0);
                let error = Trouble::Damaged(what.to_owned()).of(job.change.scope());
                tracing::error!(%error, "a change was not stored");
                let _ = job.answer.send(Err(error));
            }
            _ => jobs.into_iter().for_each(|job| self.commit(vec![job])),
        }
    }

    fn roll_back(&self) {
        if !self.db.is_autocommit() {
            // If even this fails, the transaction is gone with the first that succeeds.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    fn transaction(&mut self, jobs: &[Job]) -> Result<Vec<Result<bool, StorageError>>, Trouble> {
        self.changes.promises.clear();
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let answers = jobs.iter().map(|job| self.apply(&job.change)).collect::<Result<_, _>>()?;
        if self.changes.garbage {
            // As many as came, or what is trimmed would pile up.
            self.changes.sweep(&self.db, SWEPT_ROWS_MIN.max(2 * jobs.len()))?;
        }
        self.db.execute_batch("COMMIT")?;
        // Durable, and nobody knows yet.
        let frames = self.pages.load(Ordering::Relaxed);
        self.promises.note(frames, self.changes.promises.drain(..));
        Ok(answers)
    }

    /// Carries out one change, or nothing of it.
    fn apply(&mut self, change: &Change) -> Result<Result<bool, StorageError>, Trouble> {
        self.execute("SAVEPOINT change")?;
        let promised = self.changes.promises.len();
        match self.changes.apply(&self.db, change) {
            Ok(was) => {
                self.execute("RELEASE change")?;
                Ok(Ok(was))
            }
            Err(trouble) if trouble.concerns_all() => Err(trouble),
            Err(trouble) => {
                self.changes.forget(change.scope());
                self.changes.promises.truncate(promised);
                self.execute("ROLLBACK TO change")?;
                self.execute("RELEASE change")?;
                let error = trouble.of(change.scope());
                if matches!(error, StorageError::Damaged { .. }) {
                    tracing::error!(%error, "a change was not stored");
                }
                Ok(Err(error))
            }
        }
    }

    fn execute(&self, sql: &str) -> Result<(), Trouble> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// After the disk has failed: until it works again.
    fn recover(&mut self, mut doubtful: Vec<Job>, trouble: &Trouble) {
        self.changes.forget(None);
        self.roll_back();
        let why = trouble.to_string();
        tracing::error!(error = %why, "the store is read-only");
        self.health.send_replace(StorageHealth::ReadOnly { why: why.clone() });
        let mut wait = PROBE_FIRST;
        loop {
            match self.probe(&mut doubtful, trouble) {
                Ok(()) => break,
                Err(again) => tracing::debug!(trouble = %again, "the store is still read-only"),
            }
            if !self.refuse_until(Instant::now() + wait, &why) {
                return;
            }
            wait = (wait * 2).min(PROBE_LAST);
        }
        tracing::info!("the store can be written again");
        self.health.send_replace(StorageHealth::Good);
    }

    /// Finds out whether the disk works. With the first transaction that it takes, what was in doubt is
    /// certain: its place is taken, and it is in no file any more.
    fn probe(&self, doubtful: &mut Vec<Job>, trouble: &Trouble) -> Result<(), Trouble> {
        match self.write_something() {
            Err(Trouble::Full(_)) => {
                // What is kept for this moment gives enough room to end the doubt.
                self.folder.release_reserve()?;
                self.write_something()?;
            }
            other => other?,
        }
        for job in doubtful.drain(..) {
            let error = trouble.clone().of(job.change.scope());
            let _ = job.answer.send(Err(error));
        }
        checkpoint(&self.db, "TRUNCATE").map(drop)?;
        self.folder.make_reserve()?;
        Ok(())
    }

    fn write_something(&self) -> Result<(), Trouble> {
        let something = "BEGIN IMMEDIATE;
                         UPDATE meta SET value = value + 1 WHERE key = 'probe'; COMMIT;";
        let written = self.db.execute_batch(something);
        self.roll_back();
        Ok(written?)
    }

    /// Refuses what comes until then. `false`: the store is being closed.
    fn refuse_until(&self, until: Instant, why: &str) -> bool {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.queue.next(Some(left)) {
                Next::Jobs(jobs) => {
                    for job in jobs {
                        let _ = job.answer.send(Err(StorageError::ReadOnly(why.to_owned())));
                    }
                }
                Next::Idle => return true,
                Next::Closed => return false,
                Next::Trouble(_) | Next::FinishCheckpoint => {}
            }
        }
    }

    /// What was written while the other thread made its checkpoint, so that the log can begin anew.
    fn finish_checkpoint(&mut self) {
        if let Err(trouble) = checkpoint(&self.db, "PASSIVE") {
            self.recover(Vec::new(), &trouble);
        }
    }
}

/// Brings what is in the log ahead into the database. Whether it is done to the end: that others read or make
/// one, too, is no trouble.
pub(super) fn checkpoint(db: &Connection, mode: &str) -> Result<bool, Trouble> {
    let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    Ok(db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], busy)? == 0)
}

/// How long nothing must come before what is not needed any more is swept without company.
const SWEEP_AFTER: Duration = Duration::from_millis(20);

/// How many rows of logs are swept with a transaction at least: a millisecond's worth.
const SWEPT_ROWS_MIN: usize = 256;

/// How long a disk that has failed is left alone: at first, and later. An operator who made room looks at
/// the health within a second.
const PROBE_FIRST: Duration = Duration::from_millis(50);
const PROBE_LAST: Duration = Duration::from_millis(1_000);
