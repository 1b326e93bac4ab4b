//! Orders for the library that makes a program's writes and flushes fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library, the folder whose files it is for, and what it has done.
pub(super) struct Faults {
    library: PathBuf,
    below: PathBuf,
    order: PathBuf,
    hits: PathBuf,
}

impl Faults {
    /// Builds the library in `folder`, for the files of the store in its `data`.
    pub(super) fn new(folder: &Path) -> Self {
        // As the system shows it, without links.
        let folder = folder.canonicalize().unwrap();
        let library = folder.join("preload.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/command/faults/preload.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"]).arg(&library);
        let built = compiler.arg(source).arg("-ldl").output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let [below, order, hits] = ["data", "order", "hits"].map(|name| folder.join(name));
        Self { library, below, order, hits }
    }

    /// Puts the library before all others of a program.
    pub(super) fn load_into(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("FAULTS_BELOW", &self.below);
        command.env("FAULTS_ORDER", &self.order).env("FAULTS_HITS", &self.hits);
    }

    /// From now on, what the library's source knows under this name.
    pub(super) fn begin(&self, order: &str) {
        // In one step, for it is read at any moment.
        let new = self.order.with_extension("new");
        fs::write(&new, order).unwrap();
        fs::rename(new, &self.order).unwrap();
    }

    /// From now on, everything passes.
    pub(super) fn end(&self) {
        self.begin("");
    }

    /// How many calls were failed or cut short.
    pub(super) fn hits(&self) -> u64 {
        fs::metadata(&self.hits).map_or(0, |file| file.len())
    }
}
