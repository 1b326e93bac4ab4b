//! Copies of a store: written while it is open, and brought back to where none is.
//!
//! A copy is a folder that is itself a store. On its way back it is a store in a part of the new folder, where
//! it can be looked at, and takes its place in one step.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::super::StorageError;
use super::folder::{self, Folder, sync_folder};
use super::layout::{self, DATABASE, LOG_AHEAD};
use super::trouble::Trouble;

/// Writes a copy of the store in `folder` into the folder `to`.
pub(super) fn write(folder: &Path, vfs: Option<&str>, to: &Path) -> Result<(), Trouble> {
    let copy = to.join(DATABASE);
    if copy.exists() {
        let refused = format!("there is a store in {} already", to.display());
        return Err(StorageError::Refused(refused).into());
    }
    let path = copy.to_str();
    let path = path.ok_or_else(|| Trouble::Disk(format!("{} is no Unicode", to.display())))?;
    fs::create_dir_all(to)?;
    let written = (|| {
        let db = layout::connect(folder, vfs)?;
        // All of it in one reading transaction, beside which the store goes on.
        db.execute("VACUUM INTO ?1", [path])?;
        // SQLite leaves it to the system when the copy is on the disk.
        File::open(&copy)?.sync_all()?;
        Ok(sync_folder(to)?)
    })();
    if written.is_err() {
        // A part of a copy is none, and the room may be needed.
        let _ = fs::remove_file(&copy);
    }
    written
}

/// A copy on its way into a folder in which there is no store yet. If it does not get there, nothing has
/// happened to the folder, and it can be begun anew.
#[derive(Debug)]
pub struct Restoring {
    folder: Folder,
    part: PathBuf,
}

impl Restoring {
    /// Copies the store in `from` into a part of `folder`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`StorageError::Refused`] if there is no store in `from`, a server has it open, or there is one in
    /// `folder` already; [`StorageError::Failed`] if the disk fails.
    pub fn begin(from: &Path, folder: &Path) -> Result<Self, StorageError> {
        let refused = |what| Err(StorageError::Refused(what));
        if !from.join(DATABASE).exists() {
            return refused(format!("there is no store in {}: no {DATABASE}", from.display()));
        }
        if folder::is_taken(from) {
            let from = from.display();
            return refused(format!("a server has {from} open: back it up first"));
        }
        let taken = Folder::take(folder)?;
        if [DATABASE, LOG_AHEAD].iter().any(|file| folder.join(file).exists()) {
            let what = format!("there is a store in {} already: move it away", folder.display());
            return refused(what);
        }
        let part = folder.join(PART);
        let copied = copy_files(from, &part);
        copied.map_err(|error| {
            let (from, part) = (from.display(), part.display());
            StorageError::Failed(format!("cannot copy {from} to {part}: {error}"))
        })?;
        Ok(Self { folder: taken, part })
    }

    /// Where it is so far: a store that can be opened, looked at, and closed again.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Puts the copy into its place, in one step. Nobody may have the part open any more.
    ///
    /// # Errors
    ///
    /// The disk fails, or the part was not closed properly.
    pub fn finish(self) -> Result<(), StorageError> {
        let Self { folder, part } = self;
        let path = &folder.path;
        let failed = |error: io::Error| {
            StorageError::Failed(format!("cannot put the copy into {}: {error}", path.display()))
        };
        if fs::metadata(part.join(LOG_AHEAD)).is_ok_and(|log| log.len() > 0) {
            let what = format!("{} was not closed properly", part.display());
            return Err(StorageError::Failed(what));
        }
        fs::rename(part.join(DATABASE), path.join(DATABASE)).map_err(failed)?;
        sync_folder(path).map_err(failed)?;
        // What else is there is made anew by the next start.
        let _ = fs::remove_dir_all(part);
        Ok(())
    }
}

/// Copies what belongs to a store. What an earlier attempt has left goes.
pub(super) fn copy_files(from: &Path, part: &Path) -> io::Result<()> {
    match fs::remove_dir_all(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir(part)?;
    for file in [DATABASE, LOG_AHEAD] {
        let (file, copy) = (from.join(file), part.join(file));
        if file.exists() {
            fs::copy(&file, &copy)?;
            File::open(&copy)?.sync_all()?;
        }
    }
    sync_folder(part)
}

/// The name of the part.
const PART: &str = "restore.part";
