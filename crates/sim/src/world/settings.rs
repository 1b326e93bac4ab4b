//! What kind of world a seed makes.

use std::sync::Arc;

use jetstream_core::limits::Limits;
use jetstream_core::wire::message::Dialect;

use crate::dice::Dice;

/// How a world is made, and how hostile it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the clients speak and how they behave.
    pub clients: Vec<Manner>,
    /// How many scopes there are.
    pub scopes: usize,
    /// What the server holds sessions to.
    pub limits: Arc<Limits>,
    /// How long the world is hostile, in milliseconds.
    pub hostile_ms: u64,
    /// How long a frame is under way, in milliseconds: from and to.
    pub latency_ms: (u64, u64),
    /// How many frames a connection takes before it is full.
    pub pipe_frames: usize,
    /// How long it takes to make a commit durable, in milliseconds: from and to.
    pub persist_ms: (u64, u64),
    /// The mean time between two actions of a client, in milliseconds.
    pub act_every_ms: u64,
    /// The mean time between two faults, in milliseconds; 0: never.
    pub fault_every_ms: u64,
    /// Whether frames may arrive spoiled.
    pub spoils: bool,
    /// Whether some clients go for good.
    pub deserters: bool,
    /// How many objects the clients argue about.
    pub pool: usize,
    /// How long somebody takes to decide about a ChangeSet, in milliseconds: from and to. `None`: nobody is
    /// asked.
    pub verdict_ms: Option<(u64, u64)>,
    /// Whether some decisions never come.
    pub loses_verdicts: bool,
    /// How many bytes of a state are written in one go; 0: all of it.
    pub state_step_bytes: usize,
    /// Whether members see different things, and their rights change.
    pub veiled: bool,
    /// A mistake that is made on purpose.
    pub planted: Option<Planted>,
}

/// A mistake for a property to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Sessions are not told that what they keep for their clients is not for them any more.
    KeepsWhatIsRecalled,
    /// Members who may see different things are told the same.
    MixesClasses,
}

/// What a client speaks, and whether it minds its manners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// What it speaks.
    pub dialect: Dialect,
    /// It only sends what fits what it shows. The others send whatever comes to their mind.
    pub polite: bool,
    /// It edits the nodes of the board, as people do and the client of its dialect does it.
    pub edits_together: bool,
}

impl Settings {
    /// A world without faults, in which everything takes a few milliseconds.
    pub fn calm() -> Self {
        Self {
            clients: Vec::new(),
            scopes: 1,
            limits: Arc::new(Limits::default()),
            hostile_ms: 0,
            latency_ms: (1, 5),
            pipe_frames: 16,
            persist_ms: (0, 3),
            act_every_ms: 0,
            fault_every_ms: 0,
            spoils: false,
            deserters: false,
            pool: 20,
            verdict_ms: None,
            loses_verdicts: false,
            state_step_bytes: 0,
            veiled: false,
            planted: None,
        }
    }

    /// The world of a seed.
    pub fn draw(dice: &mut Dice) -> Self {
        let clients = (0..2 + dice.below(4)).map(|_| Manner::draw(dice)).collect();
        let latencies = [(0, 2), (1, 40), (5, 400), (200, 3_000)];
        let persisting = [(0, 0), (0, 5), (10, 200), (0, 2_000)];
        Self {
            clients,
            scopes: 1 + dice.below(2),
            limits: Arc::new(draw_limits(dice)),
            hostile_ms: [5_000, 20_000, 60_000][dice.below(3)],
            latency_ms: latencies[dice.below(4)],
            pipe_frames: [1, 2, 4, 64][dice.below(4)],
            persist_ms: persisting[dice.below(4)],
            act_every_ms: [50, 300, 1_500][dice.below(3)],
            fault_every_ms: [0, 300, 1_500, 6_000][dice.below(4)],
            spoils: dice.one_in(4),
            deserters: dice.one_in(4),
            pool: 5 + dice.below(25),
            verdict_ms: draw_verdicts(&mut dice.clone().split()),
            loses_verdicts: true,
            state_step_bytes: draw_step(dice),
            veiled: false,
            planted: None,
        }
    }

    /// The world of a seed in which members see different things, and their rights change.
    pub fn veiled(dice: &mut Dice) -> Self {
        let drawn = match dice.one_in(3) {
            true => Self::together(dice),
            false => Self::draw(dice),
        };
        let hostile_ms = drawn.hostile_ms.min(20_000);
        let fault_every_ms = [300, 1_500][dice.below(2)];
        Self { veiled: true, hostile_ms, fault_every_ms, ..drawn }
    }

    /// A world in which the original's client and ours edit one board together, while connections break.
    pub fn together(dice: &mut Dice) -> Self {
        let editor = |dialect| Manner { dialect, polite: true, edits_together: true };
        let originals = (0..2 + dice.below(3)).map(|_| editor(Dialect::Original));
        let clients: Vec<Manner> = originals.collect();
        let ours = (0..dice.below(3)).map(|_| editor(Dialect::V1));
        Self {
            clients: clients.into_iter().chain(ours.collect::<Vec<_>>()).collect(),
            hostile_ms: [5_000, 15_000][dice.below(2)],
            latency_ms: [(10, 70), (100, 120), (180, 220)][dice.below(3)],
            act_every_ms: [30, 100, 400][dice.below(3)],
            fault_every_ms: [0, 700, 2_500][dice.below(3)],
            pipe_frames: 64,
            state_step_bytes: draw_step(dice),
            ..Self::calm()
        }
    }

    /// The same as [`draw`](Self::draw), but clients may only send about as much as they do, and little of it
    /// at once: after a time without a connection it is too much.
    pub fn paced(dice: &mut Dice) -> Self {
        let mut settings = Self::draw(dice);
        let mut limits = Limits::clone(&settings.limits);
        limits.session_messages_per_second_max = 2 + (1_500 / settings.act_every_ms) as usize;
        limits.rate_burst_ms = dice.between(300, 2_000);
        limits.session_requests_max = 1 + dice.below(6);
        limits.session_timeout_ms = Limits::default().session_timeout_ms;
        settings.limits = Arc::new(limits);
        settings
    }

    /// Whether no session can lose changes because too much waits for its client.
    pub fn is_lossless(&self) -> bool {
        self.limits.backlog_bytes_max == Limits::default().backlog_bytes_max
    }
}

impl Manner {
    fn draw(dice: &mut Dice) -> Self {
        let dialect = if dice.one_in(3) { Dialect::Original } else { Dialect::V1 };
        Self { dialect, polite: !dice.one_in(3), edits_together: false }
    }
}

/// From dice of their own, so that worlds in which nobody is asked stay what they were.
fn draw_verdicts(dice: &mut Dice) -> Option<(u64, u64)> {
    let times = [(0, 5), (10, 400), (500, 4_000)];
    dice.one_in(3).then(|| times[dice.below(3)])
}

/// From dice of their own, too.
fn draw_step(dice: &Dice) -> usize {
    let mut dice = dice.clone().split().split();
    [0, 1, 500][dice.below(3)]
}

fn draw_limits(dice: &mut Dice) -> Limits {
    let mut limits = Limits::default();
    if dice.one_in(3) {
        limits.backlog_bytes_max = dice.between(300, 6_000) as usize;
        limits.backlog_bytes_hard_max = limits.backlog_bytes_max + 200_000;
    }
    if dice.one_in(3) {
        limits.inbox_messages_max = 1 + dice.below(4);
    }
    if dice.one_in(4) {
        limits.scope_objects_max = 3 + dice.below(10);
    }
    if dice.one_in(4) {
        limits.session_timeout_ms = dice.between(12_000, 40_000);
    }
    if dice.one_in(4) {
        limits.session_scopes_max = 1 + dice.below(3);
    }
    limits
}
