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
    /// The client was asked to send again what is missing, when its own question was answered.
    has_asked_back: bool,
}

/// Whether numbered messages may go out.
#[derive(Debug)]
enum Flow {
    /// The connection was resumed, and nothing has been said on it.
    Held,
    /// The same, and there is news. The client may lack what was sent into its last connection, and the
    /// original's JavaScript client breaks off for good when a number is missing: so the news waits, up
    /// to this moment, for the client to say what it has.
    HeldWithNews(Millis),
    /// The connection was resumed, and the client goes on without a question.
    Resumed,
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
        Self { connection, flow, ping_at, ping_due: None, has_asked_back: false }
    }

    pub(super) fn connection(&self) -> ConnectionId {
        self.connection
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.flow, Flow::Open)
    }

    /// There is a new message for the client: what waited goes out ahead of it, asked for or not.
    /// `may_lack`: the client has not acknowledged all that was sent before.
    pub(super) fn open_for_news(&mut self, may_lack: bool, now: Millis) {
        self.flow = match &self.flow {
            Flow::Held if may_lack => Flow::HeldWithNews(now.plus(NEWS_WAIT_MS)),
            Flow::Held | Flow::Resumed => Flow::Open,
            Flow::HeldWithNews(_) | Flow::Asked(_) | Flow::Open => return,
        };
    }

    /// The client goes on where it was.
    pub(super) fn goes_on(&mut self) {
        self.flow = match &self.flow {
            Flow::Held => Flow::Resumed,
            Flow::HeldWithNews(_) => Flow::Open,
            Flow::Resumed | Flow::Asked(_) | Flow::Open => return,
        };
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
            _ => until,
        };
        self.flow = Flow::Asked(Asked { ack, received, until });
    }

    /// If the client asked and can be answered now: what it has. From now on messages go out.
    /// `stores`: what is answered is being stored, and then more of it can be acknowledged.
    pub(super) fn answer_resend(
        &mut self,
        settled: MessageIndex,
        stores: bool,
        now: Millis,
    ) -> Option<MessageIndex> {
        let Flow::Asked(Asked { ack, received, until }) = self.flow else { return None };
        if (settled < received || stores) && now < until {
            return None;
        }
        self.flow = Flow::Open;
        self.ping(true);
        self.has_asked_back = true;
        Some(ack)
    }

    /// Whether a first gap needs no question of its own: what the client sends before it reads that we
    /// ask for everything stands ahead of what it sends again.
    pub(super) fn take_asked_back(&mut self) -> bool {
        std::mem::take(&mut self.has_asked_back)
    }

    /// Whether the client waits for the answer to its question.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.flow, Flow::Asked(_))
    }

    /// Time has passed. True: a Ping goes out by itself. `asks`: something of the client's is missing.
    pub(super) fn tick(
        &mut self,
        now: Millis,
        jitter: &mut Jitter,
        limits: &Limits,
        asks: bool,
    ) -> bool {
        let is_time = self.ping_at <= now;
        if is_time {
            self.ping_at = now.plus(jitter.about(limits.ping_interval_ms));
            self.ping(asks);
        }
        if matches!(self.flow, Flow::HeldWithNews(until) if until <= now) {
            self.flow = Flow::Open;
        }
        is_time
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let until = match &self.flow {
            Flow::Asked(asked) => Some(asked.until),
            Flow::HeldWithNews(until) => Some(*until),
            Flow::Held | Flow::Resumed | Flow::Open => None,
        };
        sooner(Some(self.ping_at), until)
    }
}

/// How long news waits on a resumed connection for the client to say what it has, in milliseconds.
///
/// Time for two ways over the slowest of usual links. A client that does not ask until then gets the news
/// alone, as from the original server.
const NEWS_WAIT_MS: u64 = 1_000;
