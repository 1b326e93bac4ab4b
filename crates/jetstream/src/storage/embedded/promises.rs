//! What was promised since the log ahead began, in a file beside it.
//!
//! After each transaction, before anybody is told, a line says where the logs of its scopes end now and what
//! was stored of sessions. If the log ahead is later not what it was, or gone, this is how it is known which
//! scopes have lost something. The file is not flushed: it is there after anything but a power cut, and
//! what it says is never more than what was durable.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jetstream_core::ids::{Position, ScopeName, SessionId};
use serde::{Deserialize, Serialize};

use super::layout::{LOG_AHEAD, PROMISES};
use super::wal::{self, Salt};

/// One thing that was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Promise {
    /// The log of a scope, which has this number, goes at least to here.
    Entries(ScopeName, i64, Position),
    /// A scope that had this number is gone.
    Removed(ScopeName, i64),
    /// A session is stored, for so many times.
    Session(SessionId, i64),
    /// A session is gone.
    Forgotten(SessionId),
}

/// The first line: which round of the log ahead the file goes with.
#[derive(Serialize, Deserialize)]
struct HeadLine {
    salt: Salt,
}

/// A line for each transaction.
#[derive(Default, Serialize, Deserialize)]
struct Line {
    /// How many frames the log ahead had with it.
    frames: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entries: Vec<(ScopeName, i64, Position)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<(ScopeName, i64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<(SessionId, i64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    forgotten: Vec<SessionId>,
}

/// What a store has promised, and nothing later.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Promised {
    pub(super) salt: Salt,
    /// How many frames the log ahead had at last.
    pub(super) frames: usize,
    /// The numbers of scopes, and where their logs end; `None`: the scope was removed.
    pub(super) scopes: BTreeMap<ScopeName, (i64, Option<Position>)>,
    /// How often sessions were stored; `None`: it was forgotten.
    pub(super) sessions: BTreeMap<SessionId, Option<i64>>,
    /// How much of the file can be read.
    bytes: u64,
}

impl Promised {
    /// Reads the file of the store in this folder, as far as it is whole. `None`: there is none.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(folder.join(PROMISES)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let head: Option<HeadLine> = lines.next().and_then(unseal);
        let Some(HeadLine { salt }) = head else { return Ok(None) };
        let mut promised = Self { salt, ..Self::default() };
        promised.bytes = text.iter().position(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
        for line in lines {
            let Some(said) = unseal::<Line>(line) else { break };
            promised.take(said);
            promised.bytes += line.len() as u64;
        }
        Ok(Some(promised))
    }

    fn take(&mut self, line: Line) {
        self.frames = line.frames;
        // Within a transaction, too, a scope may have been removed and made again.
        let removed = line.removed.into_iter().map(|(scope, number)| (scope, (number, None)));
        self.scopes.extend(removed);
        let entries = line.entries.into_iter();
        self.scopes.extend(entries.map(|(scope, number, at)| (scope, (number, Some(at)))));
        self.sessions.extend(line.forgotten.into_iter().map(|session| (session, None)));
        self.sessions
            .extend(line.sessions.into_iter().map(|(session, saved)| (session, Some(saved))));
    }
}

/// Writes the file.
#[derive(Debug)]
pub(super) struct Promises {
    folder: PathBuf,
    log_ahead: Option<File>,
    /// The file, and the round of the log that it goes with.
    file: Option<(File, Salt)>,
    /// The round in which it could not be written: it would not be whole.
    given_up: Option<Salt>,
}

impl Promises {
    /// Goes on with what is there, if it can be read.
    pub(super) fn resume(folder: &Path, promised: Option<&Promised>) -> Self {
        let file = promised.and_then(|promised| {
            let mut file = File::options().write(true).open(folder.join(PROMISES)).ok()?;
            file.set_len(promised.bytes).ok()?;
            file.seek(SeekFrom::End(0)).ok()?;
            Some((file, promised.salt))
        });
        Self { folder: folder.to_owned(), log_ahead: None, file, given_up: None }
    }

    /// Notes a transaction that is durable, with which the log ahead has so many frames.
    pub(super) fn note(&mut self, frames: usize, promises: impl Iterator<Item = Promise>) {
        if let Err(error) = self.try_note(frames, promises) {
            // The store goes on. Without the file, damage of the log ahead is everybody's.
            tracing::warn!(%error, "what is promised could not be noted");
            self.forget();
        }
    }

    fn try_note(
        &mut self,
        frames: usize,
        promises: impl Iterator<Item = Promise>,
    ) -> io::Result<()> {
        let Some(salt) = self.salt()? else { return Ok(()) };
        if self.given_up == Some(salt) {
            return Ok(());
        }
        self.given_up = Some(salt);
        let text = seal(&line(frames, promises));
        match &mut self.file {
            Some((file, same)) if *same == salt => file.write_all(text.as_bytes())?,
            _ => {
                // What the log had before is in the database now.
                let (path, new) = (self.folder.join(PROMISES), self.folder.join(NEW));
                let mut file = File::create(&new)?;
                file.write_all((seal(&HeadLine { salt }) + &text).as_bytes())?;
                fs::rename(new, path)?;
                self.file = Some((file, salt));
            }
        }
        self.given_up = None;
        Ok(())
    }

    /// Everything is in the database.
    pub(super) fn forget(&mut self) {
        self.file = None;
        let _ = fs::remove_file(self.folder.join(PROMISES));
    }

    /// The present round of the log ahead.
    fn salt(&mut self) -> io::Result<Option<Salt>> {
        let file = match &mut self.log_ahead {
            Some(file) => file,
            // While the store is open it is one file, which SQLite locks in no way that this would break.
            none => none.insert(File::open(self.folder.join(LOG_AHEAD))?),
        };
        let mut header = [0; wal::HEADER];
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut header)?;
        Ok(wal::salt(&header))
    }
}

fn line(frames: usize, promises: impl Iterator<Item = Promise>) -> Line {
    let mut line = Line { frames, ..Line::default() };
    for promise in promises {
        match promise {
            Promise::Entries(scope, number, position) => {
                line.entries.push((scope, number, position));
            }
            Promise::Removed(scope, number) => {
                line.entries.retain(|(other, _, _)| *other != scope);
                line.removed.push((scope, number));
            }
            Promise::Session(session, saved) => line.sessions.push((session, saved)),
            Promise::Forgotten(session) => {
                line.sessions.retain(|(other, _)| *other != session);
                line.forgotten.push(session);
            }
        }
    }
    line
}

/// A line: a checksum, and what it is of.
fn seal(what: &impl Serialize) -> String {
    let text = serde_json::to_string(what).expect("names and numbers have a JSON text");
    format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()))
}

fn unseal<T: for<'a> Deserialize<'a>>(line: &[u8]) -> Option<T> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (crc, text) = line.split_once(' ')?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    (crc32fast::hash(text.as_bytes()) == crc).then(|| serde_json::from_str(text).ok())?
}

/// The name of the file until it has its own.
const NEW: &str = "promises.new";
