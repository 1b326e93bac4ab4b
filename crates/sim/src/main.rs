//! `jetstream-sim --seeds 1000 [--start N] [--trace SEED] [--together | --paced | --veiled | --crashes]`: runs worlds
//! and says what they
//! showed.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use jetstream_sim::crash::{self, Harm, Seen};
use jetstream_sim::run::{self, Report};
use jetstream_sim::world::Counts;

/// What was asked for on the command line.
struct Asked {
    seeds: u64,
    start: u64,
    trace: Option<u64>,
    /// Worlds in which clients of both kinds edit together.
    together: bool,
    /// Worlds whose server holds clients to a rate.
    paced: bool,
    /// Worlds in which members see different things.
    veiled: bool,
    /// Servers that die at any moment, instead of networks that do.
    crashes: bool,
}

impl Asked {
    fn run(&self, seed: u64, traced: bool) -> Report {
        match (self.together, self.paced) {
            (true, _) => run::together(seed, traced),
            (false, true) => run::paced(seed, traced),
            (false, false) if self.veiled => run::veiled(seed, None, traced),
            (false, false) => run::seed(seed, traced),
        }
    }
}

fn main() -> ExitCode {
    let asked = match read(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(mistake) => {
            say(&format!(
                "{mistake}\nusage: jetstream-sim [--seeds N] [--start N] [--trace SEED] [--together | --paced | --veiled | --crashes]"
            ));
            return ExitCode::from(2);
        }
    };
    // A panic is reported with its seed; the place where it happened is still printed.
    let failed = match asked.trace {
        _ if asked.crashes => crash_all(&asked),
        Some(seed) => show(&asked, seed),
        None => run_all(&asked),
    };
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn read(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked {
        seeds: 100,
        start: 0,
        trace: None,
        together: false,
        paced: false,
        veiled: false,
        crashes: false,
    };
    while let Some(arg) = args.next() {
        let mut number = || {
            let text = args.next().ok_or(format!("{arg} needs a number"))?;
            text.parse::<u64>().map_err(|_| format!("{arg} needs a number, not \"{text}\""))
        };
        match arg.as_str() {
            "--seeds" => asked.seeds = number()?,
            "--start" => asked.start = number()?,
            "--crashes" => asked.crashes = true,
            "--together" => asked.together = true,
            "--paced" => asked.paced = true,
            "--veiled" => asked.veiled = true,
            "--trace" => asked.trace = Some(number()?),
            other => return Err(format!("unknown argument \"{other}\"")),
        }
    }
    Ok(asked)
}

/// Runs one seed and prints everything that happens in it.
fn show(asked: &Asked, seed: u64) -> bool {
    let Report { failure, counts, trace } = asked.run(seed, true);
    for line in trace {
        say(&line);
    }
    say(&format!("seed {seed}: {counts:?}"));
    if let Some(failure) = &failure {
        say(&format!("seed {seed} fails: {failure}"));
    }
    failure.is_some()
}

/// Runs many seeds and prints a summary; at a failure, the seed and the end of its trace.
fn run_all(asked: &Asked) -> bool {
    let began = Instant::now();
    let mut total = Counts::default();
    let mut failed = Vec::new();
    for seed in asked.start..asked.start + asked.seeds {
        let Report { failure, counts, .. } = asked.run(seed, false);
        total += counts;
        if let Some(failure) = failure {
            say(&format!("seed {seed} fails: {failure}"));
            failed.push(seed);
        }
    }
    if let Some(first) = failed.first() {
        let trace = asked.run(*first, true).trace;
        say(&format!("the last of seed {first} (all of it: --trace {first}):"));
        trace[trace.len().saturating_sub(40)..].iter().for_each(|line| say(line));
    }
    let seconds = began.elapsed().as_secs_f64();
    let Counts {
        messages, commits, cuts, resumes, resyncs, losses, calls, slowed, hurried, ..
    } = total;
    let Counts { renewals, recalls, steps, .. } = total;
    say(&format!(
        "{} seeds, {} failed; {:.0} seeds/s; {steps} steps, {messages} messages, {commits} commits, \
         {cuts} cuts, {resumes} resumes, {resyncs} resyncs, {losses} sessions ended, {calls} calls, \
         {slowed} times slowed, {hurried} refused for it, {renewals} changes of rights, {recalls} recalls",
        asked.seeds,
        failed.len(),
        asked.seeds as f64 / seconds,
    ));
    !failed.is_empty()
}

/// Runs worlds of servers that die, every second of them with a disk that refuses, too.
fn crash_all(asked: &Asked) -> bool {
    let (mut seen, mut failed) = (Seen::default(), 0);
    for seed in asked.start..asked.start + asked.seeds {
        let fail_one_in = if seed.is_multiple_of(2) { 0 } else { 8 };
        let harm =
            Harm { steps: 600, crash_one_in: 60, crash_at: None, fail_one_in, forgets: false };
        match crash::run(seed, harm) {
            Ok(more) => seen += more,
            Err(why) => {
                failed += 1;
                say(&format!("seed {seed} fails: {why}"));
            }
        }
    }
    say(&format!("{} seeds, {failed} failed; {seen:?}", asked.seeds));
    failed > 0
}

/// Prints a line; what nobody reads any more is not printed.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
