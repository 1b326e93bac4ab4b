//! Worlds whose server holds clients to a rate that they do not always keep: nothing is lost that was not
//! refused, and who is slowed goes on.

use jetstream_sim::run;
use jetstream_sim::world::Counts;

fn every_property_holds(seeds: std::ops::Range<u64>) {
    let mut total = Counts::default();
    for seed in seeds {
        let report = run::paced(seed, false);
        if let Some(failure) = report.failure {
            panic!(
                "seed {seed}: {failure}\nits trace: cargo run -p jetstream-sim -- --paced --trace {seed}"
            );
        }
        total += report.counts;
    }
    let Counts { messages, commits, resumes, slowed, hurried, .. } = total;
    for count in [messages, commits, resumes, slowed, hurried] {
        assert!(count > 0, "{total:?}");
    }
}

#[test]
fn every_property_holds_in_paced_worlds_0_to_40() {
    every_property_holds(0..40);
}

#[test]
fn every_property_holds_in_paced_worlds_40_to_80() {
    every_property_holds(40..80);
}
