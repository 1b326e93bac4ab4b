//! A scope without models: what the server says, as it is.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use jetstream_core::model::Rejection;

use crate::client::RawNews;
use crate::feed::Feed;
use crate::scope::Held;

/// A scope that is followed without knowing its models. Dropped, the session leaves the scope.
///
/// First comes its state, then every change. Another state may come at any time and takes the place of all
/// that was known: after the server has forgotten the session, and if changes came faster than they were
/// read.
pub struct RawScope {
    held: Held,
    feed: Feed<RawNews>,
}

impl RawScope {
    pub(crate) const fn new(held: Held, feed: Feed<RawNews>) -> Self {
        Self { held, feed }
    }

    /// The name under which it was fetched.
    pub const fn name(&self) -> &str {
        self.held.name()
    }

    /// What comes next; `None` when the server has nothing more for it. Cancelling the call loses nothing.
    pub async fn next(&mut self) -> Option<RawNews> {
        poll_fn(|context| self.feed.poll_next(context)).await
    }

    /// Why the server has nothing more for it, if so.
    pub fn closed(&self) -> Option<Rejection> {
        self.held.closed()
    }
}

impl Stream for RawScope {
    type Item = RawNews;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RawNews>> {
        self.feed.poll_next(context)
    }
}

impl fmt::Debug for RawScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawScope").field("name", &self.name()).finish_non_exhaustive()
    }
}
