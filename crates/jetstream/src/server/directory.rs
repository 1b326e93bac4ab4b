//! The sessions of a server, by token and by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jetstream_core::ids::SessionId;
use parking_lot::Mutex;

use super::cell::SessionCell;
use super::token::TokenHash;
use crate::clock;

/// All sessions of a server. Locked only to look one up.
#[derive(Default)]
pub(super) struct Directory(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    by_token: HashMap<TokenHash, Arc<SessionCell>>,
    by_id: BTreeMap<SessionId, Arc<SessionCell>>,
    /// No session is taken any more.
    closed: bool,
}

impl Directory {
    /// Takes a session in. False: there are as many as there may be.
    pub(super) fn insert(&self, cell: &Arc<SessionCell>, sessions_max: usize) -> bool {
        let mut sessions = self.0.lock();
        if sessions.closed || sessions.by_id.len() >= sessions_max {
            return false;
        }
        sessions.by_token.insert(cell.token, cell.clone());
        sessions.by_id.insert(cell.info.id(), cell.clone());
        true
    }

    /// Forgets a session.
    pub(super) fn remove(&self, cell: &SessionCell) {
        let mut sessions = self.0.lock();
        sessions.by_token.remove(&cell.token);
        sessions.by_id.remove(&cell.info.id());
    }

    /// The session whose token this is.
    pub(super) fn by_token(&self, token: &str) -> Option<Arc<SessionCell>> {
        let hash = TokenHash::of(token);
        self.0.lock().by_token.get(&hash).cloned()
    }

    /// The session of this name.
    pub(super) fn by_id(&self, id: SessionId) -> Option<Arc<SessionCell>> {
        self.0.lock().by_id.get(&id).cloned()
    }

    /// All sessions, the oldest first.
    pub(super) fn list(&self) -> Vec<Arc<SessionCell>> {
        self.0.lock().by_id.values().cloned().collect()
    }

    /// Takes no session in any more.
    pub(super) fn close(&self) {
        self.0.lock().closed = true;
    }
}

/// A name that no other session of this process has, nor one of a process before it: stores keep names
/// of sessions to recognise what they have stored already.
pub(super) fn next_session_id() -> SessionId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if NEXT.load(Ordering::Relaxed) == 0 {
        let seconds = clock::now().wall.0.max(1000) as u64 / 1000;
        // A million names a second.
        let _ = NEXT.compare_exchange(0, seconds << 20, Ordering::Relaxed, Ordering::Relaxed);
    }
    SessionId(NEXT.fetch_add(1, Ordering::Relaxed))
}
