//! Members who see different things, whose rights and objects change while connections break: no byte of what
//! is hidden reaches anybody, and what everybody has in the end is what they may see.
//!
//! More of them: `cargo run -p jetstream-sim -- --veiled --seeds 1000`.

use jetstream_sim::run;
use jetstream_sim::world::{Counts, Planted};

fn nothing_hidden_is_told(seeds: std::ops::Range<u64>) {
    let mut total = Counts::default();
    for seed in seeds {
        let report = run::veiled(seed, None, false);
        if let Some(failure) = report.failure {
            panic!("seed {seed}: {failure}\nits trace: jetstream-sim --veiled --trace {seed}");
        }
        total += report.counts;
    }
    let Counts { commits, cuts, resumes, calls, renewals, recalls, .. } = total;
    for count in [commits, cuts, resumes, calls, renewals, recalls] {
        assert!(count > 0, "{total:?}");
    }
}

#[test]
fn nothing_hidden_is_told_in_worlds_0_to_30() {
    nothing_hidden_is_told(0..30);
}

#[test]
fn nothing_hidden_is_told_in_worlds_30_to_60() {
    nothing_hidden_is_told(30..60);
}

#[test]
fn nothing_hidden_is_told_in_worlds_that_once_showed_a_mistake() {
    for seed in [10, 35, 308, 866, 874, 2368, 2674, 2884, 2951] {
        assert_eq!(run::veiled(seed, None, false).failure, None, "seed {seed}");
    }
}

/// How many of some worlds show a mistake that is made in all of them.
fn found(planted: Planted) -> usize {
    let failures = (0..40).filter_map(|seed| run::veiled(seed, Some(planted), false).failure);
    let found = failures.inspect(|why| {
        assert!(why.starts_with("nothing hidden is told"), "{planted:?}: {why}");
    });
    found.count()
}

#[test]
fn a_session_that_keeps_what_is_recalled_is_found() {
    assert!(found(Planted::KeepsWhatIsRecalled) > 0);
}

#[test]
fn members_who_are_told_the_same_by_mistake_are_found() {
    assert!(found(Planted::MixesClasses) > 0);
}
