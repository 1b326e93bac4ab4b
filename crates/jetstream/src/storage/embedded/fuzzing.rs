//! The body of the fuzz target for the store's files, which the suite runs, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use jetstream_core::ids::{ObjectId, Position, Revision};
use jetstream_core::model::{Fragment, FragmentKind, Graph, Schema, Value};
use jetstream_core::scope::{Commit, Entry};
use jetstream_core::time::Timestamp;

use super::layout::{DATABASE, LOG_AHEAD, PROMISES};
use super::{EmbeddedOptions, EmbeddedStorage};
use crate::storage::{Snapshot, Storage, StoredScope};

/// Changes the files of a good store as `bytes` say, opens it, and reads everything in it.
///
/// # Panics
///
/// If something is read that was not written; or, where one place of the database or of the log ahead was
/// changed, if something is missing without an error.
pub fn files(bytes: &[u8]) {
    let good = GOOD.get_or_init(Good::new);
    let mut files = good.files.clone();
    for edit in bytes.chunks_exact(6) {
        let file = &mut files[usize::from(edit[0] % 4).saturating_sub(1)];
        let at = u32::from_le_bytes([edit[1], edit[2], edit[3], 0]) as usize % file.len().max(1);
        match edit[0] >> 2 {
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
    // What was promised is known as long as the list of it is whole.
    let is_known = bytes.chunks_exact(6).count() == 1 && bytes[0] % 4 < 3;
    let folder = Folder::new();
    for (name, bytes) in FILES.iter().zip(&files) {
        fs::write(folder.0.join(name), bytes).expect("a temporary folder");
    }
    in_runtime(read_all(good, &folder.0, is_known));
}

async fn read_all(good: &Good, folder: &Path, is_known: bool) {
    let Ok(storage) = EmbeddedStorage::open(&EmbeddedOptions::new(folder)) else { return };
    for scope in &good.scopes {
        let loaded = storage.load(scope).await;
        if let Ok(Some(found)) = loaded.clone() {
            for entry in &found.entries {
                let revision = entry.commit().expect("there are no others").revision.0;
                let written = commit(scope, revision);
                assert_eq!(format!("{entry:?}"), format!("{written:?}"), "nobody wrote this");
            }
            let rebuilt = found.rebuild(scope).expect("it fits the models");
            let revision = rebuilt.revision.0;
            assert!(revision <= LAST, "a revision that nobody wrote");
            assert!(
                !is_known || revision == LAST,
                "{}: what is behind {revision} is gone",
                scope.name
            );
            let (_, model) = scope.schema.find("Note").expect("defined below");
            let (property, _) = model.find("text").expect("defined below");
            let state = rebuilt.graph.object(ROOT).expect("the root").value(property);
            assert_eq!(state, Value::Scalar(Some(text(scope, revision).into())));
            // Whether it is taken is the store's matter; that it answers is ours.
            let _ = storage.append(scope, &[commit(scope, revision + 1)]).await;
        }
        assert!(!is_known || !matches!(loaded, Ok(None)), "a scope is gone without a word");
        let _ = storage.commits(scope, Revision(0), 100).await;
    }
    let _ = storage.scopes(None, 100).await;
    let _ = storage.sessions(None, 100).await;
}

/// The files that are changed.
const FILES: [&str; 3] = [DATABASE, LOG_AHEAD, PROMISES];

/// A store as a killed server leaves it, and what is in it.
struct Good {
    files: [Vec<u8>; 3],
    scopes: Vec<StoredScope>,
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
            for scope in &scopes {
                for revision in 6..=LAST {
                    let appended = second.append(scope, &[commit(scope, revision)]).await;
                    appended.expect("a good store");
                }
            }
            let read = |file| fs::read(folder.0.join(file)).expect("a file of the store");
            Self { files: FILES.map(read), scopes }
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
    let text = text(scope, revision);
    let fragment = Fragment::new(FragmentKind::Change, ROOT, id)
        .with(property, Value::Scalar(Some(text.into())));
    Entry::Commit(Arc::new(Commit {
        revision: Revision(revision),
        time: Timestamp(revision as i64),
        author: None,
        origin: None,
        delivered: Default::default(),
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    }))
}

fn text(scope: &StoredScope, revision: u64) -> String {
    format!("{} {revision} {}", scope.name, "x".repeat(300))
}

/// The last revision of each scope.
const LAST: u64 = 12;

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

        #[test]
        fn one_damaged_place_hides_nothing(bytes in prop::array::uniform6(any::<u8>())) {
            super::files(&bytes);
        }
    }

    #[test]
    fn a_file_cut_anywhere_gives_no_wrong_entries() {
        for part in 0..24_u8 {
            for kind in [0, 2] {
                super::files(&[kind, 0, part.wrapping_mul(32), part / 4, 0, 0]);
            }
        }
    }
}
