//! A store that lives as long as the process.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use jetstream_core::ids::{Position, Revision, ScopeName, SessionId, SharedText};
use jetstream_core::scope::Entry;
use jetstream_core::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::consumers::cannot_advance;
use super::stored::{entry_bytes, snapshot_bytes};
use super::{
    Behind, ConsumerStorage, DeadLetter, Horizon, Kept, LetterId, Moment, PastCommit, Progress,
    Retention, SchemaVersion, ScopeSummary, Snapshot, Storage, StorageError, StorageHealth, Stored,
    StoredSchema, StoredScope, StoredSession, TokenHash,
};
use crate::future::BoxFuture;

/// Keeps everything in memory; of the past nothing, unless it is told to. Clones share what they keep.
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    contents: Arc<Mutex<Contents>>,
    retention: Retention,
    /// Always good: there is no disk that could fail.
    health: watch::Sender<StorageHealth>,
}

#[derive(Debug, Default)]
struct Contents {
    scopes: BTreeMap<ScopeName, Log>,
    sessions: BTreeMap<SessionId, StoredSession>,
    tokens: BTreeMap<TokenHash, SessionId>,
    schemas: Vec<StoredSchema>,
    letters: BTreeMap<LetterId, (DeadLetter, SharedText)>,
    last_letter: u64,
}

/// One scope.
#[derive(Debug)]
struct Log {
    /// Oldest first; there is at least one.
    snapshots: Vec<Snapshot>,
    /// What is known after the oldest snapshot.
    entries: VecDeque<(SchemaVersion, Entry)>,
    position: Position,
    revision: Revision,
    modified: Timestamp,
    /// How far each consumer has got.
    consumers: BTreeMap<String, Progress>,
}

impl MemoryStorage {
    /// A store without any scope.
    pub fn new() -> Self {
        Self::keeping(Retention::NONE)
    }

    /// The same, with so much of the past of each scope.
    pub fn keeping(retention: Retention) -> Self {
        Self { contents: Arc::default(), retention, health: watch::Sender::default() }
    }

    /// What a question finds or changes, at once.
    fn answer<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&mut Contents) -> Result<T, StorageError> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StorageError>> {
        Box::pin(async move { ask(&mut self.contents.lock()) })
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl Log {
    fn begin(snapshot: Snapshot) -> Self {
        let Snapshot { position, revision, time: modified, .. } = snapshot;
        let (snapshots, entries) = (vec![snapshot], VecDeque::new());
        let consumers = BTreeMap::new();
        Self { snapshots, entries, position, revision, modified, consumers }
    }

    fn append(&mut self, version: SchemaVersion, entries: &[Entry]) -> Result<(), StorageError> {
        StoredSchema::goes_on(self.newest().version, version)?;
        let (mut revision, mut modified) = (self.revision, self.modified);
        for commit in entries.iter().filter_map(Entry::commit) {
            if commit.revision <= revision {
                let found = commit.revision;
                let refused = format!("revision {found} does not come after {revision}");
                return Err(StorageError::Refused(refused));
            }
            (revision, modified) = (commit.revision, commit.time);
        }
        (self.revision, self.modified) = (revision, modified);
        self.position.0 += entries.len() as u64;
        self.entries.extend(entries.iter().map(|entry| (version, entry.clone())));
        Ok(())
    }

    fn compact(&mut self, snapshot: Snapshot) -> Result<(), StorageError> {
        if snapshot.position > self.position || snapshot.revision > self.revision {
            return Err(StorageError::Refused(format!(
                "the last entry is {} at revision {}, not {} at {}",
                self.position, self.revision, snapshot.position, snapshot.revision
            )));
        }
        let oldest = self.snapshots[0].position;
        if snapshot.position < oldest {
            let refused = format!("what is before the entry {oldest} is forgotten");
            return Err(StorageError::Refused(refused));
        }
        let place = self.snapshots.partition_point(|other| other.position < snapshot.position);
        match self.snapshots.get_mut(place) {
            Some(same) if same.position == snapshot.position => *same = snapshot,
            _ => self.snapshots.insert(place, snapshot),
        }
        Ok(())
    }

    fn trim(&mut self, horizon: Horizon) {
        let mut bytes = 0;
        let mut behind = self.position;
        let mut kept: Vec<Kept> = Vec::new();
        for snapshot in self.snapshots.iter().rev() {
            let entries = self.between(snapshot.position, behind);
            bytes += snapshot_bytes(snapshot) + entries.map(entry_bytes).sum::<u64>();
            behind = snapshot.position;
            kept.push(Kept { time: snapshot.time, bytes });
        }
        kept.reverse();
        let forgotten = self.snapshots.drain(..horizon.oldest_kept(&kept)).count();
        if forgotten > 0 {
            let needed = self.position.0.saturating_sub(self.snapshots[0].position.0);
            let needed = usize::try_from(needed).unwrap_or(usize::MAX);
            self.entries.drain(..self.entries.len().saturating_sub(needed));
        }
    }

    /// The entries after one place up to another.
    fn between(&self, after: Position, until: Position) -> impl Iterator<Item = &Entry> {
        let first = self.position.0 - self.entries.len() as u64;
        let place = |position: Position| position.0.saturating_sub(first) as usize;
        self.entries.range(place(after)..place(until)).map(|(_, entry)| entry)
    }

    fn stored(&self) -> Stored {
        let snapshot = self.newest().clone();
        let entries = self.between(snapshot.position, self.position).cloned().collect();
        Stored { snapshot, entries }
    }

    fn newest(&self) -> &Snapshot {
        self.snapshots.last().expect("a log begins with a snapshot")
    }

    fn snapshot_at(&self, moment: Moment) -> Option<Snapshot> {
        let found = self.snapshots.iter().rev().find(|snapshot| match moment {
            Moment::Revision(revision) => snapshot.revision <= revision,
            Moment::Time(time) => snapshot.time <= time,
        });
        found.cloned()
    }

    fn summary(&self, name: &ScopeName) -> ScopeSummary {
        let snapshots: u64 = self.snapshots.iter().map(snapshot_bytes).sum();
        let entries: u64 = self.entries.iter().map(|(_, entry)| entry_bytes(entry)).sum();
        ScopeSummary {
            name: name.clone(),
            revision: self.revision,
            bytes: snapshots + entries,
            modified: self.modified,
        }
    }
}

impl Contents {
    fn log(&mut self, scope: &StoredScope) -> Result<&mut Log, StorageError> {
        self.scopes.get_mut(&scope.name).ok_or_else(|| StorageError::unknown(&scope.name))
    }

    fn save(&mut self, session: &StoredSession) {
        self.forget(session.id);
        self.tokens.insert(session.token, session.id);
        self.sessions.insert(session.id, session.clone());
    }

    fn forget(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.remove(&session) {
            self.tokens.remove(&session.token);
        }
    }
}

impl Storage for MemoryStorage {
    fn load<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Stored>, StorageError>> {
        self.answer(|contents| Ok(contents.scopes.get(&scope.name).map(Log::stored)))
    }

    fn append<'a>(
        &'a self,
        scope: &'a StoredScope,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.answer(|contents| contents.log(scope)?.append(scope.version, entries))
    }

    fn compact<'a>(
        &'a self,
        scope: &'a StoredScope,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let snapshot = Snapshot { version: scope.version, ..snapshot };
        self.answer(move |contents| match contents.scopes.get_mut(&scope.name) {
            Some(log) => log.compact(snapshot),
            None => {
                contents.scopes.insert(scope.name.clone(), Log::begin(snapshot));
                Ok(())
            }
        })
    }

    fn trim<'a>(
        &'a self,
        scope: &'a StoredScope,
        horizon: Horizon,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.answer(move |contents| contents.log(scope).map(|log| log.trim(horizon)))
    }

    fn retention(&self) -> Retention {
        self.retention
    }

    fn snapshot_at<'a>(
        &'a self,
        scope: &'a StoredScope,
        moment: Moment,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, StorageError>> {
        self.answer(move |contents| {
            Ok(contents.scopes.get(&scope.name).and_then(|log| log.snapshot_at(moment)))
        })
    }

    fn commits<'a>(
        &'a self,
        scope: &'a StoredScope,
        after: Revision,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PastCommit>, StorageError>> {
        self.answer(move |contents| {
            let Some(log) = contents.scopes.get(&scope.name) else { return Ok(Vec::new()) };
            // Most who ask are close behind the end.
            let known = log.entries.iter().rposition(|(_, entry)| {
                entry.commit().is_some_and(|commit| commit.revision <= after)
            });
            let entries = log.entries.range(known.map_or(0, |place| place + 1)..);
            let commits = entries.filter_map(|(version, entry)| {
                Some(PastCommit { version: *version, commit: entry.commit()?.clone() })
            });
            Ok(commits.take(max).collect())
        })
    }

    fn scopes<'a>(
        &'a self,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<ScopeSummary>, StorageError>> {
        self.answer(move |contents| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let scopes = contents.scopes.range((from, Bound::Unbounded)).take(max);
            Ok(scopes.map(|(name, log)| log.summary(name)).collect())
        })
    }

    fn remove_scope<'a>(
        &'a self,
        scope: &'a ScopeName,
    ) -> BoxFuture<'a, Result<bool, StorageError>> {
        self.answer(|contents| Ok(contents.scopes.remove(scope).is_some()))
    }

    fn load_session<'a>(
        &'a self,
        token: &'a TokenHash,
    ) -> BoxFuture<'a, Result<Option<StoredSession>, StorageError>> {
        self.answer(|contents| {
            let id = contents.tokens.get(token);
            Ok(id.and_then(|id| contents.sessions.get(id)).cloned())
        })
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredSession>, StorageError>> {
        self.answer(move |contents| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let sessions = contents.sessions.range((from, Bound::Unbounded)).take(max);
            Ok(sessions.map(|(_, session)| session.clone()).collect())
        })
    }

    fn save_sessions<'a>(
        &'a self,
        sessions: &'a [StoredSession],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.answer(|contents| {
            sessions.iter().for_each(|session| contents.save(session));
            Ok(())
        })
    }

    fn forget_sessions<'a>(
        &'a self,
        sessions: &'a [SessionId],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.answer(|contents| {
            sessions.iter().for_each(|session| contents.forget(*session));
            Ok(())
        })
    }

    fn schemas(&self) -> BoxFuture<'_, Result<Vec<StoredSchema>, StorageError>> {
        self.answer(|contents| Ok(contents.schemas.clone()))
    }

    fn add_schema(&self, schema: StoredSchema) -> BoxFuture<'_, Result<(), StorageError>> {
        self.answer(|contents| {
            if StoredSchema::is_new(&contents.schemas, &schema)? {
                contents.schemas.push(schema);
            }
            Ok(())
        })
    }

    fn health(&self) -> watch::Receiver<StorageHealth> {
        self.health.subscribe()
    }
}

impl ConsumerStorage for MemoryStorage {
    fn follow<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Progress, StorageError>> {
        self.answer(move |contents| {
            let log = contents.scopes.get_mut(scope).ok_or_else(|| StorageError::unknown(scope))?;
            let begin = Progress { revision: log.revision, failing_since: None };
            Ok(*log.consumers.entry(consumer.to_owned()).or_insert(begin))
        })
    }

    fn progress<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Option<Progress>, StorageError>> {
        self.answer(move |contents| {
            Ok(contents.scopes.get(scope).and_then(|log| log.consumers.get(consumer)).copied())
        })
    }

    fn advance<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
        progress: Progress,
        letter: Option<(DeadLetter, SharedText)>,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.answer(move |contents| {
            let log = contents.scopes.get_mut(scope);
            let known = log.and_then(|log| log.consumers.get_mut(consumer));
            let known = known.filter(|known| known.revision <= progress.revision);
            *known.ok_or_else(|| cannot_advance(scope, consumer, progress))? = progress;
            if let Some(letter) = letter {
                contents.last_letter += 1;
                contents.letters.insert(LetterId(contents.last_letter), letter);
            }
            Ok(())
        })
    }

    /// Looks at all scopes: they are in memory anyway.
    fn behind<'a>(
        &'a self,
        consumer: &'a str,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<Behind>, StorageError>> {
        self.answer(move |contents| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let scopes = contents.scopes.range::<ScopeName, _>((from, Bound::Unbounded));
            let behind = scopes.filter_map(|(name, log)| {
                let (got, last) = (log.consumers.get(consumer)?.revision, log.revision);
                (got < last).then(|| Behind { scope: name.clone(), got, last })
            });
            Ok(behind.take(max).collect())
        })
    }

    fn past_begins<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Revision>, StorageError>> {
        self.answer(|contents| {
            Ok(contents.scopes.get(&scope.name).map(|log| log.snapshots[0].revision))
        })
    }

    fn letters(
        &self,
        after: Option<LetterId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<(LetterId, DeadLetter)>, StorageError>> {
        self.answer(move |contents| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let letters = contents.letters.range((from, Bound::Unbounded)).take(max);
            Ok(letters.map(|(id, (letter, _))| (*id, letter.clone())).collect())
        })
    }

    fn letter_text(
        &self,
        letter: LetterId,
    ) -> BoxFuture<'_, Result<Option<SharedText>, StorageError>> {
        self.answer(move |contents| Ok(contents.letters.get(&letter).map(|(_, text)| text.clone())))
    }

    fn drop_letters<'a>(
        &'a self,
        letters: &'a [LetterId],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.answer(move |contents| {
            letters.iter().for_each(|letter| drop(contents.letters.remove(letter)));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    crate::storage_contract!(super::MemoryStorage::new());
}
