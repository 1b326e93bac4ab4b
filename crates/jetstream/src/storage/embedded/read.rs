//! What is read, on connections of their own.

use std::path::PathBuf;
use std::sync::Arc;

use jetstream_core::ids::{Position, Revision, ScopeName, SessionId};
use jetstream_core::scope::Entry;
use jetstream_core::time::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Params, params};
use tokio::sync::Semaphore;

use super::super::record::{read_entries, read_session, read_snapshot};
use super::super::{
    Moment, PastCommit, SchemaVersion, ScopeSummary, Snapshot, StorageError, Stored, StoredSchema,
    StoredScope, StoredSession, TokenHash,
};
use super::change::session_key;
use super::layout::connect_reader;
use super::trouble::Trouble;

/// Connections for readers.
#[derive(Debug)]
pub(super) struct Readers {
    folder: PathBuf,
    vfs: Option<String>,
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

impl Readers {
    pub(super) fn new(folder: PathBuf, vfs: Option<String>) -> Self {
        Self { folder, vfs, idle: Mutex::default(), places: Semaphore::new(READERS_MAX) }
    }

    pub(super) fn vfs(&self) -> Option<&str> {
        self.vfs.as_deref()
    }

    /// Runs a question on a thread that may wait for the disk, in one transaction.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        scope: Option<ScopeName>,
        question: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StorageError> {
        let _place = self.places.acquire().await.expect("nobody closes it");
        let readers = self.clone();
        let answer = tokio::task::spawn_blocking(move || readers.answer(question)).await;
        match answer {
            Ok(answer) => answer.map_err(|trouble| trouble.of(scope.as_ref())),
            Err(panic) => Err(StorageError::Failed(format!("a reader fell over: {panic}"))),
        }
    }

    fn answer<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect_reader(&self.folder, self.vfs.as_deref())?,
        };
        connection.execute_batch("BEGIN")?;
        let answer = question(&connection);
        // A connection that cannot even end its transaction is not used again.
        if connection.execute_batch("COMMIT").is_ok() {
            self.idle.lock().push(connection);
        }
        answer
    }

    /// Lets go of the files.
    pub(super) fn close(&self) {
        self.idle.lock().clear();
    }
}

pub(super) fn load(db: &Connection, scope: &StoredScope) -> Result<Option<Stored>, Trouble> {
    let Some(id) = find_scope(db, &scope.name)? else { return Ok(None) };
    let newest = "SELECT id, position, crc FROM snapshots WHERE scope = ?1
                  ORDER BY position DESC LIMIT 1";
    let Some(snapshot) = one_snapshot(db, scope, newest, [id])? else { return Ok(None) };
    let mut entries = Vec::new();
    for_each_row(db, scope, id, (snapshot.position, None), |after, version, row| {
        // Rows lead on from each other, and the first from the snapshot.
        let expected = Position(snapshot.position.0 + entries.len() as u64);
        if after != expected {
            let what = format!("entries after {after} follow on those before {expected}");
            return Err(Trouble::Damaged(what));
        }
        if version != snapshot.version {
            let what = format!("entries after {after} are of schema {}", version.0);
            return Err(Trouble::Damaged(what));
        }
        entries.extend(row);
        Ok(true)
    })?;
    Ok(Some(Stored { snapshot, entries }))
}

/// Gives a log's entries after a position, row by row, until it is told that it is enough. Rows that only lead
/// up to a revision are passed over, if one is given.
fn for_each_row(
    db: &Connection,
    scope: &StoredScope,
    id: i64,
    (after, known): (Position, Option<Revision>),
    mut take: impl FnMut(Position, SchemaVersion, Vec<Entry>) -> Result<bool, Trouble>,
) -> Result<(), Trouble> {
    // The row that a position lies in is the last one that begins before it.
    let first = "SELECT position FROM log WHERE scope = ?1 AND position <= ?2
                 ORDER BY position DESC LIMIT 1";
    let first: Option<i64> = db
        .prepare_cached(first)?
        .query_row(params![id, after.0 as i64], |row| row.get(0))
        .optional()?;
    let rows = "SELECT position, entries, crc, record FROM log
                WHERE scope = ?1 AND position >= ?2 AND (?3 IS NULL OR revision > ?3)
                ORDER BY position";
    let mut statement = db.prepare_cached(rows)?;
    let known = known.map(|known| i64::try_from(known.0).unwrap_or(i64::MAX));
    let mut rows = statement.query(params![id, first.unwrap_or(after.0 as i64), known])?;
    while let Some(row) = rows.next()? {
        let (position, count) = (row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64);
        if position.saturating_add(count) <= after.0 {
            continue;
        }
        let (version, mut entries) = read_row(scope, Position(position), row)?;
        if entries.len() as u64 != count {
            return Err(Trouble::Damaged(format!("not {count} entries after {position}")));
        }
        // The position may lie within the row.
        entries.drain(..after.0.saturating_sub(position) as usize);
        if !take(after.max(Position(position)), version, entries)? {
            break;
        }
    }
    Ok(())
}

fn read_row(
    scope: &StoredScope,
    after: Position,
    row: &rusqlite::Row<'_>,
) -> Result<(SchemaVersion, Vec<Entry>), Trouble> {
    let (crc, record) = (row.get(2)?, text(row.get_ref(3)?.as_blob().map_err(wrong_type)?)?);
    let entries = read_entries(scope, after, record, crc);
    entries.map_err(|error| in_scope(scope, &format!("the entries after {after}"), error))
}

fn in_scope(scope: &StoredScope, what: &str, error: super::super::record::RecordError) -> Trouble {
    use super::super::record::RecordError;
    match error {
        RecordError::Damaged(why) => Trouble::Damaged(format!("{what}: {why}")),
        RecordError::Unfit(why) => {
            Trouble::Refused(StorageError::Unfit(format!("{:?}, {what}: {why}", scope.name)))
        }
    }
}

fn one_snapshot(
    db: &Connection,
    scope: &StoredScope,
    query: &str,
    params: impl Params,
) -> Result<Option<Snapshot>, Trouble> {
    let found = db.prepare_cached(query)?.query_row(params, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, u32>(2)?))
    });
    let Some((id, position, crc)) = found.optional()? else { return Ok(None) };
    let mut record = Vec::new();
    let parts = "SELECT record FROM parts WHERE snapshot = ?1 ORDER BY part";
    let mut statement = db.prepare_cached(parts)?;
    let mut parts = statement.query([id])?;
    while let Some(part) = parts.next()? {
        record.extend_from_slice(part.get_ref(0)?.as_blob().map_err(wrong_type)?);
    }
    let position = Position(position as u64);
    let snapshot = read_snapshot(scope, position, text(&record)?, crc);
    let what = format!("the snapshot after the entry {position}");
    snapshot.map(Some).map_err(|error| in_scope(scope, &what, error))
}

pub(super) fn snapshot_at(
    db: &Connection,
    scope: &StoredScope,
    moment: Moment,
) -> Result<Option<Snapshot>, Trouble> {
    let Some(id) = find_scope(db, &scope.name)? else { return Ok(None) };
    let (query, bound) = match moment {
        Moment::Revision(revision) => (
            "SELECT id, position, crc FROM snapshots WHERE scope = ?1 AND revision <= ?2
             ORDER BY position DESC LIMIT 1",
            i64::try_from(revision.0).unwrap_or(i64::MAX),
        ),
        Moment::Time(time) => (
            "SELECT id, position, crc FROM snapshots WHERE scope = ?1 AND time <= ?2
             ORDER BY position DESC LIMIT 1",
            time.0,
        ),
    };
    one_snapshot(db, scope, query, [id, bound])
}

pub(super) fn commits(
    db: &Connection,
    scope: &StoredScope,
    after: Revision,
    max: usize,
) -> Result<Vec<PastCommit>, Trouble> {
    let Some(id) = find_scope(db, &scope.name)? else { return Ok(Vec::new()) };
    let bound = i64::try_from(after.0).unwrap_or(i64::MAX);
    // A snapshot is where to begin to look, since the log's index is by position. What is before the
    // oldest is forgotten, though it may not be swept yet.
    let near = "SELECT ifnull(max(position) FILTER (WHERE revision <= ?2), min(position))
                FROM snapshots WHERE scope = ?1";
    let near: Option<i64> = db.query_row(near, [id, bound], |row| row.get(0))?;
    let mut found = Vec::new();
    if max == 0 {
        return Ok(found);
    }
    let near = Position(near.map_or(0, |position| position as u64));
    for_each_row(db, scope, id, (near, Some(after)), |_, version, row| {
        let commits = row.iter().filter_map(Entry::commit);
        let commits = commits.filter(|commit| commit.revision > after).cloned();
        found.extend(commits.map(|commit| PastCommit { version, commit }));
        Ok(found.len() < max)
    })?;
    found.truncate(max);
    Ok(found)
}

pub(super) fn scopes(
    db: &Connection,
    after: Option<&ScopeName>,
    max: usize,
) -> Result<Vec<ScopeSummary>, Trouble> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let names = "SELECT id, name FROM scopes WHERE name > ?1 OR ?2 ORDER BY name LIMIT ?3";
    let mut statement = db.prepare_cached(names)?;
    let from = after.map_or("", ScopeName::as_str);
    let mut rows = statement.query(params![from, after.is_none(), max])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        found.extend(summary(db, row.get(0)?, name.into())?);
    }
    Ok(found)
}

fn summary(db: &Connection, scope: i64, name: ScopeName) -> Result<Option<ScopeSummary>, Trouble> {
    let snapshots = "SELECT sum(bytes), max(revision), max(time), min(total), max(total)
                     FROM snapshots WHERE scope = ?1";
    let snapshots = db.prepare_cached(snapshots)?.query_row([scope], |row| {
        let number = |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.unwrap_or(0));
        let known = row.get::<_, Option<i64>>(0)?.is_some();
        Ok((known, number(0)?, number(1)?, number(2)?, number(3)?, number(4)?))
    })?;
    let (true, bytes, revision, time, first, last) = snapshots else { return Ok(None) };
    let end = "SELECT revision, time, total FROM log WHERE scope = ?1
               ORDER BY position DESC LIMIT 1";
    let end = db.prepare_cached(end)?.query_row([scope], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    let (revision, time, last) = end.optional()?.unwrap_or((revision, time, last));
    let bytes = bytes.saturating_add(last.saturating_sub(first).max(0)) as u64;
    let (revision, modified) = (Revision(revision as u64), Timestamp(time));
    Ok(Some(ScopeSummary { name, revision, bytes, modified }))
}

pub(super) fn session(
    db: &Connection,
    token: &TokenHash,
) -> Result<Option<StoredSession>, Trouble> {
    let query = "SELECT crc, record FROM sessions WHERE token = ?1";
    let found = db
        .prepare_cached(query)?
        .query_row([token.as_bytes()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    Ok(found.optional()?.and_then(|(crc, text)| whole_session(crc, &text)))
}

pub(super) fn sessions(
    db: &Connection,
    after: Option<SessionId>,
    max: usize,
) -> Result<Vec<StoredSession>, Trouble> {
    let query = "SELECT crc, record FROM sessions WHERE id > ?1 OR ?2 ORDER BY id LIMIT ?3";
    let mut statement = db.prepare_cached(query)?;
    let from = after.map_or(i64::MIN, session_key);
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![from, after.is_none(), max])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(whole_session(row.get(0)?, &row.get::<_, String>(1)?));
    }
    Ok(found)
}

/// A session whose record is damaged is unknown: its client begins anew, and nothing else is concerned.
fn whole_session(crc: u32, text: &str) -> Option<StoredSession> {
    match read_session(text, crc) {
        Ok(session) => Some(session),
        Err(error) => {
            tracing::error!(%error, "a stored session is damaged and passed over");
            None
        }
    }
}

pub(super) fn schemas(db: &Connection) -> Result<Vec<StoredSchema>, Trouble> {
    let mut statement = db.prepare_cached("SELECT version, text FROM schemas ORDER BY version")?;
    let schemas = statement.query_map([], |row| {
        let text: String = row.get(1)?;
        Ok(StoredSchema { version: SchemaVersion(row.get(0)?), text: text.into() })
    })?;
    Ok(schemas.collect::<Result<_, _>>()?)
}

pub(super) fn find_scope(db: &Connection, name: &ScopeName) -> Result<Option<i64>, Trouble> {
    let scope = "SELECT id FROM scopes WHERE name = ?1";
    Ok(db.prepare_cached(scope)?.query_row([name.as_str()], |row| row.get(0)).optional()?)
}

fn text(bytes: &[u8]) -> Result<&str, Trouble> {
    std::str::from_utf8(bytes).map_err(|error| Trouble::Damaged(error.to_string()))
}

fn wrong_type(error: rusqlite::types::FromSqlError) -> Trouble {
    Trouble::Damaged(error.to_string())
}

/// How many read at a time: more would only wait for the same disk, and each keeps a cache.
const READERS_MAX: usize = 4;
