//! Where a scope's log ends: what makes a missing end visible.
//!
//! SQLite does not notice when a page of its own has become an older one, or a row is not found where it
//! was. So each scope says in a row of its own how far its log goes, under a checksum; and each name stands in
//! two places, so that a scope that is not found is not taken for one that never was.

use jetstream_core::ids::{Position, Revision, ScopeName};
use jetstream_core::time::Timestamp;
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::SchemaVersion;
use super::key;
use super::trouble::Trouble;

/// A scope's number, and where its log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) scope: i64,
    /// The schema of the newest snapshot.
    pub(super) version: SchemaVersion,
    pub(super) position: Position,
    pub(super) revision: Revision,
    pub(super) time: Timestamp,
    /// The bytes of all rows that the log ever had.
    pub(super) total: u64,
}

/// What is found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) head: Head,
    /// Why it must not be used.
    pub(super) damage: Option<String>,
}

impl Head {
    fn crc(&self, name: &str, damage: Option<&str>) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        let numbers = [
            self.scope,
            self.version.0.into(),
            self.position.0 as i64,
            self.revision.0 as i64,
            self.time.0,
            self.total as i64,
            name.len() as i64,
        ];
        numbers.iter().for_each(|number| hasher.update(&number.to_le_bytes()));
        hasher.update(name.as_bytes());
        hasher.update(damage.unwrap_or_default().as_bytes());
        hasher.finalize()
    }

    /// Writes down where the log ends now.
    pub(super) fn save(&self, db: &Connection, name: &ScopeName) -> Result<(), Trouble> {
        let saved = db
            .prepare_cached(
                "UPDATE scopes SET schema = ?2, position = ?3, revision = ?4, time = ?5, total = ?6,
                                   crc = ?7 WHERE id = ?1",
            )?
            .execute(params![
                self.scope,
                self.version.0,
                self.position.0 as i64,
                self.revision.0 as i64,
                self.time.0,
                self.total as i64,
                self.crc(name.as_str(), None),
            ])?;
        if saved == 1 { Ok(()) } else { Err(Trouble::Damaged("its row is gone".to_owned())) }
    }
}

/// A scope with no log yet, under a number that nobody has or has had.
pub(super) fn make(db: &Connection, name: &ScopeName, head: Head) -> Result<Head, Trouble> {
    insert(db, name, head, None)
}

fn insert(
    db: &Connection,
    name: &ScopeName,
    head: Head,
    damage: Option<&str>,
) -> Result<Head, Trouble> {
    let scope = loop {
        let scope = key::draw_scope()?;
        if !is_used(db, scope)? {
            break scope;
        }
    };
    let head = Head { scope, ..head };
    let text = name.as_str();
    db.prepare_cached("INSERT INTO scopes VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(
        params![
            scope,
            text,
            head.version.0,
            head.position.0 as i64,
            head.revision.0 as i64,
            head.time.0,
            head.total as i64,
            head.crc(text, damage),
            damage,
        ],
    )?;
    db.prepare_cached("INSERT OR IGNORE INTO names VALUES(?1, ?2)")?
        .execute([second_place(text), scope])?;
    Ok(head)
}

/// Whether a scope has this number, or has had it so lately that its rows are not swept.
fn is_used(db: &Connection, scope: i64) -> Result<bool, Trouble> {
    let in_use = "SELECT EXISTS(SELECT 1 FROM scopes WHERE id = ?1)
                      OR EXISTS(SELECT 1 FROM log WHERE id >= ?2 AND id < ?3)";
    let params = [scope, key::first(scope), key::end(scope)];
    Ok(db.prepare_cached(in_use)?.query_row(params, |row| row.get(0))?)
}

/// Takes a name out of both of its places.
pub(super) fn remove(db: &Connection, name: &ScopeName, scope: i64) -> Result<(), Trouble> {
    db.execute("DELETE FROM scopes WHERE id = ?1", [scope])?;
    let second = second_place(name.as_str());
    db.execute("DELETE FROM names WHERE id = ?1 AND scope = ?2", [second, scope])?;
    Ok(())
}

/// Marks a scope as one that must not be used until somebody has decided what becomes of it.
pub(super) fn mark(db: &Connection, name: &ScopeName, damage: &str) -> Result<(), Trouble> {
    match find_any(db, name)? {
        Some(Found { head, .. }) => {
            let crc = head.crc(name.as_str(), Some(damage));
            db.execute(
                "UPDATE scopes SET damage = ?2, crc = ?3 WHERE id = ?1",
                params![head.scope, damage, crc],
            )?;
        }
        None => {
            insert(db, name, NOTHING, Some(damage))?;
        }
    }
    Ok(())
}

/// Where the log of a scope ends; `None`: there is no such scope.
pub(super) fn find(db: &Connection, name: &ScopeName) -> Result<Option<Head>, Trouble> {
    match find_any(db, name)? {
        Some(Found { damage: Some(damage), .. }) => Err(Trouble::Damaged(damage)),
        found => Ok(found.map(|found| found.head)),
    }
}

/// The same of one that may be damaged.
pub(super) fn find_any(db: &Connection, name: &ScopeName) -> Result<Option<Found>, Trouble> {
    // With columns that no index has, or the name would be read where it was looked for.
    let by_name = format!("SELECT {COLUMNS} FROM scopes WHERE name = ?1");
    let found = db
        .prepare_cached(&by_name)?
        .query_row([name.as_str()], |row| Ok(read(row, name.as_str())?.0))
        .optional()?;
    if found.is_some() {
        return Ok(found);
    }
    let by_number =
        format!("SELECT {COLUMNS} FROM scopes WHERE id = (SELECT scope FROM names WHERE id = ?1)");
    let second = db
        .prepare_cached(&by_number)?
        .query_row([second_place(name.as_str())], |row| {
            let own: String = row.get(1)?;
            read(row, &own)
        })
        .optional()?;
    let Some((found, own)) = second else { return Ok(None) };
    if found.damage.is_none() && own != name.as_str() {
        // Two names for one number: the other came first.
        return Ok(None);
    }
    let damage = found.damage.unwrap_or_else(|| "its name is not where it was".to_owned());
    Ok(Some(Found { damage: Some(damage), ..found }))
}

/// What is found under a number, and the name that it has there.
pub(super) fn numbered(db: &Connection, scope: i64) -> Result<Option<(ScopeName, Found)>, Trouble> {
    let by_number = format!("SELECT {COLUMNS} FROM scopes NOT INDEXED WHERE id = ?1");
    let found = db.prepare_cached(&by_number)?.query_row([scope], |row| {
        let name: String = row.get(1)?;
        Ok((name.as_str().into(), read(row, &name)?.0))
    });
    Ok(found.optional()?)
}

/// A page of scopes in the order of their names.
pub(super) fn list(
    db: &Connection,
    after: Option<&ScopeName>,
    max: usize,
) -> Result<Vec<(ScopeName, Found)>, Trouble> {
    let names =
        format!("SELECT {COLUMNS} FROM scopes WHERE name > ?1 OR ?2 ORDER BY name LIMIT ?3");
    let mut statement = db.prepare_cached(&names)?;
    let from = after.map_or("", ScopeName::as_str);
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![from, after.is_none(), max])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        found.push((name.as_str().into(), read(row, &name)?.0));
    }
    Ok(found)
}

/// A row, and the name in it.
fn read(row: &Row<'_>, name: &str) -> rusqlite::Result<(Found, String)> {
    let head = Head {
        scope: row.get(0)?,
        version: SchemaVersion(row.get(2)?),
        position: Position(row.get::<_, i64>(3)? as u64),
        revision: Revision(row.get::<_, i64>(4)? as u64),
        time: Timestamp(row.get(5)?),
        total: row.get::<_, i64>(6)? as u64,
    };
    let (crc, damage): (u32, Option<String>) = (row.get(7)?, row.get(8)?);
    let fits = head.crc(name, damage.as_deref()) == crc;
    let damage = if fits { damage } else { Some("where its log ends is damaged".to_owned()) };
    Ok((Found { head, damage }, row.get(1)?))
}

/// Where a name stands besides the index of names.
fn second_place(name: &str) -> i64 {
    let digest = digest(&SHA256, name.as_bytes());
    let bytes = digest.as_ref().first_chunk().expect("a digest has 32 bytes");
    i64::from_le_bytes(*bytes)
}

/// A scope of which nothing is left.
pub(super) const NOTHING: Head = Head {
    scope: 0,
    version: SchemaVersion(0),
    position: Position(0),
    revision: Revision(0),
    time: Timestamp(0),
    total: 0,
};

const COLUMNS: &str = "id, name, schema, position, revision, time, total, crc, damage";
