//! The client's end of a session.

use crate::ids::MessageIndex;
use crate::model::{ErrorCode, Rejection};
use crate::time::{Millis, Now, sooner};
use crate::wire::decode;
use crate::wire::encode;
use crate::wire::message::{ClientBody, ClientLimits, Dialect, ServerBody, ServerMessage};

use super::CloseReason;
use super::frame::Frame;
use super::jitter::Jitter;
use super::reliable::{Arrival, GapAction, GapWatch, Keep, Reliable};

/// What a client says about itself, and how it behaves on a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// For the application that decides about the session.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// What it speaks; from 1.0.0 on the additions of 1.0.
    pub version: semver::Version,
    /// The mean time between two Pings, in milliseconds; each is up to a tenth earlier or later.
    pub ping_interval_ms: u64,
    /// After this time without anything from the server the connection counts as dead, in
    /// milliseconds. The server has a Ping for us every ten seconds.
    pub silence_ms_max: u64,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            params: serde_json::Map::new(),
            version: semver::Version::new(1, 0, 0),
            ping_interval_ms: 10_000,
            silence_ms_max: 25_000,
        }
    }
}

/// What the shell tells a [`ClientSession`].
#[derive(Debug)]
pub enum ClientInput<'a> {
    /// A connection was made. If [`token`](ClientSession::token) is there, it was made with it.
    Connected,
    /// A whole frame arrived.
    Frame {
        /// Its text.
        text: &'a str,
    },
    /// The connection is gone.
    Disconnected {
        /// The close code, if the server closed it.
        code: Option<u16>,
        /// The close reason.
        reason: &'a str,
    },
    /// [`deadline`](ClientSession::deadline) has come.
    Deadline,
}

/// What a [`ClientSession`] has for its owner.
#[derive(Debug)]
pub enum ClientOutput {
    /// There is a session now, a new one.
    Established {
        /// What the server holds us to, if it says so (1.0).
        limits: Option<ClientLimits>,
    },
    /// The application on the server refused a session. Connecting again may go better later.
    Refused {
        /// Why.
        error: Rejection,
    },
    /// The session goes on over a new connection.
    Resumed,
    /// The credential that was shown is good for so many seconds more, and then the session ends: show
    /// another with SessionRenew (1.0).
    Expiring {
        /// From now on.
        seconds: u64,
    },
    /// A message about scopes, or an answer, each once and in order.
    Message(ServerMessage),
    /// The connection is dead: drop it and make another.
    Reconnect,
    /// The session is over, and all that was sent and not answered with it: drop the connection and
    /// make another, for a new session with a new numbering.
    Over {
        /// Why.
        error: Rejection,
    },
}

/// A client's session, over any number of connections.
///
/// The mirror of [`ServerSession`](super::ServerSession): it numbers and keeps what is sent until the
/// server acknowledges it, and hands on what the server sends, each once and in order.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    dialect: Dialect,
    jitter: Jitter,
    token: Option<String>,
    reliable: Reliable<Said>,
    gap: GapWatch,
    phase: Phase,
    ping_at: Millis,
    /// A Ping has to go out; true: with `resendMissing`.
    ping_due: Option<bool>,
    heard_at: Millis,
    /// Messages that came since we last said what we have.
    unacknowledged: u32,
    /// The message that shows the latest credential, if it has no answer.
    renewing: Option<MessageIndex>,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Offline,
    /// It is open, and `SessionCreate` has to go out.
    Greeting,
    /// `SessionCreate` is under way, or was refused.
    Creating,
    /// Resumed: before the server has said what it has, we cannot know what to send.
    Resuming,
    /// Messages flow.
    Live,
}

/// A message of ours, without its index.
#[derive(Debug)]
struct Said {
    kind: &'static str,
    fields: String,
}

impl Keep for Said {
    fn byte_length(&self) -> usize {
        size_of::<Self>() + self.fields.len()
    }
}

impl ClientSession {
    /// A client without a session. `jitter_seed` keeps clients that began together apart.
    pub fn new(config: ClientConfig, jitter_seed: u64) -> Self {
        Self {
            dialect: Dialect::of(&config.version),
            config,
            jitter: Jitter::new(jitter_seed),
            token: None,
            reliable: Reliable::default(),
            gap: GapWatch::default(),
            phase: Phase::Offline,
            ping_at: Millis(0),
            ping_due: None,
            heard_at: Millis(0),
            unacknowledged: 0,
            renewing: None,
        }
    }

    /// Takes an input in; all its consequences are in `out` when this returns, or come from
    /// [`next_frame`](Self::next_frame).
    pub fn handle(&mut self, now: Now, input: ClientInput<'_>, out: &mut Vec<ClientOutput>) {
        let now = now.mono;
        match input {
            ClientInput::Connected => self.connected(now),
            ClientInput::Frame { text } => self.frame(now, text, out),
            ClientInput::Disconnected { code, reason } => self.disconnected(code, reason, out),
            // Also with every other input.
            ClientInput::Deadline => {}
        }
        self.tick(now, out);
    }

    /// Sends a message: at once, or as soon as there is a connection.
    ///
    /// Returns the index that its answer will name. SessionCreate and Pings are the session's own
    /// affair and not for this.
    pub fn send(&mut self, body: &ClientBody) -> MessageIndex {
        let index = self.reliable.next_queued();
        let mut fields = String::new();
        encode::client_fields(&mut fields, body);
        self.reliable.queue(Said { kind: body.kind(), fields });
        if matches!(body, ClientBody::SessionRenew { .. }) {
            self.renewing = Some(index);
        }
        index
    }

    /// Writes what the server can be sent now into `frame`; false if there is nothing.
    ///
    /// To be called when the connection has room, until it returns false.
    pub fn next_frame(&mut self, _now: Now, frame: &mut Frame) -> bool {
        frame.clear();
        if self.phase == Phase::Greeting {
            self.phase = Phase::Creating;
            let (params, version) = (self.config.params.clone(), self.config.version.clone());
            let body = ClientBody::SessionCreate { params, version };
            frame.message(|out| encode::client_message(out, MessageIndex(0), None, &body));
        }
        if matches!(self.phase, Phase::Resuming | Phase::Live) {
            self.write_session(frame);
        }
        frame.end();
        !frame.is_empty()
    }

    /// When [`ClientInput::Deadline`] is due. It can change with every call of `handle`.
    pub fn deadline(&self) -> Option<Millis> {
        let silence = (self.phase != Phase::Offline).then(|| self.dead_at());
        let ping = matches!(self.phase, Phase::Resuming | Phase::Live).then_some(self.ping_at);
        sooner(silence, ping)
    }

    /// What the next connection must name to resume the session; `None`: it will create one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether messages flow.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// What we speak.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What is kept until the server acknowledges it, in bytes.
    pub fn backlog_bytes(&self) -> usize {
        self.reliable.bytes()
    }

    fn write_session(&mut self, frame: &mut Frame) {
        let ack = self.reliable.last_received();
        if let Some(resend_missing) = self.ping_due.take() {
            self.unacknowledged = 0;
            frame.message(|out| encode::ping(out, ack, resend_missing));
        }
        if self.phase != Phase::Live {
            return;
        }
        while frame.has_room()
            && let Some((index, said)) = self.reliable.pull()
        {
            let ack = (self.dialect >= Dialect::V1).then_some(ack);
            frame.message(|out| {
                encode::client_head(out, said.kind, index, ack);
                out.push_str(&said.fields);
                out.push_str(encode::TAIL);
            });
            if ack.is_some() {
                self.unacknowledged = 0;
            }
        }
    }

    fn connected(&mut self, now: Millis) {
        self.heard_at = now;
        self.ping_at = now.plus(self.jitter.about(self.config.ping_interval_ms));
        self.gap.close();
        self.reliable.forget_resend();
        if self.token.is_some() {
            self.phase = Phase::Resuming;
            self.ping_due = Some(true);
        } else {
            self.phase = Phase::Greeting;
            self.ping_due = None;
        }
    }

    fn disconnected(&mut self, code: Option<u16>, reason: &str, out: &mut Vec<ClientOutput>) {
        self.phase = Phase::Offline;
        if matches!(code, Some(CloseReason::DENIED | CloseReason::SESSION_CLOSED)) {
            let error = CloseReason::read_reason(reason);
            self.over(
                error.unwrap_or_else(|| Rejection::message("the server gave no reason")),
                out,
            );
        }
    }

    /// Forgets the session; the next connection creates another.
    fn over(&mut self, error: Rejection, out: &mut Vec<ClientOutput>) {
        self.phase = Phase::Offline;
        self.token = None;
        self.reliable = Reliable::default();
        self.gap.close();
        self.ping_due = None;
        self.unacknowledged = 0;
        self.renewing = None;
        out.push(ClientOutput::Over { error });
    }

    fn frame(&mut self, now: Millis, text: &str, out: &mut Vec<ClientOutput>) {
        for message in decode::server_frame(text) {
            // A message can end the session; what came behind it is none of the next one's.
            if self.phase == Phase::Offline {
                return;
            }
            match message {
                Ok(message) => {
                    self.message(message, out);
                    // A server that talks without having answered us believes in a session of which we
                    // do not know.
                    if self.phase != Phase::Creating {
                        self.heard_at = now;
                    }
                }
                Err(unreadable) => {
                    if self.gap.unreadable(unreadable.index) {
                        self.give_up(&format!("a message cannot be read: {unreadable}"), out);
                    }
                }
            }
        }
    }

    fn message(&mut self, message: ServerMessage, out: &mut Vec<ClientOutput>) {
        if let ServerBody::SessionCreateReply { result, limits } = message.body {
            return self.created(result, limits, out);
        }
        if self.token.is_none() {
            return;
        }
        if let Some(ack) = message.ack {
            self.reliable.acknowledge(ack);
        }
        if let ServerBody::Ping { resend_missing } = message.body {
            if resend_missing {
                self.server_asked(message.ack.unwrap_or_default(), out);
            }
            return;
        }
        if let ServerBody::SessionExpiring { seconds } = message.body {
            return out.push(ClientOutput::Expiring { seconds });
        }
        if message.index > MessageIndex(0) {
            self.numbered(message, out);
        }
    }

    fn created(
        &mut self,
        result: Result<String, Rejection>,
        limits: Option<ClientLimits>,
        out: &mut Vec<ClientOutput>,
    ) {
        if self.phase != Phase::Creating || self.token.is_some() {
            return;
        }
        match result {
            Ok(token) => {
                self.token = Some(token);
                self.phase = Phase::Live;
                out.push(ClientOutput::Established { limits });
            }
            Err(error) => out.push(ClientOutput::Refused { error }),
        }
    }

    /// The server says what it has and asks for the rest: because we asked, or because it saw a gap.
    fn server_asked(&mut self, ack: MessageIndex, out: &mut Vec<ClientOutput>) {
        self.reliable.resend_after(ack);
        if self.phase == Phase::Resuming {
            self.phase = Phase::Live;
            out.push(ClientOutput::Resumed);
        }
    }

    fn numbered(&mut self, message: ServerMessage, out: &mut Vec<ClientOutput>) {
        match self.reliable.receive(message.index) {
            Arrival::New => {
                self.gap.close();
                self.answered(&message.body);
                self.unacknowledged += 1;
                if self.unacknowledged >= ACKNOWLEDGE_AFTER {
                    self.ping_due = Some(self.ping_due == Some(true));
                }
                out.push(ClientOutput::Message(message));
            }
            Arrival::Repeated => self.gap.repeated(),
            Arrival::Gap { expected } => match self.gap.behind(expected, message.index) {
                GapAction::Wait => {}
                GapAction::Ask => self.ping_due = Some(true),
                GapAction::GiveUp => {
                    self.give_up(&format!("message {expected} is missing or cannot be read"), out);
                }
            },
        }
    }

    /// A change that has its answer must not be made again: a server that was gone may not know what it
    /// has told us, if it could not store that. Nor is a credential kept for longer than it has to be. Its
    /// place in the numbering is held by a message that says nothing.
    fn answered(&mut self, body: &ServerBody) {
        let reply_to = match body {
            ServerBody::ScopeSyncReply { reply_to, .. } => Some(*reply_to),
            ServerBody::Reply { reply_to, .. } => {
                self.renewing.take_if(|renewing| renewing == reply_to)
            }
            _ => None,
        };
        if let Some(reply_to) = reply_to {
            let nothing = ClientBody::Reply { reply_to: MessageIndex(0) };
            let mut fields = String::new();
            encode::client_fields(&mut fields, &nothing);
            self.reliable.replace(reply_to, Said { kind: nothing.kind(), fields });
        }
    }

    fn give_up(&mut self, why: &str, out: &mut Vec<ClientOutput>) {
        self.over(Rejection::new(ErrorCode::Internal, why), out);
    }

    fn tick(&mut self, now: Millis, out: &mut Vec<ClientOutput>) {
        if self.phase != Phase::Offline && self.dead_at() <= now {
            self.phase = Phase::Offline;
            out.push(ClientOutput::Reconnect);
        }
        if matches!(self.phase, Phase::Resuming | Phase::Live) && self.ping_at <= now {
            self.ping_at = now.plus(self.jitter.about(self.config.ping_interval_ms));
            // Whoever waits for the answer to a question asks again: it may have been lost.
            let asks = self.phase == Phase::Resuming || self.gap.is_open();
            self.ping_due = Some(asks || self.ping_due == Some(true));
        }
    }

    fn dead_at(&self) -> Millis {
        self.heard_at.plus(self.config.silence_ms_max)
    }
}

/// After this many messages we say what we have and do not wait for the next Ping: the server keeps
/// everything until then.
const ACKNOWLEDGE_AFTER: u32 = 256;

#[cfg(test)]
mod tests;
