//! The changes of a scope as Server-Sent Events.
//!
//! A body that makes the next event when the last one was taken: a reader that is slow holds up nobody, and
//! nothing piles up for it.

use std::fmt::Write as _;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use jetstream_core::ids::Revision;
use jetstream_core::wire::encode;
use jetstream_core::wire::message::Dialect;
use jetstream_core::wire::print;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::problem::Problem;
use crate::future::BoxFuture;
use crate::metrics::Counted;
use crate::scope::{Feed, FeedCommit, Scope};
use crate::server::ServerHandle;

/// What is told, piece by piece.
pub(super) struct Events(Option<BoxFuture<'static, (Teller, Option<Bytes>)>>);

/// Makes the next piece.
struct Teller {
    feed: Feed,
    server: ServerHandle,
    state: State,
    /// When something has to be said, so that the reader and everything in between knows that we are there.
    heartbeat: Instant,
    /// When to end, once everything was told.
    until: Option<Instant>,
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

#[derive(PartialEq, Eq)]
enum State {
    Beginning,
    Going,
    Ended,
}

impl Events {
    /// Follows a scope from a revision on; without one from the present. After `wait` the stream ends, once
    /// everything was told.
    pub(super) async fn of(
        scope: &Scope,
        after: Option<Revision>,
        wait: Option<Duration>,
        server: &ServerHandle,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Problem> {
        scope.ready().await?;
        let feed = match after {
            Some(after) => scope.changes_after(after).await?,
            None => scope.changes_from_now().await?,
        };
        let now = Instant::now();
        let teller = Teller {
            feed,
            server: server.clone(),
            state: State::Beginning,
            heartbeat: now + HEARTBEAT,
            until: wait.and_then(|wait| now.checked_add(wait)),
            _permit: permit,
            _counted: Counted::new(&server.metrics().api_streams),
        };
        Ok(Self(Some(Box::pin(teller.next()))))
    }

    /// The next piece.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(step) = &mut self.0 else { return Poll::Ready(None) };
        let Poll::Ready((teller, piece)) = step.as_mut().poll(context) else {
            return Poll::Pending;
        };
        self.0 = piece.is_some().then(|| Box::pin(teller.next()) as BoxFuture<'static, _>);
        Poll::Ready(piece)
    }
}

impl Teller {
    async fn next(mut self) -> (Self, Option<Bytes>) {
        let piece = match self.state {
            State::Ended => None,
            State::Beginning => {
                self.state = State::Going;
                // So that the reader sees at once that it was answered.
                Some(Bytes::from(format!("retry: {RETRY_MS}\n\n")))
            }
            State::Going => self.tell().await,
        };
        (self, piece)
    }

    async fn tell(&mut self) -> Option<Bytes> {
        loop {
            let until = self.until;
            let end = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                next = self.feed.next() => {
                    self.heartbeat = Instant::now() + HEARTBEAT;
                    return Some(match next {
                        Some(Ok(commit)) => event_of(&commit),
                        Some(Err(error)) => self.farewell(&error.into()),
                        None => self.farewell(&Problem::unavailable("the scope was closed")),
                    });
                }
                () = self.server.stopping() => {
                    return Some(self.farewell(&Problem::unavailable("the server is going away")));
                }
                () = end => {
                    if self.feed.is_caught_up() {
                        self.state = State::Ended;
                        return None;
                    }
                    self.until = Some(Instant::now() + LOOK_AGAIN);
                }
                () = sleep_until(self.heartbeat) => {
                    self.heartbeat = Instant::now() + HEARTBEAT;
                    return Some(Bytes::from_static(b":\n\n"));
                }
            }
        }
    }

    /// The last event: what is the matter, and whether to come back (`resume`) or to begin anew (`gone`).
    fn farewell(&mut self, problem: &Problem) -> Bytes {
        self.state = State::Ended;
        let is_gone = problem.status == http::StatusCode::GONE;
        let name = if is_gone { "gone" } else { "resume" };
        Bytes::from(format!("event: {name}\ndata: {}\n\n", problem.text()))
    }
}

/// A commit as an event. JSON has no line breaks of its own, so the data is one line.
fn event_of(FeedCommit { schema, commit }: &FeedCommit) -> Bytes {
    let revision = commit.revision;
    let mut text =
        format!("id: {revision}\nevent: commit\ndata: {{\"revision\":{revision},\"time\":");
    print::string(&mut text, &commit.time.to_iso8601().unwrap_or_default());
    match (&commit.author, commit.origin) {
        (Some(author), _) => {
            text.push_str(",\"author\":");
            print::string(&mut text, author);
        }
        (None, Some(origin)) if !origin.is_request() => {
            let _ = write!(text, ",\"session\":{}", origin.session);
        }
        _ => {}
    }
    let fragments = encode::fragments(schema, &commit.fragments, Dialect::V1);
    let _ = write!(text, ",\"fragments\":{fragments}}}\n\n");
    Bytes::from(text)
}

/// How long nothing may be said. Proxies let go of connections that are silent for half a minute or more.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After how long a reader whose connection was lost comes back, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// When a stream that is to end looks again whether everything was told.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
