//! A server that dies at any moment and comes back with what its disk has.
//!
//! The machines are the real ones; the world around them is smaller than [`world`](crate::world): one
//! scope, a network that is a list of frames, and a disk that has entries and sessions some time after it
//! was given them, some of them in the moment of the crash, or refuses them. After each crash the log must
//! lead to the very state that the scope had at that entry, and have what anybody was told, once.

mod client;
mod disk;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jetstream_core::ids::{MessageIndex, SessionId};
use jetstream_core::limits::Limits;
use jetstream_core::model::{Graph, Schema};
use jetstream_core::scope::encode_state;
use jetstream_core::session::Output;
use jetstream_core::time::{Millis, Now, Timestamp};
use jetstream_core::wire::message::Dialect;

use crate::dice::Dice;
use crate::workload;
use client::Client;
use disk::Disk;
use server::Server;

/// How bad a world is.
#[derive(Debug, Clone, Copy)]
pub struct Harm {
    /// How many things happen before it heals.
    pub steps: usize,
    /// One thing in so many is a crash; 0: none is.
    pub crash_one_in: usize,
    /// The thing, counted from 0, that is a crash in any case.
    pub crash_at: Option<usize>,
    /// One write in so many fails; 0: none does.
    pub fail_one_in: usize,
    /// The disk loses what it said it had: a fault that must be found.
    pub forgets: bool,
}

/// What happened, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Crashes.
    pub crashes: usize,
    /// Writes that failed.
    pub failures: usize,
    /// Sessions that went on after a crash.
    pub restored: usize,
    /// Answers that clients had for the first time, and again.
    pub answers: usize,
    /// The same, again.
    pub repeated: usize,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.crashes += other.crashes;
        self.failures += other.failures;
        self.restored += other.restored;
        self.answers += other.answers;
        self.repeated += other.repeated;
    }
}

/// What a client was told about a ChangeSet of its own: which fragments were accepted.
type Outcome = Vec<bool>;

struct World {
    dice: Dice,
    now: Millis,
    /// The clock of the world may jump.
    skew: i64,
    limits: Arc<Limits>,
    schema: Arc<Schema>,
    beginning: Graph,
    disk: Disk,
    server: Server,
    clients: Vec<Client>,
    told: BTreeMap<(SessionId, MessageIndex), Outcome>,
    harm: Harm,
    seen: Seen,
    /// What sessions want done, in order.
    wanted: VecDeque<(SessionId, Output)>,
    /// Somebody is doing it.
    is_doing: bool,
}

/// Runs the world of a seed to its end.
///
/// # Errors
///
/// What did not hold.
pub fn run(seed: u64, harm: Harm) -> Result<Seen, String> {
    let mut world = World::new(seed, harm);
    for step in 0..harm.steps {
        let crash = harm.crash_one_in > 0 && world.dice.one_in(harm.crash_one_in);
        match crash || harm.crash_at == Some(step) {
            true => world.crash()?,
            false => world.step()?,
        }
    }
    world.heal()?;
    Ok(world.seen)
}

impl World {
    fn new(seed: u64, harm: Harm) -> Self {
        let mut dice = Dice::new(seed);
        let schema = workload::schema();
        let beginning = workload::new_graph(&schema);
        let dialects = [Dialect::V1, Dialect::V1, Dialect::Original];
        let clients = dialects.map(|dialect| Client::new(dialect, dice.roll()));
        let limits = Arc::new(Limits { session_timeout_ms: 1 << 40, ..Limits::default() });
        let disk = Disk::new(&beginning);
        let server = Server::new(disk.restored(&beginning), limits.clone());
        Self {
            dice,
            now: Millis(0),
            skew: 1_700_000_000_000,
            limits,
            schema,
            beginning,
            disk,
            server,
            clients: clients.into(),
            told: BTreeMap::new(),
            harm,
            seen: Seen::default(),
            wanted: VecDeque::new(),
            is_doing: false,
        }
    }

    fn wall(&self) -> Now {
        Now { mono: self.now, wall: Timestamp(self.now.0 as i64 + self.skew) }
    }

    fn step(&mut self) -> Result<(), String> {
        let id = self.dice.below(self.clients.len());
        match self.dice.below(20) {
            0 => {
                self.now = self.now.plus(self.dice.between(0, 4_000));
                if self.dice.one_in(10) {
                    self.skew -= self.dice.between(0, 90_000_000) as i64 - 45_000_000;
                }
                self.time_passes()?;
            }
            1 => self.cut(id)?,
            2 | 3 => self.connect(id)?,
            4..=6 => self.edit(id)?,
            7..=10 => self.deliver_up(id)?,
            11..=15 => self.deliver_down(id)?,
            16 | 17 => self.write_log()?,
            _ => self.write_session()?,
        }
        self.check_told()
    }

    /// The server is gone with everything but its disk, and is there again.
    fn crash(&mut self) -> Result<(), String> {
        self.seen.crashes += 1;
        let reached = self.dice.below(self.disk.log.len() - self.disk.durable + 1);
        self.disk.crash(reached, self.harm.forgets);
        for id in 0..self.clients.len() {
            self.cut(id)?;
        }
        let restored = self.disk.restored(&self.beginning);
        let expected = self.disk.states.get(&restored.revision);
        let found = encode_state(&restored.graph);
        if expected.is_some_and(|expected| **expected != *found) {
            return Err(format!("the log leads elsewhere at {}: {found}", restored.revision));
        }
        self.server = Server::new(restored, self.limits.clone());
        self.check_told()
    }

    /// What anybody was told is in the log, once, and as it was told.
    fn check_told(&self) -> Result<(), String> {
        self.told.iter().try_for_each(|((session, message), outcome)| {
            let found = self.disk.answers(*session, *message);
            match &found[..] {
                [one] if one == outcome => Ok(()),
                other => Err(format!(
                    "message {message} of {session} was told {outcome:?}, and the log has {other:?}"
                )),
            }
        })
    }

    /// Everything works from now on, and all come to rest.
    fn heal(&mut self) -> Result<(), String> {
        self.harm.fail_one_in = 0;
        for _ in 0..200 {
            self.now = self.now.plus(3_000);
            self.time_passes()?;
            for id in 0..self.clients.len() {
                self.connect(id)?;
                while self.clients[id].has_news() {
                    self.deliver_up(id)?;
                    self.deliver_down(id)?;
                }
            }
            while self.disk.is_at_work() {
                self.write_log()?;
                self.write_session()?;
            }
            self.check_told()?;
        }
        self.check_rest()
    }

    fn check_rest(&self) -> Result<(), String> {
        let state = encode_state(self.server.scope.graph());
        for (id, client) in self.clients.iter().enumerate() {
            client.check_rest(&state).map_err(|why| format!("client {id}: {why}"))?;
        }
        self.disk.check_once()
    }
}
