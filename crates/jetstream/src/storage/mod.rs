//! Keeps what must survive: the seam behind which nobody is told before something is durable.
//!
//! A scope is stored as a log of entries and [`Snapshot`]s of its state: the newest snapshot and the
//! entries after it are its present, what is before them its past. [`MemoryStorage`] keeps scopes for as
//! long as it lives, so that one that was closed because nobody used it comes back as it was.
//! `contract` (feature `contract`) holds every implementation to the sentences below.

mod consumers;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
pub mod evolution;
mod guarded;
mod history;
mod memory;
pub mod past;
#[cfg(feature = "postgres")]
mod postgres;
pub mod record;
mod session;
mod stored;

use std::path::Path;

use jetstream_core::ids::{Revision, ScopeName, SessionId};
use jetstream_core::scope::Entry;
use tokio::sync::watch;

use crate::future::BoxFuture;

pub use consumers::{Behind, ConsumerStorage, DeadLetter, LetterId, Progress};
#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedOptions, EmbeddedStorage, OpeningReport, Restoring, Salvaged};
pub use error::{StorageError, StorageHealth};
pub use evolution::{Evolution, Migrations};
pub use guarded::{Call, Guarded};
pub use history::{Horizon, Kept, Moment, Retention};
pub use memory::MemoryStorage;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresAddress, PostgresStorage};
pub use session::{StoredFetch, StoredIdentity, StoredSession, TokenHash};
pub use stored::{
    PastCommit, Rebuilt, SchemaVersion, ScopeSummary, Snapshot, Stored, StoredSchema, StoredScope,
};

/// Keeps scopes and sessions.
///
/// `append` is called by a scope's one writer, one call after the other; all other calls may overlap it
/// and each other. What is given to a call that succeeded is there for every call that begins afterwards.
pub trait Storage: ConsumerStorage {
    /// Everything that is needed to rebuild the scope: its newest snapshot and the entries after it. `None`
    /// if it was never stored.
    fn load<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Stored>, StorageError>>;

    /// Makes `entries` durable, all or none, in this order. On `Ok` they survive a crash. On `Err` nothing of
    /// them is stored or ever will be: a store that is in doubt answers when it is not any more.
    ///
    /// Refuses commits whose revisions do not rise, from the last stored one on, and a scope that has no
    /// snapshot, or whose newest is of another schema: who goes on with a scope in a new schema takes a
    /// snapshot before. Revisions may have gaps.
    fn append<'a>(
        &'a self,
        scope: &'a StoredScope,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Adds a snapshot. The first makes the scope known. From the newest on the scope is loaded; what is
    /// before it stays until it is trimmed.
    ///
    /// Refuses a snapshot of what is not stored: past the last position or revision, unless it is the first,
    /// or before the oldest that is left.
    fn compact<'a>(
        &'a self,
        scope: &'a StoredScope,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Forgets snapshots and entries that only tell what was before the horizon. The present stays.
    fn trim<'a>(
        &'a self,
        scope: &'a StoredScope,
        horizon: Horizon,
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// How much of the past this store is to keep: who compacts also trims, to this.
    fn retention(&self) -> Retention;

    /// The newest snapshot that is not after the moment. `None` if the past does not reach back so far.
    fn snapshot_at<'a>(
        &'a self,
        scope: &'a StoredScope,
        moment: Moment,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, StorageError>>;

    /// The first commits after a revision, as far as they are still known, at most `max`.
    fn commits<'a>(
        &'a self,
        scope: &'a StoredScope,
        after: Revision,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PastCommit>, StorageError>>;

    /// The scopes whose names come after `after`, in the order of their names' bytes, at most `max`.
    fn scopes<'a>(
        &'a self,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<ScopeSummary>, StorageError>>;

    /// Forgets a scope and its past. Tells whether it was there.
    fn remove_scope<'a>(
        &'a self,
        scope: &'a ScopeName,
    ) -> BoxFuture<'a, Result<bool, StorageError>>;

    /// The session with this token.
    fn load_session<'a>(
        &'a self,
        token: &'a TokenHash,
    ) -> BoxFuture<'a, Result<Option<StoredSession>, StorageError>>;

    /// The sessions whose ids come after `after`, in the order of their ids, at most `max`.
    fn sessions(
        &self,
        after: Option<SessionId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredSession>, StorageError>>;

    /// Makes sessions durable, all or none; each replaces what is stored under its id.
    fn save_sessions<'a>(
        &'a self,
        sessions: &'a [StoredSession],
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Forgets sessions; those that are not there are passed over.
    fn forget_sessions<'a>(
        &'a self,
        sessions: &'a [SessionId],
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Every schema that the store was written with, in the order of their versions.
    fn schemas(&self) -> BoxFuture<'_, Result<Vec<StoredSchema>, StorageError>>;

    /// Adds a schema. Refuses a version that is not higher than the last, unless it is the same again.
    fn add_schema(&self, schema: StoredSchema) -> BoxFuture<'_, Result<(), StorageError>>;

    /// Writes a copy of everything, as it is at one moment, into a folder, while the store goes on. The folder
    /// is made if it is not there; refused if a copy is in it. On `Ok` the copy is on the disk.
    ///
    /// A store that others look after has ways of its own, and refuses.
    fn back_up<'a>(&'a self, folder: &'a Path) -> BoxFuture<'a, Result<(), StorageError>> {
        let folder = folder.display().to_string();
        Box::pin(async move {
            Err(StorageError::Refused(format!(
                "this kind of store writes no copies of itself, so there is none in {folder}"
            )))
        })
    }

    /// Looks whether what the records stand in is whole, as far as reading them does not show that. What is
    /// wrong, in plain words; nothing, if all is well.
    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, StorageError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Whether the store takes what it is given, now and from now on.
    fn health(&self) -> watch::Receiver<StorageHealth>;
}
