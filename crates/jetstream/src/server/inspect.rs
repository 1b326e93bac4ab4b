//! What goes on in a server, for somebody who looks: its sessions, their scopes, the latest messages.
//!
//! Nothing is kept for this while nobody looks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use jetstream_core::ids::{ScopeName, SessionId};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::ServerHandle;
use super::cell::SessionCell;
use super::handle::SessionStatus;
use super::recorder::Recorded;
use super::session_task::Order;
use crate::clock;
use crate::scope::Scope;

/// A session with the scopes that it has fetched.
#[derive(Debug)]
pub struct Inspected {
    /// The session.
    pub status: SessionStatus,
    /// Its scopes. Empty as well if the session was too busy to say.
    pub scopes: Vec<Scope>,
}

/// The sessions that are watched, the latest last.
#[derive(Default)]
pub(super) struct Watched(Mutex<VecDeque<Weak<SessionCell>>>);

impl Watched {
    /// Makes a session one of those that are watched. If there are too many, the one that has been watched
    /// for longest is not any more.
    fn add(&self, cell: &Arc<SessionCell>) {
        let now = clock::now();
        let mut watched = self.0.lock();
        watched.retain(|other| {
            let other = other.upgrade().filter(|other| !Arc::ptr_eq(other, cell));
            other.is_some_and(|other| other.is_watched(now))
        });
        watched.push_back(Arc::downgrade(cell));
        while watched.len() > WATCHED_MAX {
            if let Some(longest) = watched.pop_front().and_then(|cell| cell.upgrade()) {
                longest.stop_recording();
            }
        }
    }
}

impl ServerHandle {
    /// All sessions and what they have fetched, the oldest first; past a thousand, the latest of them.
    pub async fn inspect(&self) -> Vec<Inspected> {
        let mut cells = self.shared.directory.list();
        cells.drain(..cells.len().saturating_sub(SESSIONS_MAX));
        let mut inspected = Vec::with_capacity(cells.len());
        for cell in cells {
            inspected
                .push(Inspected { status: SessionStatus::of(&cell), scopes: scopes(&cell).await });
        }
        inspected
    }

    /// The open scopes of these sessions, and those that were fetched lately, by name.
    pub fn open_scopes(&self, sessions: &[Inspected]) -> BTreeMap<ScopeName, Scope> {
        let fetched = sessions.iter().flat_map(|session| session.scopes.iter().cloned());
        let all = self.shared.health.known().into_iter().chain(fetched);
        all.map(|scope| (scope.name().clone(), scope)).collect()
    }

    /// The messages of a session after this number, waiting a while for the first; the session is
    /// recorded from now on, as long as somebody asks. `None`: there is no such session.
    pub async fn watch(&self, session: SessionId, after: u64) -> Option<Vec<Recorded>> {
        let cell = self.shared.directory.by_id(session)?;
        self.shared.watched.add(&cell);
        let (frames, news) = cell.recorded(clock::now(), after);
        if !frames.is_empty() {
            return Some(frames);
        }
        let noted = news.notified();
        tokio::pin!(noted);
        // From here on a note wakes us; one that came before is found by looking again.
        noted.as_mut().enable();
        if cell.recorded(clock::now(), after).0.is_empty() {
            let _ = timeout(NEWS_WAIT, noted).await;
        }
        Some(cell.recorded(clock::now(), after).0)
    }
}

/// What a session has fetched, as its task says. One that is busy for long is shown without.
async fn scopes(cell: &SessionCell) -> Vec<Scope> {
    let (answer, scopes) = oneshot::channel();
    let asked = async {
        cell.order(Order::Describe(answer)).await.ok()?;
        scopes.await.ok()
    };
    timeout(TASK_WAIT, asked).await.ok().flatten().unwrap_or_default()
}

/// How many sessions are recorded at a time. Each keeps half a megabyte at the most.
const WATCHED_MAX: usize = 8;

/// How many sessions are shown.
const SESSIONS_MAX: usize = 1_000;

/// How long a question for news waits.
const NEWS_WAIT: Duration = Duration::from_secs(10);

/// How long a session's task may take to answer.
const TASK_WAIT: Duration = Duration::from_millis(250);
