//! Hostile worlds of many seeds: every property holds in each, and a seed decides everything.
//!
//! In four parts, so that they run beside each other. More of them: `cargo run -p jetstream-sim -- --seeds
//! 10000`.

use jetstream_sim::run;
use jetstream_sim::world::Counts;

fn every_property_holds(seeds: std::ops::Range<u64>) -> Counts {
    let mut total = Counts::default();
    for seed in seeds {
        let report = run::seed(seed, false);
        if let Some(failure) = report.failure {
            panic!(
                "seed {seed}: {failure}\nits trace: cargo run -p jetstream-sim -- --trace {seed}"
            );
        }
        total += report.counts;
    }
    // Worlds in which nothing happens would prove nothing.
    let Counts { messages, commits, cuts, resumes, resyncs, losses, calls, .. } = total;
    for count in [messages, commits, cuts, resumes, resyncs, losses, calls] {
        assert!(count > 0, "{total:?}");
    }
    total
}

#[test]
fn every_property_holds_in_worlds_0_to_75() {
    every_property_holds(0..75);
}

#[test]
fn every_property_holds_in_worlds_75_to_150() {
    every_property_holds(75..150);
}

#[test]
fn every_property_holds_in_worlds_150_to_225() {
    every_property_holds(150..225);
}

#[test]
fn every_property_holds_in_worlds_225_to_300() {
    every_property_holds(225..300);
}

#[test]
fn every_property_holds_in_worlds_that_once_showed_a_mistake() {
    for seed in [379, 393, 483, 553] {
        assert_eq!(run::seed(seed, false).failure, None, "seed {seed}");
    }
}

#[test]
fn one_seed_run_twice_gives_the_same_trace() {
    for seed in [1, 7, 42] {
        let (first, second) = (run::seed(seed, true), run::seed(seed, true));
        assert!(first.trace.len() > 100, "seed {seed} has a trace");
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.counts, run::seed(seed, false).counts, "seed {seed}");
    }
}
