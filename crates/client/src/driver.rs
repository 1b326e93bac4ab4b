//! The task of a session: connections, one after the other, and the frames over each.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jetstream_core::session::{ClientInput, Frame};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use crate::backoff::Backoff;
use crate::link::{Introduction, Link, Received, Transport};
use crate::renewal::{Credential, Renewal};
use crate::session::{ConnectError, SessionState};
use crate::shared::{Shared, Verdict};

/// What the first attempt to connect came to.
pub(crate) type First = oneshot::Sender<Result<(), ConnectError>>;

/// The task of a session.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    transport: Box<dyn Transport>,
    backoff: Backoff,
    /// Somebody who wants to know whether the first attempt succeeds; if not, there is no second.
    first: Option<First>,
    frame: Frame,
    /// What says who the client is.
    credential: Option<Credential>,
}

/// How a connection came to its end.
enum End {
    /// The session is closed.
    Closed,
    /// It broke, or there was none.
    Lost(io::Error),
    /// The server refused a session.
    Refused(ConnectError),
}

/// Everything that can wake the task while it has a connection.
enum Event {
    Received(Received),
    Woken,
    Deadline,
    /// There is a new credential to show.
    Credential(String),
    /// The server has not answered what was edited before the goodbye, or the goodbye.
    Overdue,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        transport: Box<dyn Transport>,
        longest_wait: Duration,
        first: Option<First>,
        credential: Option<Credential>,
    ) -> Self {
        let backoff = Backoff::up_to(longest_wait);
        Self { shared, transport, backoff, first, frame: Frame::new(), credential }
    }

    pub(crate) async fn run(mut self) {
        while !self.shared.is_closing() {
            self.shared.set_state(SessionState::Connecting);
            let end = match self.connect().await {
                Ok(Some(link)) => self.serve_and_judge(link).await,
                Ok(None) => End::Closed,
                Err(error) => End::Lost(error),
            };
            let error = match end {
                End::Closed => break,
                End::Lost(error) => ConnectError::Unreachable(error),
                End::Refused(error) => error,
            };
            tracing::debug!(%error, "no connection");
            if let Some(first) = self.first.take() {
                let _ = first.send(Err(error));
                break;
            }
            self.shared.set_state(SessionState::Offline);
            self.pause().await;
        }
        self.shared.finish();
    }

    /// A connection; `None` if nobody wants it any more.
    async fn connect(&mut self) -> io::Result<Option<Box<dyn Link>>> {
        let token = self.shared.token();
        let Self { shared, transport, credential, .. } = self;
        let connecting = timeout(CONNECT_MAX, async {
            let credential = match credential {
                Some(credential) => Some(credential().await?),
                None => None,
            };
            let (token, credential) = (token.as_deref(), credential.as_deref());
            transport.connect(Introduction { token, credential }).await
        });
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                connected = &mut connecting => {
                    return match connected {
                        Ok(connected) => connected.map(Some),
                        Err(_) => Err(io::Error::other("the server does not answer")),
                    };
                }
                () = shared.woken() => {}
            }
            if shared.is_closing() {
                return Ok(None);
            }
        }
    }

    /// Waits before the next attempt.
    async fn pause(&mut self) {
        let random = getrandom::u64().unwrap_or_default();
        let until = Instant::now() + self.backoff.next(random);
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.shared.woken() => {}
            }
            if self.shared.is_closing() {
                return;
            }
        }
    }

    /// A connection that has lived for a while begins the waits anew. One that breaks at once does not, or
    /// a server that ends every session would be asked again and again.
    async fn serve_and_judge(&mut self, link: Box<dyn Link>) -> End {
        let connected = Instant::now();
        let end = self.serve(link).await;
        if connected.elapsed() >= GOOD_AFTER && self.shared.state() == SessionState::Online {
            self.backoff.reset();
        }
        end
    }

    async fn serve(&mut self, mut link: Box<dyn Link>) -> End {
        self.shared.handle(ClientInput::Connected);
        // The server ends a session at once, so what is pending is waited for before the goodbye.
        let (mut closing, mut said_goodbye) = (None, false);
        let mut renewal = Renewal::new(self.credential.clone());
        loop {
            if self.shared.is_closing() {
                closing.get_or_insert_with(|| Instant::now() + GOODBYE_MAX);
                if !said_goodbye && self.shared.is_settled() {
                    said_goodbye = true;
                    if !self.shared.say_goodbye() {
                        return End::Closed;
                    }
                }
            }
            self.shared.take_notices().into_iter().for_each(|notice| renewal.note(notice));
            let verdict = match self.next_event(&mut *link, &mut renewal, closing).await {
                Event::Received(Received::Frame(text)) => {
                    self.shared.handle(ClientInput::Frame { text: &text })
                }
                Event::Received(Received::Closed { code, reason }) => {
                    self.lost(Some(code), &reason);
                    return end(closing.is_some(), format!("closed with {code}: {reason}"));
                }
                Event::Received(Received::Lost) => {
                    self.lost(None, "");
                    return end(closing.is_some(), "the connection is lost".to_owned());
                }
                Event::Woken => Verdict::Keep,
                Event::Deadline => self.shared.handle(ClientInput::Deadline),
                Event::Credential(credential) => {
                    self.shared.renew(credential);
                    Verdict::Keep
                }
                Event::Overdue if !said_goodbye && self.shared.say_goodbye() => {
                    said_goodbye = true;
                    closing = Some(Instant::now() + GOODBYE_MAX);
                    Verdict::Keep
                }
                Event::Overdue => return End::Closed,
            };
            match verdict {
                Verdict::Keep => {}
                Verdict::Reconnect => {
                    self.lost(None, "");
                    return end(closing.is_some(), "the connection is dead".to_owned());
                }
                Verdict::Refused(error) => {
                    self.lost(None, "");
                    return End::Refused(ConnectError::Refused(error));
                }
            }
            self.note_success();
        }
    }

    fn note_success(&mut self) {
        if self.shared.state() == SessionState::Online
            && let Some(first) = self.first.take()
        {
            let _ = first.send(Ok(()));
        }
    }

    fn lost(&self, code: Option<u16>, reason: &str) {
        self.shared.handle(ClientInput::Disconnected { code, reason });
    }

    async fn next_event(
        &mut self,
        link: &mut dyn Link,
        renewal: &mut Renewal,
        closing: Option<Instant>,
    ) -> Event {
        let shared = self.shared.clone();
        let deadline = shared.deadline();
        let frame = &mut self.frame;
        tokio::select! {
            biased;
            received = poll_fn(|context| drive(&shared, frame, link, context)) => {
                Event::Received(received)
            }
            () = shared.woken() => Event::Woken,
            credential = renewal.next() => Event::Credential(credential),
            () = at(deadline) => Event::Deadline,
            () = at(closing) => Event::Overdue,
        }
    }
}

fn end(closing: bool, why: String) -> End {
    if closing { End::Closed } else { End::Lost(io::Error::other(why)) }
}

/// Sends what there is room for, and receives.
fn drive(
    shared: &Shared,
    frame: &mut Frame,
    link: &mut dyn Link,
    context: &mut Context<'_>,
) -> Poll<Received> {
    while link.poll_room(context).is_ready()
        && let Some(text) = shared.next_frame(frame)
    {
        link.send(text);
    }
    let _ = link.poll_flush(context);
    link.poll_receive(context)
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// How long one attempt to connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long we wait for the answers to what was edited before a goodbye, and again for the answer to it.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// A connection that lived this long was a good one.
const GOOD_AFTER: Duration = Duration::from_secs(5);
