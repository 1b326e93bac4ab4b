//! The body of the fuzz target for the store's files, which the suite runs, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use jetstream_core::ids::{ObjectId, Position, Revision};
use jetstream_core::model::{Fragment, FragmentKind, Graph, Schema, Value};
use jetstream_core::scope::{Commit, Entry};
use jetstream_core::time::Timestamp;

use super::layout::{DATABASE, LOG_AHEAD};
use super::{EmbeddedOptions, EmbeddedStorage};
use crate::storage::{Snapshot, Storage, Stored, StoredScope};

/// Changes the files of a good store as `bytes` say, opens it, and reads everything in it.
///
/// # Panics
///
/// If something is read that was not written. That things are missing, or that there is an error, is no
/// broken promise.
pub fn files(bytes: &[u8]) {
    let good = GOOD.get_or_init(Good::new);
    let (mut database, mut log) = (good.database.clone(), good.log.clone());
    for edit in bytes.chunks_exact(6) {
        let file = if edit[0] & 1 == 0 { &mut database } else { &mut log };
        let at = u32::from_le_bytes([edit[1], edit[2], edit[3], 0]) as usize % file.len().max(1);
        match edit[0] >> 1 {
            0 => file.truncate(at),
            1..=8 => {
                let until = (at + 1 + usize::from(edit[5]) * 16).min(file.len());
                file[at..until].fill(edit[4]);
            }
            _ => file[at] ^= edit[4],
        }
        if file.is_empty() {
            break;
        }
    }
    let folder = Folder::new();
    fs::write(folder.0.join(DATABASE), &database).expect("a temporary folder");
    fs::write(folder.0.join(LOG_AHEAD), &log).expect("a temporary folder");
    in_runtime(read_all(good, &folder.0));
}

async fn read_all(good: &Good, folder: &Path) {
    let Ok(storage) = EmbeddedStorage::open(&EmbeddedOptions::new(folder)) else { return };
    for (scope, truth) in &good.scopes {
        if let Ok(Some(found)) = storage.load(scope).await {
            assert_eq!(found.snapshot, truth.snapshot, "a snapshot that nobody wrote");
            for (found, truth) in found.entries.iter().zip(&truth.entries) {
                assert_eq!(format!("{found:?}"), format!("{truth:?}"));
            }
            assert!(found.entries.len() <= truth.entries.len(), "entries that nobody wrote");
            let next = commit(scope, found.revision().0 + 1);
            // Whether it is taken is the store's matter; that it answers is ours.
            let _ = storage.append(scope, &[next]).await;
        }
        let _ = storage.commits(scope, Revision(0), 100).await;
    }
    let _ = storage.scopes(None, 100).await;
    let _ = storage.sessions(None, 100).await;
}

/// A store as a killed server leaves it, and what is in it.
struct Good {
    database: Vec<u8>,
    log: Vec<u8>,
    scopes: Vec<(StoredScope, Stored)>,
}

static GOOD: OnceLock<Good> = OnceLock::new();

impl Good {
    fn new() -> Self {
        in_runtime(async {
            let folder = Folder::new();
            let open = || EmbeddedStorage::open(&EmbeddedOptions::new(&folder.0));
            let first = open().expect("an empty folder");
            let scopes: Vec<_> = ["one", "two", "three"].map(scope).into();
            for scope in &scopes {
                begin(&first, scope).await;
            }
            // Some of it is in the database, and some only in the log ahead.
            drop(first);
            let second = open().expect("a good store");
            let mut stored = Vec::new();
            for scope in scopes {
                for revision in 6..=12 {
                    let appended = second.append(&scope, &[commit(&scope, revision)]).await;
                    appended.expect("a good store");
                }
                let truth = second.load(&scope).await.expect("a good store");
                stored.push((scope, truth.expect("it was begun")));
            }
            let read = |file| fs::read(folder.0.join(file)).expect("a file of the store");
            Self { database: read(DATABASE), log: read(LOG_AHEAD), scopes: stored }
        })
    }
}

/// A scope of five commits, of which the third is in a snapshot.
async fn begin(storage: &EmbeddedStorage, scope: &StoredScope) {
    let (model, _) = scope.schema.find("Note").expect("defined below");
    let graph = Graph::new(scope.schema.clone(), ROOT, model);
    let first = Snapshot::of(&graph, Revision(0), Timestamp(0));
    storage.compact(scope, first).await.expect("a good store");
    let entries: Vec<_> = (1..=5).map(|revision| commit(scope, revision)).collect();
    storage.append(scope, &entries).await.expect("a good store");
    let stored = storage.load(scope).await.expect("a good store").expect("it was begun");
    let third = stored.until(Position(3)).rebuild(scope).expect("its own entries");
    storage.compact(scope, third.snapshot()).await.expect("a good store");
}

fn scope(name: &str) -> StoredScope {
    let schema = Schema::builder().model("Note", |m| m.property("text", "String")).build();
    StoredScope::new(name.into(), Arc::new(schema.expect("a proper model")))
}

fn commit(scope: &StoredScope, revision: u64) -> Entry {
    let (id, model) = scope.schema.find("Note").expect("defined above");
    let (property, _) = model.find("text").expect("defined above");
    let text = format!("{} {revision} {}", scope.name, "x".repeat(300));
    let fragment = Fragment::new(FragmentKind::Change, ROOT, id)
        .with(property, Value::Scalar(Some(text.into())));
    Entry::Commit(Arc::new(Commit {
        revision: Revision(revision),
        time: Timestamp(revision as i64),
        origin: None,
        delivered: Default::default(),
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    }))
}

const ROOT: ObjectId = ObjectId::from_random_bytes([7; 16]);

fn in_runtime<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a thread").block_on(run)
}

/// A folder that is gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // In memory where that is possible: nothing here is about a real disk.
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = base.join(format!("jetstream-fuzz-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn damaged_files_give_errors_and_never_what_nobody_wrote(
            bytes in prop::collection::vec(any::<u8>(), 6..60)
        ) {
            super::files(&bytes);
        }
    }

    #[test]
    fn a_file_cut_anywhere_gives_no_wrong_entries() {
        for part in 0..24_u8 {
            for kind in [0, 1] {
                super::files(&[kind, 0, part.wrapping_mul(32), part / 4, 0, 0]);
            }
        }
    }
}
