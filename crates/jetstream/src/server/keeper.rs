//! The sessions that are stored: written down for the time after a crash, found again by their tokens, and
//! forgotten when their clients stay away for too long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::ids::{MessageIndex, ScopeIndex, SessionId};
use jetstream_core::session::{CloseReason, FetchRecord, Record, ServerSession};
use jetstream_core::wire::message::Dialect;
use parking_lot::Mutex;
use semver::Version;
use tokio::sync::{OwnedMutexGuard, RwLock};
use tokio::time::{Instant, sleep};

use super::Shared;
use super::cell::SessionCell;
use super::request::{Admission, Known, SessionFacts, SessionInfo};
use super::seats::Seats;
use super::session_task::SessionTask;
use crate::clock;
use crate::storage::{
    Storage, StorageError, StorageHealth, StoredFetch, StoredIdentity, StoredSession, TokenHash,
};
use crate::transport::ConnectInfo;

/// What a server knows of its store.
pub(super) struct Keeper {
    storage: Arc<dyn Storage>,
    /// Tokens whose sessions are being looked for: two connections with one token are one session.
    turns: Mutex<HashMap<TokenHash, Arc<tokio::sync::Mutex<()>>>>,
    /// Held by whoever takes a session out of the store into memory. The sweep holds it alone: it must not
    /// write down what it has read of a session that has come back since.
    waking: RwLock<()>,
}

impl Keeper {
    pub(super) fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, turns: Mutex::default(), waking: RwLock::default() }
    }

    /// Why the store takes nothing at present.
    pub(super) fn problem(&self) -> Option<String> {
        match &*self.storage.health().borrow() {
            StorageHealth::Good => None,
            StorageHealth::ReadOnly { why } => Some(format!("the store is read-only: {why}")),
        }
    }

    /// Writes a session down. Its position is what was stored; `None`: it could not be.
    pub(super) async fn save(self: Arc<Self>, session: StoredSession) -> Option<MessageIndex> {
        let (id, position) = (session.id, session.position);
        match self.storage.save_sessions(&[session]).await {
            Ok(()) => Some(position),
            Err(error) => {
                tracing::warn!(session = %id, %error, "a session could not be stored");
                None
            }
        }
    }

    /// A session is over.
    pub(super) async fn forget(&self, id: SessionId) {
        if let Err(error) = self.storage.forget_sessions(&[id]).await {
            // It expires there like one whose client never came back.
            tracing::warn!(session = %id, %error, "a session could not be forgotten");
        }
    }

    /// Waits until nobody else looks for this token.
    pub(super) async fn turn(&self, token: &TokenHash) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock();
            // Those that nobody waits for are let go of.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(*token).or_default().clone()
        };
        turn.lock_owned().await
    }

    /// What is stored of the session of this token.
    pub(super) async fn load(&self, token: &TokenHash) -> Result<StoredSession, CloseReason> {
        let stored = self.storage.load_session(token).await.map_err(|error| {
            tracing::error!(%error, "a session could not be looked up");
            let message = "the store of sessions does not answer".to_owned();
            CloseReason::TryAgain { message }
        })?;
        stored.filter(|stored| stored.remaining_ms > 0).ok_or_else(CloseReason::unknown_token)
    }

    /// The stored session of this token, ready to run for whoever was admitted to it.
    pub(super) async fn wake(
        &self,
        server: &Arc<Shared>,
        token: &TokenHash,
        connect: Arc<ConnectInfo>,
        admission: Admission,
    ) -> Result<Box<SessionTask>, CloseReason> {
        let _waking = self.waking.read().await;
        // It may have been forgotten while it was found out who the client is.
        let stored = self.load(token).await?;
        let version: Version = stored.version.parse().map_err(|_| CloseReason::unknown_token())?;
        let dialect = Dialect::of(&version);
        let Admission { data, claims, expires_at, shown } = admission;
        let known = parking_lot::RwLock::new(Known { claims, expires_at });
        let (id, params) = (stored.id, stored.params.clone());
        let facts = SessionFacts { id, dialect, connect, params, version, data, shown, known };
        Self::restored(server, facts, stored).ok_or_else(CloseReason::unknown_token)
    }

    /// Forgets the sessions of which this holds and that no client has come back to; how many there were.
    pub(super) async fn forget_away(
        &self,
        server: &Shared,
        such: impl Fn(&StoredSession) -> bool + Send,
    ) -> Result<usize, StorageError> {
        let (mut after, mut forgotten) = (None, 0);
        loop {
            let _alone = self.waking.write().await;
            let page = self.storage.sessions(after, SWEEP_SESSIONS_MAX).await?;
            let Some(last) = page.last() else { return Ok(forgotten) };
            after = Some(last.id);
            let away = page.iter().filter(|one| server.directory.by_id(one.id).is_none());
            let found: Vec<SessionId> = away.filter(|one| such(one)).map(|one| one.id).collect();
            if !found.is_empty() {
                self.storage.forget_sessions(&found).await?;
            }
            forgotten += found.len();
        }
    }

    fn restored(
        server: &Arc<Shared>,
        facts: SessionFacts,
        stored: StoredSession,
    ) -> Option<Box<SessionTask>> {
        let (id, dialect, token) = (facts.id, facts.dialect, stored.token);
        let jitter_seed = getrandom::u64().ok()?;
        let (limits, mut outputs) = (server.limits.clone(), Vec::new());
        let machine = ServerSession::restored(
            id,
            dialect,
            limits,
            jitter_seed,
            clock::now(),
            record(stored),
            &mut outputs,
        );
        let machine = machine.known_until(clock::now(), facts.known.read().until());
        let (info, metrics) = (SessionInfo(Arc::new(facts)), server.metrics.clone());
        let seats = Seats::keep(server, &info);
        let machine = seats.share(machine);
        let cell = SessionCell::new(info, token, machine, metrics).with(outputs);
        let cell = Arc::new(cell);
        server
            .directory
            .insert(&cell, server.limits.sessions_max)
            .then(|| SessionTask::new(cell, server.clone()).seated(seats))
    }
}

/// What a store keeps of a session.
pub(super) fn stored(info: &SessionInfo, token: TokenHash, record: Record) -> StoredSession {
    let scopes = record.scopes.into_iter().map(|FetchRecord { index, message, name, params }| {
        StoredFetch { index, name: name.into(), message, params }
    });
    let Known { claims, expires_at } = info.0.known.read().clone();
    let (shown, claims) = (info.0.shown, claims.entries().clone());
    let says_something = shown.is_some() || !claims.is_empty();
    StoredSession {
        id: info.id(),
        token,
        version: info.version().to_string(),
        params: info.params().clone(),
        identity: says_something.then_some(StoredIdentity { claims, expires_at, shown }),
        scopes: scopes.collect(),
        next_scope: record.next_scope,
        position: record.position,
        remaining_ms: record.remaining_ms,
    }
}

/// A session of which nothing has happened yet.
pub(super) fn beginning(timeout_ms: u64) -> Record {
    let (scopes, next_scope) = (Vec::new(), ScopeIndex(0));
    Record { scopes, next_scope, position: MessageIndex(0), remaining_ms: timeout_ms }
}

fn record(stored: StoredSession) -> Record {
    let scopes = stored.scopes.into_iter().map(|StoredFetch { index, name, message, params }| {
        FetchRecord { index, message, name: name.as_str().to_owned(), params }
    });
    Record {
        scopes: scopes.collect(),
        next_scope: stored.next_scope,
        position: stored.position,
        remaining_ms: stored.remaining_ms,
    }
}

/// Counts down the time that stored sessions have left, those of which nobody has come back, for as long as
/// the server runs. While it does not, their time stands still: that is no fault of their clients.
pub(super) async fn sweep(server: Arc<Shared>, keeper: Arc<Keeper>) {
    let pause = Duration::from_millis((server.limits.session_timeout_ms / 10).max(100));
    let pause = pause.min(SWEEP_PAUSE_MAX);
    let mut last = Instant::now();
    loop {
        sleep(pause).await;
        let now = Instant::now();
        let elapsed_ms = (now - last).as_millis() as u64;
        last = now;
        let mut after = None;
        loop {
            match sweep_page(&server, &keeper, after, elapsed_ms).await {
                Ok(Some(last)) => after = Some(last),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "stored sessions could not be looked through");
                    break;
                }
            }
        }
    }
}

/// Looks through some of them. The last one, if there may be more.
async fn sweep_page(
    server: &Shared,
    keeper: &Keeper,
    after: Option<SessionId>,
    elapsed_ms: u64,
) -> Result<Option<SessionId>, StorageError> {
    let _alone = keeper.waking.write().await;
    let page = keeper.storage.sessions(after, SWEEP_SESSIONS_MAX).await?;
    let last = page.last().map(|session| session.id).filter(|_| page.len() == SWEEP_SESSIONS_MAX);
    let away = page.into_iter().filter(|session| server.directory.by_id(session.id).is_none());
    let wall = clock::now().wall;
    let (mut waiting, mut expired) = (Vec::new(), Vec::new());
    for mut session in away {
        session.remaining_ms = session.remaining_ms.saturating_sub(elapsed_ms);
        if session.identity.as_ref().is_some_and(|identity| identity.is_expired(wall)) {
            session.remaining_ms = 0;
        }
        match session.remaining_ms {
            0 => expired.push(session.id),
            _ => waiting.push(session),
        }
    }
    if !expired.is_empty() {
        tracing::debug!(count = expired.len(), "stored sessions expired");
        keeper.storage.forget_sessions(&expired).await?;
    }
    if !waiting.is_empty() {
        keeper.storage.save_sessions(&waiting).await?;
    }
    Ok(last)
}

/// How exactly the time of sessions that are away is counted.
const SWEEP_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How many stored sessions are looked at in one go. Meanwhile no other can come back.
const SWEEP_SESSIONS_MAX: usize = 500;
