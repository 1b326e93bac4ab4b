//! The sessions of a server, by token and by name.

use std::collections::HashMap;
use std::sync::Arc;

use jetstream_core::ids::SessionId;
use parking_lot::Mutex;

use super::cell::SessionCell;
use super::token::TokenHash;

/// All sessions of a server. Locked only to look one up.
#[derive(Default)]
pub(super) struct Directory(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    by_token: HashMap<TokenHash, Arc<SessionCell>>,
    /// Each with its place in the order of their beginnings.
    by_id: HashMap<SessionId, (u64, Arc<SessionCell>)>,
    begun: u64,
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
        sessions.begun += 1;
        let place = sessions.begun;
        sessions.by_id.insert(cell.info.id(), (place, cell.clone()));
        true
    }

    /// Forgets a session.
    pub(super) fn remove(&self, cell: &SessionCell) {
        let mut sessions = self.0.lock();
        sessions.by_token.remove(&cell.token);
        sessions.by_id.remove(&cell.info.id());
    }

    /// The session with this token.
    pub(super) fn by_token(&self, token: &TokenHash) -> Option<Arc<SessionCell>> {
        self.0.lock().by_token.get(token).cloned()
    }

    /// The session of this name.
    pub(super) fn by_id(&self, id: SessionId) -> Option<Arc<SessionCell>> {
        self.0.lock().by_id.get(&id).map(|(_, cell)| cell.clone())
    }

    /// All sessions, the oldest first.
    pub(super) fn list(&self) -> Vec<Arc<SessionCell>> {
        let mut all: Vec<_> = self.0.lock().by_id.values().cloned().collect();
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, cell)| cell).collect()
    }

    /// The sessions after this one in the order of their ids, at most so many.
    pub(super) fn page(&self, after: Option<SessionId>, max: usize) -> Vec<Arc<SessionCell>> {
        let sessions = self.0.lock();
        let mut ids: Vec<SessionId> =
            sessions.by_id.keys().copied().filter(|id| after.is_none_or(|a| *id > a)).collect();
        if ids.len() > max {
            ids.select_nth_unstable(max);
            ids.truncate(max);
        }
        ids.sort_unstable();
        ids.iter().map(|id| sessions.by_id[id].1.clone()).collect()
    }

    /// Takes no session in any more.
    pub(super) fn close(&self) {
        self.0.lock().closed = true;
    }
}

/// A name that no other session has, nor one of a process before this one: stores recognise by it what they
/// have been told already. 53 bits: pages that show it count in doubles.
///
/// # Errors
///
/// If the system gives no random bytes.
pub(super) fn new_session_id() -> Result<SessionId, getrandom::Error> {
    Ok(SessionId(getrandom::u64()? >> 11))
}
