//! The real scope beside the obvious one: the same verdicts and the same objects, whatever is sent.

use jetstream_core::model::{ChangeSet, Fragment, Graph, JudgeLimits, judge};
use jetstream_core::scope::state_fragments;
use jetstream_core::wire::encode;
use jetstream_core::wire::message::Dialect;
use jetstream_sim::dice::Dice;
use jetstream_sim::oracle::{Oracle, Verdict};
use jetstream_sim::workload::{self, ROOT, Workload};

/// A scope of either kind, fed with the same ChangeSets.
struct Pair {
    real: Graph,
    oracle: Oracle,
    /// Fed with what was applied only, as a log or another member is.
    follower: Graph,
    limits: JudgeLimits,
}

impl Pair {
    fn new(limits: JudgeLimits) -> Self {
        let real = workload::new_graph(&workload::schema());
        let oracle = Oracle::of(&real);
        Self { follower: real.clone(), real, oracle, limits }
    }

    fn sync(&mut self, changes: &ChangeSet) {
        let judgement = judge(&self.real, changes, &self.limits);
        let verdicts: Vec<Verdict> = judgement.replies.iter().map(verdict).collect();
        let expected = self.oracle.sync(changes, self.limits.scope_objects_max);
        let text = self.text(changes);
        assert_eq!(verdicts, expected, "{:#?}\n{text}", judgement.replies);
        assert_eq!(judgement.plan.is_some(), verdicts.contains(&Verdict::Applied));
        if let Some(plan) = judgement.plan {
            self.real.apply(plan);
        }
        self.real.check().unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
        assert_eq!(Oracle::of(&self.real).objects(), self.oracle.objects(), "{text}");
        self.follow(changes, &verdicts);
    }

    fn text(&self, changes: &ChangeSet) -> String {
        let fragments: Vec<Fragment> = changes.fragments.iter().flatten().cloned().collect();
        let text = encode::fragments(self.real.schema(), &fragments, Dialect::V1);
        format!("atomic: {}\n{}", changes.atomic, text.replace("},{\"type", "},\n{\"type"))
    }

    fn follow(&mut self, changes: &ChangeSet, verdicts: &[Verdict]) {
        let both = changes.fragments.iter().flatten().zip(accepted_places(changes, verdicts));
        let applied: Vec<Fragment> =
            both.filter(|(_, applied)| *applied).map(|(fragment, _)| fragment.clone()).collect();
        let judgement = judge(&self.follower, &ChangeSet::new(applied), &JudgeLimits::NONE);
        assert!(judgement.replies.iter().all(Result::is_ok), "{:#?}", judgement.replies);
        if let Some(plan) = judgement.plan {
            self.follower.apply(plan);
        }
        let (ours, theirs) = (state_fragments(&self.real), state_fragments(&self.follower));
        assert_eq!(ours, theirs, "a follower parts: {}", self.text(changes));
    }
}

/// For each fragment that could be read, whether it was applied.
fn accepted_places(changes: &ChangeSet, verdicts: &[Verdict]) -> Vec<bool> {
    let both = changes.fragments.iter().zip(verdicts);
    both.filter(|(f, _)| f.is_ok()).map(|(_, verdict)| *verdict == Verdict::Applied).collect()
}

fn verdict(reply: &Result<(), jetstream_core::model::Rejection>) -> Verdict {
    match reply {
        Ok(()) => Verdict::Applied,
        Err(error) if error.code.as_deref() == Some("transaction-aborted") => Verdict::Aborted,
        Err(_) => Verdict::Refused,
    }
}

fn run(seed: u64, objects_max: usize) -> usize {
    let mut dice = Dice::new(seed);
    let limits = JudgeLimits { scope_objects_max: objects_max, ..JudgeLimits::NONE };
    let mut pair = Pair::new(limits);
    let pool = 4 + dice.below(30);
    let mut largest = 0;
    for _ in 0..60 {
        let dialect = if dice.one_in(4) { Dialect::Original } else { Dialect::V1 };
        let graph = pair.real.clone();
        let mut workload = Workload { dice: &mut dice, graph: &graph, dialect, pool };
        let changes = workload.change_set();
        pair.sync(&changes);
        largest = largest.max(pair.real.len());
    }
    let schema = pair.real.schema().clone();
    let again = Graph::from_state(schema, ROOT, state_fragments(&pair.real));
    let again = again.unwrap_or_else(|errors| panic!("seed {seed}: {errors:?}"));
    assert_eq!(state_fragments(&again), state_fragments(&pair.real), "seed {seed}");
    largest
}

#[test]
fn the_scope_does_what_the_oracle_does() {
    let sizes: Vec<usize> = (0..seeds()).map(|seed| run(seed, usize::MAX)).collect();
    // A workload that never gets anywhere would agree about everything.
    let large = sizes.iter().filter(|size| **size >= 8).count();
    assert!(large * 3 > sizes.len(), "only {large} of {} scopes grew", sizes.len());
}

#[test]
fn a_full_scope_does_what_the_oracle_does() {
    for seed in 0..seeds() {
        run(seed, 2 + seed as usize % 9);
    }
}

/// How many; more with `JETSTREAM_SEEDS` set.
fn seeds() -> u64 {
    let seeds = std::env::var("JETSTREAM_SEEDS").ok().and_then(|text| text.parse().ok());
    seeds.unwrap_or(200)
}
