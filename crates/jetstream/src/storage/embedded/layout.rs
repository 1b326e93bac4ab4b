//! The tables, and how a connection to them is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::trouble::Trouble;

/// The names of the files in a store's folder.
pub(super) const DATABASE: &str = "jetstream.db";
pub(super) const LOG_AHEAD: &str = "jetstream.db-wal";
pub(super) const INDEX_AHEAD: &str = "jetstream.db-shm";
pub(super) const LOCK: &str = "lock";
pub(super) const RESERVE: &str = "reserve";
pub(super) const PROMISES: &str = "promises";

/// "JETS": what kind of database this is.
const APPLICATION: i64 = 0x4a45_5453;

/// What makes the tables, each from the form before. Once released, none is ever changed.
const STEPS: [&str; 2] = [TABLES, CONSUMERS];

/// The form of the tables.
const VERSION: i64 = FORMS_BEFORE + STEPS.len() as i64;

/// Forms of the time before the first release, which nobody reads any more.
const FORMS_BEFORE: i64 = 2;

/// `scopes` says where each log ends (see `head`), and `names` has every name a second time.
///
/// A row of `log` is what one scope appended at a time: entries after its position, the last of which left the
/// scope at `revision` and `time`. `total` sums up the bytes of the scope's rows until here, so that no one has
/// to. Its number, like that of a snapshot, is scope and position in one (see `key`).
///
/// A snapshot is cut into parts, so that none of its transactions is long; it is there when its row is.
///
/// `saved` counts how often a session was written, to tell an older record from a newer one.
///
/// `garbage` is what is not needed any more and deleted bit by bit: 0 a snapshot that is being written,
/// 1 the parts of a snapshot, 2 rows of a scope before a position.
///
/// Without schemas nothing can be read, so there are two of each, on pages of their own.
const TABLES: &str = "
    CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES('probe', 0);
    CREATE TABLE schemas(version INTEGER PRIMARY KEY, crc INTEGER NOT NULL, text TEXT NOT NULL);
    CREATE TABLE scopes(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, schema INTEGER NOT NULL,
        position INTEGER NOT NULL, revision INTEGER NOT NULL, time INTEGER NOT NULL,
        total INTEGER NOT NULL, crc INTEGER NOT NULL, damage TEXT
    );
    CREATE TABLE names(id INTEGER PRIMARY KEY, scope INTEGER NOT NULL);
    CREATE TABLE log(
        id INTEGER PRIMARY KEY, entries INTEGER NOT NULL, revision INTEGER NOT NULL,
        time INTEGER NOT NULL, total INTEGER NOT NULL, crc INTEGER NOT NULL, record BLOB NOT NULL
    );
    CREATE TABLE snapshots(
        id INTEGER PRIMARY KEY, serial INTEGER NOT NULL, revision INTEGER NOT NULL,
        time INTEGER NOT NULL, total INTEGER NOT NULL, bytes INTEGER NOT NULL,
        schema INTEGER NOT NULL, crc INTEGER NOT NULL
    );
    CREATE TABLE parts(id INTEGER PRIMARY KEY, record BLOB NOT NULL);
    CREATE TABLE garbage(
        id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, object INTEGER NOT NULL,
        until INTEGER NOT NULL
    );
    CREATE TABLE sessions(
        id INTEGER PRIMARY KEY, token BLOB NOT NULL UNIQUE, crc INTEGER NOT NULL,
        record TEXT NOT NULL, saved INTEGER NOT NULL
    );
    CREATE TABLE schemas_again(
        version INTEGER PRIMARY KEY, crc INTEGER NOT NULL, text TEXT NOT NULL
    );
";

/// `behind` is 1 as long as the scope's last commit is past the row's `revision`; the index over it is how a
/// start finds what is left to tell without looking at all scopes.
const CONSUMERS: &str = "
    CREATE TABLE consumers(
        scope INTEGER NOT NULL, name TEXT NOT NULL, scope_name TEXT NOT NULL,
        revision INTEGER NOT NULL, behind INTEGER NOT NULL, failing_since INTEGER,
        PRIMARY KEY(scope, name)
    ) WITHOUT ROWID;
    CREATE INDEX consumers_behind ON consumers(name, scope_name) WHERE behind;
    CREATE TABLE letters(
        id INTEGER PRIMARY KEY AUTOINCREMENT, consumer TEXT NOT NULL, scope TEXT NOT NULL,
        after INTEGER NOT NULL, revision INTEGER NOT NULL, time INTEGER NOT NULL,
        key TEXT NOT NULL, why TEXT NOT NULL, crc INTEGER NOT NULL, record BLOB NOT NULL
    );
";

/// A connection to the database in a folder; `vfs` is how SQLite reaches the disk, if not as usual.
pub(super) fn connect(folder: &Path, vfs: Option<&str>) -> Result<Connection, Trouble> {
    let path = folder.join(DATABASE);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints have a thread of their own.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A page whose cells do not fit is found when it is read, and not when it is written again.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn connect_reader(folder: &Path, vfs: Option<&str>) -> Result<Connection, Trouble> {
    let connection = connect(folder, vfs)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Makes the tables, or sees that they are ours and brings them up to date.
pub(super) fn prepare(connection: &Connection) -> Result<(), Trouble> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let found = match (application, version) {
        (0, 0) if is_empty(connection)? => 0,
        (APPLICATION, VERSION) => return Ok(()),
        (APPLICATION, earlier) if (FORMS_BEFORE + 1..VERSION).contains(&earlier) => {
            earlier - FORMS_BEFORE
        }
        (APPLICATION, later) => {
            return Err(Trouble::Foreign(format!(
                "the store has the form {later}; this version of the program knows the form {VERSION}"
            )));
        }
        _ => {
            let foreign = "the file is the database of another program";
            return Err(Trouble::Foreign(foreign.to_owned()));
        }
    };
    let steps = STEPS[found as usize..].concat();
    Ok(connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {steps} PRAGMA application_id = {APPLICATION};
         PRAGMA user_version = {VERSION}; COMMIT;"
    ))?)
}

fn is_empty(connection: &Connection) -> Result<bool, Trouble> {
    let tables = "SELECT count(*) FROM sqlite_schema";
    Ok(connection.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0)
}

/// How long a connection waits for another one of ours. Only checkpoints and recovery take such locks.
const BUSY: Duration = Duration::from_secs(5);

/// How many prepared statements a connection keeps: all that there are.
const STATEMENTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_an_earlier_form_is_brought_up_to_date_and_keeps_what_it_has() {
        for form in 1..=STEPS.len() {
            let db = Connection::open_in_memory().unwrap();
            db.execute_batch(&STEPS[..form].concat()).unwrap();
            let version = FORMS_BEFORE + form as i64;
            db.execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {version};
                 INSERT INTO scopes VALUES(1, 'kept', 0, 0, 0, 0, 0, 0, NULL);"
            ))
            .unwrap();
            prepare(&db).unwrap();
            prepare(&db).unwrap();
            let tables = |db: &Connection| {
                let query = "SELECT group_concat(sql) FROM sqlite_schema ORDER BY name";
                db.query_row(query, [], |row| row.get::<_, String>(0)).unwrap()
            };
            let new = Connection::open_in_memory().unwrap();
            prepare(&new).unwrap();
            assert_eq!(tables(&db), tables(&new), "from {form}");
            let kept = "SELECT name FROM scopes";
            assert_eq!(db.query_row(kept, [], |row| row.get::<_, String>(0)).unwrap(), "kept");
        }
    }
}
