//! A running server as an application holds it.

use std::net::SocketAddr;
use std::sync::Arc;

use jetstream_core::ids::SessionId;
use jetstream_core::scope::Claims;
use tokio::sync::watch;

use super::cell::SessionCell;
use super::health::Health;
use super::request::SessionInfo;
use super::session_task::Order;
use super::{Phase, Shared};
use crate::authentication::Identity;
use crate::metrics::Metrics;
use crate::storage::StoredSession;

/// A running server. Cheap to clone.
#[derive(Clone)]
pub struct ServerHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) addresses: Arc<[SocketAddr]>,
    pub(super) admin: Option<SocketAddr>,
    pub(super) api: Option<SocketAddr>,
    pub(super) phase: Arc<watch::Sender<Phase>>,
}

/// A session at the moment of asking.
#[derive(Debug, Clone)]
pub struct SessionStatus {
    /// Who it is.
    pub info: SessionInfo,
    /// Whether its client is connected.
    pub connected: bool,
    /// What is kept for its client, sent or not, in bytes.
    pub backlog_bytes: usize,
}

impl SessionStatus {
    pub(super) fn of(cell: &SessionCell) -> Self {
        let (connected, backlog_bytes) = cell.standing();
        Self { info: cell.info.clone(), connected, backlog_bytes }
    }
}

impl ServerHandle {
    /// The address of the first transport that has one.
    ///
    /// # Panics
    ///
    /// If no transport has one; in-memory transports have none.
    pub fn local_addr(&self) -> SocketAddr {
        *self.addresses.first().expect("a transport with an address")
    }

    /// The addresses of all transports that have one, in the order of the builder.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the listener for metrics and health, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The address of the interface for programs, if there is one.
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.api
    }

    /// The sessions whose ids come after `after`, in the order of their ids, at most `max`.
    pub fn sessions_after(&self, after: Option<SessionId>, max: usize) -> Vec<SessionStatus> {
        let page = self.shared.directory.page(after, max);
        page.iter().map(|cell| SessionStatus::of(cell)).collect()
    }

    /// All sessions, the oldest first.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.shared.directory.list().iter().map(|cell| SessionStatus::of(cell)).collect()
    }

    /// Ends a session; its client is told why, and starts over. One that is only stored is forgotten. False if
    /// there is no such session.
    pub async fn end_session(&self, id: SessionId, message: impl Into<String>) -> bool {
        match self.shared.directory.by_id(id) {
            Some(cell) => cell.order(Order::End(message.into())).await.is_ok(),
            None => self.forget_stored(move |session| session.id == id).await > 0,
        }
    }

    /// Says anew who a session's client is. What it may not see any more leaves its view at once, and scopes
    /// that it may not be in are closed for it. False if there is no such session.
    pub async fn renew_session(&self, id: SessionId, identity: Identity) -> bool {
        let Some(cell) = self.shared.directory.by_id(id) else { return false };
        cell.order(Order::Renewed(Box::new(identity))).await.is_ok()
    }

    /// Ends all sessions whose claims are such, those that are only stored among them, and tells how many there
    /// were. What waits for their clients is dropped, and what they have asked and no scope has taken up.
    /// They start over, and have to say who they are; whether they are let in then is for the authenticator
    /// to say: what they show may still be good.
    pub async fn revoke(&self, such: impl Fn(&Claims) -> bool + Send) -> usize {
        let mut revoked = 0;
        for cell in self.shared.directory.list() {
            if such(&cell.info.claims()) {
                let message = "the session was revoked".to_owned();
                revoked += usize::from(cell.order(Order::Revoked(message)).await.is_ok());
            }
        }
        let stored = move |session: &StoredSession| {
            let claims = session.identity.as_ref().map(|identity| identity.claims.clone());
            such(&Claims::new(claims.unwrap_or_default()))
        };
        revoked + self.forget_stored(stored).await
    }

    /// Forgets sessions that are in the store and not here.
    async fn forget_stored(&self, such: impl Fn(&StoredSession) -> bool + Send) -> usize {
        let Some(keeper) = &self.shared.keeper else { return 0 };
        keeper.forget_away(&self.shared, such).await.unwrap_or_else(|error| {
            tracing::error!(%error, "stored sessions could not be looked through");
            0
        })
    }

    /// What the server counts.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Whether the server does its work: scopes are asked and must answer in time.
    pub async fn health(&self) -> Health {
        self.shared.health().await
    }

    /// Stops accepting, answers what was asked, and closes all connections with 1001, so that clients
    /// resume elsewhere or later. What takes longer than `limits.shutdown_timeout_ms` is dropped.
    /// Scopes live on. Returns when everything has ended; a second call waits for the first.
    pub async fn shutdown(&self) {
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Stopping;
            }
            running
        });
        self.ended().await;
    }

    /// Waits until the server is told to shut down.
    pub(crate) async fn stopping(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase != Phase::Running).await;
    }

    /// Waits until the server has been shut down.
    pub async fn ended(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Ended).await;
    }
}

impl std::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerHandle").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
