//! Servers that die at any moment: what was accepted is there, in order, once; what was refused is not.

use jetstream_sim::crash::{Harm, run};

const HARM: Harm =
    Harm { steps: 600, crash_one_in: 60, crash_at: None, fail_one_in: 0, forgets: false };

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
