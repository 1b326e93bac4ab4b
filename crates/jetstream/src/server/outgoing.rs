//! What a session asks of its scopes, in order, while a mailbox may be full.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use jetstream_core::ids::ScopeIndex;
use tokio::sync::mpsc;

use crate::future::BoxFuture;
use crate::scope::{Request, Scope};

/// Requests on their way to scopes. They leave in order, also when they go to different scopes.
pub(super) struct Outgoing {
    requests: VecDeque<(Scope, ScopeIndex, Request)>,
    /// The wait for a place in the mailbox of the first request's scope. It is kept from one
    /// event of the session to the next, or the session would lose its turn each time.
    place: Option<BoxFuture<'static, Place>>,
}

/// A place in a mailbox, or the news that its scope is closed.
pub(super) type Place = Result<mpsc::OwnedPermit<Request>, mpsc::error::SendError<()>>;

impl Default for Outgoing {
    fn default() -> Self {
        Self { requests: VecDeque::with_capacity(QUIET_CAPACITY), place: None }
    }
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Puts a request behind the others. `index` is what the session calls the scope.
    pub(super) fn push(&mut self, scope: Scope, index: ScopeIndex, request: Request) {
        self.requests.push_back((scope, index, request));
    }

    /// Puts requests into mailboxes until one is full, or there are none left.
    ///
    /// # Errors
    ///
    /// What the session calls a scope that is closed. The request to it is gone; the others wait for
    /// another call.
    pub(super) fn post(&mut self) -> Result<(), ScopeIndex> {
        while self.place.is_none()
            && let Some((scope, index, request)) = self.requests.pop_front()
        {
            if self.requests.is_empty() && self.requests.capacity() > QUIET_CAPACITY {
                self.requests = VecDeque::with_capacity(QUIET_CAPACITY);
            }
            match scope.try_send(request) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(request)) => {
                    self.place = Some(Box::pin(scope.mailbox().reserve_owned()));
                    self.requests.push_front((scope, index, request));
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(index),
            }
        }
        Ok(())
    }

    /// The place that the first request waits for; never, if none waits.
    pub(super) fn poll_place(&mut self, context: &mut Context<'_>) -> Poll<Place> {
        self.place.as_mut().map_or(Poll::Pending, |place| place.as_mut().poll(context))
    }

    /// Uses the place that [`poll_place`](Self::poll_place) gave.
    ///
    /// # Errors
    ///
    /// What the session calls the scope, if it is closed.
    pub(super) fn take_place(&mut self, place: Place) -> Result<(), ScopeIndex> {
        self.place = None;
        let Some((_, index, request)) = self.requests.pop_front() else { return Ok(()) };
        place.map(|place| drop(place.send(request))).map_err(|_| index)
    }

    /// Puts everything into mailboxes, however long that takes.
    pub(super) async fn post_all(&mut self) {
        self.place = None;
        while let Some((scope, _, request)) = self.requests.pop_front() {
            let _ = scope.mailbox().send(request).await;
        }
    }
}

/// For how many requests a session keeps room that has none: mostly there is one at a time, and idle sessions
/// are many.
const QUIET_CAPACITY: usize = 1;
