//! What a start does when the files are not what the store left.
//!
//! A crash takes nothing that was promised. A disk can: bytes of the log ahead change, or the file is gone.
//! Then what was written before and behind the damage is put together as far as it fits, and what was promised
//! is compared with what is there: scopes that have lost something are marked and not opened, sessions that
//! are not what they were begin anew, and all others go on as if nothing had happened.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jetstream_core::ids::{ScopeName, SessionId};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};

use super::super::StorageError;
use super::change::session_key;
use super::folder::sync_folder;
use super::head::{self, Found};
use super::layout::{DATABASE, INDEX_AHEAD, LOG_AHEAD, RESERVE};
use super::promises::Promised;
use super::trouble::Trouble;
use super::wal::{self, LogAhead};
use super::{OpeningReport, read};

/// Whether the list of promises may know of more than the files have. If the log ahead is of another round, the
/// list is older: everything in it was brought into the database before that round began.
pub(super) fn is_telling(folder: &Path, promised: &Promised) -> io::Result<bool> {
    let salt = wal::read_salt(folder)?;
    Ok(salt.is_none_or(|salt| salt == promised.salt))
}

/// Sees what SQLite is going to pass over, and makes the files such that it opens what is left.
pub(super) fn look(
    folder: &Path,
    promised: Option<&Promised>,
) -> Result<OpeningReport, StorageError> {
    let cannot = |what: &str, error: io::Error| {
        StorageError::Failed(format!("cannot {what} in {}: {error}", folder.display()))
    };
    is_there(folder)?;
    lengthen(folder).map_err(|error| cannot("look at the database", error))?;
    let log = LogAhead::read(folder).map_err(|error| cannot("read the log ahead", error))?;
    let found = log.found();
    // The end of what was promised looks like one that a crash has torn, if that is where the damage is.
    let is_short = promised.is_some_and(|promised| {
        log.salt() == Some(promised.salt) && log.whole_frames() < promised.frames
    });
    match found {
        wal::Found::Damaged(byte) => mend(folder, &log, promised, byte),
        _ if is_short => mend(folder, &log, promised, log.bytes().len() as u64),
        wal::Found::Torn(torn_bytes) => {
            tracing::warn!(
                bytes = torn_bytes,
                "a crash has torn the last transaction; nobody was told that it is stored"
            );
            Ok(OpeningReport { torn_bytes, ..OpeningReport::default() })
        }
        wal::Found::Whole => Ok(OpeningReport::default()),
    }
}

/// Where a store was there is one: SQLite would make a new one in silence.
fn is_there(folder: &Path) -> Result<(), StorageError> {
    let length = |file| fs::metadata(folder.join(file)).map_or(0, |file| file.len());
    if length(DATABASE) > 0 || (length(RESERVE) == 0 && length(LOG_AHEAD) == 0) {
        return Ok(());
    }
    Err(StorageError::Failed(format!(
        "in {} was a store, and its {DATABASE} is gone or empty: restore a backup, or remove all that is \
         left of it to begin anew",
        folder.display()
    )))
}

/// A file that was cut is given its length back, with nothing in it: SQLite refuses one that is shorter than it
/// says as a whole, and a page of zeros only where it is needed.
pub(super) fn lengthen(folder: &Path) -> io::Result<()> {
    use std::io::Read;
    let mut file = match File::options().read(true).write(true).open(folder.join(DATABASE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (mut header, length) = ([0; 100], file.metadata()?.len());
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"SQLite format 3\0") {
        return Ok(());
    }
    let page = match u64::from(u16::from_be_bytes([header[16], header[17]])) {
        1 => 65_536,
        size => size,
    };
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    let says = page * u64::from(pages);
    if length < says && says - length <= LENGTHENED_MAX {
        tracing::error!(bytes = length, says, "the database was cut; what was behind is damaged");
        file.set_len(says)?;
    }
    Ok(())
}

/// Puts together what is left of a damaged log.
fn mend(
    folder: &Path,
    log: &LogAhead,
    promised: Option<&Promised>,
    byte: u64,
) -> Result<OpeningReport, StorageError> {
    let path = folder.join(LOG_AHEAD);
    let refused = |why: &str| {
        Err(StorageError::Failed(format!(
            "{} is damaged at byte {byte}, and commits behind it were promised to be durable; {why}{HINT}",
            path.display()
        )))
    };
    let Some(promised) = promised else {
        return refused("there is no list of what was promised");
    };
    let same = log.salt().is_none_or(|salt| salt == promised.salt);
    if !same || log.seen_frames() > promised.frames {
        return refused("the list of what was promised does not go with it");
    }
    tracing::error!(file = %path.display(), byte, "damaged; everything is looked at, which takes its time");
    let cannot =
        |error: io::Error| StorageError::Failed(format!("cannot mend {}: {error}", path.display()));
    let kept = keep(folder, log).map_err(cannot)?;
    // All that is as it was written; what SQLite takes by itself; only what is in the database.
    let candidates = [log.mended(promised.salt, promised.frames), log.bytes().to_vec(), Vec::new()];
    for candidate in &candidates {
        replace(folder, candidate).map_err(cannot)?;
        match is_whole(folder) {
            Ok(true) => {
                let kept = kept.display().to_string();
                tracing::error!(kept, "the log ahead was mended; the damaged one is kept");
                return Ok(OpeningReport { damaged_log: Some(byte), ..OpeningReport::default() });
            }
            Ok(false) | Err(Trouble::Damaged(_)) => {}
            Err(trouble) => return Err(trouble.of(None)),
        }
    }
    replace(folder, log.bytes()).map_err(cannot)?;
    refused("what is left does not fit together")
}

/// Keeps the damaged log for who wants to look at it.
fn keep(folder: &Path, log: &LogAhead) -> io::Result<PathBuf> {
    let name = |number| folder.join(format!("{LOG_AHEAD}.damaged-{number}"));
    let free = (1..).map(name).find(|path| !path.exists()).expect("numbers do not end");
    fs::write(&free, log.bytes())?;
    Ok(free)
}

fn replace(folder: &Path, log: &[u8]) -> io::Result<()> {
    // It is an index to another log, and made anew.
    for file in [INDEX_AHEAD, LOG_AHEAD] {
        match fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let path = folder.join(LOG_AHEAD);
    fs::write(&path, log)?;
    File::open(path)?.sync_all()?;
    sync_folder(folder)
}

/// Whether the pages fit together, of which the log may have brought back old ones.
fn is_whole(folder: &Path) -> Result<bool, Trouble> {
    let db = Connection::open(folder.join(DATABASE))?;
    // Nothing of the log goes into the database before that is known.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(read::check(&db)?.is_empty())
}

/// Compares what was promised with what is there, and marks what has lost something.
pub(super) fn compare(
    db: &Connection,
    promised: &Promised,
    report: &mut OpeningReport,
) -> Result<(), Trouble> {
    let mut lost: Vec<(&ScopeName, String)> = Vec::new();
    let mut removed = Vec::new();
    for (scope, (number, until)) in &promised.scopes {
        let there = match head::find_any(db, scope)? {
            Some(Found { damage: Some(_), .. }) => continue,
            // Removed and made again since: a list that a power cut has left is older than that.
            Some(Found { head, .. }) if head.scope != *number => continue,
            found => found.map(|found| found.head.position),
        };
        match (until, there) {
            (Some(until), None) => {
                lost.push((scope, format!("all its entries, up to {until}, are lost")));
            }
            (Some(until), Some(there)) if there < *until => {
                lost.push((scope, format!("the entries after {there}, up to {until}, are lost")));
            }
            (None, Some(_)) => removed.push((scope, *number)),
            _ => {}
        }
    }
    let mut sessions = Vec::new();
    for (session, saved) in &promised.sessions {
        if is_older(db, *session, *saved)? {
            sessions.push(*session);
        }
    }
    if lost.is_empty() && removed.is_empty() && sessions.is_empty() {
        return Ok(());
    }
    db.execute_batch("BEGIN IMMEDIATE")?;
    for (scope, what) in lost {
        let what =
            format!("{what}, though they were promised: the log ahead was damaged or removed");
        tracing::error!(%scope, what, "a scope is damaged");
        head::mark(db, scope, &what)?;
        report.damaged.push(scope.clone());
    }
    for (scope, number) in removed {
        // As somebody had decided.
        head::remove(db, scope, number)?;
    }
    for session in &sessions {
        db.execute("DELETE FROM sessions WHERE id = ?1", [session_key(*session)])?;
    }
    if !sessions.is_empty() {
        tracing::error!(sessions = sessions.len(), "are older than they were, and begin anew");
    }
    report.sessions_forgotten = sessions.len();
    Ok(db.execute_batch("COMMIT")?)
}

/// Whether what is stored of a session is older than it was: it would answer with what it had then.
fn is_older(db: &Connection, session: SessionId, saved: Option<i64>) -> Result<bool, Trouble> {
    let stored = "SELECT saved FROM sessions WHERE id = ?1";
    let stored: Option<i64> = db
        .prepare_cached(stored)?
        .query_row([session_key(session)], |row| row.get(0))
        .optional()?;
    Ok(stored.is_some_and(|stored| saved.is_none_or(|saved| stored < saved)))
}

/// What somebody can do whose store does not open.
pub(super) const HINT: &str =
    ". Restore a backup, or take out with `jetstream salvage` what can be read";

/// By how much a file is lengthened at most: a damaged header must not take all room, though such room costs
/// nothing before it is written.
const LENGTHENED_MAX: u64 = 1 << 40;
