//! A disk under SQLite that is watched, fails when it is told to, and crashes.
//!
//! [`Disk`] stands between SQLite and the system's own way to the disk (`vfs`): everything is done as
//! always, and written down. From what was written down, [`Crash`] makes the files that a power cut could
//! have left at any step: what was synced is there, and of the rest any sectors, in any order. Only for
//! tests; this is the one place of the project with `unsafe`, since SQLite speaks C.

mod crash;
mod vfs;

use std::sync::Arc;

use parking_lot::Mutex;

pub use crash::Crash;

/// One thing that happened to a file, which is known by the end of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes were written.
    Write {
        /// To which file.
        file: String,
        /// From which byte on.
        at: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file was given another length.
    Truncate {
        /// Which file.
        file: String,
        /// The length.
        length: u64,
    },
    /// Everything written to a file before is on the disk.
    Sync {
        /// Which file.
        file: String,
    },
    /// The system reported that it could not bring a file to the disk. What was written before and not
    /// synced may be there or not, and a later sync does not change that.
    SyncFailed {
        /// Which file.
        file: String,
    },
    /// A file is gone.
    Delete {
        /// Which file.
        file: String,
    },
    /// Something that the test wants to remember happened here.
    Note(usize),
}

/// How a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A write finds no room.
    Full,
    /// A write fails.
    Write,
    /// A sync fails; what it should have brought to the disk may be lost.
    Sync,
}

/// A step that fails: the `from`th of its kind, and those after it up to `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How.
    pub fault: Fault,
    /// The first that fails, counted from 0.
    pub from: usize,
    /// The first that succeeds again.
    pub until: usize,
}

/// What happens on a disk, and what is to go wrong.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    plan: Option<Plan>,
    writes: usize,
    syncs: usize,
}

impl Disk {
    /// A disk that SQLite knows under this name from now on. It stays known until the process ends.
    ///
    /// # Panics
    ///
    /// If SQLite does not take it: it is out of memory.
    pub fn register(name: &str) -> Self {
        let disk = Self::default();
        vfs::register(name, disk.clone());
        disk
    }

    /// What is to go wrong from now on.
    pub fn plan(&self, plan: Option<Plan>) {
        let mut state = self.0.lock();
        (state.plan, state.writes, state.syncs) = (plan, 0, 0);
    }

    /// Remembers a moment.
    pub fn note(&self, note: usize) {
        self.0.lock().events.push(Event::Note(note));
    }

    /// What has happened until now.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().events.clone()
    }

    /// How many syncs there were since the last plan.
    pub fn syncs(&self) -> usize {
        self.0.lock().syncs
    }

    /// How many writes there were since the last plan.
    pub fn writes(&self) -> usize {
        self.0.lock().writes
    }

    fn record(&self, event: Event) {
        self.0.lock().events.push(event);
    }

    /// Whether the next write fails.
    fn fails_to_write(&self) -> Option<Fault> {
        let mut state = self.0.lock();
        state.writes += 1;
        let number = state.writes - 1;
        let plan = state.plan.filter(|plan| plan.fault != Fault::Sync)?;
        (plan.from..plan.until).contains(&number).then_some(plan.fault)
    }

    /// Whether the next sync fails.
    fn fails_to_sync(&self) -> bool {
        let mut state = self.0.lock();
        state.syncs += 1;
        let number = state.syncs - 1;
        let plan = state.plan.filter(|plan| plan.fault == Fault::Sync);
        plan.is_some_and(|plan| (plan.from..plan.until).contains(&number))
    }
}
