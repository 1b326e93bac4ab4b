//! What the state of a large scope costs: the first one, the next one, and those after a change.
//!
//! `cargo run --release -p jetstream-core --example states -- 100000` has a member fetch a scope of so many
//! objects, as a server would answer it, and prints how long that took altogether and in its longest step. The
//! least of some rounds is shown: what else the machine does makes them longer.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jetstream_core::ids::{MemberId, SessionId, Ticket};
use jetstream_core::model::{ChangeSet, CollectionEdit, Fragment, FragmentKind, Scalar, Value};
use jetstream_core::scope::{Input, Options, Output, STATE_STEP_BYTES, Scope, Terms};
use jetstream_core::time::Now;
use jetstream_core::wire::message::Dialect;

#[allow(dead_code, reason = "each example uses the part that it needs")]
#[path = "support/drawing.rs"]
mod drawing;

use drawing::{graph, id, schema};

fn main() {
    let objects =
        std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000_usize);
    let schema = Arc::new(schema());
    let graph = graph(&schema, objects);
    let mut best = [Cost::MAX; 6];
    for round in 0..ROUNDS {
        let options = Options { state_step_bytes: STATE_STEP_BYTES, ..Options::default() };
        let mut fetches = Fetches { scope: Scope::new(graph.clone(), options), next: objects };
        let mut measured = [Cost::MAX; 6];
        measured[0] = fetches.fetch();
        measured[1] = fetches.fetch();
        fetches.change(objects * (round + 1) / (ROUNDS + 1), 1);
        measured[2] = fetches.fetch();
        fetches.add();
        measured[3] = fetches.fetch();
        measured[4] = fetches.change(0, objects.min(10_000));
        measured[5] = fetches.fetch();
        for (best, one) in best.iter_mut().zip(measured) {
            *best = Cost { all: best.all.min(one.all), step: best.step.min(one.step) };
        }
    }
    let mut out = std::io::stdout().lock();
    for (what, cost) in WHAT.iter().zip(best) {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let (all, step) = (millis(cost.all), millis(cost.step));
        writeln!(out, "{what}: {all:.2} ms, its longest step {step:.2} ms").expect("stdout");
    }
}

const WHAT: [&str; 6] = [
    "the first state",
    "the same once more",
    "after a change of one object",
    "after an addition",
    "a change of ten thousand objects",
    "the state after it",
];

/// Enough that one of them is little disturbed.
const ROUNDS: usize = 15;

#[derive(Clone, Copy)]
struct Cost {
    all: Duration,
    step: Duration,
}

impl Cost {
    const MAX: Self = Self { all: Duration::MAX, step: Duration::MAX };
}

struct Fetches {
    scope: Scope,
    next: usize,
}

impl Fetches {
    /// A member joins, gets its state, and leaves.
    fn fetch(&mut self) -> Cost {
        let (member, session) = (MemberId(1), SessionId(1));
        let (dialect, claims) = (Dialect::V1, Arc::default());
        let mut out = Vec::new();
        let mut cost =
            self.step(Input::Join { member, session, dialect, claims, returns: false }, &mut out);
        while out.is_empty() {
            let next = self.step(Input::Deadline, &mut out);
            cost = Cost { all: cost.all + next.all, step: cost.step.max(next.step) };
        }
        let Some(Output::State { body, .. }) = out.pop() else { panic!("a member gets its state") };
        black_box(body);
        self.step(Input::Leave { member }, &mut out);
        cost
    }

    /// So many objects are changed at once, from one on.
    fn change(&mut self, from: usize, count: usize) -> Cost {
        let (shape, model) = self.scope.graph().schema().find("Shape").expect("it is there");
        let (x, _) = model.find("x").expect("it has an x");
        let value = Value::Scalar(Some(Scalar::Number(self.next as f64 + 0.5)));
        let change =
            |number| Fragment::new(FragmentKind::Change, id(number), shape).with(x, value.clone());
        let changes = ChangeSet::new((from..from + count).map(|number| change(1 + number)));
        self.update(changes)
    }

    /// One object more at the end.
    fn add(&mut self) -> Cost {
        let schema = self.scope.graph().schema().clone();
        let (canvas, root) = schema.find("Canvas").expect("it is there");
        let (shapes, _) = root.find("shapes").expect("it has shapes");
        let (shape, _) = schema.find("Shape").expect("it is there");
        let after = Some(id(self.next));
        self.next += 1;
        let object = id(self.next);
        let insert = CollectionEdit::Insert { object, after };
        let changes = ChangeSet::new([
            Fragment::new(FragmentKind::Add, object, shape),
            Fragment::new(FragmentKind::Change, id(0), canvas).with_edits(shapes, vec![insert]),
        ]);
        self.update(changes)
    }

    fn update(&mut self, changes: ChangeSet) -> Cost {
        let (ticket, terms) = (Ticket(1), Terms::default());
        self.step(Input::Update { ticket, changes, terms }, &mut Vec::new())
    }

    fn step(&mut self, input: Input, out: &mut Vec<Output>) -> Cost {
        let begun = Instant::now();
        self.scope.handle(Now::default(), input, out);
        let all = begun.elapsed();
        Cost { all, step: all }
    }
}
