//! A session whose client, scopes and connections do whatever the bytes say.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Random, mutated, schema};
use crate::ids::{ConnectionId, MessageIndex, Revision, ScopeIndex, SessionId, SharedText};
use crate::limits::Limits;
use crate::session::{Delivery, Frame, Input, Output, Record, ServerSession};
use crate::time::{Millis, Now, Timestamp};
use crate::wire::decode;
use crate::wire::message::{Dialect, ServerBody};

/// Runs a session with the inputs that `bytes` describe.
///
/// # Panics
///
/// If the session sends what a client cannot read, leaves a gap in its numbering, keeps more than its
/// bounds allow, or goes on after its end.
pub fn session(bytes: &[u8]) {
    let mut bytes = bytes.iter().copied();
    let first = bytes.next().unwrap_or(0);
    let dialect = if first.is_multiple_of(2) { Dialect::Original } else { Dialect::V1 };
    let mut world = World::new(dialect, first >= 128);
    while let Some(byte) = bytes.next() {
        let argument = bytes.next().unwrap_or(0);
        world.step(byte % 16, argument.into());
        world.check();
    }
}

struct World {
    session: ServerSession,
    limits: Arc<Limits>,
    now: Now,
    connection: u64,
    /// The next index of a client that makes no mistakes.
    index: u64,
    fetches: VecDeque<MessageIndex>,
    syncs: VecDeque<(ScopeIndex, MessageIndex)>,
    renewals: VecDeque<MessageIndex>,
    /// The highest index that the session has sent.
    sent: u64,
    /// The longest state that was delivered: one of them may exceed the bounds.
    longest_state: usize,
    ended: bool,
    /// Whether the session is stored, what is being stored, and what is.
    kept: bool,
    saving: Option<Record>,
    saved: Option<Record>,
    /// The server was gone, and believes the next Ping about where the numbering stands.
    unnumbered: bool,
}

impl World {
    fn new(dialect: Dialect, kept: bool) -> Self {
        let limits = Arc::new(Limits {
            backlog_bytes_max: 2_000,
            backlog_bytes_hard_max: 4_000,
            session_scopes_max: 3,
            ..Limits::default()
        });
        let now = Now::default();
        let session = ServerSession::new(SessionId(1), dialect, limits.clone(), 1, now);
        let session = if kept { session.kept(false) } else { session };
        Self {
            session,
            limits,
            now,
            connection: 0,
            index: 1,
            fetches: VecDeque::new(),
            renewals: VecDeque::new(),
            syncs: VecDeque::new(),
            sent: 0,
            longest_state: 0,
            ended: false,
            kept,
            saving: None,
            saved: None,
            unnumbered: false,
        }
    }

    fn step(&mut self, step: u8, argument: u64) {
        let scope = ScopeIndex((argument % 4) as u32);
        match step {
            0 => {
                self.connection += 1;
                self.handle(Input::Connected { connection: ConnectionId(self.connection) });
            }
            1 => {
                let connection = ConnectionId(self.connection.saturating_sub(argument % 3));
                self.handle(Input::Disconnected { connection });
            }
            // A Ping that lies then would make a gap that is the client's own.
            2 if self.unnumbered => {}
            2 => {
                let text = mutated(&mut Random::new(argument ^ self.index << 8));
                self.frame(&text);
            }
            3 if argument % 8 == 7 => self.numbered("SessionRenew", "", argument),
            3 => self.numbered("ScopeFetch", &format!(r#","name":"{}""#, argument % 4), argument),
            4 | 5 => self.numbered(
                "ScopeSync",
                &format!(r#","scopeIndex":{scope},"fragments":[1,2]"#),
                argument,
            ),
            6 => self.numbered("ScopeUnfetch", &format!(r#","scopeIndex":{scope}"#), argument),
            7 => {
                let resend = argument.is_multiple_of(2);
                let ack = self.sent.saturating_sub(argument / 2 % 4);
                let is_heard = self.session.connection() == Some(ConnectionId(self.connection));
                self.unnumbered &= !is_heard;
                self.frame(&format!(
                    r#"{{"type":"Ping","index":0,"ack":{ack},"resendMissing":{resend}}}"#
                ));
            }
            8 if argument % 4 == 1 => self.look_at_credential(argument),
            8 => self.decide(argument),
            9 => {
                if let Some((scope, message)) = self.syncs.pop_front() {
                    let body: SharedText = "[{},{}]".into();
                    self.deliver(
                        scope,
                        Delivery::Reply { message, revision: Revision(0), lasting: true, body },
                    );
                }
            }
            10 | 11 => {
                let body: SharedText = format!("[\"{}\"]", "s".repeat(argument as usize)).into();
                self.deliver(scope, Delivery::Sync { revision: Revision(0), body });
            }
            12 => self.state(scope, argument as usize * 20),
            13 => {
                self.now.mono = Millis(self.now.mono.0 + argument * 100);
                self.now.wall = Timestamp(self.now.mono.0 as i64);
                self.handle(Input::Deadline);
            }
            14 => drop(self.next_frame()),
            _ if argument % 8 == 7 => self.save(argument < 200),
            _ if argument % 16 == 6 => self.crash(argument),
            _ if argument == 0 => self.handle(Input::End { message: "end".into() }),
            _ if argument < 20 => self.handle(Input::ScopeClosed { scope }),
            _ => while self.next_frame() {},
        }
    }

    fn numbered(&mut self, kind: &str, fields: &str, argument: u64) {
        // One in sixteen jumps ahead or repeats.
        let index = match argument / 16 {
            0 => self.index + argument % 3,
            1 => self.index.saturating_sub(1),
            _ => self.index,
        };
        self.index += u64::from(index == self.index);
        self.frame(&format!(r#"{{"type":"{kind}","index":{index}{fields}}}"#));
    }

    fn frame(&mut self, text: &str) {
        self.handle(Input::Frame { connection: ConnectionId(self.connection), text });
    }

    fn deliver(&mut self, scope: ScopeIndex, delivery: Delivery) {
        self.handle(Input::Deliver { scope, delivery });
    }

    fn state(&mut self, scope: ScopeIndex, length: usize) {
        let root = "00000000-0000-4000-8000-000000000001";
        let text = format!(r#""rootUUID":"{root}","fragments":["{}"]"#, "s".repeat(length));
        self.longest_state = self.longest_state.max(text.len() + 200);
        self.deliver(scope, Delivery::State { revision: Revision(0), body: text.into() });
    }

    /// The store has an answer.
    fn save(&mut self, works: bool) {
        let Some(record) = self.saving.take() else { return };
        let position = works.then_some(record.position);
        if works {
            self.saved = Some(record);
        }
        self.handle(Input::Saved { position });
    }

    /// The server is gone and comes back with what was stored; the client sends again what was not
    /// acknowledged.
    fn crash(&mut self, argument: u64) {
        let Some(record) = self.saved.clone().filter(|_| self.kept && !self.ended) else { return };
        (self.saving, self.index) = (None, record.position.0 + 1);
        self.unnumbered = true;
        self.fetches.clear();
        self.renewals.clear();
        self.syncs.clear();
        let (id, dialect) = (self.session.id(), self.session.dialect());
        let (limits, mut out) = (self.limits.clone(), Vec::new());
        self.session = ServerSession::restored(id, dialect, limits, 1, self.now, record, &mut out);
        for output in out {
            let Output::Rejoin { scope, .. } = output else { panic!("{output:?}") };
            self.handle(match argument / 16 % 4 {
                0 => Input::RejoinDenied { scope },
                _ => Input::RejoinAccepted { scope, schema: Arc::new(schema()) },
            });
        }
    }

    fn decide(&mut self, argument: u64) {
        let Some(message) = self.fetches.pop_front() else { return };
        if argument.is_multiple_of(4) {
            let error = crate::model::Rejection::message("no");
            return self.handle(Input::FetchDenied { message, error });
        }
        let scope = (argument % 3).to_string().into();
        self.handle(Input::FetchAccepted { message, scope, schema: Arc::new(schema()) });
    }

    /// Somebody has found out who the client is, and up to when; or not.
    fn look_at_credential(&mut self, argument: u64) {
        let until = (argument > 100).then_some(Timestamp(self.now.mono.0 as i64 + 90_000));
        self.handle(Input::Known { until });
        let Some(message) = self.renewals.pop_front() else { return };
        let refused = argument.is_multiple_of(3);
        let result = if refused { Err(crate::model::Rejection::message("no")) } else { Ok(()) };
        self.handle(Input::Renewed { message, result });
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.session.handle(self.now, input, &mut out);
        assert!(out.is_empty() || !self.ended, "it goes on after its end: {out:?}");
        for output in out {
            match output {
                Output::Fetch { message, .. } => self.fetches.push_back(message),
                Output::Sync { scope, message, .. } => self.syncs.push_back((scope, message)),
                Output::Join { scope, .. } | Output::Resync { scope } => self.state(scope, 10),
                Output::Renew { message, .. } => self.renewals.push_back(message),
                Output::Ended => self.ended = true,
                Output::Save => {
                    assert!(self.kept && self.saving.is_none(), "one at a time");
                    self.saving = Some(self.session.record());
                }
                Output::Rejoin { .. } => panic!("only when it is restored"),
                Output::Leave { .. }
                | Output::Seen { .. }
                | Output::Limited(_)
                | Output::Close { .. } => {}
            }
        }
    }

    /// What goes out is read by a client that keeps count.
    fn next_frame(&mut self) -> bool {
        let mut frame = Frame::new();
        let sent = self.session.next_frame(self.now, &mut frame);
        let text = frame.to_text();
        assert_eq!((sent, text.len()), (!text.is_empty(), frame.byte_length()));
        if sent {
            for message in decode::server_frame(&text) {
                let message = message.unwrap_or_else(|error| panic!("{error} in {text}"));
                if let ServerBody::Ping { .. } = message.body {
                    let stored = self.saved.as_ref().map_or(0, |record| record.position.0);
                    let ack = message.ack.unwrap_or_default().0;
                    assert!(!self.kept || ack <= stored, "{ack} is acknowledged, {stored} stored");
                } else {
                    assert!(message.index.0 <= self.sent + 1, "a gap before {}", message.index);
                    self.sent = self.sent.max(message.index.0);
                }
            }
        }
        sent
    }

    fn check(&self) {
        let bound = self.limits.backlog_bytes_hard_max + self.longest_state;
        assert!(self.session.backlog_bytes() <= bound, "{}", self.session.backlog_bytes());
        assert_eq!(self.session.is_ended(), self.ended);
        assert!(!self.ended || self.session.deadline().is_none());
    }
}
