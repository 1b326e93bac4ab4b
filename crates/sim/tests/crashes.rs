//! Servers that die at any moment: what was accepted is there, in order, once; what was refused is not.

use jetstream_sim::crash::{Harm, Seen, run};

const HARM: Harm =
    Harm { steps: 600, crash_one_in: 60, crash_at: None, fail_one_in: 0, forgets: false };

fn all_hold(seeds: std::ops::Range<u64>, harm: Harm) -> Seen {
    let mut all = Seen::default();
    for seed in seeds {
        all += run(seed, harm).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    all
}

#[test]
fn nothing_is_lost_or_done_twice_however_often_the_server_dies() {
    let seen = all_hold(0..60, HARM);
    let Seen { crashes, restored, answers, repeated, .. } = seen;
    assert!([crashes, restored, answers, repeated].into_iter().all(|n| n > 50), "{seen:?}");
}

#[test]
fn nothing_is_lost_or_done_twice_when_the_disk_refuses_as_well() {
    let seen = all_hold(1_000..1_040, Harm { fail_one_in: 8, ..HARM });
    assert!(seen.failures > 20, "{seen:?}");
}

#[test]
fn a_crash_at_every_single_step_is_survived() {
    for step in 0..300 {
        let harm = Harm { steps: 300, crash_one_in: 0, crash_at: Some(step), ..HARM };
        run(7, harm).unwrap_or_else(|why| panic!("at step {step}: {why}"));
    }
}

#[test]
fn a_disk_that_forgets_is_found_out() {
    let harm = Harm { forgets: true, ..HARM };
    let found = (0..20).filter(|seed| run(*seed, harm).is_err()).count();
    assert!(found > 10, "{found} of 20");
}
