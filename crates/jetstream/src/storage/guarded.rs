//! A store that is asked for permission: to see how a program behaves when its store fails or hangs.

use std::fmt;
use std::path::Path;

use jetstream_core::ids::{Revision, ScopeName, SessionId, SharedText};
use jetstream_core::scope::Entry;
use tokio::sync::watch;

use super::{
    Behind, ConsumerStorage, DeadLetter, Horizon, LetterId, Moment, PastCommit, Progress,
    Retention, ScopeSummary, Snapshot, Storage, StorageError, StorageHealth, Stored, StoredSchema,
    StoredScope, StoredSession, TokenHash,
};
use crate::future::BoxFuture;

/// What a store is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`Storage::load`].
    Load,
    /// [`Storage::append`].
    Append,
    /// [`Storage::compact`] and [`Storage::trim`].
    Compact,
    /// Anything else that reads.
    Read,
    /// Anything else that writes.
    Write,
}

/// A store that asks a function before each call: it may let the call through, make it wait, or fail it.
pub struct Guarded<S> {
    storage: S,
    guard: Guard,
}

type Guard = Box<dyn Fn(Call) -> BoxFuture<'static, Result<(), StorageError>> + Send + Sync>;

impl<S: Storage> Guarded<S> {
    /// `storage` behind `guard`.
    pub fn new<G>(storage: S, guard: G) -> Self
    where
        G: Fn(Call) -> BoxFuture<'static, Result<(), StorageError>> + Send + Sync + 'static,
    {
        Self { storage, guard: Box::new(guard) }
    }

    fn ask<'a, T: 'a>(
        &'a self,
        call: Call,
        answer: impl FnOnce(&'a S) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StorageError>> {
        Box::pin(async move {
            (self.guard)(call).await?;
            answer(&self.storage).await
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guarded").field(&self.storage).finish()
    }
}

impl<S: Storage> Storage for Guarded<S> {
    fn load<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Stored>, StorageError>> {
        self.ask(Call::Load, move |storage| storage.load(scope))
    }

    fn append<'a>(
        &'a self,
        scope: &'a StoredScope,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.ask(Call::Append, move |storage| storage.append(scope, entries))
    }

    fn compact<'a>(
        &'a self,
        scope: &'a StoredScope,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.ask(Call::Compact, move |storage| storage.compact(scope, snapshot))
    }

    fn trim<'a>(
        &'a self,
        scope: &'a StoredScope,
        horizon: Horizon,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.ask(Call::Compact, move |storage| storage.trim(scope, horizon))
    }

    fn retention(&self) -> Retention {
        self.storage.retention()
    }

    fn snapshot_at<'a>(
        &'a self,
        scope: &'a StoredScope,
        moment: Moment,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.snapshot_at(scope, moment))
    }

    fn commits<'a>(
        &'a self,
        scope: &'a StoredScope,
        after: Revision,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PastCommit>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.commits(scope, after, max))
    }

    fn scopes<'a>(
        &'a self,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<ScopeSummary>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.scopes(after, max))
    }

    fn remove_scope<'a>(
        &'a self,
        scope: &'a ScopeName,
    ) -> BoxFuture<'a, Result<bool, StorageError>> {
        self.ask(Call::Write, move |storage| storage.remove_scope(scope))
    }

    fn load_session<'a>(
        &'a self,
        token: &'a TokenHash,
    ) -> BoxFuture<'a, Result<Option<StoredSession>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.load_session(token))
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredSession>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.sessions(after, max))
    }

    fn save_sessions<'a>(
        &'a self,
        sessions: &'a [StoredSession],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.ask(Call::Write, move |storage| storage.save_sessions(sessions))
    }

    fn forget_sessions<'a>(
        &'a self,
        sessions: &'a [SessionId],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.ask(Call::Write, move |storage| storage.forget_sessions(sessions))
    }

    fn schemas(&self) -> BoxFuture<'_, Result<Vec<StoredSchema>, StorageError>> {
        self.ask(Call::Read, |storage| storage.schemas())
    }

    fn add_schema(&self, schema: StoredSchema) -> BoxFuture<'_, Result<(), StorageError>> {
        self.ask(Call::Write, move |storage| storage.add_schema(schema))
    }

    fn back_up<'a>(&'a self, folder: &'a Path) -> BoxFuture<'a, Result<(), StorageError>> {
        self.ask(Call::Read, move |storage| storage.back_up(folder))
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, StorageError>> {
        self.ask(Call::Read, |storage| storage.check())
    }

    fn health(&self) -> watch::Receiver<StorageHealth> {
        self.storage.health()
    }
}

impl<S: Storage> ConsumerStorage for Guarded<S> {
    fn follow<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Progress, StorageError>> {
        self.ask(Call::Write, move |storage| storage.follow(scope, consumer))
    }

    fn progress<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Option<Progress>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.progress(scope, consumer))
    }

    fn advance<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
        progress: Progress,
        letter: Option<(DeadLetter, SharedText)>,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.ask(Call::Write, move |storage| storage.advance(scope, consumer, progress, letter))
    }

    fn behind<'a>(
        &'a self,
        consumer: &'a str,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<Behind>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.behind(consumer, after, max))
    }

    fn past_begins<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Revision>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.past_begins(scope))
    }

    fn letters(
        &self,
        after: Option<LetterId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<(LetterId, DeadLetter)>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.letters(after, max))
    }

    fn letter_text(
        &self,
        letter: LetterId,
    ) -> BoxFuture<'_, Result<Option<SharedText>, StorageError>> {
        self.ask(Call::Read, move |storage| storage.letter_text(letter))
    }

    fn drop_letters<'a>(
        &'a self,
        letters: &'a [LetterId],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.ask(Call::Write, move |storage| storage.drop_letters(letters))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStorage;
    use super::*;

    fn willing(_: Call) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }

    // With a guard that lets everything through, it is the store behind it.
    crate::storage_contract!(Guarded::new(MemoryStorage::new(), willing));
}
