//! The folder of a store: one server at a time, and a little room kept for when there is no other.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::super::StorageError;
use super::layout::{LOCK, RESERVE};

/// A folder that is ours.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Unlocked when it is closed, also by the end of the process.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is not there, and takes it.
    pub(super) fn take(path: &Path) -> Result<Self, StorageError> {
        let failed = |error: io::Error| {
            StorageError::Failed(format!("cannot use the folder {}: {error}", path.display()))
        };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
            Err(TryLockError::WouldBlock) => Err(StorageError::Failed(format!(
                "the folder {} is in use by another server",
                path.display()
            ))),
        }
    }

    /// Takes up room that is given back when the disk is full.
    pub(super) fn make_reserve(&self) -> io::Result<()> {
        let path = self.path.join(RESERVE);
        if fs::metadata(&path).is_ok_and(|found| found.len() == RESERVE_BYTES as u64) {
            return Ok(());
        }
        let written = (|| {
            let mut file = File::create(&path)?;
            // No zeros, which some file systems do not store.
            file.write_all(&[0xa5; RESERVE_BYTES])?;
            file.sync_all()
        })();
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written
    }

    pub(super) fn release_reserve(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join(RESERVE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether a server has the store in this folder open.
pub(super) fn is_taken(path: &Path) -> bool {
    let lock = File::open(path.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Brings to the disk which files are in a folder.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and the system sees to it.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Room for some transactions of a few pages.
const RESERVE_BYTES: usize = 1 << 20;
