//! The original's client and ours edit one board together, at latencies from ten to two hundred
//! milliseconds, while connections break: everybody ends with what the server has, in its order, and
//! nothing that was accepted is lost.
//!
//! More of them: `cargo run -p jetstream-sim -- --together --seeds 1000`.

use jetstream_sim::run;
use jetstream_sim::world::Counts;

fn all_end_equal(seeds: std::ops::Range<u64>) {
    let mut total = Counts::default();
    for seed in seeds {
        let report = run::together(seed, false);
        if let Some(failure) = report.failure {
            let from = report.trace.len().saturating_sub(40);
            panic!("seed {seed}: {failure}\n{}", report.trace[from..].join("\n"));
        }
        total += report.counts;
    }
    let Counts { commits, cuts, resumes, .. } = total;
    assert!(commits > 0 && cuts > 0 && resumes > 0, "{total:?}");
}

#[test]
fn all_end_equal_in_worlds_0_to_10() {
    all_end_equal(0..10);
}

#[test]
fn all_end_equal_in_worlds_10_to_20() {
    all_end_equal(10..20);
}
