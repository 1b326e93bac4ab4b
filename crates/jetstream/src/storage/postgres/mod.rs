//! A store in a PostgreSQL database, for those who have one.
//!
//! Everything is in the schema `jetstream`, whose tables are made when the store is opened. One server at
//! a time has the store ([`owner`]); one task in it writes ([`writer`]), everything that waits in one
//! transaction ([`batch`]); a few connections read.

mod address;
mod batch;
mod connection;
mod consumers;
mod migrations;
mod owner;
mod problem;
mod read;
#[cfg(test)]
mod tests;
mod tls;
mod work;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use jetstream_core::ids::{Position, Revision, ScopeName, SessionId};
use jetstream_core::scope::Entry;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use self::connection::Readers;
use self::owner::Instance;
use self::problem::Problem;
use self::read::number;
use self::work::{Append, Commits, Place, SessionRow, Work};
use self::writer::{Order, Writer};
use super::{
    Horizon, Moment, PastCommit, Retention, ScopeSummary, Snapshot, Storage, StorageError,
    StorageHealth, Stored, StoredSchema, StoredScope, StoredSession, TokenHash, record,
};
use crate::future::BoxFuture;

pub use address::PostgresAddress;

/// Keeps scopes and sessions in a PostgreSQL database, version 14 or later.
///
/// It belongs to one server at a time; a second one that opens it is refused. When the database cannot be
/// reached or takes nothing, the store is read-only until it can.
pub struct PostgresStorage {
    readers: Readers,
    orders: mpsc::Sender<Order>,
    health: watch::Receiver<StorageHealth>,
    retention: Retention,
    /// Where the logs end that were written to last.
    ends: Mutex<HashMap<ScopeName, i64>>,
}

impl PostgresStorage {
    /// Opens the store at `address`, and makes it if it is not there. Waits up to `patience` for a database
    /// that does not answer yet, and for another server to let go of the store: one that was killed just now
    /// still has it for a moment.
    ///
    /// # Errors
    ///
    /// If the database cannot be used, or another server has the store.
    pub async fn open(
        address: &PostgresAddress,
        retention: Retention,
        patience: Duration,
    ) -> Result<Self, StorageError> {
        let failed = |problem: Problem| StorageError::Failed(format!("{address}: {problem}"));
        let instance = Instance::new().map_err(failed)?;
        let readers = Readers::new(address).map_err(failed)?;
        let ownership = owner::take(address, &instance, patience).await.map_err(failed)?;
        tracing::info!(%address, epoch = ownership.epoch, "the store is ours");
        let (orders, waiting) = mpsc::channel(ORDERS_MAX);
        let (told, health) = watch::channel(StorageHealth::Good);
        let writer = Writer::new(address.clone(), instance, waiting, told);
        // It ends when the store is dropped, and lets go of the database.
        tokio::spawn(writer.run(ownership));
        Ok(Self { readers, orders, health, retention, ends: Mutex::default() })
    }

    /// Has something written, and waits until it is known what became of it.
    async fn write(&self, work: Work) -> Result<(), StorageError> {
        let gone = || StorageError::Failed("the store has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order { work, answer }).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn append_entries(
        &self,
        scope: &StoredScope,
        entries: &[Entry],
    ) -> Result<(), StorageError> {
        let name = key(&scope.name)?;
        let known = self.ends.lock().remove(&scope.name);
        let after = match known {
            Some(after) => after,
            None => {
                let end = self.readers.end(&name).await?;
                end.ok_or_else(|| StorageError::unknown(&scope.name))?
            }
        };
        if entries.is_empty() {
            return Ok(());
        }
        let count = entries.len() as i64;
        let record = record::write_entries(scope, Position(after.unsigned_abs()), entries);
        let commits = Commits::of(entries)?;
        let version = scope.version.0.into();
        let append = Append { scope: name, after, entries: count, version, commits, record };
        self.write(Work::Append(append)).await?;
        self.remember(scope.name.clone(), after + count);
        Ok(())
    }

    /// Remembers where a log ends. That is for speed only: what is not remembered is asked for.
    fn remember(&self, scope: ScopeName, end: i64) {
        let mut ends = self.ends.lock();
        if ends.len() >= ENDS_MAX {
            ends.clear();
        }
        ends.insert(scope, end);
    }

    async fn add_snapshot(
        &self,
        scope: &StoredScope,
        snapshot: Snapshot,
    ) -> Result<(), StorageError> {
        let record = record::write_snapshot(scope, &snapshot);
        let place = Place {
            position: number(snapshot.position.0)?,
            revision: number(snapshot.revision.0)?,
            time: snapshot.time.0,
            version: scope.version.0.into(),
            crc: record.crc.into(),
        };
        let name = key(&scope.name)?;
        self.write(Work::Snapshot { scope: name, place, text: record.text }).await
    }

    async fn forget_past(&self, scope: &StoredScope, horizon: Horizon) -> Result<(), StorageError> {
        let scope_key = key(&scope.name)?;
        let snapshots = self.readers.kept(&scope_key).await?;
        if snapshots.is_empty() {
            return Err(StorageError::unknown(&scope.name));
        }
        let kept: Vec<_> = snapshots.iter().map(|(_, kept)| *kept).collect();
        match horizon.oldest_kept(&kept) {
            0 => Ok(()),
            oldest => {
                let position = snapshots[oldest].0;
                self.write(Work::Trim { scope: scope_key, position }).await
            }
        }
    }

    async fn remove(&self, scope: &ScopeName) -> Result<bool, StorageError> {
        let name = key(scope)?;
        let there = self.readers.knows(&name).await?;
        if there {
            self.ends.lock().remove(scope);
            self.write(Work::RemoveScope { scope: name }).await?;
        }
        Ok(there)
    }

    async fn save(&self, sessions: &[StoredSession]) -> Result<(), StorageError> {
        let row = |session: &StoredSession| SessionRow {
            id: session_key(session.id),
            token: session.token.as_bytes().to_vec(),
            record: record::write_session(session),
        };
        self.write(Work::SaveSessions(sessions.iter().map(row).collect())).await
    }

    async fn add(&self, schema: StoredSchema) -> Result<(), StorageError> {
        let there = self.readers.schemas().await?;
        if !StoredSchema::is_new(&there, &schema)? {
            return Ok(());
        }
        let text = schema.text.to_string();
        self.write(Work::AddSchema { version: schema.version.0.into(), text }).await
    }
}

impl Storage for PostgresStorage {
    fn load<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Stored>, StorageError>> {
        Box::pin(async { self.readers.load(scope, &key(&scope.name)?).await })
    }

    fn append<'a>(
        &'a self,
        scope: &'a StoredScope,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(self.append_entries(scope, entries))
    }

    fn compact<'a>(
        &'a self,
        scope: &'a StoredScope,
        snapshot: Snapshot,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(self.add_snapshot(scope, snapshot))
    }

    fn trim<'a>(
        &'a self,
        scope: &'a StoredScope,
        horizon: Horizon,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(self.forget_past(scope, horizon))
    }

    fn retention(&self) -> Retention {
        self.retention
    }

    fn snapshot_at<'a>(
        &'a self,
        scope: &'a StoredScope,
        moment: Moment,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, StorageError>> {
        Box::pin(async move { self.readers.snapshot_at(scope, &key(&scope.name)?, moment).await })
    }

    fn commits<'a>(
        &'a self,
        scope: &'a StoredScope,
        after: Revision,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PastCommit>, StorageError>> {
        Box::pin(async move { self.readers.commits(scope, &key(&scope.name)?, after, max).await })
    }

    fn scopes<'a>(
        &'a self,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<ScopeSummary>, StorageError>> {
        Box::pin(async move { self.readers.scopes(after, max).await })
    }

    fn remove_scope<'a>(
        &'a self,
        scope: &'a ScopeName,
    ) -> BoxFuture<'a, Result<bool, StorageError>> {
        Box::pin(self.remove(scope))
    }

    fn load_session<'a>(
        &'a self,
        token: &'a TokenHash,
    ) -> BoxFuture<'a, Result<Option<StoredSession>, StorageError>> {
        Box::pin(self.readers.session(token))
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredSession>, StorageError>> {
        Box::pin(async move { self.readers.sessions(after.map(session_key), max).await })
    }

    fn save_sessions<'a>(
        &'a self,
        sessions: &'a [StoredSession],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(self.save(sessions))
    }

    fn forget_sessions<'a>(
        &'a self,
        sessions: &'a [SessionId],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let ids = sessions.iter().copied().map(session_key).collect();
        Box::pin(self.write(Work::ForgetSessions(ids)))
    }

    fn schemas(&self) -> BoxFuture<'_, Result<Vec<StoredSchema>, StorageError>> {
        Box::pin(self.readers.schemas())
    }

    fn add_schema(&self, schema: StoredSchema) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.add(schema))
    }

    fn health(&self) -> watch::Receiver<StorageHealth> {
        self.health.clone()
    }
}

impl fmt::Debug for PostgresStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = self.health.borrow();
        f.debug_struct("PostgresStorage").field("health", &*health).finish_non_exhaustive()
    }
}

/// A scope's name as the database has it, which knows every text but those with a zero in them.
fn key(name: &ScopeName) -> Result<String, StorageError> {
    let text = name.to_string();
    if text.contains('\0') {
        return Err(StorageError::Refused(format!("PostgreSQL cannot store the name {name:?}")));
    }
    Ok(text)
}

/// A session's id in digits, as many as the largest has: their order is that of the numbers.
fn session_key(id: SessionId) -> String {
    format!("{:020}", id.0)
}

/// How many calls wait for the writer, besides those that it has in hand. Scopes and sessions wait
/// themselves when it is full.
const ORDERS_MAX: usize = 1024;

/// How many ends of logs are remembered. When there are more, it is begun anew: one small question for each
/// scope that is written to after that.
const ENDS_MAX: usize = 100_000;
