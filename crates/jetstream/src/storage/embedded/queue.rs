//! What waits for the writer.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::super::StorageError;
use super::change::Change;
use super::trouble::Trouble;

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<Result<bool, StorageError>>,
    /// Its place in the queue, which is free again when it is answered.
    pub(super) _place: OwnedSemaphorePermit,
}

/// The jobs that wait, in order. How many that can be is bounded by the places.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
    /// What another thread could not do with the disk.
    trouble: Option<Trouble>,
    /// A checkpoint is done, but for what was written meanwhile.
    finish_checkpoint: bool,
}

/// What the writer does next.
#[derive(Debug)]
pub(super) enum Next {
    Jobs(Vec<Job>),
    Trouble(Trouble),
    FinishCheckpoint,
    /// Nothing has come for the time it was willing to wait.
    Idle,
    Closed,
}

impl Queue {
    pub(super) fn push(&self, job: Job) {
        let mut state = self.state.lock();
        // After the end nobody would answer.
        if !state.closed {
            state.jobs.push_back(job);
            self.woken.notify_one();
        }
    }

    pub(super) fn report(&self, trouble: Trouble) {
        self.state.lock().trouble = Some(trouble);
        self.woken.notify_one();
    }

    pub(super) fn finish_checkpoint(&self) {
        self.state.lock().finish_checkpoint = true;
        self.woken.notify_one();
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.woken.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Waits for something to do; `None` waits for ever. All jobs that are there come together.
    pub(super) fn next(&self, wait: Option<Duration>) -> Next {
        let mut state = self.state.lock();
        loop {
            if let Some(trouble) = state.trouble.take() {
                return Next::Trouble(trouble);
            }
            if std::mem::take(&mut state.finish_checkpoint) {
                return Next::FinishCheckpoint;
            }
            if !state.jobs.is_empty() {
                return Next::Jobs(state.take_jobs());
            }
            if state.closed {
                return Next::Closed;
            }
            match wait {
                None => self.woken.wait(&mut state),
                Some(wait) if self.woken.wait_for(&mut state, wait).timed_out() => {
                    return Next::Idle;
                }
                Some(_) => {}
            }
        }
    }
}

impl State {
    /// As many as make a transaction that does not keep the others waiting for long.
    fn take_jobs(&mut self) -> Vec<Job> {
        let mut bytes = 0;
        let fits = self.jobs.iter().position(|job| {
            bytes += job.change.bytes();
            bytes > BATCH_BYTES_MAX
        });
        // At least one, however large.
        let count = fits.unwrap_or(self.jobs.len()).max(1);
        self.jobs.drain(..count).collect()
    }
}

/// How much is written at a time.
const BATCH_BYTES_MAX: usize = 8 << 20;
