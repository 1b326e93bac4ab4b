//! Clients: the real session, and for 1.0 the real replica.

use std::collections::{BTreeMap, VecDeque};

use jetstream_core::ids::{ConnectionId, MessageIndex, ScopeIndex, SessionId};
use jetstream_core::limits::Limits;
use jetstream_core::model::{ChangeSet, Fragment, Graph, Rejection};
use jetstream_core::replica::{EditId, Replica};
use jetstream_core::scope::encode_state;
use jetstream_core::session::{
    ClientConfig, ClientInput, ClientOutput, ClientSession, Frame, Input,
};
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::encode;
use jetstream_core::wire::message::{
    ClientBody, Dialect, FragmentReply, RawFragment, ServerBody, ServerMessage,
};

use super::World;
use crate::workload::Workload;

pub(super) struct Client {
    dialect: Dialect,
    machine: ClientSession,
    pub(super) session: Option<SessionId>,
    pub(super) connection: ConnectionId,
    pub(super) is_connected: bool,
    pub(super) up: VecDeque<String>,
    pub(super) down: VecDeque<String>,
    scope: Option<ScopeIndex>,
    replica: Option<Replica>,
    /// Edits without an answer.
    edits: BTreeMap<MessageIndex, (Option<EditId>, ChangeSet)>,
}

impl Client {
    pub(super) fn new(dialect: Dialect, seed: u64) -> Self {
        let major = u64::from(dialect == Dialect::V1);
        let version = semver::Version::new(major, 1 - major, 0);
        let silence_ms_max = u64::MAX / 2;
        let config = ClientConfig { version, silence_ms_max, ..ClientConfig::default() };
        Self {
            dialect,
            machine: ClientSession::new(config, seed),
            session: None,
            connection: ConnectionId(0),
            is_connected: false,
            up: VecDeque::new(),
            down: VecDeque::new(),
            scope: None,
            replica: None,
            edits: BTreeMap::new(),
        }
    }

    /// The server has made a session for it.
    pub(super) fn begin(&mut self, session: SessionId, _token: String, reply: String) {
        self.session = Some(session);
        self.down.push_back(reply);
    }

    pub(super) fn has_news(&self) -> bool {
        self.is_connected && !(self.up.is_empty() && self.down.is_empty())
    }

    pub(super) fn check_rest(&self, state: &str) -> Result<(), String> {
        if !self.machine.is_live() || !self.edits.is_empty() {
            let waits = self.edits.keys().collect::<Vec<_>>();
            return Err(format!("live: {}, no answer to {waits:?}", self.machine.is_live()));
        }
        match &self.replica {
            Some(replica) if replica.pending().len() > 0 => Err("an edit is pending".to_owned()),
            Some(replica) if *encode_state(replica.confirmed()) != *state => {
                Err(format!("has {}\nand not {state}", encode_state(replica.confirmed())))
            }
            Some(_) => Ok(()),
            None if self.dialect == Dialect::V1 => Err("has no state".to_owned()),
            None => Ok(()),
        }
    }
}

impl World {
    pub(super) fn connect(&mut self, id: usize) -> Result<(), String> {
        let client = &mut self.clients[id];
        if client.is_connected {
            return Ok(());
        }
        client.is_connected = true;
        client.connection = ConnectionId(client.connection.0 + 1_000 + id as u64);
        let (connection, token) = (client.connection, client.machine.token().map(str::to_owned));
        if let Some(token) = token {
            self.resume(&token, connection)?;
        }
        self.client(id, ClientInput::Connected)
    }

    /// The connection breaks, with all that is under way on it.
    pub(super) fn cut(&mut self, id: usize) -> Result<(), String> {
        let client = &mut self.clients[id];
        if !client.is_connected {
            return Ok(());
        }
        client.is_connected = false;
        client.up.clear();
        // Some of what the server has sent arrives all the same.
        let arrives = self.dice.below(self.clients[id].down.len() + 1);
        for _ in 0..arrives {
            self.deliver_down(id)?;
        }
        let client = &mut self.clients[id];
        client.down.clear();
        client.up.clear();
        let (session, connection) = (client.session, client.connection);
        self.client(id, ClientInput::Disconnected { code: None, reason: "" })?;
        match session {
            Some(session) => self.session(session, Input::Disconnected { connection }),
            None => Ok(()),
        }
    }

    pub(super) fn deliver_up(&mut self, id: usize) -> Result<(), String> {
        let client = &mut self.clients[id];
        let Some(text) = client.up.pop_front() else { return Ok(()) };
        let connection = client.connection;
        match client.session {
            None => self.handshake(id, &text),
            Some(session) => self.session(session, Input::Frame { connection, text: &text }),
        }
    }

    pub(super) fn deliver_down(&mut self, id: usize) -> Result<(), String> {
        let Some(text) = self.clients[id].down.pop_front() else { return Ok(()) };
        self.client(id, ClientInput::Frame { text: &text })
    }

    pub(super) fn client_time(&mut self, id: usize) -> Result<(), String> {
        let due = self.clients[id].machine.deadline().is_some_and(|at| at <= self.now);
        if due { self.client(id, ClientInput::Deadline) } else { Ok(()) }
    }

    fn client(&mut self, id: usize, input: ClientInput<'_>) -> Result<(), String> {
        let now = self.wall();
        let mut out = Vec::new();
        self.clients[id].machine.handle(now, input, &mut out);
        for output in out {
            match output {
                ClientOutput::Established { .. } => {
                    let (name, params) = ("scope".to_owned(), serde_json::Map::new());
                    self.clients[id].machine.send(&ClientBody::ScopeFetch { name, params });
                }
                // Its session ends before there was an answer: it has none, and asks for another.
                ClientOutput::Resumed
                | ClientOutput::Refused { .. }
                | ClientOutput::Expiring { .. } => {}
                ClientOutput::Message(message) => self.message(id, message)?,
                ClientOutput::Reconnect => return Err("a client takes its server for dead".into()),
                ClientOutput::Over { error } => return Err(format!("a session is lost: {error}")),
            }
        }
        let client = &mut self.clients[id];
        let mut frame = Frame::new();
        while client.is_connected && client.machine.next_frame(now, &mut frame) {
            client.up.push_back(frame.to_text());
        }
        // A session that was created, and whose client does not know: it begins another.
        if client.machine.token().is_none() && !client.is_connected {
            client.session = None;
        }
        Ok(())
    }

    pub(super) fn edit(&mut self, id: usize) -> Result<(), String> {
        let client = &mut self.clients[id];
        let Some(scope_index) = client.scope else { return Ok(()) };
        let dialect = client.dialect;
        let graph = match (&mut client.replica, dialect) {
            (Some(replica), _) => replica.shown().clone(),
            // What it shows is no graph, so it takes a look at the real one: its edits are as apt.
            (None, Dialect::Original) => self.server.scope.graph().clone(),
            (None, Dialect::V1) => return Ok(()),
        };
        let (dice, pool) = (&mut self.dice, 15);
        let mut workload = Workload { dice, graph: &graph, dialect, pool };
        let changes = workload.edit();
        let client = &mut self.clients[id];
        let mut edit = None;
        if let Some(replica) = &mut client.replica {
            let Ok(made) = replica.edit(changes.clone()) else { return Ok(()) };
            edit = Some(made);
        }
        let fragments = changes.fragments.iter().map(|fragment| {
            let mut text = String::new();
            match fragment {
                Ok(fragment) => encode::fragment(&mut text, &self.schema, fragment, dialect),
                Err(_) => text.push_str("{}"),
            }
            RawFragment::from(serde_json::value::RawValue::from_string(text).expect("JSON"))
        });
        let (fragments, atomic) = (fragments.collect(), changes.atomic);
        let body = ClientBody::ScopeSync { scope_index, fragments, atomic, procedure: None };
        let message = client.machine.send(&body);
        client.edits.insert(message, (edit, changes));
        // It goes out with whatever comes next.
        self.client(id, ClientInput::Deadline)
    }

    fn message(&mut self, id: usize, message: ServerMessage) -> Result<(), String> {
        match message.body {
            ServerBody::ScopeFetchReply { result, .. } => {
                let index = result.map_err(|error| format!("a fetch is denied: {error}"))?;
                if self.clients[id].scope.replace(index).is_some_and(|before| before != index) {
                    return Err("a fetch got two indices".to_owned());
                }
            }
            ServerBody::ScopeState { root, fragments, .. } => {
                let fragments = self.read(&fragments)?;
                let graph = Graph::from_state(self.schema.clone(), root, fragments);
                let graph = graph.map_err(|errors| format!("an impossible state: {errors:?}"))?;
                let client = &mut self.clients[id];
                match &mut client.replica {
                    Some(replica) => replica.reset(graph),
                    None if client.dialect == Dialect::V1 => {
                        client.replica = Some(Replica::new(graph));
                    }
                    None => {}
                }
            }
            ServerBody::ScopeSync { fragments, .. } => {
                let fragments = self.read(&fragments)?;
                if let Some(replica) = &mut self.clients[id].replica {
                    drop(replica.receive(fragments));
                }
            }
            ServerBody::ScopeSyncReply { reply_to, replies } => {
                return self.answer(id, reply_to, replies);
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(
        &mut self,
        id: usize,
        message: MessageIndex,
        replies: Vec<FragmentReply>,
    ) -> Result<(), String> {
        let session = self.clients[id].session.ok_or("an answer without a session")?;
        let outcome: Vec<bool> = replies.iter().map(|reply| reply.error.is_none()).collect();
        let unsaved = replies.iter().filter_map(|reply| reply.error.as_ref());
        let unsaved = unsaved.clone().any(|error| error.message.starts_with("not saved"));
        match self.clients[id].edits.remove(&message) {
            Some((edit, changes)) => {
                self.seen.answers += 1;
                self.settle_edit(id, edit, &changes, &replies)?;
            }
            None => self.seen.repeated += 1,
        }
        // That it could not be stored could not be stored either.
        if !unsaved {
            let before = self.told.insert((session, message), outcome.clone());
            if before.is_some_and(|before| before != outcome) {
                return Err(format!("message {message} of {session} is answered in two ways"));
            }
        }
        Ok(())
    }

    fn settle_edit(
        &mut self,
        id: usize,
        edit: Option<EditId>,
        changes: &ChangeSet,
        replies: &[FragmentReply],
    ) -> Result<(), String> {
        let limits = Limits::default();
        let typing = Typing { schema: &self.schema, dialect: Dialect::V1, limits: &limits };
        let mut modifications = Vec::new();
        for (place, reply) in replies.iter().enumerate() {
            if let (Some(text), Ok(fragment)) = (&reply.modifications, &changes.fragments[place]) {
                let properties = typing.properties(fragment.model, text);
                modifications.push((place, properties.map_err(|error| error.message)?));
            }
        }
        let results: Vec<Result<(), Rejection>> =
            replies.iter().map(|reply| reply.error.clone().map_or(Ok(()), Err)).collect();
        if let (Some(replica), Some(edit)) = (&mut self.clients[id].replica, edit) {
            drop(replica.answer(edit, &results, modifications));
        }
        Ok(())
    }

    fn read(&self, fragments: &[RawFragment]) -> Result<Vec<Fragment>, String> {
        let limits = Limits::default();
        let typing = Typing { schema: &self.schema, dialect: Dialect::V1, limits: &limits };
        let read = fragments.iter().map(|fragment| typing.fragment(fragment));
        read.collect::<Result<_, _>>().map_err(|error| format!("a fragment of nobody: {error}"))
    }
}
