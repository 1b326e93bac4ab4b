//! Damage of the database: it stops the scopes whose rows it hits, and no other.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

/// Changes stored bytes as a disk might, behind the store's back.
fn damage(folder: &TempDir, sql: &str) {
    let db = Connection::open(folder.path().join(layout::DATABASE)).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
}

#[tokio::test]
async fn damage_stops_the_scope_that_it_is_in_and_no_other() {
    let row = "(SELECT id << 36 FROM scopes WHERE name = 'hurt')";
    let part = format!("(SELECT serial << 16 FROM snapshots WHERE id = {row})");
    let damages = [
        format!("UPDATE log SET record = replace(record, 'x', 'y') WHERE id = {row} + 2"),
        format!("UPDATE log SET crc = crc + 1 WHERE id = {row} + 4"),
        format!("UPDATE log SET entries = 7 WHERE id = {row} + 1"),
        format!("UPDATE log SET revision = 9 WHERE id = {row} + 1"),
        format!("DELETE FROM log WHERE id = {row} + 3"),
        format!("DELETE FROM log WHERE id = {row}"),
        format!("DELETE FROM log WHERE id = {row} + 4"),
        format!("DELETE FROM log WHERE id BETWEEN {row} AND {row} + 4"),
        format!("UPDATE parts SET record = substr(record, 2) WHERE id = {part}"),
        format!("DELETE FROM parts WHERE id = {part}"),
        format!("DELETE FROM snapshots WHERE id = {row}"),
        format!("UPDATE snapshots SET revision = 1 WHERE id = {row}"),
        format!("UPDATE log SET record = 7 WHERE id = {row} + 2"),
        format!("UPDATE log SET record = X'ff' WHERE id = {row} + 2"),
        "UPDATE scopes SET position = position - 1 WHERE name = 'hurt'".to_owned(),
        "UPDATE scopes SET revision = revision + 1 WHERE name = 'hurt'".to_owned(),
        "UPDATE scopes SET name = 'hurl' WHERE name = 'hurt'".to_owned(),
    ];
    for sql in damages {
        let folder = folder();
        let storage = open(&folder);
        let (hurt, whole) = (begin(&storage, "hurt").await, begin(&storage, "whole").await);
        grow(&storage, &hurt, 1..6).await;
        grow(&storage, &whole, 1..6).await;
        drop(storage);
        damage(&folder, &sql);
        let storage = open(&folder);
        let error = storage.load(&hurt).await.expect_err(&sql);
        assert!(matches!(&error, StorageError::Damaged { .. }), "{sql}: {error}");
        assert!(error.to_string().contains("\"hurt\" is damaged"), "{error}");
        assert_eq!(revisions(&storage, &whole).await, [1, 2, 3, 4, 5]);
        grow(&storage, &whole, 6..8).await;
        assert!(storage.health().borrow().is_good(), "{sql}");
        // Who has a copy of it puts it in its place.
        storage.remove_scope(&hurt.name).await.unwrap();
        let again = begin(&storage, "hurt").await;
        grow(&storage, &again, 1..3).await;
        assert_eq!(revisions(&storage, &again).await, [1, 2], "{sql}");
    }
}

#[tokio::test]
async fn an_older_snapshot_serves_where_the_newest_is_damaged() {
    let folder = folder();
    let storage = open(&folder);
    let scope = begin(&storage, "older").await;
    grow(&storage, &scope, 1..6).await;
    let rebuilt = load(&storage, &scope).await.rebuild(&scope).unwrap();
    storage.compact(&scope, rebuilt.snapshot()).await.unwrap();
    grow(&storage, &scope, 6..8).await;
    drop(storage);
    let newest = "(SELECT serial FROM snapshots ORDER BY id DESC LIMIT 1)";
    damage(&folder, &format!("UPDATE parts SET record = X'00' WHERE id >> 16 = {newest}"));
    let storage = open(&folder);
    assert_eq!(revisions(&storage, &scope).await, [1, 2, 3, 4, 5, 6, 7]);
    let again = load(&storage, &scope).await.rebuild(&scope).unwrap();
    assert_eq!((again.revision, again.position), (Revision(7), Position(7)));
}

#[tokio::test]
async fn a_schema_is_read_from_whichever_of_its_places_is_whole() {
    let schema = |number| StoredSchema {
        version: crate::storage::SchemaVersion(number),
        text: format!("{{\"number\":{number}}}").into(),
    };
    for (sql, is_there) in [
        ("UPDATE schemas SET text = replace(text, 'number', 'lumber') WHERE version = 1", true),
        ("UPDATE schemas_again SET crc = 0", true),
        ("DELETE FROM schemas", true),
        ("UPDATE schemas SET crc = 0; UPDATE schemas_again SET crc = 0", false),
    ] {
        let folder = folder();
        let storage = open(&folder);
        storage.add_schema(schema(1)).await.unwrap();
        storage.add_schema(schema(2)).await.unwrap();
        drop(storage);
        sql.split(';').for_each(|sql| damage(&folder, sql));
        let found = open(&folder).schemas().await;
        match found {
            Ok(found) => assert!(is_there && found == [schema(1), schema(2)], "{sql}"),
            Err(error) => {
                assert!(!is_there && error.to_string().contains("schema 1 is damaged"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_whose_database_is_gone_does_not_begin_anew_in_silence() {
    let folder = folder();
    let storage = open(&folder);
    begin(&storage, "there").await;
    drop(storage);
    let path = folder.path().join(layout::DATABASE);
    for step in ["cut", "removed"] {
        if step == "cut" { fs::write(&path, []) } else { fs::remove_file(&path) }.unwrap();
        let refused = EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap_err();
        assert!(refused.to_string().contains("was a store"), "{step}: {refused}");
    }
    fs::remove_file(folder.path().join(layout::RESERVE)).unwrap();
    open(&folder);
}

/// A store of some scopes, closed in good order, and what is in it.
struct Good {
    database: Vec<u8>,
    scopes: Vec<(StoredScope, String)>,
    session: StoredSession,
    /// How many of its bytes are pages that everything depends on.
    roots: u64,
}

const PAGE: u64 = 4096;

impl Good {
    fn get() -> &'static Self {
        static GOOD: OnceLock<Good> = OnceLock::new();
        GOOD.get_or_init(|| in_runtime(Self::new()))
    }

    async fn new() -> Self {
        let folder = folder();
        let storage = open(&folder);
        let mut scopes = Vec::new();
        for number in 0..24 {
            let scope = begin(&storage, &format!("scope {number}")).await;
            grow(&storage, &scope, 1..20).await;
            if number % 3 > 0 {
                let rebuilt = load(&storage, &scope).await.rebuild(&scope).unwrap();
                storage.compact(&scope, rebuilt.snapshot()).await.unwrap();
                let horizon = if number % 3 == 1 { Horizon::NOW } else { FOREVER };
                storage.trim(&scope, horizon).await.unwrap();
            }
            grow(&storage, &scope, 20..30).await;
            scopes.push((scope.clone(), format!("{:?}", whole_state(&storage, &scope).await)));
        }
        let session = session(7);
        storage.save_sessions(std::slice::from_ref(&session)).await.unwrap();
        drop(storage);
        let path = folder.path().join(layout::DATABASE);
        let db = Connection::open(&path).unwrap();
        let roots = "SELECT max(rootpage) FROM sqlite_schema";
        let roots: i64 = db.query_row(roots, [], |row| row.get(0)).unwrap();
        drop(db);
        let database = fs::read(path).unwrap();
        Self { database, scopes, session, roots: roots as u64 * PAGE }
    }
}

const FOREVER: Horizon = Horizon { since: Timestamp(i64::MIN), bytes_max: u64::MAX };

fn in_runtime<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run)
}

/// The state that a scope leads to, and where.
async fn whole_state(storage: &EmbeddedStorage, scope: &StoredScope) -> (Revision, Snapshot) {
    let rebuilt = load(storage, scope).await.rebuild(scope).unwrap();
    (rebuilt.revision, rebuilt.snapshot())
}

/// Opens a store with these bytes and looks at everything in it. How many scopes are damaged; `None`: it does
/// not open.
async fn look(good: &Good, database: &[u8], what: &str) -> Option<usize> {
    let folder = folder();
    fs::write(folder.path().join(layout::DATABASE), database).unwrap();
    let Ok(storage) = EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())) else {
        return None;
    };
    let (mut damaged, mut grown) = (0, Vec::new());
    for (scope, before) in &good.scopes {
        match storage.load(scope).await {
            Ok(Some(stored)) => {
                let rebuilt = stored.rebuild(scope).unwrap();
                let now = format!("{:?}", (rebuilt.revision, rebuilt.snapshot()));
                assert_eq!(now, *before, "{what}: {}", scope.name);
                match storage.append(scope, &[commit(scope, 30, "more")]).await {
                    Ok(()) => grown.push(scope),
                    // There may be no good page to write to.
                    Err(error) => assert!(matches!(error, StorageError::Damaged { .. }), "{error}"),
                }
            }
            Ok(None) => panic!("{what}: {} is gone without a word", scope.name),
            Err(error) => {
                assert!(matches!(error, StorageError::Damaged { .. }), "{what}: {error}");
                damaged += 1;
            }
        }
    }
    let health = storage.health().borrow().clone();
    assert!(health.is_good(), "{what}: {health:?}");
    let session = storage.load_session(&good.session.token).await.unwrap();
    assert!(session.is_none_or(|session| session == good.session), "{what}");
    storage.sessions(None, 10).await.unwrap();
    drop(storage);
    let storage = opened(folder.path());
    for scope in grown {
        match storage.load(scope).await {
            Ok(stored) => assert_eq!(stored.unwrap().revision(), Revision(30), "{what}"),
            Err(error) => assert!(matches!(error, StorageError::Damaged { .. }), "{what}: {error}"),
        }
    }
    Some(damaged)
}

#[test]
fn every_page_may_be_lost_alone_and_only_its_scopes_with_it() {
    let good = Good::get();
    let length = good.database.len() as u64;
    assert!(length > 3 * good.roots, "the store is large enough to be hit elsewhere");
    let (mut hit, mut lookings) = (0, 0);
    for (at, fill) in
        (good.roots..length).step_by(PAGE as usize).zip([0, 0x5a, 0xff].iter().cycle())
    {
        let mut bytes = good.database.clone();
        bytes[at as usize..(at + PAGE) as usize].fill(*fill);
        let what = format!("page {} filled with {fill}", at / PAGE + 1);
        let damaged = in_runtime(look(good, &bytes, &what));
        let damaged = damaged.unwrap_or_else(|| panic!("{what}: it does not open"));
        assert!(damaged < good.scopes.len() / 2, "{what}: {damaged} scopes are damaged");
        (hit, lookings) = (hit + usize::from(damaged > 0), lookings + 1);
    }
    assert!(hit > lookings / 3, "{hit} of {lookings} pages mattered");
}

#[test]
fn a_file_that_was_cut_gives_what_is_before_the_cut() {
    let good = Good::get();
    let length = good.database.len();
    for cut in [length - 1, length - 5000, length * 3 / 4, length / 2] {
        let damaged = in_runtime(look(good, &good.database[..cut], &format!("cut at {cut}")));
        let damaged = damaged.expect("the beginning is there");
        // What stands last may belong to no scope.
        let least = usize::from(cut < length - 5000);
        assert!((least..good.scopes.len()).contains(&damaged), "cut at {cut}: {damaged}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn bytes_that_change_anywhere_are_found_and_stop_only_what_they_belong_to(
        at in any::<prop::sample::Index>(),
        length in prop_oneof![1..4_usize, 4..64_usize, 64..1024_usize, 1024..40_000_usize],
        fill in prop_oneof![Just(None), any::<u8>().prop_map(Some)],
        seed in any::<u64>(),
    ) {
        let good = Good::get();
        let mut bytes = good.database.clone();
        let at = at.index(bytes.len());
        let end = (at + length).min(bytes.len());
        let mut dice = seed | 1;
        for byte in &mut bytes[at..end] {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            *byte = fill.unwrap_or(dice as u8);
        }
        let what = format!("{length} bytes from {at}");
        let opened = in_runtime(look(good, &bytes, &what));
        prop_assert!(opened.is_some() || (at as u64) < good.roots, "{what}: it does not open");
    }
}
