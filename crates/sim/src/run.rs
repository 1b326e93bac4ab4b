//! Runs worlds of seeds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dice::Dice;
use crate::world::{Counts, Planted, Settings, World};

/// What a seed showed.
#[derive(Debug)]
pub struct Report {
    /// The property that did not hold, and how.
    pub failure: Option<String>,
    /// What happened, in numbers.
    pub counts: Counts,
    /// What happened, a line each, if it was asked for.
    pub trace: Vec<String>,
}

/// Makes the world of a seed and runs it to its end.
pub fn seed(seed: u64, traced: bool) -> Report {
    let mut dice = Dice::new(seed);
    let settings = Settings::draw(&mut dice);
    run(settings, dice, traced)
}

/// Makes the world of a seed in which the original's client and ours edit together, and runs it to its end.
pub fn together(seed: u64, traced: bool) -> Report {
    let mut dice = Dice::new(seed);
    let settings = Settings::together(&mut dice);
    run(settings, dice, traced)
}

/// Makes the world of a seed in which the server holds its clients to a rate that they do not always keep, and
/// runs it to its end.
pub fn paced(seed: u64, traced: bool) -> Report {
    let mut dice = Dice::new(seed);
    let settings = Settings::paced(&mut dice);
    run(settings, dice, traced)
}

/// Makes the world of a seed in which members see different things, and runs it to its end. `planted`: a
/// mistake that is made in it.
pub fn veiled(seed: u64, planted: Option<Planted>, traced: bool) -> Report {
    let mut dice = Dice::new(seed);
    let settings = Settings { planted, ..Settings::veiled(&mut dice) };
    run(settings, dice, traced)
}

fn run(settings: Settings, dice: Dice, traced: bool) -> Report {
    let mut world = World::new(settings, dice, traced);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let failure = match result {
        Ok(result) => result.err(),
        Err(panic) => Some(format!("panic: {}", panic_text(&*panic))),
    };
    Report { failure, counts: world.counts(), trace: world.trace().to_vec() }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.commits += other.commits;
        self.cuts += other.cuts;
        self.resumes += other.resumes;
        self.resyncs += other.resyncs;
        self.losses += other.losses;
        self.calls += other.calls;
        self.slowed += other.slowed;
        self.hurried += other.hurried;
        self.renewals += other.renewals;
        self.recalls += other.recalls;
        self.steps += other.steps;
    }
}
