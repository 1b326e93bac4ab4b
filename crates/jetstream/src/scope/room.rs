//! How much memory the scopes of a server take, and which of them goes when it becomes too much.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use jetstream_core::ids::ScopeName;
use jetstream_core::limits::{Limit, Limits};
use jetstream_core::model::Rejection;
use jetstream_core::time::Millis;

use super::{Request, Scope};
use crate::metrics::Metrics;

/// What all scopes take together, and how much that may be.
///
/// Counted is what [`Graph::bytes`](jetstream_core::model::Graph::bytes) says of each, and a fixed part for
/// what every scope has. What is kept for members is counted with their sessions.
pub(super) struct Room {
    bytes: AtomicUsize,
    bytes_max: usize,
    scopes_max: usize,
    metrics: Metrics,
}

/// What one scope takes of it.
pub(super) struct Occupied {
    room: Option<Arc<Room>>,
    bytes: AtomicUsize,
    /// When somebody last asked it for something.
    used: AtomicU64,
    /// It was asked to go, and has not said that it stays.
    leaving: AtomicBool,
}

impl Room {
    pub(super) fn new(limits: &Limits, metrics: Metrics) -> Self {
        let (bytes, bytes_max) = (AtomicUsize::new(0), limits.scopes_bytes_max);
        Self { bytes, bytes_max, scopes_max: limits.scopes_max, metrics }
    }

    /// Whether one more may be opened beside these. Scopes that nobody uses, and that come back from their
    /// store, are asked to go, the one first that was not used for the longest time.
    pub(super) fn admit(
        &self,
        open: &HashMap<ScopeName, Scope>,
        are_kept: bool,
    ) -> Result<(), Rejection> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let (scopes, room) = (open.len(), self.bytes_max.saturating_sub(bytes));
        if scopes < self.scopes_max && room > 0 {
            return Ok(());
        }
        // Some more than one, so that not each of the next has to look at all of them.
        let scopes_wanted = (scopes + 1 + self.scopes_max / SHARE).saturating_sub(self.scopes_max);
        let bytes_wanted = (bytes + self.bytes_max / SHARE).saturating_sub(self.bytes_max);
        let leaving = open.values().map(occupied).filter(|one| one.is_leaving());
        let (mut scopes_free, mut bytes_free) =
            leaving.fold((0, 0), |(scopes, bytes), one| (scopes + 1, bytes + one.bytes()));
        let mut idle: Vec<_> = open.values().filter(|scope| are_kept && is_idle(scope)).collect();
        idle.sort_by_key(|scope| occupied(scope).used.load(Ordering::Relaxed));
        for scope in idle {
            if scopes_free >= scopes_wanted && bytes_free >= bytes_wanted {
                break;
            }
            if occupied(scope).ask_to_leave(scope) {
                self.metrics.scopes_evicted.inc();
                scopes_free += 1;
                bytes_free += occupied(scope).bytes();
            }
        }
        let (limit, message) = if scopes - scopes_free >= self.scopes_max {
            (Limit::Scopes, format!("at most {} scopes are open at a time", self.scopes_max))
        } else if bytes.saturating_sub(bytes_free) >= self.bytes_max {
            let message = format!("the scopes that are open take at most {} bytes", self.bytes_max);
            (Limit::ScopesBytes, message)
        } else {
            return Ok(());
        };
        Err(Rejection::beyond(limit, message))
    }
}

impl Occupied {
    /// Nothing yet, of a room, if the scope is one of several.
    pub(super) fn of(room: Option<Arc<Room>>) -> Self {
        let (bytes, used, leaving) =
            (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self { room, bytes, used, leaving }
    }

    /// Says how much the scope takes now. Only its task says that.
    pub(super) fn set(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        let Some(room) = self.room.as_ref().filter(|_| bytes != before) else { return };
        let metric = &room.metrics.scopes_bytes;
        if bytes > before {
            room.bytes.fetch_add(bytes - before, Ordering::Relaxed);
            metric.inc_by((bytes - before) as i64);
        } else {
            room.bytes.fetch_sub(before - bytes, Ordering::Relaxed);
            metric.dec_by((before - bytes) as i64);
        }
    }

    pub(super) fn use_now(&self, now: Millis) {
        self.used.store(now.0, Ordering::Relaxed);
    }

    /// The scope was asked to go and stays.
    pub(super) fn stay(&self) {
        self.leaving.store(false, Ordering::Release);
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The scope decides, since only it knows whether everything is stored.
    fn ask_to_leave(&self, scope: &Scope) -> bool {
        self.leaving.store(true, Ordering::Release);
        let asked = scope.0.mailbox.try_send(Request::Retire).is_ok();
        if !asked {
            self.stay();
        }
        asked
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn occupied(scope: &Scope) -> &Occupied {
    &scope.0.status.occupied
}

/// Whether nobody but the list of open scopes holds it.
fn is_idle(scope: &Scope) -> bool {
    Arc::strong_count(&scope.0) == 1
        && scope.member_count() == 0
        && scope.is_running()
        && !occupied(scope).is_leaving()
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What a scope takes before it has any objects, in bytes: its task, mailbox, and what it keeps for its store.
pub(super) const SCOPE_BYTES: usize = 16 << 10;

/// When there is no room, a sixteenth of all is made.
const SHARE: usize = 16;
