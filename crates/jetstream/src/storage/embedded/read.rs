//! What is read, on connections of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jetstream_core::ids::{Position, Revision, ScopeName, SessionId};
use jetstream_core::scope::Entry;
use jetstream_core::time::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Semaphore;

use super::super::record::{read_entries, read_session, read_snapshot};
use super::super::{
    Moment, PastCommit, SchemaVersion, ScopeSummary, Snapshot, StorageError, Stored, StoredSchema,
    StoredScope, StoredSession, TokenHash,
};
use super::change::session_key;
use super::head::{self, Head};
use super::key;
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
    let Some(head) = head::find(db, &scope.name)? else { return Ok(None) };
    let mut damage = None;
    // From an older snapshot the log leads to the same state, as far as it reaches back.
    for found in snapshot_rows(db, head)? {
        let stored = one_snapshot(db, scope, &found).and_then(|snapshot| {
            let entries = entries_behind(db, scope, head, &snapshot)?;
            Ok(Stored { snapshot, entries })
        });
        match stored {
            Ok(stored) => {
                if let Some(damage) = damage {
                    let from = stored.snapshot.revision;
                    tracing::error!(scope = %scope.name, %damage, %from, "an older snapshot serves");
                }
                return Ok(Some(stored));
            }
            Err(Trouble::Damaged(what)) => damage = damage.or(Some(what)),
            Err(other) => return Err(other),
        }
    }
    // It was made together with its first snapshot.
    Err(Trouble::Damaged(damage.unwrap_or_else(|| "it has no snapshot".to_owned())))
}

/// The furthest state of a damaged scope that can be reached, and what keeps it from being reached to the end.
/// `None`: there is none.
pub(super) fn load_what_is_left(
    db: &Connection,
    scope: &StoredScope,
    head: Head,
) -> Option<(Stored, Option<String>)> {
    let mut furthest: Option<(Stored, Option<String>)> = None;
    // Read one by one, so that damage among them does not hide the others.
    let mut before = key::end(head.scope);
    while let Ok(Some(row)) = snapshot_before(db, head, before) {
        before = key::row(head.scope, row.position);
        let Ok(snapshot) = one_snapshot(db, scope, &row) else { continue };
        let mut entries = Vec::new();
        let read = collect_entries(db, scope, head, &snapshot, &mut entries);
        let cut = read.err().map(|trouble| trouble.to_string());
        let stored = Stored { snapshot, entries };
        let is_whole = cut.is_none();
        if furthest.as_ref().is_none_or(|(other, _)| other.position() < stored.position()) {
            furthest = Some((stored, cut));
        }
        if is_whole {
            break;
        }
    }
    furthest
}

fn entries_behind(
    db: &Connection,
    scope: &StoredScope,
    head: Head,
    snapshot: &Snapshot,
) -> Result<Vec<Entry>, Trouble> {
    let mut entries = Vec::new();
    collect_entries(db, scope, head, snapshot, &mut entries)?;
    Ok(entries)
}

fn collect_entries(
    db: &Connection,
    scope: &StoredScope,
    head: Head,
    snapshot: &Snapshot,
    entries: &mut Vec<Entry>,
) -> Result<(), Trouble> {
    for_each_row(db, scope, head, (snapshot.position, None), |after, version, row| {
        if version != snapshot.version {
            let what = format!("entries after {after} are of schema {}", version.0);
            return Err(Trouble::Damaged(what));
        }
        entries.extend(row);
        Ok(true)
    })
}

/// Gives a log's entries after a position, row by row, until it is told that it is enough. Rows lead on from
/// each other, the first from the position, and the last to where the log ends. Rows that only lead up to a
/// revision are passed over, if one is given.
fn for_each_row(
    db: &Connection,
    scope: &StoredScope,
    head: Head,
    (after, known): (Position, Option<Revision>),
    mut take: impl FnMut(Position, SchemaVersion, Vec<Entry>) -> Result<bool, Trouble>,
) -> Result<(), Trouble> {
    // The row that a position lies in is the last one that begins before it.
    let first = "SELECT max(id) FROM log WHERE id >= ?1 AND id <= ?2";
    let begin = key::row(head.scope, after);
    let first: Option<i64> =
        db.prepare_cached(first)?.query_row([key::first(head.scope), begin], |row| row.get(0))?;
    let mut first = first.unwrap_or(begin);
    if let Some(known) = known {
        first = row_behind(db, head, first, known)?;
    }
    let rows = "SELECT id, entries, crc, record, revision FROM log
                WHERE id >= ?1 AND id < ?2 ORDER BY id";
    let mut statement = db.prepare_cached(rows)?;
    let mut rows = statement.query([first, key::end(head.scope)])?;
    // Where rows are passed over it is the first one that says where it begins.
    let mut expected = known.is_none().then_some(after);
    while let Some(row) = rows.next()? {
        let (position, count) = (key::position(row.get(0)?), row.get::<_, i64>(1)? as u64);
        let end = Position(position.0.saturating_add(count));
        if end <= after {
            continue;
        }
        let begin = position.max(after);
        let expected_begin = *expected.get_or_insert(begin);
        if begin != expected_begin {
            let expected = expected_begin;
            let what = format!("entries after {position} follow on those before {expected}");
            return Err(Trouble::Damaged(what));
        }
        let (version, mut entries) = read_row(scope, position, row)?;
        if entries.len() as u64 != count {
            return Err(Trouble::Damaged(format!("not {count} entries after {position}")));
        }
        // The position may lie within the row.
        entries.drain(..after.0.saturating_sub(position.0) as usize);
        if !take(begin, version, entries)? {
            return Ok(());
        }
        expected = Some(end);
    }
    // Passed over is only what leads to a revision; what leads on from it has to be there.
    let is_passed = known.is_some_and(|known| known >= head.revision) || after == head.position;
    let expected = expected.or((!is_passed).then_some(after));
    if let Some(expected) = expected.filter(|expected| *expected != head.position) {
        let end = head.position;
        let what = format!("the log ends after the entry {expected}, and not after {end}");
        return Err(Trouble::Damaged(what));
    }
    Ok(())
}

/// The first row from `first` on that leads past a revision. Revisions rise from row to row.
fn row_behind(db: &Connection, head: Head, first: i64, known: Revision) -> Result<i64, Trouble> {
    let next = "SELECT id, revision FROM log WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1";
    let mut next = db.prepare_cached(next)?;
    let end = key::row(head.scope, head.position);
    let (mut low, mut high) = (first, end.max(first));
    while low < high {
        let middle = low + (high - low) / 2;
        let row = next.query_row([middle, end], |row| {
            Ok((row.get::<_, i64>(0)?, Revision(row.get::<_, i64>(1)? as u64)))
        });
        match row.optional()? {
            Some((id, revision)) if revision <= known => low = id + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

fn read_row(
    scope: &StoredScope,
    after: Position,
    row: &rusqlite::Row<'_>,
) -> Result<(SchemaVersion, Vec<Entry>), Trouble> {
    let (crc, record) = (row.get(2)?, text(row.get_ref(3)?.as_blob().map_err(wrong_type)?)?);
    let what = || format!("the entries after {after}");
    let read = read_entries(scope, after, record, crc);
    let (version, entries) = read.map_err(|error| in_scope(scope, &what(), error))?;
    // Where rows are looked for goes by their columns.
    let column = Revision(row.get::<_, i64>(4)? as u64);
    let last = entries.iter().rev().find_map(Entry::commit);
    if last.is_some_and(|commit| commit.revision != column) {
        return Err(Trouble::Damaged(format!("{}: their revision is not {column}", what())));
    }
    Ok((version, entries))
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

/// A row of the snapshots.
struct SnapshotRow {
    position: Position,
    serial: i64,
    revision: Revision,
    time: Timestamp,
    version: SchemaVersion,
    crc: u32,
}

impl SnapshotRow {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            position: key::position(row.get(0)?),
            serial: row.get(1)?,
            revision: Revision(row.get::<_, i64>(2)? as u64),
            time: Timestamp(row.get(3)?),
            version: SchemaVersion(row.get(4)?),
            crc: row.get(5)?,
        })
    }
}

/// The snapshots of a scope, newest first.
fn snapshot_rows(db: &Connection, head: Head) -> Result<Vec<SnapshotRow>, Trouble> {
    let all = "SELECT id, serial, revision, time, schema, crc FROM snapshots
               WHERE id >= ?1 AND id < ?2 ORDER BY id DESC";
    let mut statement = db.prepare_cached(all)?;
    let range = [key::first(head.scope), key::end(head.scope)];
    let rows = statement.query_map(range, SnapshotRow::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn snapshot_before(
    db: &Connection,
    head: Head,
    before: i64,
) -> Result<Option<SnapshotRow>, Trouble> {
    let last = "SELECT id, serial, revision, time, schema, crc FROM snapshots
                WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1";
    let range = [key::first(head.scope), before];
    Ok(db.prepare_cached(last)?.query_row(range, SnapshotRow::read).optional()?)
}

fn one_snapshot(
    db: &Connection,
    scope: &StoredScope,
    row: &SnapshotRow,
) -> Result<Snapshot, Trouble> {
    let mut record = Vec::new();
    let parts = "SELECT record FROM parts WHERE id >= ?1 AND id < ?2 ORDER BY id";
    let mut statement = db.prepare_cached(parts)?;
    let range = key::parts(row.serial);
    let mut parts = statement.query([range.start, range.end])?;
    while let Some(part) = parts.next()? {
        record.extend_from_slice(part.get_ref(0)?.as_blob().map_err(wrong_type)?);
    }
    let position = row.position;
    let what = format!("the snapshot after the entry {position}");
    let snapshot = read_snapshot(scope, position, text(&record)?, row.crc);
    let snapshot = snapshot.map_err(|error| in_scope(scope, &what, error))?;
    // Which snapshot is taken goes by the columns.
    let columns = (row.revision, row.time, row.version);
    if columns != (snapshot.revision, snapshot.time, snapshot.version) {
        return Err(Trouble::Damaged(format!("{what} is not the one that was looked for")));
    }
    Ok(snapshot)
}

pub(super) fn snapshot_at(
    db: &Connection,
    scope: &StoredScope,
    moment: Moment,
) -> Result<Option<Snapshot>, Trouble> {
    let Some(head) = head::find(db, &scope.name)? else { return Ok(None) };
    let found = snapshot_rows(db, head)?.into_iter().find(|found| match moment {
        Moment::Revision(revision) => found.revision <= revision,
        Moment::Time(time) => found.time <= time,
    });
    found.map(|found| one_snapshot(db, scope, &found)).transpose()
}

pub(super) fn commits(
    db: &Connection,
    scope: &StoredScope,
    after: Revision,
    max: usize,
) -> Result<Vec<PastCommit>, Trouble> {
    let Some(head) = head::find(db, &scope.name)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    // A snapshot is where to begin to look, since rows are found by position. What is before the oldest is
    // forgotten, though it may not be swept yet.
    let snapshots = snapshot_rows(db, head)?;
    let near = snapshots.iter().find(|snapshot| snapshot.revision <= after);
    let Some(near) = near.or(snapshots.last()).filter(|_| max > 0) else { return Ok(found) };
    for_each_row(db, scope, head, (near.position, Some(after)), |_, version, row| {
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
    let found = head::list(db, after, max)?.into_iter();
    found.map(|(name, found)| summary(db, name, found.head)).collect()
}

/// What is known of a scope without loading it. One that is damaged is listed, too: with what is there.
fn summary(db: &Connection, name: ScopeName, head: Head) -> Result<ScopeSummary, Trouble> {
    let snapshots = "SELECT ifnull(sum(bytes), 0), ifnull(min(total), 0)
                     FROM snapshots WHERE id >= ?1 AND id < ?2";
    let range = [key::first(head.scope), key::end(head.scope)];
    let snapshots = db
        .prepare_cached(snapshots)?
        .query_row(range, |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)));
    let bytes = match snapshots.map_err(Trouble::from) {
        Ok((bytes, first)) => bytes.saturating_add(head.total.saturating_sub(first)),
        Err(Trouble::Damaged(_)) => 0,
        Err(other) => return Err(other),
    };
    Ok(ScopeSummary { name, revision: head.revision, bytes, modified: head.time })
}

pub(super) fn session(
    db: &Connection,
    token: &TokenHash,
) -> Result<Option<StoredSession>, Trouble> {
    let query = "SELECT crc, record FROM sessions WHERE token = ?1";
    let found = db
        .prepare_cached(query)?
        .query_row([token.as_bytes()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let found = or_nothing(found.optional().map_err(Trouble::from))?.flatten();
    Ok(found.and_then(|(crc, text)| whole_session(crc, &text)))
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
    while let Some(row) = or_nothing(rows.next().map_err(Trouble::from))?.flatten() {
        let record = row.get(1).and_then(|text: String| Ok((row.get(0)?, text)));
        let record = or_nothing(record.map_err(Trouble::from))?;
        found.extend(record.and_then(|(crc, text)| whole_session(crc, &text)));
    }
    Ok(found)
}

/// What cannot be read of sessions is passed over: the others are not concerned, nor is any scope.
fn or_nothing<T>(read: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match read {
        Err(Trouble::Damaged(error)) => {
            tracing::error!(error, "stored sessions are damaged and passed over");
            Ok(None)
        }
        other => other.map(Some),
    }
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

/// Each schema from whichever of its two places has it whole.
pub(super) fn schemas(db: &Connection) -> Result<Vec<StoredSchema>, Trouble> {
    let (mut whole, mut damage) = (BTreeMap::new(), BTreeMap::new());
    let mut unread = None;
    for table in ["schemas", "schemas_again"] {
        let read = schemas_in(db, table, &mut |schema, crc| {
            if schema_crc(&schema) == crc {
                whole.insert(schema.version, schema);
            } else {
                damage.insert(schema.version, table);
            }
        });
        match read {
            Err(Trouble::Damaged(what)) if unread.is_none() => unread = Some(what),
            other => other?,
        }
    }
    if let Some(version) = damage.keys().find(|version| !whole.contains_key(version)) {
        return Err(Trouble::Damaged(format!("the schema {} is damaged", version.0)));
    }
    if let Some(what) = unread.or(damage.first_entry().map(|_| "a checksum".to_owned())) {
        tracing::error!(what, "stored schemas are damaged in one of their two places");
    }
    Ok(whole.into_values().collect())
}

fn schemas_in(
    db: &Connection,
    table: &str,
    take: &mut impl FnMut(StoredSchema, u32),
) -> Result<(), Trouble> {
    let mut statement = db.prepare(&format!("SELECT version, text, crc FROM {table}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (version, text) = (SchemaVersion(row.get(0)?), row.get::<_, String>(1)?);
        take(StoredSchema { version, text: text.into() }, row.get(2)?);
    }
    Ok(())
}

/// The checksum of a schema.
pub(super) fn schema_crc(schema: &StoredSchema) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&schema.version.0.to_le_bytes());
    hasher.update(schema.text.as_bytes());
    hasher.finalize()
}

/// What SQLite finds wrong with its file.
pub(super) fn check(db: &Connection) -> Result<Vec<String>, Trouble> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.retain(|line| line != "ok");
    Ok(found)
}

fn text(bytes: &[u8]) -> Result<&str, Trouble> {
    std::str::from_utf8(bytes).map_err(|error| Trouble::Damaged(error.to_string()))
}

fn wrong_type(error: rusqlite::types::FromSqlError) -> Trouble {
    Trouble::Damaged(error.to_string())
}

/// How many read at a time: more would only wait for the same disk, and each keeps a cache.
const READERS_MAX: usize = 4;

/// How many findings about the file are told: one says as much as a thousand.
const FINDINGS_MAX: usize = 20;
