//! Damage of the log ahead: what of it is still good is used, and who has lost something is known.

use super::*;

/// The files of a server that was killed at this moment.
fn kill(folder: &TempDir) -> TempDir {
    let copy = super::folder();
    for file in [layout::DATABASE, layout::LOG_AHEAD, layout::PROMISES] {
        let (from, to) = (folder.path().join(file), copy.path().join(file));
        if from.exists() {
            fs::copy(from, to).unwrap();
        }
    }
    copy
}

/// A server with one scope that was killed, with a log ahead.
async fn killed(scope_name: &str, commits: u64) -> (TempDir, StoredScope) {
    let folder = folder();
    let storage = open(&folder);
    let scope = begin(&storage, scope_name).await;
    grow(&storage, &scope, 1..commits + 1).await;
    (kill(&folder), scope)
}

fn log_of(folder: &TempDir) -> Vec<u8> {
    fs::read(folder.path().join(layout::LOG_AHEAD)).unwrap()
}

fn set_log(folder: &TempDir, bytes: &[u8]) {
    fs::write(folder.path().join(layout::LOG_AHEAD), bytes).unwrap();
}

fn forget_promises(folder: &TempDir) {
    fs::remove_file(folder.path().join(layout::PROMISES)).unwrap();
}

fn refused(folder: &TempDir) -> String {
    EmbeddedStorage::open(&EmbeddedOptions::new(folder.path())).unwrap_err().to_string()
}

const FRAME: usize = 24 + 4096;

/// Hits the n-th frame from the end.
fn hit_from_end(bytes: &mut [u8], frame: usize) {
    let at = bytes.len() - frame * FRAME + 2000;
    bytes[at..at + 100].fill(0x5a);
}

#[tokio::test]
async fn a_torn_end_is_cut_and_reported() {
    // Torn while it was written: nothing was promised of it.
    let (folder, scope) = killed("torn", 6).await;
    forget_promises(&folder);
    let whole = log_of(&folder);
    set_log(&folder, &whole[..whole.len() - 100]);
    let storage = open(&folder);
    assert!(storage.report().torn_bytes > 3_000, "{:?}", storage.report());
    assert_eq!(revisions(&storage, &scope).await, [1, 2, 3, 4, 5]);
    grow(&storage, &scope, 6..7).await;
    drop(storage);
    let storage = open(&folder);
    assert_eq!(revisions(&storage, &scope).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(storage.report().torn_bytes, 0);
}

async fn load_session(storage: &EmbeddedStorage) -> Option<StoredSession> {
    storage.load_session(&session(0).token).await.unwrap()
}

#[tokio::test]
async fn a_kill_at_any_moment_is_not_taken_for_damage() {
    let folder = folder();
    let options = EmbeddedOptions { checkpoint_pages: 8, ..EmbeddedOptions::new(folder.path()) };
    let storage = EmbeddedStorage::open(&options).unwrap();
    let scope = begin(&storage, "killed").await;
    storage.save_sessions(&[session(0)]).await.unwrap();
    let mut before = Vec::new();
    for revision in 1..24 {
        grow(&storage, &scope, revision..revision + 1).await;
        if revision % 7 == 0 {
            let rebuilt = load(&storage, &scope).await.rebuild(&scope).unwrap();
            storage.compact(&scope, rebuilt.snapshot()).await.unwrap();
            storage.trim(&scope, Horizon::NOW).await.unwrap();
        }
        let copy = kill(&folder);
        let promises = fs::read(copy.path().join(layout::PROMISES)).unwrap();
        // What a power cut leaves of the list is old, torn, or nothing.
        for cut in [promises.len(), promises.len() - 5, 3, 0] {
            let path = copy.path().join(layout::PROMISES);
            fs::write(&path, &promises[..cut]).unwrap();
            let storage = open(&copy);
            assert_eq!(*storage.report(), OpeningReport::default(), "{revision}, {cut}");
            assert_eq!(load(&storage, &scope).await.revision(), Revision(revision));
            drop(storage);
            assert!(!path.exists(), "all is in the database");
        }
        assert!(load_session(&storage).await.is_some());
        storage.save_sessions(&[session(revision)]).await.unwrap();
        if !before.is_empty() {
            let copy = kill(&folder);
            fs::write(copy.path().join(layout::PROMISES), &before).unwrap();
            let storage = open(&copy);
            assert_eq!(*storage.report(), OpeningReport::default(), "{revision}");
            assert_eq!(load_session(&storage).await, Some(session(revision)));
        }
        before = promises;
    }
}

#[tokio::test]
async fn damage_of_a_page_that_was_written_again_behind_it_costs_nothing() {
    let (folder, scope) = killed("again", 30).await;
    let mut bytes = log_of(&folder);
    let middle = bytes.len() / FRAME / 2;
    hit_from_end(&mut bytes, middle);
    set_log(&folder, &bytes);
    let storage = open(&folder);
    assert!(storage.report().damaged_log.is_some(), "{:?}", storage.report());
    assert_eq!(storage.report().damaged, []);
    assert_eq!(revisions(&storage, &scope).await, (1..31).collect::<Vec<_>>());
    grow(&storage, &scope, 31..33).await;
    drop(storage);
    let kept = folder.path().join("jetstream.db-wal.damaged-1");
    assert_eq!(fs::read(kept).unwrap(), bytes, "for who wants to look at it");
    assert_eq!(*open(&folder).report(), OpeningReport::default(), "it is over");
}

/// A server that has written `whole` long ago, and `hurt` just before it was killed.
async fn two() -> (TempDir, StoredScope, StoredScope) {
    let folder = folder();
    let storage = open(&folder);
    let (whole, hurt) = (begin(&storage, "whole").await, begin(&storage, "hurt").await);
    grow(&storage, &whole, 1..40).await;
    drop(storage);
    let storage = open(&folder);
    grow(&storage, &hurt, 1..4).await;
    (kill(&folder), whole, hurt)
}

async fn check_two(folder: &TempDir, whole: &StoredScope, hurt: &StoredScope, what: &str) {
    let storage = open(folder);
    assert_eq!(storage.report().damaged, std::slice::from_ref(&hurt.name), "{what}");
    assert_eq!(revisions(&storage, whole).await, (1..40).collect::<Vec<_>>(), "{what}");
    grow(&storage, whole, 40..42).await;
    for storage in [Some(storage), None] {
        // It stays so until somebody has decided what becomes of it.
        let storage = storage.unwrap_or_else(|| open(folder));
        let error = storage.load(hurt).await.unwrap_err();
        assert!(matches!(&error, StorageError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("are lost, though they were promised"), "{error}");
        let error = storage.append(hurt, &[commit(hurt, 9, "x")]).await.unwrap_err();
        assert!(matches!(&error, StorageError::Damaged { .. }), "{error}");
        assert_eq!(load(&storage, whole).await.revision(), Revision(41), "{what}");
    }
}

#[tokio::test]
async fn who_has_lost_entries_with_the_log_is_stopped_and_nobody_else() {
    for what in ["gone", "empty", "cut", "hit at the end", "hit all over"] {
        let (folder, whole, hurt) = two().await;
        let mut bytes = log_of(&folder);
        match what {
            "gone" => fs::remove_file(folder.path().join(layout::LOG_AHEAD)).unwrap(),
            "empty" => set_log(&folder, &[]),
            "cut" => set_log(&folder, &bytes[..bytes.len() - FRAME - 7]),
            "hit at the end" => {
                (1..4).for_each(|frame| hit_from_end(&mut bytes, frame));
                set_log(&folder, &bytes);
            }
            _ => {
                bytes.iter_mut().for_each(|byte| *byte = byte.rotate_left(3) ^ 0x5a);
                set_log(&folder, &bytes);
            }
        }
        check_two(&folder, &whole, &hurt, what).await;
    }
}

#[tokio::test]
async fn a_session_that_the_log_has_lost_begins_anew() {
    let folder = folder();
    let storage = open(&folder);
    storage.save_sessions(&[session(1), other_session(1)]).await.unwrap();
    drop(storage);
    let storage = open(&folder);
    storage.save_sessions(&[session(2)]).await.unwrap();
    let copy = kill(&folder);
    fs::remove_file(copy.path().join(layout::LOG_AHEAD)).unwrap();
    let storage = open(&copy);
    assert_eq!(storage.report().sessions_forgotten, 1);
    assert_eq!(storage.load_session(&session(0).token).await.unwrap(), None);
    assert!(storage.load_session(&other_session(0).token).await.unwrap().is_some());
}

#[tokio::test]
async fn a_scope_that_was_removed_does_not_come_back_with_the_loss_of_the_log() {
    let folder = folder();
    let storage = open(&folder);
    let scope = begin(&storage, "removed").await;
    drop(storage);
    let storage = open(&folder);
    storage.remove_scope(&scope.name).await.unwrap();
    let copy = kill(&folder);
    fs::remove_file(copy.path().join(layout::LOG_AHEAD)).unwrap();
    assert!(open(&copy).load(&scope).await.unwrap().is_none());
}

#[tokio::test]
async fn a_list_that_a_power_cut_has_left_from_an_earlier_round_accuses_nobody() {
    let folder = folder();
    let storage = open(&folder);
    let scope = begin(&storage, "again").await;
    grow(&storage, &scope, 1..9).await;
    let earlier = kill(&folder);
    drop(storage);
    let storage = open(&folder);
    storage.remove_scope(&scope.name).await.unwrap();
    let scope = begin(&storage, "again").await;
    grow(&storage, &scope, 1..3).await;
    let later = kill(&folder);
    fs::copy(earlier.path().join(layout::PROMISES), later.path().join(layout::PROMISES)).unwrap();
    let storage = open(&later);
    assert_eq!(*storage.report(), OpeningReport::default());
    assert_eq!(revisions(&storage, &scope).await, [1, 2]);
}

#[tokio::test]
async fn without_a_list_of_promises_a_damaged_log_is_not_cut_in_silence() {
    let (folder, scope) = killed("middle", 6).await;
    forget_promises(&folder);
    let mut bytes = log_of(&folder);
    let middle = bytes.len() / 2;
    bytes[middle..middle + 10].fill(0x5a);
    set_log(&folder, &bytes);
    assert!(refused(&folder).contains("is damaged at byte"), "{}", refused(&folder));
    assert_eq!(log_of(&folder), bytes, "nothing was touched");
    bytes[..4].fill(0);
    set_log(&folder, &bytes);
    assert!(refused(&folder).contains("is damaged at byte 0"), "{}", refused(&folder));
    fs::remove_file(folder.path().join(layout::LOG_AHEAD)).unwrap();
    // An operator's decision.
    let storage = open(&folder);
    assert!(matches!(storage.load(&scope).await, Ok(None) | Err(_)));
}

#[tokio::test]
async fn a_list_of_promises_of_another_time_decides_nothing() {
    let (folder, _) = killed("time", 30).await;
    let (other, _) = killed("other", 30).await;
    let mut bytes = log_of(&folder);
    let middle = bytes.len() / FRAME / 2;
    hit_from_end(&mut bytes, middle);
    set_log(&folder, &bytes);
    let own = fs::read(folder.path().join(layout::PROMISES)).unwrap();
    let foreign = other.path().join(layout::PROMISES);
    fs::copy(foreign, folder.path().join(layout::PROMISES)).unwrap();
    assert!(refused(&folder).contains("does not go with it"), "{}", refused(&folder));
    // Nor does one that lacks its end.
    fs::write(folder.path().join(layout::PROMISES), &own[..own.len() / 2]).unwrap();
    assert!(refused(&folder).contains("does not go with it"), "{}", refused(&folder));
}
