//! Taking out of a damaged store what can be read, into a new one.
//!
//! For when a store does not open any more, or scopes of it are damaged and no backup is there: somebody decides
//! to go on with what is left, and is told what that is. The damaged store stays as it is. Of each scope the
//! last state is taken to which snapshots and log still lead; its past and all sessions are not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jetstream_core::ids::{Revision, ScopeName};
use rusqlite::Connection;

use super::super::{Evolution, Storage, StorageError, Stored, StoredSchema, StoredScope};
use super::copy;
use super::folder::Folder;
use super::head::{self, Found};
use super::layout::{self, DATABASE, LOG_AHEAD};
use super::promises::Promised;
use super::trouble::Trouble;
use super::wal::LogAhead;
use super::{EmbeddedOptions, EmbeddedStorage, read, recovery};

/// What became of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// Its name; `None`: it cannot be read.
    pub name: Option<ScopeName>,
    /// The revision of the state that it has now; `None`: nothing of it is left.
    pub revision: Option<Revision>,
    /// What is lost, in plain words; `None`: nothing.
    pub lost: Option<String>,
}

impl EmbeddedStorage {
    /// Makes a store in the folder `to` of what can be read in the folder `from`, which stays as it is.
    ///
    /// # Errors
    ///
    /// A server has the store open, there is a store in `to`, the disk fails, or of the damaged store not even
    /// the schemas can be read.
    pub async fn salvage(from: &Path, to: &Path) -> Result<Vec<Salvaged>, StorageError> {
        let _lock = Folder::take(from)?;
        if Self::is_in(to) {
            let there = format!("there is a store in {} already", to.display());
            return Err(StorageError::Refused(there));
        }
        let work = to.join(WORK);
        let cannot = |error: std::io::Error| {
            StorageError::Failed(format!("cannot write to {}: {error}", to.display()))
        };
        fs::create_dir_all(to).and_then(|()| copy::copy_files(from, &work)).map_err(cannot)?;
        let store = Self::open(&EmbeddedOptions::new(to))?;
        let done = salvage(from, &work, &store).await;
        fs::remove_dir_all(&work).map_err(cannot)?;
        done
    }
}

async fn salvage(
    from: &Path,
    work: &Path,
    store: &EmbeddedStorage,
) -> Result<Vec<Salvaged>, StorageError> {
    let (schemas, mut left) = {
        let db = open(from, work).map_err(|trouble| trouble.of(None))?;
        let schemas = read::schemas(&db).map_err(|trouble| trouble.of(None))?;
        let failed = |error: std::io::Error| StorageError::Failed(error.to_string());
        let promised = Promised::read(from).map_err(failed)?.unwrap_or_default();
        (schemas.clone(), Left { db, evolution: evolution(&schemas)?, promised })
    };
    for schema in schemas {
        store.add_schema(schema).await?;
    }
    let mut all = Vec::new();
    for scope in numbers(&left.db) {
        let (salvaged, state) = left.scope(scope);
        if let Some((key, stored)) = state {
            match stored.rebuild(&key) {
                Ok(rebuilt) => store.compact(&key, rebuilt.snapshot()).await?,
                Err(error) => {
                    let lost = Some(error.to_string());
                    all.push(Salvaged { revision: None, lost, ..salvaged });
                    continue;
                }
            }
        }
        all.push(salvaged);
    }
    for (name, (_, until)) in left.promised.scopes {
        if until.is_some() {
            let lost = Some("it was begun, and nothing of it is left".to_owned());
            all.push(Salvaged { name: Some(name), revision: None, lost });
        }
    }
    Ok(all)
}

fn evolution(schemas: &[StoredSchema]) -> Result<Arc<Evolution>, StorageError> {
    let evolution = Evolution::stored(schemas).map_err(|e| StorageError::Unfit(e.to_string()))?;
    let none = || StorageError::Failed("no schema is stored, so nothing can be read".to_owned());
    evolution.map(Arc::new).ok_or_else(none)
}

/// A copy of the damaged store that can be read.
struct Left {
    db: Connection,
    evolution: Arc<Evolution>,
    /// Of the scopes that were not found yet.
    promised: Promised,
}

impl Left {
    fn scope(&mut self, scope: i64) -> (Salvaged, Option<(StoredScope, Stored)>) {
        let nothing = |name, lost: &str| {
            (Salvaged { name, revision: None, lost: Some(lost.to_owned()) }, None)
        };
        let Ok(Some((name, Found { head, damage }))) = head::numbered(&self.db, scope) else {
            return nothing(None, "not even the name of a scope can be read");
        };
        let promised = self
            .promised
            .scopes
            .remove(&name)
            .and_then(|(number, until)| until.filter(|_| number == scope));
        let key = StoredScope::evolving(name.clone(), self.evolution.clone());
        let Some((stored, cut)) = read::load_what_is_left(&self.db, &key, head) else {
            return nothing(Some(name), "no snapshot of it can be read");
        };
        let there = stored.position();
        let missing = promised
            .filter(|until| *until > there)
            .map(|until| format!("the entries after {there}, up to {until}, are lost"));
        let lost = damage.or(missing).or(cut);
        let revision = Some(stored.revision());
        (Salvaged { name: Some(name), revision, lost }, Some((key, stored)))
    }
}

/// Opens the copy, whatever it takes.
fn open(from: &Path, work: &Path) -> Result<Connection, Trouble> {
    recovery::lengthen(work)?;
    let (log, promised) = (LogAhead::read(work)?, Promised::read(from)?);
    if let Some(salt) = log.salt().or(promised.as_ref().map(|promised| promised.salt)) {
        // Whether what is behind damage fits to the rest, checksums of our own will tell.
        let seen = log.seen_frames();
        let frames = promised.map_or(seen, |promised| promised.frames.max(seen));
        fs::write(work.join(LOG_AHEAD), log.mended(salt, frames))?;
    }
    let db = layout::connect(work, None)
        .and_then(|db| layout::prepare(&db).and_then(|()| read::schemas(&db)).map(|_| db));
    let Err(trouble) = db else { return db };
    let file = work.join(DATABASE);
    let bytes = fs::read(&file)?;
    for vacuumed in [false, true] {
        let mut bytes = bytes.clone();
        let page = first_page(&work.join("empty"), vacuumed, bytes.len())?;
        let length = page.len().min(bytes.len());
        bytes[..length].copy_from_slice(&page[..length]);
        fs::write(&file, bytes)?;
        let db = layout::connect(work, None)
            .and_then(|db| read::schemas(&db).map(|schemas| (db, schemas)));
        if let Ok((db, schemas)) = db
            && !schemas.is_empty()
        {
            return Ok(db);
        }
    }
    Err(trouble)
}

/// The page that says where the tables begin, which all stores have alike that were made in the same way.
fn first_page(folder: &Path, vacuumed: bool, length: usize) -> Result<Vec<u8>, Trouble> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    let db = layout::connect(folder, None)?;
    layout::prepare(&db)?;
    let copy = folder.join("copy");
    if vacuumed {
        let path = copy.to_str().ok_or_else(|| Trouble::Disk("no Unicode".to_owned()))?;
        db.execute("VACUUM INTO ?1", [path])?;
    }
    drop(db);
    let mut page = fs::read(if vacuumed { copy } else { folder.join(DATABASE) })?;
    page.truncate(PAGE);
    let pages = u32::try_from(length.div_ceil(PAGE)).unwrap_or(u32::MAX);
    page[28..32].copy_from_slice(&pages.to_be_bytes());
    // No page is known to be free, which only costs room.
    page[32..40].fill(0);
    page.copy_within(24..28, 92);
    Ok(page)
}

/// The numbers of all scopes that are spoken of anywhere.
fn numbers(db: &Connection) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    for query in [
        "SELECT id FROM scopes NOT INDEXED ORDER BY id",
        "SELECT scope FROM names ORDER BY id",
        "SELECT id >> 36 FROM snapshots ORDER BY id",
    ] {
        // From both ends, as far as pages can be read.
        for order in ["", " DESC"] {
            let read: rusqlite::Result<()> = (|| {
                let mut statement = db.prepare(&format!("{query}{order}"))?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    found.insert(row.get(0)?);
                }
                Ok(())
            })();
            if read.is_ok() {
                break;
            }
        }
    }
    found
}

/// Where the copy is.
const WORK: &str = "salvage.part";

/// The size of a page.
const PAGE: usize = 4096;
