//! What a power cut leaves of files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::Event;

/// The files after some events, when the power is cut.
#[derive(Debug, Default)]
pub struct Crash {
    files: BTreeMap<String, File>,
}

#[derive(Debug, Default)]
struct File {
    /// What is on the disk for certain, but for what `later` covers.
    durable: Vec<u8>,
    /// What was done since, in order.
    later: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    change: Change,
    certainty: Certainty,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// The next sync makes it durable.
    Pending,
    /// A sync failed: it is there or not, and nobody knows.
    Doubtful,
    /// It is there, behind something doubtful.
    Durable,
}

impl Crash {
    /// Takes in what happened next.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Write { file, at, bytes } => {
                let at = usize::try_from(*at).expect("test files are small");
                self.pending(file, Change::Write { at, bytes: bytes.clone() });
            }
            Event::Truncate { file, length } => {
                let length = usize::try_from(*length).expect("test files are small");
                self.pending(file, Change::Truncate(length));
            }
            Event::Sync { file } => self.file(file).settle(Certainty::Durable),
            Event::SyncFailed { file } => self.file(file).settle(Certainty::Doubtful),
            Event::Delete { file } => drop(self.files.remove(file)),
            Event::Note(_) => {}
        }
    }

    /// Writes the files as the cut leaves them. `chance` decides for each sector that is not certain
    /// whether it has reached the disk.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written to.
    pub fn leave(&self, folder: &Path, mut chance: impl FnMut() -> bool) -> io::Result<()> {
        for (name, file) in &self.files {
            fs::write(folder.join(name), file.cut(&mut chance))?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str) -> &mut File {
        self.files.entry(name.to_owned()).or_default()
    }

    fn pending(&mut self, name: &str, change: Change) {
        self.file(name).later.push(Step { change, certainty: Certainty::Pending });
    }
}

impl File {
    /// What was pending is now so certain.
    fn settle(&mut self, certainty: Certainty) {
        for step in &mut self.later {
            if step.certainty == Certainty::Pending {
                step.certainty = certainty;
            }
        }
        let certain = self.later.iter().take_while(|s| s.certainty == Certainty::Durable).count();
        for step in self.later.drain(..certain) {
            step.change.apply(&mut self.durable, &mut || true);
        }
    }

    fn cut(&self, chance: &mut impl FnMut() -> bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for step in &self.later {
            match step.certainty {
                Certainty::Durable => step.change.apply(&mut bytes, &mut || true),
                Certainty::Pending | Certainty::Doubtful => step.change.apply(&mut bytes, chance),
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>, chance: &mut impl FnMut() -> bool) {
        match self {
            Self::Truncate(length) => {
                if chance() {
                    file.resize(*length, 0);
                }
            }
            Self::Write { at, bytes } => {
                let mut done = 0;
                while done < bytes.len() {
                    // To the end of the sector.
                    let from = at + done;
                    let until = (from / SECTOR + 1) * SECTOR;
                    let count = (until - from).min(bytes.len() - done);
                    if chance() {
                        if file.len() < from + count {
                            file.resize(from + count, 0);
                        }
                        file[from..from + count].copy_from_slice(&bytes[done..done + count]);
                    }
                    done += count;
                }
            }
        }
    }
}

/// What a disk writes in one piece.
const SECTOR: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(at: u64, byte: u8, length: usize) -> Event {
        Event::Write { file: "f".into(), at, bytes: vec![byte; length] }
    }

    fn left(events: &[Event], chances: impl FnMut() -> bool) -> Vec<u8> {
        let mut crash = Crash::default();
        events.iter().for_each(|event| crash.take(event));
        let folder = tempfile::tempdir().unwrap();
        crash.leave(folder.path(), chances).unwrap();
        fs::read(folder.path().join("f")).unwrap()
    }

    fn sync() -> Event {
        Event::Sync { file: "f".into() }
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_is_a_matter_of_chance() {
        let events = [write(0, 1, 600), sync(), write(500, 2, 600)];
        assert_eq!(left(&events, || false), [1; 600]);
        let all = left(&events, || true);
        assert_eq!((all[499], all[500], all.len()), (1, 2, 1100));
        let mut turn = true;
        let some = left(&events, || std::mem::replace(&mut turn, false));
        assert_eq!((some[499], some[511], some[512], some.len()), (1, 2, 1, 600));
    }

    #[test]
    fn a_failed_sync_leaves_doubt_that_a_later_one_does_not_take_away() {
        let failed = Event::SyncFailed { file: "f".into() };
        let events = [write(0, 1, 10), sync(), write(0, 2, 10), failed, write(4, 3, 2), sync()];
        assert_eq!(left(&events, || false), [1, 1, 1, 1, 3, 3, 1, 1, 1, 1]);
        assert_eq!(left(&events, || true), [2, 2, 2, 2, 3, 3, 2, 2, 2, 2]);
    }
}
