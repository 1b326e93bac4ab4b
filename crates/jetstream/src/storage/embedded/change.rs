//! What the writer is asked to do, each in a savepoint of its own.

use std::collections::HashMap;

use jetstream_core::ids::{Position, Revision, ScopeName, SessionId};
use jetstream_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::history::{Horizon, Kept};
use super::super::record::{Place, Record};
use super::super::{LetterId, SchemaVersion, StorageError, StoredSchema, TokenHash};
use super::consumers::{Advance, drop_letters, fall_behind, forget_consumers, somebody_has_all};
use super::trouble::Trouble;

/// One change of the store.
#[derive(Debug)]
pub(super) enum Change {
    Append(Append),
    /// A part of a snapshot that is not there yet.
    Stage {
        snapshot: i64,
        part: usize,
        record: Vec<u8>,
    },
    Snapshot(NewSnapshot),
    Trim {
        scope: ScopeName,
        horizon: Horizon,
    },
    Remove(ScopeName),
    SaveSessions(Vec<(SessionId, TokenHash, Record)>),
    ForgetSessions(Vec<SessionId>),
    AddSchema(StoredSchema),
    Follow {
        scope: ScopeName,
        consumer: String,
    },
    Advance(Advance),
    DropLetters(Vec<LetterId>),
}

/// Entries for a scope's log.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) scope: ScopeName,
    pub(super) version: SchemaVersion,
    pub(super) entries: u64,
    /// The revisions of the first and of the last commit, and the time of that, if there is one.
    pub(super) commits: Option<(Revision, Revision, Timestamp)>,
    pub(super) text: String,
}

/// A snapshot, of which all parts but this one are staged.
#[derive(Debug)]
pub(super) struct NewSnapshot {
    pub(super) scope: ScopeName,
    pub(super) version: SchemaVersion,
    pub(super) id: i64,
    pub(super) position: Position,
    pub(super) revision: Revision,
    pub(super) time: Timestamp,
    pub(super) bytes: usize,
    pub(super) crc: u32,
    /// Its place and what is in it.
    pub(super) last_part: (usize, Vec<u8>),
}

/// Where a scope's log ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    scope: i64,
    /// The schema of the newest snapshot.
    version: SchemaVersion,
    position: Position,
    revision: Revision,
    time: Timestamp,
    /// The bytes of all rows that the log ever had.
    total: u64,
    /// Whether somebody follows the scope who has everything.
    is_awaited: bool,
}

impl Change {
    /// Whose it is, for the error.
    pub(super) const fn scope(&self) -> Option<&ScopeName> {
        match self {
            Self::Append(Append { scope, .. })
            | Self::Snapshot(NewSnapshot { scope, .. })
            | Self::Trim { scope, .. }
            | Self::Follow { scope, .. }
            | Self::Advance(Advance { scope, .. })
            | Self::Remove(scope) => Some(scope),
            _ => None,
        }
    }

    /// About how much it makes the transaction grow.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.text.len(),
            Self::Stage { record, .. } => record.len(),
            Self::Snapshot(snapshot) => snapshot.last_part.1.len(),
            Self::Advance(Advance { letter: Some((_, record)), .. }) => record.text.len(),
            Self::SaveSessions(all) => all.iter().map(|(_, _, record)| record.text.len()).sum(),
            _ => 0,
        }
    }
}

/// Carries out changes, and remembers where logs end.
#[derive(Debug)]
pub(super) struct Changes {
    /// Forgotten as a whole when there are many: it is only quicker than to look.
    heads: HashMap<ScopeName, Head>,
    /// Whether there is something to sweep.
    pub(super) garbage: bool,
}

impl Changes {
    pub(super) fn new() -> Self {
        // What an earlier server left is found by the first sweep.
        Self { heads: HashMap::new(), garbage: true }
    }

    /// Carries out one change. What it answers is only of interest for [`Change::Remove`]: whether there was
    /// something.
    pub(super) fn apply(&mut self, db: &Connection, change: &Change) -> Result<bool, Trouble> {
        match change {
            Change::Append(append) => self.append(db, append)?,
            Change::Stage { snapshot, part, record } => stage(db, *snapshot, *part, record)?,
            Change::Snapshot(snapshot) => self.snapshot(db, snapshot)?,
            Change::Trim { scope, horizon } => self.trim(db, scope, *horizon)?,
            Change::Remove(scope) => return self.remove(db, scope),
            Change::SaveSessions(sessions) => {
                for (id, token, record) in sessions {
                    save_session(db, *id, token, record)?;
                }
            }
            Change::ForgetSessions(sessions) => {
                let mut forget = db.prepare_cached("DELETE FROM sessions WHERE id = ?1")?;
                for id in sessions {
                    forget.execute([session_key(*id)])?;
                }
            }
            Change::AddSchema(schema) => add_schema(db, schema)?,
            Change::Follow { scope, consumer } => self.follow(db, scope, consumer)?,
            Change::Advance(advance) => self.advance(db, advance)?,
            Change::DropLetters(letters) => drop_letters(db, letters)?,
        }
        Ok(true)
    }

    /// Forgets what it knows of a scope, since it was not carried out.
    pub(super) fn forget(&mut self, scope: Option<&ScopeName>) {
        match scope {
            Some(scope) => drop(self.heads.remove(scope)),
            None => self.heads.clear(),
        }
    }

    fn append(&mut self, db: &Connection, append: &Append) -> Result<(), Trouble> {
        let scope = &append.scope;
        let mut head = self.head(db, scope)?.ok_or_else(|| StorageError::unknown(scope))?;
        StoredSchema::goes_on(head.version, append.version)?;
        let after = head.position;
        if let Some((first, last, time)) = append.commits {
            if first <= head.revision {
                let last = head.revision;
                let refused = format!("revision {first} of {scope:?} does not come after {last}");
                return Err(StorageError::Refused(refused).into());
            }
            (head.revision, head.time) = (last, time);
            if std::mem::take(&mut head.is_awaited) {
                fall_behind(db, head.scope)?;
            }
        }
        // What the columns say may be damaged, and must not stop the writer.
        head.position.0 = head.position.0.saturating_add(append.entries);
        head.total = head.total.saturating_add(append.text.len() as u64 + ROW_BYTES);
        let crc = Place::Entries(scope, after).crc(&append.text);
        db.prepare_cached(
            "INSERT INTO log(scope, position, entries, revision, time, total, crc, record)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            head.scope,
            after.0 as i64,
            append.entries as i64,
            head.revision.0 as i64,
            head.time.0,
            head.total as i64,
            crc,
            append.text.as_bytes(),
        ])?;
        self.remember(scope, head);
        Ok(())
    }

    fn snapshot(&mut self, db: &Connection, new: &NewSnapshot) -> Result<(), Trouble> {
        let (scope, total) = match self.head(db, &new.scope)? {
            Some(head) => (head.scope, self.total_at(db, head, new)?),
            None => (make_scope(db, &new.scope)?, 0),
        };
        let (part, record) = &new.last_part;
        insert_part(db, new.id, *part, record)?;
        db.execute("DELETE FROM garbage WHERE kind = 0 AND object = ?1", [new.id])?;
        let same = "SELECT id FROM snapshots WHERE scope = ?1 AND position = ?2";
        let same: Option<i64> = db
            .query_row(same, params![scope, new.position.0 as i64], |row| row.get(0))
            .optional()?;
        if let Some(same) = same {
            self.drop_snapshot(db, same)?;
        }
        db.prepare_cached("INSERT INTO snapshots VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                new.id,
                scope,
                new.position.0 as i64,
                new.revision.0 as i64,
                new.time.0,
                total as i64,
                new.bytes as i64,
                new.version.0,
                new.crc,
            ])?;
        self.heads.remove(&new.scope);
        Ok(())
    }

    /// That a snapshot is of what is stored, and how many bytes of the log are before it.
    fn total_at(&self, db: &Connection, head: Head, new: &NewSnapshot) -> Result<u64, Trouble> {
        let (position, revision) = (new.position, new.revision);
        if position > head.position || revision > head.revision {
            return Err(Trouble::Refused(StorageError::Refused(format!(
                "the last entry of {:?} is {} at revision {}, not {position} at {revision}",
                new.scope, head.position, head.revision,
            ))));
        }
        let oldest = "SELECT min(position) FROM snapshots WHERE scope = ?1";
        let oldest: i64 = db.query_row(oldest, [head.scope], |row| row.get(0))?;
        if position.0 < oldest as u64 {
            let refused = format!("what is before the entry {oldest} is forgotten");
            return Err(StorageError::Refused(refused).into());
        }
        let total = "SELECT total FROM log WHERE scope = ?1 AND position < ?2
                     ORDER BY position DESC LIMIT 1";
        let total = db
            .query_row(total, params![head.scope, position.0 as i64], |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(total.map_or(0, |total| total as u64))
    }

    fn trim(&mut self, db: &Connection, name: &ScopeName, horizon: Horizon) -> Result<(), Trouble> {
        let head = self.head(db, name)?.ok_or_else(|| StorageError::unknown(name))?;
        let snapshots = snapshots(db, head)?;
        let kept: Vec<Kept> = snapshots.iter().map(|(_, _, kept)| *kept).collect();
        let oldest = horizon.oldest_kept(&kept);
        for (id, _, _) in &snapshots[..oldest] {
            self.drop_snapshot(db, *id)?;
        }
        if oldest > 0 {
            let until = snapshots[oldest].1.0;
            self.throw_away(db, ROWS, head.scope, until as i64)?;
        }
        Ok(())
    }

    fn remove(&mut self, db: &Connection, name: &ScopeName) -> Result<bool, Trouble> {
        let Some(head) = self.head(db, name)? else { return Ok(false) };
        for (id, _, _) in snapshots(db, head)? {
            self.drop_snapshot(db, id)?;
        }
        forget_consumers(db, head.scope)?;
        db.execute("DELETE FROM scopes WHERE id = ?1", [head.scope])?;
        self.throw_away(db, ROWS, head.scope, i64::MAX)?;
        self.heads.remove(name);
        Ok(true)
    }

    fn drop_snapshot(&mut self, db: &Connection, id: i64) -> Result<(), Trouble> {
        db.prepare_cached("DELETE FROM snapshots WHERE id = ?1")?.execute([id])?;
        self.throw_away(db, PARTS, id, 0)
    }

    fn throw_away(
        &mut self,
        db: &Connection,
        kind: i64,
        object: i64,
        until: i64,
    ) -> Result<(), Trouble> {
        db.prepare_cached("INSERT INTO garbage(kind, object, until) VALUES(?1, ?2, ?3)")?
            .execute([kind, object, until])?;
        self.garbage = true;
        Ok(())
    }

    /// Deletes a little of what is not needed any more, at most so many rows of logs.
    pub(super) fn sweep(&mut self, db: &Connection, rows_max: usize) -> Result<(), Trouble> {
        let rows_max = rows_max as i64;
        let next = "SELECT id, kind, object, until FROM garbage WHERE kind > 0 LIMIT 1";
        let next = db.prepare_cached(next)?.query_row([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get(3)?))
        });
        let Some((id, kind, object, until)) = next.optional()? else {
            self.garbage = false;
            return Ok(());
        };
        let (deleted, max) = if kind == PARTS {
            let parts = "DELETE FROM parts WHERE id IN
                         (SELECT id FROM parts WHERE snapshot = ?1 LIMIT ?2)";
            (db.prepare_cached(parts)?.execute([object, SWEPT_PARTS_MAX])?, SWEPT_PARTS_MAX)
        } else {
            // A row goes when all of its entries are before the position.
            let rows = "DELETE FROM log WHERE id IN (SELECT id FROM log
                        WHERE scope = ?1 AND position < ?2 AND position + entries <= ?2 LIMIT ?3)";
            let until: i64 = until;
            (db.prepare_cached(rows)?.execute([object, until, rows_max])?, rows_max)
        };
        if (deleted as i64) < max {
            db.prepare_cached("DELETE FROM garbage WHERE id = ?1")?.execute([id])?;
        }
        Ok(())
    }

    /// Where the log of a scope ends; `None` if it has no snapshot.
    fn head(&mut self, db: &Connection, name: &ScopeName) -> Result<Option<Head>, Trouble> {
        if let Some(head) = self.heads.get(name) {
            return Ok(Some(*head));
        }
        let head = find_head(db, name)?;
        if let Some(head) = head {
            self.remember(name, head);
        }
        Ok(head)
    }

    /// Which row a scope has, and its last revision.
    pub(super) fn end(
        &mut self,
        db: &Connection,
        name: &ScopeName,
    ) -> Result<Option<(i64, Revision)>, Trouble> {
        Ok(self.head(db, name)?.map(|head| (head.scope, head.revision)))
    }

    /// Somebody follows a scope who has everything until the next commit.
    pub(super) fn has_caught_up(&mut self, name: &ScopeName) {
        if let Some(head) = self.heads.get_mut(name) {
            head.is_awaited = true;
        }
    }

    fn remember(&mut self, name: &ScopeName, head: Head) {
        if self.heads.len() >= HEADS_MAX {
            self.heads.clear();
        }
        self.heads.insert(name.clone(), head);
    }
}

fn find_head(db: &Connection, name: &ScopeName) -> Result<Option<Head>, Trouble> {
    let scope = "SELECT id FROM scopes WHERE name = ?1";
    let scope: Option<i64> =
        db.prepare_cached(scope)?.query_row([name.as_str()], |row| row.get(0)).optional()?;
    let Some(scope) = scope else { return Ok(None) };
    let newest = "SELECT position, revision, time, total, schema FROM snapshots
                  WHERE scope = ?1 ORDER BY position DESC LIMIT 1";
    let is_awaited = somebody_has_all(db, scope)?;
    let read = |row: &rusqlite::Row<'_>, version| {
        Ok(Head {
            is_awaited,
            scope,
            version,
            position: Position(row.get::<_, i64>(0)? as u64),
            revision: Revision(row.get::<_, i64>(1)? as u64),
            time: Timestamp(row.get(2)?),
            total: row.get::<_, i64>(3)? as u64,
        })
    };
    let head = db
        .prepare_cached(newest)?
        .query_row([scope], |row| read(row, SchemaVersion(row.get(4)?)))
        .optional()?;
    let Some(head) = head else { return Ok(None) };
    let last = "SELECT position + entries, revision, time, total FROM log
                WHERE scope = ?1 ORDER BY position DESC LIMIT 1";
    let last =
        db.prepare_cached(last)?.query_row([scope], |row| read(row, head.version)).optional()?;
    Ok(Some(last.unwrap_or(head)))
}

/// A scope's snapshots, oldest first: ids, positions, and what is kept with each.
fn snapshots(db: &Connection, head: Head) -> Result<Vec<(i64, Position, Kept)>, Trouble> {
    let all = "SELECT id, position, time, total, bytes FROM snapshots
               WHERE scope = ?1 ORDER BY position DESC";
    let mut statement = db.prepare_cached(all)?;
    let mut rows = statement.query([head.scope])?;
    let (mut found, mut snapshot_bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let total = row.get::<_, i64>(3)? as u64;
        snapshot_bytes = u64::saturating_add(snapshot_bytes, row.get::<_, i64>(4)? as u64);
        let bytes = snapshot_bytes.saturating_add(head.total.saturating_sub(total));
        let kept = Kept { time: Timestamp(row.get(2)?), bytes };
        found.push((row.get(0)?, Position(row.get::<_, i64>(1)? as u64), kept));
    }
    found.reverse();
    Ok(found)
}

fn make_scope(db: &Connection, name: &ScopeName) -> Result<i64, Trouble> {
    db.execute("INSERT INTO scopes(name) VALUES(?1)", [name.as_str()])?;
    Ok(db.last_insert_rowid())
}

fn stage(db: &Connection, snapshot: i64, part: usize, record: &[u8]) -> Result<(), Trouble> {
    if part == 0 {
        db.execute("INSERT INTO garbage(kind, object, until) VALUES(0, ?1, 0)", [snapshot])?;
    }
    insert_part(db, snapshot, part, record)
}

fn insert_part(db: &Connection, snapshot: i64, part: usize, record: &[u8]) -> Result<(), Trouble> {
    db.prepare_cached("INSERT INTO parts(snapshot, part, record) VALUES(?1, ?2, ?3)")?
        .execute(params![snapshot, part as i64, record])?;
    Ok(())
}

fn save_session(
    db: &Connection,
    id: SessionId,
    token: &TokenHash,
    record: &Record,
) -> Result<(), Trouble> {
    db.prepare_cached("INSERT OR REPLACE INTO sessions VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![session_key(id), token.as_bytes(), record.crc, record.text])?;
    Ok(())
}

fn add_schema(db: &Connection, schema: &StoredSchema) -> Result<(), Trouble> {
    let there = super::read::schemas(db)?;
    if StoredSchema::is_new(&there, schema)? {
        db.execute("INSERT INTO schemas VALUES(?1, ?2)", params![schema.version.0, &*schema.text])?;
    }
    Ok(())
}

/// SQLite's integers have a sign; this keeps the order of ids that have none.
pub(super) const fn session_key(id: SessionId) -> i64 {
    (id.0 ^ (1 << 63)) as i64
}

/// The kinds of garbage.
const PARTS: i64 = 1;
const ROWS: i64 = 2;

/// About how much room a row takes beside its record.
const ROW_BYTES: u64 = 48;

/// How many parts of snapshots are swept at a time: some milliseconds' worth.
const SWEPT_PARTS_MAX: i64 = 4;

/// How many ends of logs are remembered, some ten megabytes' worth.
const HEADS_MAX: usize = 100_000;
