//! The connection that a session talks over at the moment.

use crate::ids::{ConnectionId, MessageIndex};
use crate::limits::Limits;
use crate::session::jitter::Jitter;
use crate::time::{Millis, sooner};

/// A connection, and what was agreed on it.
#[derive(Debug)]
pub(super) struct Link {
    connection: ConnectionId,
    flow: Flow,
    ping_at: Millis,
    /// A Ping has to go out; true: with `resendMissing`.
    ping_due: Option<bool>,
}

/// Whether numbered messages may go out.
#[derive(Debug)]
enum Flow {
    /// The connection was resumed, and nothing has been said on it.
    Held,
    /// The client asked for a resend, and what it had sent before is not answered yet. Nothing may
    /// overtake the answer: a client that does not look for gaps would take what comes for the next.
    Asked(Asked),
    /// Yes.
    Open,
}

#[derive(Debug)]
struct Asked {
    /// The last that the client has.
    ack: MessageIndex,
    /// The last that we had from the client when it asked.
    received: MessageIndex,
    /// How long the answer may wait.
    until: Millis,
}

impl Link {
    /// A connection that was made just now; `open`: it is the session's first.
    pub(super) fn new(connection: ConnectionId, open: bool, ping_at: Millis) -> Self {
        let flow = if open { Flow::Open } else { Flow::Held };
        Self { connection, flow, ping_at, ping_due: None }
    }

    pub(super) fn connection(&self) -> ConnectionId {
        self.connection
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.flow, Flow::Open)
    }

    /// There is a new message for the client: what waited goes out ahead of it, asked for or not.
    pub(super) fn open_for_news(&mut self) {
        if matches!(self.flow, Flow::Held) {
            self.flow = Flow::Open;
        }
    }

    /// A Ping has to go out.
    pub(super) fn ping(&mut self, resend_missing: bool) {
        self.ping_due = Some(resend_missing || self.ping_due == Some(true));
    }

    /// The Ping that has to go out, if any; from now on it has.
    pub(super) fn take_ping(&mut self) -> Option<bool> {
        self.ping_due.take()
    }

    /// The client asks for everything after `ack`. A second question replaces the first, but does not
    /// wait longer.
    pub(super) fn asked(&mut self, ack: MessageIndex, received: MessageIndex, until: Millis) {
        let until = match &self.flow {
            Flow::Asked(earlier) => earlier.until,
            Flow::Held | Flow::Open => until,
        };
        self.flow = Flow::Asked(Asked { ack, received, until });
    }

    /// If the client asked and can be answered now: what it has. From now on messages go out.
    pub(super) fn answer_resend(
        &mut self,
        settled: MessageIndex,
        now: Millis,
    ) -> Option<MessageIndex> {
        let Flow::Asked(Asked { ack, received, until }) = self.flow else { return None };
        if settled < received && now < until {
            return None;
        }
        self.flow = Flow::Open;
        self.ping(true);
        Some(ack)
    }

    /// Time has passed. `asks`: something of the client's is missing.
    pub(super) fn tick(&mut self, now: Millis, jitter: &mut Jitter, limits: &Limits, asks: bool) {
        if self.ping_at <= now {
            self.ping_at = now.plus(jitter.about(limits.ping_interval_ms));
            self.ping(asks);
        }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let until = match &self.flow {
            Flow::Asked(asked) => Some(asked.until),
            Flow::Held | Flow::Open => None,
        };
        sooner(Some(self.ping_at), until)
    }
}
