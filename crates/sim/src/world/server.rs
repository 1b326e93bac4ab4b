//! The server: what moves between connections, sessions and scopes, as the real one's shell does it.

use std::collections::BTreeMap;

use jetstream_core::ids::{ConnectionId, MessageIndex, ScopeIndex, SessionId};
use jetstream_core::limits::Limit;
use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::scope;
use jetstream_core::session::{
    CloseReason, Frame, Handshake, HandshakeOutput, Input, Output, ServerSession,
};
use jetstream_core::time::Millis;

use super::World;
use super::host::Address;
use super::network::Packet;
use crate::event::{Event, Request, ScopeId};
use crate::veil::{self, Level};

/// The server's end of a connection.
#[derive(Debug)]
pub(super) enum ServerEnd {
    /// It has no session yet; with the time at which the application decides, if it was asked.
    New(Handshake, Option<Millis>),
    /// It belongs to a session.
    Of(SessionId),
}

/// A session with what a server keeps around it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) session: ServerSession,
    /// Its scopes.
    pub(super) scopes: BTreeMap<ScopeIndex, ScopeId>,
    /// When something of its client was last heard.
    pub(super) heard_at: Millis,
    /// Which scope an accepted fetch was for, until it has its index.
    pub(super) accepted: BTreeMap<MessageIndex, ScopeId>,
}

impl ServerEnd {
    /// When something is due that has nothing to do with a session.
    pub(super) fn deadline(&self) -> Option<Millis> {
        match self {
            Self::New(handshake, decision) => decision.or_else(|| handshake.deadline()),
            Self::Of(_) => None,
        }
    }
}

impl World {
    /// Whether the server takes the next frame of a connection.
    pub(super) fn reads(&self, connection: ConnectionId) -> bool {
        match self.ends.get(&connection) {
            Some(ServerEnd::New(handshake, _)) => handshake.wants_frames(),
            Some(ServerEnd::Of(session)) => {
                self.sessions.get(session).is_none_or(|served| served.session.wants_frames())
            }
            None => true,
        }
    }

    /// A client connects, with or without a token.
    pub(super) fn server_accepts(&mut self, connection: ConnectionId, token: Option<&str>) {
        match token {
            None => {
                let handshake = Handshake::new(self.settings.limits.clone(), self.wall());
                self.ends.insert(connection, ServerEnd::New(handshake, None));
            }
            Some(token) => match self.tokens.get(token).copied() {
                Some(session) => {
                    self.ends.insert(connection, ServerEnd::Of(session));
                    self.session_input(session, Input::Connected { connection });
                }
                None => self.server_closes(connection, &CloseReason::unknown_token()),
            },
        }
    }

    pub(super) fn server_receives(&mut self, connection: ConnectionId) {
        let Some(packet) = self.connections.get_mut(&connection).and_then(|c| c.up.take()) else {
            return;
        };
        self.server_takes(connection, packet);
        self.has_room(connection);
    }

    fn server_takes(&mut self, connection: ConnectionId, packet: Packet) {
        match (packet, self.ends.get_mut(&connection)) {
            (_, None) => {}
            (Packet::Frame(text), Some(ServerEnd::New(handshake, decision))) => {
                match handshake.frame(&text) {
                    Some(HandshakeOutput::Create { .. }) => {
                        *decision = Some(self.now.plus(self.dice.between(0, 30)));
                    }
                    Some(HandshakeOutput::Close(reason)) => self.server_closes(connection, &reason),
                    None => {}
                }
            }
            (Packet::Frame(text), Some(ServerEnd::Of(session))) => {
                let session = *session;
                self.note(|| format!("session {session} <- {text}"));
                self.session_reads(session, connection, &text);
            }
            (Packet::Close { .. } | Packet::Lost, Some(_)) => {
                self.note(|| format!("server sees connection {connection} end"));
                let end = self.ends.remove(&connection);
                self.forget_end(connection);
                if let Some(ServerEnd::Of(session)) = end {
                    self.session_input(session, Input::Disconnected { connection });
                }
            }
        }
    }

    pub(super) fn handshake_due(&mut self, connection: ConnectionId) {
        let now = self.wall();
        let Some(ServerEnd::New(handshake, decision)) = self.ends.get_mut(&connection) else {
            return;
        };
        if decision.take().is_none() {
            if let Some(HandshakeOutput::Close(reason)) = handshake.tick(now) {
                self.server_closes(connection, &reason);
            }
            return;
        }
        if self.fault_at.is_some() && self.dice.one_in(20) {
            let denied = handshake.deny(&Rejection::message("not now"));
            return self.send_down(connection, denied.expect("it was asked").to_string());
        }
        let token = format!("token{}x{}", self.next_session, self.dice.between(0, 9_999));
        let Some(accepted) = handshake.accept(&token) else { return };
        let session = self.next_session;
        self.next_session = SessionId(session.0 + 1);
        let (limits, seed) = (self.settings.limits.clone(), self.dice.roll());
        let machine = ServerSession::new(session, accepted.dialect, limits, seed, now);
        let served = Served {
            session: machine,
            scopes: BTreeMap::new(),
            heard_at: self.now,
            accepted: BTreeMap::new(),
        };
        self.sessions.insert(session, served);
        self.tokens.insert(token, session);
        self.ends.insert(connection, ServerEnd::Of(session));
        self.tell(&Event::SessionBegan { session, dialect: accepted.dialect });
        self.send_down(connection, accepted.reply);
        self.session_input(session, Input::Connected { connection });
        if let Some(text) = accepted.frame {
            self.session_reads(session, connection, &text);
        }
    }

    /// A session reads a frame, if it is of the connection that it talks over.
    fn session_reads(&mut self, session: SessionId, connection: ConnectionId, text: &str) {
        let served = self.sessions.get(&session);
        if served.is_some_and(|served| served.session.connection() == Some(connection)) {
            let messages = serde_json::from_str::<Vec<serde_json::Value>>(text);
            let (messages, at) = (messages.map_or(1, |all| all.len() as u64), self.now);
            self.tell(&Event::Read { session, messages, at });
        }
        self.session_input(session, Input::Frame { connection, text });
    }

    pub(super) fn session_due(&mut self, session: SessionId) {
        self.session_input(session, Input::Deadline);
    }

    /// Gives a session something and does everything that it wants done.
    pub(super) fn session_input(&mut self, id: SessionId, input: Input<'_>) {
        let now = self.wall();
        let Some(served) = self.sessions.get_mut(&id) else { return };
        if matches!(input, Input::Connected { .. } | Input::Frame { .. }) {
            served.heard_at = now.mono;
        }
        let mut out = Vec::new();
        served.session.handle(now, input, &mut out);
        for output in out {
            self.session_output(id, output);
        }
        self.pump(id);
        self.measure(id);
    }

    fn session_output(&mut self, session: SessionId, output: Output) {
        let soon = self.within((0, 3));
        match output {
            Output::Fetch { message, name, .. } => {
                let request = Request::Fetch(name.clone());
                self.tell(&Event::Processed { session, message, request });
                let at = self.fetches.back().map_or(soon, |(last, ..)| soon.max(*last));
                self.fetches.push_back((at, session, message, name));
            }
            Output::Join { message, scope: index, .. } => self.join(session, message, index, soon),
            Output::Resync { scope: index } => {
                self.counts.resyncs += 1;
                self.note(|| format!("session {session} needs the state of {index} afresh"));
                self.mail_member(session, index, soon, |member| scope::Input::Resync { member });
            }
            Output::Sync { scope: index, message, delivered, changes } => {
                let request = Request::Sync(index, changes.fragments.len());
                let is_hurried = |fragment: &Result<_, Rejection>| {
                    let refusal = fragment.as_ref().err();
                    refusal.is_some_and(|refusal| refusal.code.as_deref() == Some(RATE_LIMITED))
                };
                if changes.fragments.first().is_some_and(is_hurried) {
                    self.counts.hurried += 1;
                    self.tell(&Event::Hurried { session, sent_away: false, at: self.now });
                }
                self.tell(&Event::Processed { session, message, request });
                self.mail_member(session, index, soon, |member| scope::Input::Sync {
                    member,
                    message,
                    delivered,
                    changes,
                });
            }
            Output::Seen { scope: index, revision } => {
                let seen = |member| scope::Input::Seen { member, revision };
                self.mail_member(session, index, soon, seen);
            }
            Output::Leave { scope: index } => self.leave(session, index, soon),
            Output::Limited(Limit::SessionMessagesPerSecond) => self.counts.slowed += 1,
            // Nobody here shows who it is.
            Output::Save | Output::Rejoin { .. } | Output::Limited(_) | Output::Renew { .. } => {}
            Output::Close { connection, reason } => {
                if let CloseReason::Denied { code: ErrorCode::RateLimited, .. } = reason {
                    self.tell(&Event::Hurried { session, sent_away: true, at: self.now });
                }
                self.drain(session, connection);
                self.server_closes(connection, &reason);
            }
            Output::Ended => self.end_session(session, soon),
        }
    }

    fn join(&mut self, session: SessionId, message: MessageIndex, index: ScopeIndex, soon: Millis) {
        let served = self.sessions.get_mut(&session).expect("it just spoke");
        let scope = served.accepted.remove(&message).expect("accepted before it got an index");
        served.scopes.insert(index, scope);
        let dialect = served.session.dialect();
        let member = self.next_member;
        self.next_member = member.next();
        self.hosts[scope].addresses.insert(member, Address { session, index, dialect });
        let claims = match self.settings.veiled {
            true => veil::claims(self.dice.below(4) as Level),
            false => std::sync::Arc::default(),
        };
        let returns = false;
        let join = scope::Input::Join { member, session, dialect, claims, returns };
        self.hosts[scope].send(soon, join);
        self.tell(&Event::Joined { session, index, scope });
    }

    fn leave(&mut self, session: SessionId, index: ScopeIndex, soon: Millis) {
        self.mail_member(session, index, soon, |member| scope::Input::Leave { member });
        if let Some(served) = self.sessions.get_mut(&session) {
            served.scopes.remove(&index);
        }
    }

    fn mail_member(
        &mut self,
        session: SessionId,
        index: ScopeIndex,
        soon: Millis,
        input: impl FnOnce(jetstream_core::ids::MemberId) -> scope::Input,
    ) {
        let scope = self.sessions.get(&session).and_then(|s| s.scopes.get(&index).copied());
        let Some(scope) = scope else {
            return self.fail(format!("session {session} speaks of scope {index}, which it left"));
        };
        let member = self.hosts[scope].member(session, index).expect("a member until it leaves");
        self.hosts[scope].send(soon, input(member));
    }

    fn end_session(&mut self, session: SessionId, soon: Millis) {
        self.note(|| format!("session {session} is over"));
        self.counts.losses += 1;
        let indices: Vec<ScopeIndex> = self
            .sessions
            .get(&session)
            .into_iter()
            .flat_map(|s| s.scopes.keys().copied())
            .collect();
        for index in indices {
            self.leave(session, index, soon);
        }
        let served = self.sessions.remove(&session).expect("it just ended");
        let silent_ms = self.now.since(served.heard_at);
        self.tokens.retain(|_, other| *other != session);
        self.tell(&Event::SessionEnded { session, silent_ms });
    }

    /// The application decides about a fetch.
    pub(super) fn decide_fetch(&mut self) {
        let Some((_, session, message, name)) = self.fetches.pop_front() else { return };
        let scope = self.scope_named(&name);
        let input = match scope {
            Some(_) => Input::FetchAccepted {
                message,
                scope: name.as_str().into(),
                schema: self.schema.clone(),
            },
            None => Input::FetchDenied {
                message,
                error: Rejection::new(ErrorCode::Rejected, "no such scope"),
            },
        };
        if let (Some(scope), Some(served)) = (scope, self.sessions.get_mut(&session)) {
            served.accepted.insert(message, scope);
        }
        self.session_input(session, input);
    }

    /// Gives the connection of a session what it can take.
    pub(super) fn pump(&mut self, id: SessionId) {
        let now = self.wall();
        let Some(connection) = self.sessions.get(&id).and_then(|s| s.session.connection()) else {
            return;
        };
        let mut frame = Frame::new();
        while self
            .connections
            .get(&connection)
            .is_some_and(|c| c.down.len() < self.settings.pipe_frames)
            && let Some(served) = self.sessions.get_mut(&id)
            && served.session.next_frame(now, &mut frame)
        {
            self.sent(id, &frame);
            self.send_down(connection, frame.to_text());
        }
    }

    fn sent(&mut self, session: SessionId, frame: &Frame) {
        let text = frame.to_text();
        self.tell(&Event::Sent { session, text: &text });
    }

    /// Gives a connection that is about to be closed all that is left for it.
    fn drain(&mut self, id: SessionId, connection: ConnectionId) {
        let now = self.wall();
        let mut frame = Frame::new();
        while let Some(served) = self.sessions.get_mut(&id)
            && served.session.connection() == Some(connection)
            && served.session.next_frame(now, &mut frame)
        {
            self.sent(id, &frame);
            self.send_down(connection, frame.to_text());
        }
    }

    fn send_down(&mut self, connection: ConnectionId, text: String) {
        let at = self.within(self.settings.latency_ms);
        self.note(|| format!("server -> {connection} {text}"));
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.down.put(at, Packet::Frame(text));
        }
    }

    fn server_closes(&mut self, connection: ConnectionId, reason: &CloseReason) {
        self.note(|| format!("server closes connection {connection}: {reason:?}"));
        let at = self.within(self.settings.latency_ms);
        self.ends.remove(&connection);
        if let Some(pipes) = self.connections.get_mut(&connection) {
            pipes.down.put(at, Packet::Close { code: reason.code(), reason: reason.reason_text() });
        }
        self.forget_end(connection);
    }

    /// The server does not look at a connection any more.
    fn forget_end(&mut self, connection: ConnectionId) {
        if let Some(pipes) = self.connections.get_mut(&connection) {
            pipes.up.close();
            if pipes.down.is_closed() {
                self.connections.remove(&connection);
            }
        }
    }

    fn measure(&mut self, session: SessionId) {
        let Some(served) = self.sessions.get(&session) else { return };
        let bytes = served.session.backlog_bytes();
        // Also of a scope that it has left: what was sent is kept until it is acknowledged.
        let longest_state = self.hosts.iter().map(|host| host.longest_state).max().unwrap_or(0);
        self.tell(&Event::Backlog { session, bytes, longest_state });
    }
}

const RATE_LIMITED: &str = ErrorCode::RateLimited.as_str();
