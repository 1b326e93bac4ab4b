//! What the writer is asked to do, each in a savepoint of its own.

use std::collections::HashMap;

use jetstream_core::ids::{Position, Revision, ScopeName, SessionId};
use jetstream_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::history::{Horizon, Kept};
use super::super::record::{Place, Record};
use super::super::{LetterId, SchemaVersion, StorageError, StoredSchema, TokenHash};
use super::consumers::{Advance, drop_letters, fall_behind, forget_consumers, somebody_has_all};
use super::head::{self, Found, Head};
use super::key;
use super::promises::Promise;
use super::trouble::Trouble;

/// One change of the store.
#[derive(Debug)]
pub(super) enum Change {
    Append(Append),
    /// A part of a snapshot that is not there yet.
    Stage {
        serial: i64,
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
    pub(super) serial: i64,
    pub(super) position: Position,
    pub(super) revision: Revision,
    pub(super) time: Timestamp,
    pub(super) bytes: usize,
    pub(super) crc: u32,
    /// Its place and what is in it.
    pub(super) last_part: (usize, Vec<u8>),
}

/// What is remembered of a scope.
#[derive(Debug, Clone, Copy)]
struct Known {
    head: Head,
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
    heads: HashMap<ScopeName, Known>,
    /// Whether there is something to sweep.
    pub(super) garbage: bool,
    /// What the transaction promises when it is durable.
    pub(super) promises: Vec<Promise>,
}

impl Changes {
    pub(super) fn new() -> Self {
        // What an earlier server left is found by the first sweep.
        Self { heads: HashMap::new(), garbage: true, promises: Vec::new() }
    }

    /// Carries out one change. What it answers is only of interest for [`Change::Remove`]: whether there was
    /// something.
    pub(super) fn apply(&mut self, db: &Connection, change: &Change) -> Result<bool, Trouble> {
        match change {
            Change::Append(append) => self.append(db, append)?,
            Change::Stage { serial, part, record } => stage(db, *serial, *part, record)?,
            Change::Snapshot(snapshot) => self.snapshot(db, snapshot)?,
            Change::Trim { scope, horizon } => self.trim(db, scope, *horizon)?,
            Change::Remove(scope) => return self.remove(db, scope),
            Change::SaveSessions(sessions) => {
                for (id, token, record) in sessions {
                    let saved = save_session(db, *id, token, record)?;
                    self.promises.push(Promise::Session(*id, saved));
                }
            }
            Change::ForgetSessions(sessions) => {
                let mut forget = db.prepare_cached("DELETE FROM sessions WHERE id = ?1")?;
                for id in sessions {
                    forget.execute([session_key(*id)])?;
                    self.promises.push(Promise::Forgotten(*id));
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
        let known = self.known(db, scope)?.ok_or_else(|| StorageError::unknown(scope))?;
        let Known { mut head, mut is_awaited } = known;
        StoredSchema::goes_on(head.version, append.version)?;
        let after = head.position;
        if let Some((first, last, time)) = append.commits {
            if first <= head.revision {
                let last = head.revision;
                let refused = format!("revision {first} of {scope:?} does not come after {last}");
                return Err(StorageError::Refused(refused).into());
            }
            (head.revision, head.time) = (last, time);
            if std::mem::take(&mut is_awaited) {
                fall_behind(db, head.scope)?;
            }
        }
        // What the columns say may be damaged, and must not stop the writer.
        head.position.0 = head.position.0.saturating_add(append.entries);
        head.total = head.total.saturating_add(append.text.len() as u64 + ROW_BYTES);
        if head.position.0 >= key::POSITIONS as u64 {
            let refused = format!("the log of {scope:?} has no numbers left");
            return Err(StorageError::Refused(refused).into());
        }
        let crc = Place::Entries(scope, after).crc(&append.text);
        db.prepare_cached("INSERT INTO log VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            params![
                key::row(head.scope, after),
                append.entries as i64,
                head.revision.0 as i64,
                head.time.0,
                head.total as i64,
                crc,
                append.text.as_bytes(),
            ],
        )?;
        head.save(db, scope)?;
        self.promises.push(Promise::Entries(scope.clone(), head.scope, head.position));
        self.remember(scope, Known { head, is_awaited });
        Ok(())
    }

    fn snapshot(&mut self, db: &Connection, new: &NewSnapshot) -> Result<(), Trouble> {
        let (head, total) = match self.head(db, &new.scope)? {
            Some(head) => (head, self.total_at(db, head, new)?),
            None => {
                let NewSnapshot { position, revision, time, version, .. } = *new;
                let head = Head { version, position, revision, time, ..head::NOTHING };
                (head::make(db, &new.scope, head)?, 0)
            }
        };
        let (part, record) = &new.last_part;
        insert_part(db, new.serial, *part, record)?;
        db.execute("DELETE FROM garbage WHERE kind = 0 AND object = ?1", [new.serial])?;
        let row = key::row(head.scope, new.position);
        let same = "SELECT serial FROM snapshots WHERE id = ?1";
        let same: Option<i64> = db.query_row(same, [row], |row| row.get(0)).optional()?;
        if let Some(same) = same {
            self.drop_snapshot(db, row, same)?;
        }
        db.prepare_cached("INSERT INTO snapshots VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                row,
                new.serial,
                new.revision.0 as i64,
                new.time.0,
                total as i64,
                new.bytes as i64,
                new.version.0,
                new.crc,
            ])?;
        if is_newest(db, row, head.scope)? {
            Head { version: new.version, ..head }.save(db, &new.scope)?;
        }
        self.promises.push(Promise::Entries(new.scope.clone(), head.scope, head.position));
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
        let (first, end) = (key::first(head.scope), key::end(head.scope));
        let oldest = "SELECT min(id) FROM snapshots WHERE id >= ?1 AND id < ?2";
        let oldest = key::position(db.query_row(oldest, [first, end], |row| row.get(0))?);
        if position < oldest {
            let refused = format!("what is before the entry {oldest} is forgotten");
            return Err(StorageError::Refused(refused).into());
        }
        let total = "SELECT total FROM log WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1";
        let total = db
            .query_row(total, [first, key::row(head.scope, position)], |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(total.map_or(0, |total| total as u64))
    }

    fn trim(&mut self, db: &Connection, name: &ScopeName, horizon: Horizon) -> Result<(), Trouble> {
        let head = self.head(db, name)?.ok_or_else(|| StorageError::unknown(name))?;
        let snapshots = snapshots(db, head)?;
        let kept: Vec<Kept> = snapshots.iter().map(|(_, _, kept)| *kept).collect();
        let oldest = horizon.oldest_kept(&kept);
        for (row, serial, _) in &snapshots[..oldest] {
            self.drop_snapshot(db, *row, *serial)?;
        }
        if oldest > 0 {
            let until = key::position(snapshots[oldest].0);
            self.throw_away(db, ROWS, head.scope, until.0 as i64)?;
        }
        Ok(())
    }

    fn remove(&mut self, db: &Connection, name: &ScopeName) -> Result<bool, Trouble> {
        // Also one that is damaged: to remove it may be what somebody has decided.
        let Some(Found { head, .. }) = head::find_any(db, name)? else { return Ok(false) };
        for (row, serial, _) in snapshots(db, head)? {
            self.drop_snapshot(db, row, serial)?;
        }
        forget_consumers(db, head.scope)?;
        head::remove(db, name, head.scope)?;
        self.throw_away(db, ROWS, head.scope, key::POSITIONS)?;
        self.promises.push(Promise::Removed(name.clone(), head.scope));
        self.heads.remove(name);
        Ok(true)
    }

    fn drop_snapshot(&mut self, db: &Connection, row: i64, serial: i64) -> Result<(), Trouble> {
        db.prepare_cached("DELETE FROM snapshots WHERE id = ?1")?.execute([row])?;
        self.throw_away(db, PARTS, serial, 0)
    }

    fn throw_away(
        &mut self,
        db: &Connection,
        kind: i64,
        object: i64,
        until: i64,
    ) -> Result<(), Trouble> {
        let thrown = db
            .prepare_cached("INSERT INTO garbage(kind, object, until) VALUES(?1, ?2, ?3)")?
            .execute([kind, object, until]);
        self.garbage = true;
        match thrown.map_err(Trouble::from) {
            // What cannot be swept takes room, and that is all.
            Err(Trouble::Damaged(error)) => tracing::error!(error, "something is never swept"),
            other => drop(other?),
        }
        Ok(())
    }

    /// Deletes a little of what is not needed any more, at most so many rows of logs.
    pub(super) fn sweep(&mut self, db: &Connection, rows_max: usize) -> Result<(), Trouble> {
        match self.sweep_some(db, rows_max) {
            // It is in the way of nothing but the room that it takes, until the next start.
            Err(Trouble::Damaged(error)) => {
                tracing::error!(error, "what is not needed any more is not swept");
                self.garbage = false;
                Ok(())
            }
            other => other,
        }
    }

    fn sweep_some(&mut self, db: &Connection, rows_max: usize) -> Result<(), Trouble> {
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
            let rows = key::parts(object);
            let parts = "DELETE FROM parts WHERE id IN
                         (SELECT id FROM parts WHERE id >= ?1 AND id < ?2 LIMIT ?3)";
            let range = [rows.start, rows.end, SWEPT_PARTS_MAX];
            (db.prepare_cached(parts)?.execute(range)?, SWEPT_PARTS_MAX)
        } else {
            let until: i64 = until;
            let end = key::row(object, Position(until as u64));
            // A row goes when all of its entries are before the position.
            let rows = "DELETE FROM log WHERE id IN (SELECT id FROM log
                        WHERE id >= ?1 AND id < ?2 AND id + entries <= ?2 LIMIT ?3)";
            (db.prepare_cached(rows)?.execute([key::first(object), end, rows_max])?, rows_max)
        };
        if (deleted as i64) < max {
            db.prepare_cached("DELETE FROM garbage WHERE id = ?1")?.execute([id])?;
        }
        Ok(())
    }

    /// Where the log of a scope ends; `None` if it has no snapshot.
    fn head(&mut self, db: &Connection, name: &ScopeName) -> Result<Option<Head>, Trouble> {
        Ok(self.known(db, name)?.map(|known| known.head))
    }

    fn known(&mut self, db: &Connection, name: &ScopeName) -> Result<Option<Known>, Trouble> {
        if let Some(known) = self.heads.get(name) {
            return Ok(Some(*known));
        }
        let Some(head) = head::find(db, name)? else { return Ok(None) };
        let known = Known { head, is_awaited: somebody_has_all(db, head.scope)? };
        self.remember(name, known);
        Ok(Some(known))
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
        if let Some(known) = self.heads.get_mut(name) {
            known.is_awaited = true;
        }
    }

    fn remember(&mut self, name: &ScopeName, known: Known) {
        if self.heads.len() >= HEADS_MAX {
            self.heads.clear();
        }
        self.heads.insert(name.clone(), known);
    }
}

/// Whether no snapshot of the scope is behind this one.
fn is_newest(db: &Connection, row: i64, scope: i64) -> Result<bool, Trouble> {
    let later = "SELECT NOT EXISTS(SELECT 1 FROM snapshots WHERE id > ?1 AND id < ?2)";
    Ok(db.prepare_cached(later)?.query_row([row, key::end(scope)], |row| row.get(0))?)
}

/// A scope's snapshots, oldest first: their rows, what their parts are found by, and what is kept with each.
fn snapshots(db: &Connection, head: Head) -> Result<Vec<(i64, i64, Kept)>, Trouble> {
    let all = "SELECT id, serial, time, total, bytes FROM snapshots
               WHERE id >= ?1 AND id < ?2 ORDER BY id DESC";
    let mut statement = db.prepare_cached(all)?;
    let mut rows = statement.query([key::first(head.scope), key::end(head.scope)])?;
    let (mut found, mut snapshot_bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let total = row.get::<_, i64>(3)? as u64;
        snapshot_bytes = u64::saturating_add(snapshot_bytes, row.get::<_, i64>(4)? as u64);
        let bytes = snapshot_bytes.saturating_add(head.total.saturating_sub(total));
        let kept = Kept { time: Timestamp(row.get(2)?), bytes };
        found.push((row.get(0)?, row.get(1)?, kept));
    }
    found.reverse();
    Ok(found)
}

fn stage(db: &Connection, serial: i64, part: usize, record: &[u8]) -> Result<(), Trouble> {
    if part == 0 {
        db.execute("INSERT INTO garbage(kind, object, until) VALUES(0, ?1, 0)", [serial])?;
    }
    insert_part(db, serial, part, record)
}

fn insert_part(db: &Connection, serial: i64, part: usize, record: &[u8]) -> Result<(), Trouble> {
    if part >= key::PARTS_MAX {
        let refused = "the state is too large for a snapshot".to_owned();
        return Err(StorageError::Refused(refused).into());
    }
    db.prepare_cached("INSERT INTO parts VALUES(?1, ?2)")?
        .execute(params![key::parts(serial).start + part as i64, record])?;
    Ok(())
}

fn save_session(
    db: &Connection,
    id: SessionId,
    token: &TokenHash,
    record: &Record,
) -> Result<i64, Trouble> {
    let save = "INSERT OR REPLACE INTO sessions VALUES(
                    ?1, ?2, ?3, ?4, ifnull((SELECT saved FROM sessions WHERE id = ?1), 0) + 1
                ) RETURNING saved";
    let values = params![session_key(id), token.as_bytes(), record.crc, record.text];
    Ok(db.prepare_cached(save)?.query_row(values, |row| row.get(0))?)
}

fn add_schema(db: &Connection, schema: &StoredSchema) -> Result<(), Trouble> {
    let there = super::read::schemas(db)?;
    if StoredSchema::is_new(&there, schema)? {
        let crc = super::read::schema_crc(schema);
        for table in ["schemas", "schemas_again"] {
            let insert = format!("INSERT OR REPLACE INTO {table} VALUES(?1, ?2, ?3)");
            db.execute(&insert, params![schema.version.0, crc, &*schema.text])?;
        }
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
