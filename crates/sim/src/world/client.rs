//! Clients: the real session and the real replica, with somebody at the keyboard.

use std::collections::BTreeMap;

use jetstream_core::ids::{ConnectionId, MessageIndex, ObjectId, ScopeIndex, SessionId};
use jetstream_core::model::{ChangeSet, Fragment, Graph, Rejection};
use jetstream_core::replica::{EditId, Replica};
use jetstream_core::session::{ClientConfig, ClientInput, ClientOutput, ClientSession, Frame};
use jetstream_core::time::Millis;
use jetstream_core::wire::encode;
use jetstream_core::wire::message::{ClientBody, Dialect, RawFragment};

use super::World;
use super::copies::{Content, Copy, Unanswered};
use super::network::{Connection, Packet, Pipe};
use super::settings::Manner;
use crate::event::{ClientId, Event, Request, ScopeId};
use crate::workload::Workload;

/// A client: a session, its copies of scopes, and somebody who edits them.
#[derive(Debug)]
pub struct Client {
    name: String,
    pub(super) manner: Manner,
    machine: ClientSession,
    /// The server's name for the session, so that checks can tell sessions apart.
    pub(super) session: Option<SessionId>,
    connection: Option<ConnectionId>,
    connect_at: Option<Millis>,
    pub(super) act_at: Option<Millis>,
    /// Nobody will ever come back.
    deserted: bool,
    /// It does not connect for now.
    pub(super) away: bool,
    pub(super) fetching: BTreeMap<MessageIndex, Option<ScopeId>>,
    pub(super) copies: BTreeMap<ScopeIndex, Copy>,
    pub(super) unanswered: BTreeMap<MessageIndex, Unanswered>,
    /// What it has added, if the server accepted it.
    pub(super) accepted: Vec<ObjectId>,
    /// What its user meant to take out.
    pub(super) taken_out: Vec<ObjectId>,
}

impl Client {
    fn new(number: ClientId, manner: Manner, jitter_seed: u64) -> Self {
        let version = if manner.dialect == Dialect::V1 { (1, 0, 0) } else { (0, 1, 0) };
        let version = semver::Version::new(version.0, version.1, version.2);
        let config = ClientConfig { version, ..ClientConfig::default() };
        Self {
            name: NAMES.get(number).map_or_else(|| format!("c{number}"), |n| (*n).to_owned()),
            manner,
            machine: ClientSession::new(config, jitter_seed),
            session: None,
            connection: None,
            connect_at: None,
            act_at: None,
            deserted: false,
            away: false,
            fetching: BTreeMap::new(),
            copies: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            accepted: Vec::new(),
            taken_out: Vec::new(),
        }
    }

    /// What the traces call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's name for its session, if it has one.
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// How it behaves.
    pub const fn manner(&self) -> Manner {
        self.manner
    }

    /// Whether it has gone for good.
    pub const fn has_deserted(&self) -> bool {
        self.deserted
    }

    pub(crate) fn accepted(&self) -> &[ObjectId] {
        &self.accepted
    }

    pub(crate) fn taken_out(&self) -> &[ObjectId] {
        &self.taken_out
    }

    /// When it sends what it has collected.
    pub(super) fn flush_at(&self) -> Option<Millis> {
        let doubles = self.copies.values().filter_map(|copy| match &copy.content {
            Content::Double(double) => double.flush_at(),
            _ => None,
        });
        doubles.min()
    }

    pub(crate) fn copies(&self) -> &BTreeMap<ScopeIndex, Copy> {
        &self.copies
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.machine.deadline().filter(|_| self.connection.is_some())
    }

    pub(super) fn connect_at(&self) -> Option<Millis> {
        self.connect_at
    }

    pub(super) fn act_at(&self) -> Option<Millis> {
        self.act_at
    }

    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    pub(super) fn shown(&mut self, index: ScopeIndex) -> Option<&Graph> {
        match &mut self.copies.get_mut(&index)?.content {
            Content::Replica(replica) => Some(replica.shown()),
            _ => None,
        }
    }

    /// Its user goes away for good, without a word.
    pub(super) fn desert(&mut self) {
        self.deserted = true;
        self.connect_at = None;
        self.act_at = None;
    }

    /// Its user makes no more edits.
    pub(super) fn rest(&mut self) {
        self.act_at = None;
    }

    /// What the client waits for, in words.
    pub(super) fn unrest(&self) -> Option<String> {
        let name = &self.name;
        if self.deserted {
            return None;
        }
        if !self.machine.is_live() {
            return Some(format!("{name} is not connected"));
        }
        if let Some(message) = self.unanswered.keys().next() {
            return Some(format!("{name} waits for the answer to {message}"));
        }
        let waits = !self.fetching.is_empty()
            || self.flush_at().is_some()
            || self.copies.values().any(|copy| matches!(copy.content, Content::Awaited));
        waits.then(|| format!("{name} waits for a scope"))
    }
}

impl World {
    /// Another client, which connects soon.
    pub(super) fn add_client(&mut self, manner: Manner) -> ClientId {
        let id = self.clients.len();
        let mut client = Client::new(id, manner, self.dice.roll());
        client.connect_at = Some(self.within((0, 200)));
        if self.settings.act_every_ms > 0 {
            client.act_at = Some(self.within((100, 1_000)));
        }
        self.clients.push(client);
        id
    }

    /// A client connects, with its token if it has one.
    pub(super) fn connect(&mut self, id: ClientId) {
        self.clients[id].connect_at = None;
        if self.clients[id].deserted || self.clients[id].connection.is_some() {
            return;
        }
        let connection = self.next_connection;
        self.next_connection = ConnectionId(connection.0 + 1);
        let pipes = Connection { client: id, up: Pipe::default(), down: Pipe::default() };
        self.connections.insert(connection, pipes);
        self.clients[id].connection = Some(connection);
        let token = self.clients[id].machine.token().map(str::to_owned);
        self.note(|| format!("{} connects: connection {connection}", NAMES[id % NAMES.len()]));
        self.server_accepts(connection, token.as_deref());
        self.client_input(id, ClientInput::Connected);
    }

    pub(super) fn client_due(&mut self, id: ClientId) {
        self.client_input(id, ClientInput::Deadline);
    }

    pub(super) fn client_receives(&mut self, connection: ConnectionId) {
        let Some(pipes) = self.connections.get_mut(&connection) else { return };
        let id = pipes.client;
        let Some(packet) = pipes.down.take() else { return };
        match packet {
            Packet::Frame(text) => {
                self.note(|| format!("{} <- {text}", NAMES[id % NAMES.len()]));
                self.client_input(id, ClientInput::Frame { text: &text });
                // Now the connection has room again.
                if let Some(super::ServerEnd::Of(session)) = self.ends.get(&connection) {
                    self.pump(*session);
                }
            }
            Packet::Close { code, reason } => {
                self.client_forgets(connection);
                let reason = ClientInput::Disconnected { code: Some(code), reason: &reason };
                self.client_input(id, reason);
                self.connect_later(id);
            }
            Packet::Lost => {
                self.client_forgets(connection);
                self.client_input(id, ClientInput::Disconnected { code: None, reason: "" });
                self.connect_later(id);
            }
        }
    }

    /// The client does not look at a connection any more.
    fn client_forgets(&mut self, connection: ConnectionId) {
        let Some(pipes) = self.connections.get_mut(&connection) else { return };
        self.clients[pipes.client].connection = None;
        pipes.down.close();
        if pipes.up.is_closed() {
            self.connections.remove(&connection);
        }
    }

    /// The client drops its connection. The server hears of it, sooner or later.
    pub(super) fn client_drops(&mut self, id: ClientId) {
        let Some(connection) = self.clients[id].connection else { return };
        let notice = match self.dice.one_in(2) {
            true => self.within(self.settings.latency_ms),
            false => self.within((0, 60_000)),
        };
        if let Some(pipes) = self.connections.get_mut(&connection) {
            pipes.up.put(notice, Packet::Lost);
        }
        self.client_forgets(connection);
    }

    /// The client drops its connection and makes another, some time.
    pub(super) fn drop_connection(&mut self, id: ClientId) {
        self.client_drops(id);
        let now = self.wall();
        let gone = ClientInput::Disconnected { code: None, reason: "" };
        self.clients[id].machine.handle(now, gone, &mut Vec::new());
        self.connect_later(id);
    }

    pub(super) fn connect_later(&mut self, id: ClientId) {
        if !self.clients[id].deserted && !self.clients[id].away {
            let later = if self.fault_at.is_some() { (0, 4_000) } else { (0, 300) };
            self.clients[id].connect_at = Some(self.within(later));
        }
    }

    fn client_input(&mut self, id: ClientId, input: ClientInput<'_>) {
        let now = self.wall();
        let mut out = Vec::new();
        self.clients[id].machine.handle(now, input, &mut out);
        for output in out {
            self.client_output(id, output);
        }
        self.pump_client(id);
    }

    fn client_output(&mut self, id: ClientId, output: ClientOutput) {
        match output {
            ClientOutput::Established { .. } => {
                let token = self.clients[id].machine.token().expect("just established");
                // The server may have forgotten it again by now.
                let newest = SessionId(u64::MAX);
                let session = self.tokens.get(token).copied().unwrap_or(newest);
                self.clients[id].session = Some(session);
                for scope in 0..self.hosts.len() {
                    self.fetch(id, Some(scope));
                }
            }
            ClientOutput::Resumed => self.counts.resumes += 1,
            // Nothing here runs out.
            ClientOutput::Expiring { .. } => {}
            ClientOutput::Refused { .. } | ClientOutput::Reconnect => self.drop_connection(id),
            ClientOutput::Over { error } => {
                self.note(|| format!("{} starts over: {error}", NAMES[id % NAMES.len()]));
                let session = self.clients[id].session;
                if let Some(session) = session.filter(|id| self.sessions.contains_key(id)) {
                    self.tell(&Event::GaveUp { session });
                }
                self.start_over(id);
                self.client_drops(id);
                self.connect_later(id);
            }
            ClientOutput::Message(message) => {
                self.counts.messages += 1;
                if let Err(why) = self.client_message(id, message) {
                    let name = self.client_name(id);
                    self.fail(format!("{name}: {why}"));
                }
            }
        }
    }

    /// The session is lost, and with it everything that was not answered.
    fn start_over(&mut self, id: ClientId) {
        let unanswered = std::mem::take(&mut self.clients[id].unanswered);
        self.clients[id].copies.clear();
        self.clients[id].fetching.clear();
        let Some(session) = self.clients[id].session.take() else { return };
        for message in unanswered.into_keys() {
            self.tell(&Event::Settled { session, message, answered: false });
        }
    }

    /// Asks for a scope, or for one that does not exist.
    pub(super) fn fetch(&mut self, id: ClientId, scope: Option<ScopeId>) {
        let Some(session) = self.clients[id].session else { return };
        let name = scope.map_or_else(|| "nowhere".to_owned(), |s| self.hosts[s].name.clone());
        let body = ClientBody::ScopeFetch { name: name.clone(), params: serde_json::Map::new() };
        let message = self.clients[id].machine.send(&body);
        self.clients[id].fetching.insert(message, scope);
        self.tell(&Event::Asked { session, message, request: Request::Fetch(name) });
        self.pump_client(id);
    }

    /// Asks for a scope unless an answer is under way.
    pub(super) fn fetch_if_idle(&mut self, id: ClientId) {
        if self.clients[id].fetching.is_empty() {
            self.fetch(id, Some(0));
        }
    }

    /// Leaves a scope.
    pub(super) fn unfetch(&mut self, id: ClientId, index: ScopeIndex) {
        let Some(session) = self.clients[id].session else { return };
        self.clients[id].copies.remove(&index);
        let message =
            self.clients[id].machine.send(&ClientBody::ScopeUnfetch { scope_index: index });
        self.tell(&Event::Asked { session, message, request: Request::Unfetch(index) });
        self.pump_client(id);
    }

    /// Ends the session.
    pub(super) fn close_session(&mut self, id: ClientId) {
        let Some(session) = self.clients[id].session else { return };
        let message = self.clients[id].machine.send(&ClientBody::SessionClose);
        self.tell(&Event::Asked { session, message, request: Request::Close });
        self.pump_client(id);
    }

    /// Edits a copy. A polite client leaves out what does not fit what it shows; `None` if then nothing
    /// is left, or there is no copy.
    pub(super) fn edit(
        &mut self,
        id: ClientId,
        index: ScopeIndex,
        mut changes: ChangeSet,
    ) -> Option<MessageIndex> {
        let session = self.clients[id].session?;
        let polite = self.clients[id].manner.polite;
        let copy = self.clients[id].copies.get_mut(&index)?;
        let mut edit = None;
        if let (Content::Replica(replica), true) = (&mut copy.content, polite) {
            edit = Some(fit(replica, &mut changes)?);
        }
        let fragments = changes.fragments.iter().map(|fragment| self.raw(id, fragment));
        let fragments: Vec<RawFragment> = fragments.collect();
        let body = ClientBody::ScopeSync {
            scope_index: index,
            fragments,
            atomic: changes.atomic,
            procedure: None,
        };
        let message = self.clients[id].machine.send(&body);
        let request = Request::Sync(index, changes.fragments.len());
        self.clients[id].unanswered.insert(message, Unanswered { index, edit, changes });
        self.tell(&Event::Asked { session, message, request });
        self.tell(&Event::Edited { session, message });
        self.pump_client(id);
        Some(message)
    }

    /// Makes up an edit of a copy.
    pub(super) fn edit_somehow(&mut self, id: ClientId, index: ScopeIndex, plain: bool) {
        let manner = self.clients[id].manner;
        let pool = self.settings.pool;
        let Some(copy) = self.clients[id].copies.get_mut(&index) else { return };
        let (dialect, dice) = (manner.dialect, &mut self.dice);
        let graph: Graph = match &mut copy.content {
            Content::Awaited => return,
            Content::Replica(replica) => replica.shown().clone(),
            // What it holds is not a graph, so it takes a look at the real one: its edits are as apt.
            Content::Watched(_) | Content::Double(_) => {
                self.hosts[copy.scope].scope.graph().clone()
            }
        };
        let mut workload = Workload { dice, graph: &graph, dialect, pool };
        let changes = if plain { workload.edit() } else { workload.change_set() };
        self.edit(id, index, changes);
    }

    fn raw(&self, id: ClientId, fragment: &Result<Fragment, Rejection>) -> RawFragment {
        let mut text = String::new();
        match fragment {
            Ok(fragment) => {
                let dialect = self.clients[id].manner.dialect;
                encode::fragment(&mut text, &self.schema, fragment, dialect);
            }
            Err(_) => text.push_str("{\"type\":\"nonsense\"}"),
        }
        RawFragment::from(serde_json::value::RawValue::from_string(text).expect("we wrote it"))
    }

    fn pump_client(&mut self, id: ClientId) {
        let now = self.wall();
        let mut frame = Frame::new();
        loop {
            let Some(connection) = self.clients[id].connection else { return };
            let room = self
                .connections
                .get(&connection)
                .is_some_and(|c| c.up.len() < self.settings.pipe_frames || c.up.is_closed());
            if !room || !self.clients[id].machine.next_frame(now, &mut frame) {
                return;
            }
            let at = self.within(self.settings.latency_ms);
            if let Some(pipes) = self.connections.get_mut(&connection) {
                pipes.up.put(at, Packet::Frame(frame.to_text()));
            }
        }
    }

    /// After the server has taken something, the client's side of the connection has room again.
    pub(super) fn has_room(&mut self, connection: ConnectionId) {
        let client = self.connections.get(&connection).map(|pipes| pipes.client);
        if let Some(client) = client.filter(|c| self.clients[*c].connection == Some(connection)) {
            self.pump_client(client);
        }
    }
}

/// Takes out of an edit what does not fit what is shown, and makes it in the replica.
fn fit(replica: &mut Replica, changes: &mut ChangeSet) -> Option<EditId> {
    for _ in 0..3 {
        match replica.edit(changes.clone()) {
            Ok(edit) => return Some(edit),
            Err(replies) => {
                let mut replies = replies.into_iter();
                changes.fragments.retain(|_| replies.next().is_none_or(|reply| reply.is_ok()));
                if changes.fragments.is_empty() {
                    return None;
                }
            }
        }
    }
    None
}

const NAMES: [&str; 8] = ["ann", "bo", "cy", "di", "eve", "flo", "gil", "hal"];
