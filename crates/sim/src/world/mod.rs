//! A server, its clients and everything between them, in one thread and without a clock.
//!
//! The world keeps an agenda: what arrives, what is due, what somebody is about to do. `World::step`
//! jumps to the next time on it and does one of the things that stand there; which one, the dice say.
//! Everything that happens is told to the [`property`](crate::property) checks at once.

mod agenda;
mod client;
mod copies;
mod double;
mod editing;
mod fault;
mod host;
mod network;
mod scope;
mod server;
mod settings;
mod story;
mod verdict;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jetstream_core::ids::{ConnectionId, MemberId, MessageIndex, SessionId};
use jetstream_core::model::Schema;
use jetstream_core::scope::access::ScopeFacts;
use jetstream_core::scope::{Access, Options, Scope};
use jetstream_core::session::ServerSession;
use jetstream_core::time::{Millis, Now, Timestamp};

use crate::dice::Dice;
use crate::event::{ClientId, Event, ScopeId};
use crate::property::Properties;
use crate::veil::Veil;
use crate::workload;

pub use client::Client;
pub(crate) use copies::Content;
pub use host::Host;
pub use settings::{Manner, Planted, Settings};

use network::Connection;
use server::{Served, ServerEnd};

/// A server and its clients.
#[derive(Debug)]
pub struct World {
    settings: Settings,
    dice: Dice,
    now: Millis,
    schema: Arc<Schema>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// The server's ends of connections that it has not closed.
    ends: BTreeMap<ConnectionId, ServerEnd>,
    sessions: BTreeMap<SessionId, Served>,
    tokens: BTreeMap<String, SessionId>,
    /// Fetches that the application thinks about.
    fetches: VecDeque<(Millis, SessionId, MessageIndex, String)>,
    hosts: Vec<Host>,
    clients: Vec<Client>,
    next_connection: ConnectionId,
    next_session: SessionId,
    next_member: MemberId,
    /// When the next fault comes; `None`: never.
    fault_at: Option<Millis>,
    properties: Properties,
    failure: Option<String>,
    trace: Option<Vec<String>>,
    counts: Counts,
}

/// What happened in a world, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that clients received.
    pub messages: u64,
    /// Commits of all scopes.
    pub commits: u64,
    /// Connections that were cut.
    pub cuts: u64,
    /// Sessions that went on over a new connection.
    pub resumes: u64,
    /// States that a session needed afresh.
    pub resyncs: u64,
    /// Sessions that ended before their time.
    pub losses: u64,
    /// ChangeSets that somebody was asked about.
    pub calls: u64,
    /// Times that a client was slowed.
    pub slowed: u64,
    /// ChangeSets that were refused because their client went too fast.
    pub hurried: u64,
    /// Members whose rights changed.
    pub renewals: u64,
    /// Members who were to see less.
    pub recalls: u64,
    /// Things done from the agenda.
    pub steps: u64,
}

impl World {
    /// A world with these settings, decided by these dice.
    pub fn new(settings: Settings, mut dice: Dice, traced: bool) -> Self {
        let schema = workload::schema();
        let validate = settings.verdict_ms.is_some();
        let limits = settings.limits.clone();
        let state_step_bytes = settings.state_step_bytes;
        let mixes_classes = settings.planted == Some(Planted::MixesClasses);
        let access = settings.veiled.then(|| Access {
            policy: Arc::new(Veil { mixes_classes }),
            scope: Arc::new(ScopeFacts { name: "board".into(), params: BTreeMap::new() }),
        });
        // What is told is told at once there, so that it is known what a member may see at that moment.
        let stored = !settings.veiled;
        let options =
            Options { limits, validate, state_step_bytes, stored, access, ..Options::default() };
        let host = |number: usize| {
            let scope = Scope::new(workload::new_graph(&schema), options.clone());
            Host::new(format!("scope-{number}"), scope)
        };
        let hosts: Vec<Host> = (0..settings.scopes).map(host).collect();
        let properties = Properties::new(&settings, &hosts);
        let fault_at = (settings.fault_every_ms > 0).then(|| Millis(dice.between(1, 1_000)));
        let manners = settings.clients.clone();
        let mut world = Self {
            settings,
            dice,
            now: Millis(0),
            schema,
            connections: BTreeMap::new(),
            ends: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            fetches: VecDeque::new(),
            hosts,
            clients: Vec::new(),
            next_connection: ConnectionId(1),
            next_session: SessionId(1),
            next_member: MemberId(1),
            fault_at,
            properties,
            failure: None,
            trace: traced.then(Vec::new),
            counts: Counts::default(),
        };
        for manner in manners {
            world.add_client(manner);
        }
        world
    }

    /// Lets the world be hostile for its time, then heals it and waits until it is quiet.
    ///
    /// # Errors
    ///
    /// The property that did not hold, and how.
    pub fn run(&mut self) -> Result<(), String> {
        self.run_until(Millis(self.settings.hostile_ms))?;
        self.heal();
        // Long enough for everybody to notice that a connection is dead, and to make another.
        self.run_until(self.now.plus(90_000))?;
        self.last_words();
        self.settle()
    }

    /// Does everything up to a time.
    ///
    /// # Errors
    ///
    /// The property that did not hold, and how.
    pub fn run_until(&mut self, until: Millis) -> Result<(), String> {
        while self.failure.is_none() && self.step(until) {}
        self.now = self.now.max(until);
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Runs until nothing is under way, and looks at everything then.
    ///
    /// # Errors
    ///
    /// The property that did not hold, and how; also if the world does not come to rest.
    pub fn settle(&mut self) -> Result<(), String> {
        let limit = self.now.plus(SETTLE_MS_MAX);
        while !self.is_quiet() {
            if self.now >= limit {
                return Err(format!(
                    "settles: not at rest after {SETTLE_MS_MAX} ms: {}",
                    self.unrest()
                ));
            }
            // In short stretches: Pings go on for ever, so the agenda is never empty.
            self.run_until(self.now.plus(50))?;
        }
        self.check()
    }

    /// Looks at everything. Only right while nothing is under way.
    ///
    /// # Errors
    ///
    /// The property that does not hold, and how.
    pub fn check(&mut self) -> Result<(), String> {
        let mut properties = std::mem::take(&mut self.properties);
        let result = properties.finish(self);
        self.properties = properties;
        result
    }

    /// The present time.
    pub const fn now(&self) -> Millis {
        self.now
    }

    /// What has happened so far, in numbers.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// What has happened so far, a line each, if it was recorded.
    pub fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// The clients.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// The scopes with what is around them.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// How many sessions the server has.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    fn wall(&self) -> Now {
        Now { mono: self.now, wall: Timestamp(1_700_000_000_000 + self.now.0 as i64) }
    }

    /// A moment within these bounds from now.
    fn within(&mut self, (from, to): (u64, u64)) -> Millis {
        let delay = self.dice.between(from, to);
        self.now.plus(delay)
    }

    fn tell(&mut self, event: &Event<'_>) {
        if self.failure.is_none() {
            self.failure = self.properties.observe(event).err();
        }
    }

    fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.now.0;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:>7} {}", line()));
        }
    }

    fn scope_named(&self, name: &str) -> Option<ScopeId> {
        self.hosts.iter().position(|host| host.name == name)
    }

    /// The sessions that the server has.
    pub fn sessions(&self) -> impl Iterator<Item = &ServerSession> {
        self.sessions.values().map(|served| &served.session)
    }

    fn client_name(&self, client: ClientId) -> String {
        self.clients[client].name().to_owned()
    }
}

/// How long a healed world may take to come to rest, in milliseconds: time for a client to notice a dead
/// connection, and for a few answers of a slow store.
const SETTLE_MS_MAX: u64 = 240_000;
