//! What the database says about scopes and sessions.

use jetstream_core::ids::{Position, Revision, ScopeName};
use jetstream_core::scope::Entry;
use jetstream_core::time::Timestamp;
use tokio_postgres::Row;

use super::connection::Readers;
use crate::storage::{
    Kept, Moment, PastCommit, SchemaVersion, ScopeSummary, Snapshot, StorageError, Stored,
    StoredSchema, StoredScope, StoredSession, TokenHash, record,
};

impl Readers {
    /// The newest snapshot and what came after, as they were at one moment.
    pub(super) async fn load(
        &self,
        scope: &StoredScope,
        key: &str,
    ) -> Result<Option<Stored>, StorageError> {
        let rows = self.query(LOAD, &[&key]).await?;
        let Some((first, rows)) = rows.split_first() else {
            // Scopes are made with a snapshot: one without has lost it.
            return match self.knows(key).await? {
                true => Err(StorageError::damaged(&scope.name, "it has no snapshot")),
                false => Ok(None),
            };
        };
        let snapshot = read_snapshot(scope, first)?;
        let end: i64 = first.get("end");
        let mut stored = Stored { snapshot, entries: Vec::new() };
        for row in rows {
            stored.entries.extend(read_entries(scope, stored.position(), row)?.1);
        }
        if stored.position().0 != end.unsigned_abs() {
            return Err(missing(&scope.name, stored.position()));
        }
        Ok(Some(stored))
    }

    pub(super) async fn knows(&self, key: &str) -> Result<bool, StorageError> {
        Ok(self.end(key).await?.is_some())
    }

    /// Where a scope's snapshots stand, and what it takes to keep them; oldest first.
    pub(super) async fn kept(&self, key: &str) -> Result<Vec<(i64, Kept)>, StorageError> {
        let rows = self.query(KEPT, &[&key]).await?;
        let kept = |row: &Row| Kept {
            time: Timestamp(row.get("time")),
            bytes: row.get::<_, i64>("bytes").unsigned_abs(),
        };
        Ok(rows.iter().map(|row| (row.get("position"), kept(row))).collect())
    }

    pub(super) async fn snapshot_at(
        &self,
        scope: &StoredScope,
        key: &str,
        moment: Moment,
    ) -> Result<Option<Snapshot>, StorageError> {
        let (revision, time) = match moment {
            Moment::Revision(revision) => (bounded(revision.0), i64::MAX),
            Moment::Time(time) => (i64::MAX, time.0),
        };
        let rows = self.query(SNAPSHOT_AT, &[&key, &revision, &time]).await?;
        rows.first().map(|row| read_snapshot(scope, row)).transpose()
    }

    pub(super) async fn commits(
        &self,
        scope: &StoredScope,
        key: &str,
        after: Revision,
        max: usize,
    ) -> Result<Vec<PastCommit>, StorageError> {
        let rows = self.query(COMMITS, &[&key, &bounded(after.0), &bounded(max as u64)]).await?;
        let mut commits = Vec::new();
        for row in &rows {
            // A row may begin before what is still known of the past.
            let oldest = Position(row.get::<_, i64>("oldest").unsigned_abs());
            let (version, entries) = read_entries(scope, first_position(row).max(oldest), row)?;
            let news = entries.iter().filter_map(Entry::commit).cloned();
            let news = news.filter(|commit| commit.revision > after);
            commits.extend(news.map(|commit| PastCommit { version, commit }));
        }
        commits.truncate(max);
        Ok(commits)
    }

    /// Where a scope's log ends.
    pub(super) async fn end(&self, key: &str) -> Result<Option<i64>, StorageError> {
        let sql = "SELECT position FROM jetstream.scope WHERE name = $1";
        Ok(self.query(sql, &[&key]).await?.first().map(|row| row.get(0)))
    }

    pub(super) async fn scopes(
        &self,
        after: Option<&ScopeName>,
        max: usize,
    ) -> Result<Vec<ScopeSummary>, StorageError> {
        let after = after.map(ToString::to_string);
        let rows = self.query(SCOPES, &[&after, &bounded(max as u64)]).await?;
        let summary = |row: &Row| ScopeSummary {
            name: row.get::<_, &str>("name").into(),
            revision: Revision(row.get::<_, i64>("revision").unsigned_abs()),
            bytes: row.get::<_, i64>("bytes").unsigned_abs(),
            modified: Timestamp(row.get("modified")),
        };
        Ok(rows.iter().map(summary).collect())
    }

    pub(super) async fn session(
        &self,
        token: &TokenHash,
    ) -> Result<Option<StoredSession>, StorageError> {
        let rows = self.query(SESSION, &[&&token.as_bytes()[..]]).await?;
        rows.first().map(read_session).transpose()
    }

    pub(super) async fn sessions(
        &self,
        after: Option<String>,
        max: usize,
    ) -> Result<Vec<StoredSession>, StorageError> {
        let rows = self.query(SESSIONS, &[&after, &bounded(max as u64)]).await?;
        rows.iter().map(read_session).collect()
    }

    pub(super) async fn schemas(&self) -> Result<Vec<StoredSchema>, StorageError> {
        let rows = self.query(SCHEMAS, &[]).await?;
        let schema = |row: &Row| {
            let version = row.get::<_, i64>("version");
            let version = u32::try_from(version).map_err(|_| {
                StorageError::Unfit(format!("there is no schema version {version}"))
            })?;
            Ok(StoredSchema {
                version: SchemaVersion(version),
                text: row.get::<_, &str>("text").into(),
            })
        };
        rows.iter().map(schema).collect()
    }
}

fn read_snapshot(scope: &StoredScope, row: &Row) -> Result<Snapshot, StorageError> {
    let position = Position(row.get::<_, i64>("position").unsigned_abs());
    let snapshot = record::read_snapshot(scope, position, row.get("record"), crc(row));
    snapshot.map_err(|error| error.of(&scope.name))
}

/// The entries of a row that come after a position. A snapshot may have been taken between two of them.
fn read_entries(
    scope: &StoredScope,
    after: Position,
    row: &Row,
) -> Result<(SchemaVersion, Vec<Entry>), StorageError> {
    let begin = first_position(row);
    if begin > after {
        return Err(missing(&scope.name, after));
    }
    let entries = record::read_entries(scope, begin, row.get("record"), crc(row));
    let (version, mut entries) = entries.map_err(|error| error.of(&scope.name))?;
    entries.drain(..entries.len().min((after.0 - begin.0) as usize));
    Ok((version, entries))
}

/// The position before the first entry of a row.
fn first_position(row: &Row) -> Position {
    let (last, entries): (i64, i64) = (row.get("position"), row.get("entries"));
    Position(last.saturating_sub(entries).unsigned_abs())
}

fn read_session(row: &Row) -> Result<StoredSession, StorageError> {
    record::read_session(row.get("record"), crc(row))
        .map_err(|error| StorageError::Failed(format!("a session is damaged: {error}")))
}

/// The checksum beside a record. What does not fit into one is none, and fits no record.
fn crc(row: &Row) -> u32 {
    row.get::<_, i64>("crc") as u32
}

fn missing(scope: &ScopeName, after: Position) -> StorageError {
    StorageError::damaged(scope, format!("its entry {} is missing", after.next()))
}

/// A count for a column.
pub(super) fn number(number: u64) -> Result<i64, StorageError> {
    let refused = || StorageError::Refused(format!("PostgreSQL cannot count to {number}"));
    i64::try_from(number).map_err(|_| refused())
}

/// A count to compare a column with.
pub(super) fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One statement, and so one moment: the snapshot first, then its entries. `end` is where the log ends.
const LOAD: &str = "
WITH s AS (SELECT id, position AS end FROM jetstream.scope WHERE name = $1),
     newest AS (
         SELECT n.scope, n.position, n.record, n.crc FROM jetstream.snapshot AS n
         WHERE n.scope = (SELECT id FROM s) ORDER BY n.position DESC LIMIT 1
     )
SELECT 0 AS kind, newest.position, 0::bigint AS entries, newest.record, newest.crc, s.end
FROM newest, s
UNION ALL
SELECT 1, l.position, l.entries, l.record, l.crc, s.end FROM jetstream.log AS l, newest, s
WHERE l.scope = newest.scope AND l.position > newest.position
ORDER BY kind, position";

const KEPT: &str = "
SELECT n.position, n.time,
       (sum(octet_length(n.record)) OVER (ORDER BY n.position DESC)
        + coalesce((SELECT sum(octet_length(l.record)) FROM jetstream.log AS l
                    WHERE l.scope = n.scope AND l.position > n.position), 0))::bigint AS bytes
FROM jetstream.snapshot AS n JOIN jetstream.scope AS s ON s.id = n.scope
WHERE s.name = $1
ORDER BY n.position";

const SNAPSHOT_AT: &str = "
SELECT n.position, n.record, n.crc
FROM jetstream.snapshot AS n JOIN jetstream.scope AS s ON s.id = n.scope
WHERE s.name = $1 AND n.revision <= $2 AND n.time <= $3
ORDER BY n.position DESC LIMIT 1";

const COMMITS: &str = "
SELECT l.position, l.entries, l.record, l.crc, past.oldest
FROM jetstream.scope AS s JOIN jetstream.log AS l ON l.scope = s.id,
     LATERAL (SELECT min(position) AS oldest FROM jetstream.snapshot WHERE scope = s.id) AS past
WHERE s.name = $1 AND l.revision > $2 AND l.position > past.oldest
ORDER BY l.revision LIMIT $3";

const SCOPES: &str = "
SELECT s.name, s.revision, s.modified,
       (coalesce((SELECT sum(octet_length(record)) FROM jetstream.log WHERE scope = s.id), 0)
        + coalesce((SELECT sum(octet_length(record)) FROM jetstream.snapshot WHERE scope = s.id), 0)
       )::bigint AS bytes
FROM jetstream.scope AS s
WHERE $1::text IS NULL OR s.name > $1
ORDER BY s.name LIMIT $2";

const SESSION: &str = "SELECT record, crc FROM jetstream.session WHERE token = $1";

const SESSIONS: &str = "
SELECT record, crc FROM jetstream.session
WHERE $1::text IS NULL OR id > $1
ORDER BY id LIMIT $2";

const SCHEMAS: &str = "SELECT version, text FROM jetstream.model_schema ORDER BY version";
