//! Gives the decoder mutated messages: `fuzz_decoder [INPUTS] [SEED]`.
//!
//! Prints how many it took and at what rate. A panic prints the seed of the very input, with which
//! `fuzz_decoder 1 SEED` repeats it.

use std::time::Instant;

use jetstream_core::fuzzing::{Random, decoder, mutated};

#[allow(clippy::print_stdout)]
fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let mut argument = |default| arguments.next().map_or(default, |n| n.expect("a whole number"));
    let (inputs, seed) = (argument(1_000_000), argument(1));
    let start = Instant::now();
    let mut bytes = 0;
    for seed in (seed..).take(inputs as usize) {
        let text = mutated(&mut Random::new(seed));
        bytes += text.len();
        if std::panic::catch_unwind(|| decoder(text.as_bytes())).is_err() {
            println!("seed {seed} panics: {text}");
            std::process::exit(1);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{inputs} inputs, {:.0} MB, no panic, {:.0} inputs/s ({seconds:.1} s)",
        bytes as f64 / 1e6,
        inputs as f64 / seconds
    );
}
