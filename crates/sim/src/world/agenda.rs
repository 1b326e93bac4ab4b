//! What is due when.

use jetstream_core::ids::{ConnectionId, SessionId};
use jetstream_core::time::Millis;

use super::World;
use super::network::Packet;
use crate::event::{ClientId, ScopeId};

/// Something that stands on the agenda.
#[derive(Debug, Clone, Copy)]
enum Due {
    ServerReceives(ConnectionId),
    ClientReceives(ConnectionId),
    Handshake(ConnectionId),
    Session(SessionId),
    Client(ClientId),
    Connect(ClientId),
    Act(ClientId),
    Flush(ClientId),
    Mail(ScopeId),
    Stored(ScopeId),
    Scope(ScopeId),
    Verdict(ScopeId, usize),
    Fetch,
    Fault,
}

impl World {
    /// Does one of the things that are due next. False if nothing is due up to `until`.
    pub(super) fn step(&mut self, until: Millis) -> bool {
        let agenda = self.agenda();
        let Some(next) = agenda.iter().map(|(at, _)| *at).min().filter(|at| *at <= until) else {
            return false;
        };
        self.now = self.now.max(next);
        self.counts.steps += 1;
        let due: Vec<Due> =
            agenda.into_iter().filter(|(at, _)| *at <= self.now).map(|(_, due)| due).collect();
        let due = due[self.dice.below(due.len())];
        self.perform(due);
        true
    }

    /// Whether nothing is under way and nobody waits for anything.
    pub(super) fn is_quiet(&self) -> bool {
        self.unrest().is_empty()
    }

    /// Why it is not quiet, in words.
    pub(super) fn unrest(&self) -> String {
        let mut unrest = Vec::new();
        for (id, connection) in &self.connections {
            if !connection.up.is_empty() || !connection.down.is_empty() {
                unrest.push(format!("something is under way on connection {id}"));
            }
        }
        for host in self.hosts.iter().filter(|host| !host.is_quiet()) {
            unrest.push(format!("{} is at work", host.name));
        }
        for (id, served) in &self.sessions {
            if served.session.deadline().is_some_and(|at| at <= self.now) {
                unrest.push(format!("session {id} has something to do"));
            }
        }
        if !self.fetches.is_empty() {
            unrest.push("a fetch is being decided".to_owned());
        }
        unrest.extend(self.clients.iter().filter_map(|client| client.unrest()));
        unrest.join(", ")
    }

    fn agenda(&self) -> Vec<(Millis, Due)> {
        let mut agenda = Vec::new();
        let mut at = |time: Option<Millis>, due: Due| agenda.extend(time.map(|time| (time, due)));
        for (id, connection) in &self.connections {
            let is_frame = matches!(connection.up.peek(), Some(Packet::Frame(_)));
            if !is_frame || self.reads(*id) {
                at(connection.up.next_at(), Due::ServerReceives(*id));
            }
            at(connection.down.next_at(), Due::ClientReceives(*id));
        }
        for (id, end) in &self.ends {
            at(end.deadline(), Due::Handshake(*id));
        }
        for (id, served) in &self.sessions {
            at(served.session.deadline(), Due::Session(*id));
        }
        for (id, client) in self.clients.iter().enumerate() {
            at(client.deadline(), Due::Client(id));
            at(client.connect_at(), Due::Connect(id));
            at(client.act_at(), Due::Act(id));
            at(client.flush_at(), Due::Flush(id));
        }
        for (id, host) in self.hosts.iter().enumerate() {
            at(host.mail.front().map(|(at, _)| *at), Due::Mail(id));
            at(host.storing.front().map(|(at, _)| *at), Due::Stored(id));
            at(host.scope.deadline(), Due::Scope(id));
            for (place, (decided, _)) in host.calls.iter().enumerate() {
                at(Some(*decided), Due::Verdict(id, place));
            }
        }
        at(self.fetches.front().map(|(at, ..)| *at), Due::Fetch);
        at(self.fault_at, Due::Fault);
        agenda
    }

    fn perform(&mut self, due: Due) {
        match due {
            Due::ServerReceives(connection) => self.server_receives(connection),
            Due::ClientReceives(connection) => self.client_receives(connection),
            Due::Handshake(connection) => self.handshake_due(connection),
            Due::Session(session) => self.session_due(session),
            Due::Client(client) => self.client_due(client),
            Due::Connect(client) => self.connect(client),
            Due::Act(client) => self.act(client),
            Due::Flush(client) => self.flush(client),
            Due::Mail(scope) => self.mail_arrives(scope),
            Due::Stored(scope) => self.stored(scope),
            Due::Scope(scope) => self.scope_due(scope),
            Due::Verdict(scope, place) => self.verdict(scope, place),
            Due::Fetch => self.decide_fetch(),
            Due::Fault => self.fault(),
        }
    }
}
