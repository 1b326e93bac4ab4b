//! The server: sessions and a scope, moved by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jetstream_core::ids::{ConnectionId, MemberId, Position, ScopeIndex, SessionId};
use jetstream_core::limits::Limits;
use jetstream_core::scope::{self, Options, Restored, Scope, encode_state};
use jetstream_core::session::{
    Delivery, Frame, Handshake, HandshakeOutput, Input, Output, ServerSession,
};

use super::World;
use super::disk::StoredSession;

/// What a crash takes.
pub(super) struct Server {
    pub(super) scope: Scope,
    pub(super) sessions: BTreeMap<SessionId, ServerSession>,
    members: BTreeMap<MemberId, (SessionId, ScopeIndex)>,
    /// Members that have their state.
    following: BTreeSet<MemberId>,
    next_member: MemberId,
}

impl Server {
    pub(super) fn new(restored: Restored, limits: Arc<Limits>) -> Self {
        let options = Options { limits, stored: true, ..Options::default() };
        Self {
            scope: Scope::restored(restored, options),
            sessions: BTreeMap::new(),
            members: BTreeMap::new(),
            following: BTreeSet::new(),
            next_member: MemberId(1),
        }
    }

    fn member(&self, session: SessionId, index: ScopeIndex) -> Option<MemberId> {
        let mut members = self.members.iter();
        members.find(|(_, it)| **it == (session, index)).map(|(member, _)| *member)
    }
}

impl World {
    /// A connection without a session says something.
    pub(super) fn handshake(&mut self, client: usize, text: &str) -> Result<(), String> {
        let now = self.wall();
        let mut handshake = Handshake::new(self.limits.clone(), now);
        let Some(HandshakeOutput::Create { dialect, .. }) = handshake.frame(text) else {
            return Err(format!("no beginning of a session: {text}"));
        };
        let id = SessionId(self.dice.roll() >> 1);
        let token = format!("token{id}");
        let machine =
            ServerSession::new(id, dialect, self.limits.clone(), self.dice.roll(), now).kept(true);
        let stored = StoredSession { id, dialect, record: machine.record() };
        self.disk.sessions.insert(token.clone(), stored);
        self.server.sessions.insert(id, machine);
        let accepted = handshake.accept(&token).ok_or("it was asked")?;
        self.clients[client].begin(id, token, accepted.reply);
        let connection = self.clients[client].connection;
        self.session(id, Input::Connected { connection })
    }

    /// A connection names a session.
    pub(super) fn resume(&mut self, token: &str, connection: ConnectionId) -> Result<(), String> {
        let stored = self.disk.sessions.get(token).cloned().ok_or("every session is stored")?;
        let id = stored.id;
        if !self.server.sessions.contains_key(&id) {
            self.seen.restored += 1;
            let (now, seed, limits) = (self.wall(), self.dice.roll(), self.limits.clone());
            let StoredSession { dialect, record, .. } = stored;
            let mut out = Vec::new();
            let session = ServerSession::restored(id, dialect, limits, seed, now, record, &mut out);
            self.server.sessions.insert(id, session);
            self.session(id, Input::Connected { connection })?;
            return self.session_outputs(id, out);
        }
        self.session(id, Input::Connected { connection })
    }

    pub(super) fn session(&mut self, id: SessionId, input: Input<'_>) -> Result<(), String> {
        let now = self.wall();
        let Some(session) = self.server.sessions.get_mut(&id) else { return Ok(()) };
        let mut out = Vec::new();
        session.handle(now, input, &mut out);
        self.session_outputs(id, out)?;
        self.pump(id);
        Ok(())
    }

    /// One after the other: what comes of the first is not done before the second.
    fn session_outputs(&mut self, id: SessionId, out: Vec<Output>) -> Result<(), String> {
        self.wanted.extend(out.into_iter().map(|output| (id, output)));
        if std::mem::replace(&mut self.is_doing, true) {
            return Ok(());
        }
        while let Some((id, output)) = self.wanted.pop_front() {
            self.session_output(id, output)?;
        }
        self.is_doing = false;
        Ok(())
    }

    fn session_output(&mut self, id: SessionId, output: Output) -> Result<(), String> {
        let schema = self.schema.clone();
        match output {
            Output::Fetch { message, name, .. } => {
                let scope = name.as_str().into();
                self.session(id, Input::FetchAccepted { message, scope, schema })
            }
            Output::Rejoin { scope, .. } => {
                self.session(id, Input::RejoinAccepted { scope, schema })
            }
            Output::Join { scope: index, returns, .. } => {
                let member = self.server.next_member;
                self.server.next_member = member.next();
                self.server.members.insert(member, (id, index));
                let dialect = self.server.sessions[&id].dialect();
                self.scope(scope::Input::Join {
                    member,
                    session: id,
                    dialect,
                    claims: Arc::default(),
                    returns,
                })
            }
            Output::Resync { scope: index } => {
                let member = self.server.member(id, index).ok_or("a member needs its state")?;
                self.scope(scope::Input::Resync { member })
            }
            Output::Sync { scope: index, message, delivered, changes } => {
                let member = self.server.member(id, index).ok_or("a member says something")?;
                self.scope(scope::Input::Sync { member, message, delivered, changes })
            }
            Output::Seen { scope: index, revision } => {
                let member = self.server.member(id, index).ok_or("a member has seen something")?;
                self.scope(scope::Input::Seen { member, revision })
            }
            Output::Save => {
                let session = &self.server.sessions[&id];
                let (dialect, record) = (session.dialect(), session.record());
                let stored = StoredSession { id, dialect, record };
                self.disk.saving.push_back((format!("token{id}"), stored));
                Ok(())
            }
            Output::Close { .. } | Output::Limited(_) => Ok(()),
            Output::Renew { .. } => Err(format!("session {id} shows who it is")),
            Output::Leave { .. } | Output::Ended => Err(format!("session {id} wants to end")),
        }
    }

    pub(super) fn scope(&mut self, input: scope::Input) -> Result<(), String> {
        let now = self.wall();
        let mut out = Vec::new();
        self.server.scope.handle(now, input, &mut out);
        let (revision, graph) = (self.server.scope.revision(), self.server.scope.graph());
        self.disk.states.entry(revision).or_insert_with(|| encode_state(graph));
        self.scope_outputs(out)
    }

    pub(super) fn scope_outputs(&mut self, out: Vec<scope::Output>) -> Result<(), String> {
        for output in out {
            match output {
                scope::Output::Persist { position, entry } => {
                    self.disk.log.push(entry);
                    if position != Position(self.disk.log.len() as u64) {
                        return Err(format!("entry {position} comes out of turn"));
                    }
                }
                scope::Output::State { member, revision, body } => {
                    self.server.following.insert(member);
                    self.deliver(member, Delivery::State { revision, body })?;
                }
                scope::Output::Repair { member, revision, body } => {
                    self.deliver(member, Delivery::Sync { revision, body })?;
                }
                scope::Output::Reply { member, message, revision, lasting, body } => {
                    self.deliver(member, Delivery::Reply { message, revision, lasting, body })?;
                }
                scope::Output::Broadcast { commit, to, bodies } => {
                    let following = self.server.following.iter().copied();
                    for member in following.filter(|m| to.has(*m)).collect::<Vec<_>>() {
                        let (session, _) = self.server.members[&member];
                        let dialect = self.server.sessions[&session].dialect();
                        if let Some(body) = bodies.get(dialect).cloned() {
                            let revision = commit.revision;
                            self.deliver(member, Delivery::Sync { revision, body })?;
                        }
                    }
                }
                scope::Output::Committed(_)
                | scope::Output::Limited(_)
                | scope::Output::Updated { .. }
                | scope::Output::Call(_)
                | scope::Output::Sync { .. }
                | scope::Output::Recall { .. }
                | scope::Output::Dismissed { .. } => {}
            }
        }
        Ok(())
    }

    fn deliver(&mut self, member: MemberId, delivery: Delivery) -> Result<(), String> {
        let Some((session, scope)) = self.server.members.get(&member).copied() else {
            return Ok(());
        };
        self.session(session, Input::Deliver { scope, delivery })
    }

    /// The disk has some more entries, or refuses all that it was given.
    pub(super) fn write_log(&mut self) -> Result<(), String> {
        let waiting = self.disk.log.len() - self.disk.durable;
        if waiting == 0 {
            return Ok(());
        }
        if self.harm.fail_one_in > 0 && self.dice.one_in(self.harm.fail_one_in) {
            return self.fail_log();
        }
        self.disk.durable += 1 + self.dice.below(waiting);
        self.scope(scope::Input::Persisted { position: Position(self.disk.durable as u64) })
    }

    /// As the server's shell does it: refusals, then the scope anew, and its members with it.
    fn fail_log(&mut self) -> Result<(), String> {
        self.seen.failures += 1;
        self.disk.lose();
        let options = self.server.scope.options().clone();
        let anew = Scope::restored(self.disk.restored(&self.beginning), options);
        let failed = std::mem::replace(&mut self.server.scope, anew);
        let refusals = failed.into_refusals("the disk is full", self.server.scope.answered());
        self.scope_outputs(refusals)?;
        self.server.following.clear();
        let members: Vec<_> = self.server.members.iter().map(|(m, (s, _))| (*m, *s)).collect();
        members.into_iter().try_for_each(|(member, session)| {
            let dialect = self.server.sessions[&session].dialect();
            let (claims, returns) = (Arc::default(), true);
            self.scope(scope::Input::Join { member, session, dialect, claims, returns })
        })
    }

    /// The disk has a session, or refuses it.
    pub(super) fn write_session(&mut self) -> Result<(), String> {
        let Some((token, stored)) = self.disk.saving.pop_front() else { return Ok(()) };
        let (id, position) = (stored.id, stored.record.position);
        let fails = self.harm.fail_one_in > 0 && self.dice.one_in(self.harm.fail_one_in);
        if fails {
            return self.session(id, Input::Saved { position: None });
        }
        self.disk.sessions.insert(token, stored);
        self.session(id, Input::Saved { position: Some(position) })
    }

    /// Gives a session's client what there is for it.
    fn pump(&mut self, id: SessionId) {
        let now = self.wall();
        let Some(client) = self.clients.iter_mut().find(|client| client.session == Some(id)) else {
            return;
        };
        let Some(session) = self.server.sessions.get_mut(&id) else { return };
        let mut frame = Frame::new();
        while client.is_connected
            && session.connection() == Some(client.connection)
            && session.next_frame(now, &mut frame)
        {
            client.down.push_back(frame.to_text());
        }
    }

    pub(super) fn time_passes(&mut self) -> Result<(), String> {
        let (mono, ids) = (self.now, self.server.sessions.keys().copied().collect::<Vec<_>>());
        for id in ids {
            if self.server.sessions[&id].deadline().is_some_and(|at| at <= mono) {
                self.session(id, Input::Deadline)?;
            }
        }
        if self.server.scope.deadline().is_some_and(|at| at <= mono) {
            self.scope(scope::Input::Deadline)?;
        }
        (0..self.clients.len()).try_for_each(|id| self.client_time(id))
    }
}
