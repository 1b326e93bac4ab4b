//! The workloads: what is done to each server, and what is measured while it is done.
//!
//! Servers take turns: each round measures every server once, each time beginning with another one. What
//! else the machine does then falls on all of them, and ratios within a round are worth more than times.

mod churn;
mod fan_out;
mod fetch;
mod growth;
mod idle;
mod scopes;
mod slow;
mod storm;

use std::collections::BTreeSet;

use crate::contender::{Contender, Places};
use crate::measure::{Measure, Sample};

/// A workload.
pub struct Workload {
    /// On the command line, in the results, in the names of plots.
    pub name: &'static str,
    /// The heading of its table.
    pub title: &'static str,
    /// The first is the one that is compared and plotted.
    pub measures: &'static [Measure],
    /// Which servers can do it.
    pub contenders: &'static [Contender],
    pub cases: fn(&Scale) -> Vec<Case>,
}

/// One thing to measure.
pub struct Case {
    pub name: String,
    pub run: CaseRun,
}

/// Measures one server once.
pub type CaseRun = Box<dyn Fn(&Places, Contender, Sample) -> Result<Sample, String>>;

/// How much of everything.
#[derive(Debug, Clone)]
pub struct Scale {
    pub rounds: usize,
    pub seconds: f64,
    /// Numbers of members, objects and connections up to this factor of the full ones.
    pub most_members: usize,
    pub most_objects: usize,
    pub most_connections: usize,
}

impl Scale {
    /// What the tables in the documentation are made with; an hour.
    pub fn full() -> Self {
        let (most_members, most_objects, most_connections) = (2_000, 100_000, 10_000);
        Self { rounds: 5, seconds: 4.0, most_members, most_objects, most_connections }
    }

    /// The same once, and shorter.
    pub fn brief() -> Self {
        Self { rounds: 1, seconds: 2.0, ..Self::full() }
    }

    /// A few minutes.
    pub fn quick() -> Self {
        let (most_members, most_objects, most_connections) = (500, 10_000, 2_000);
        Self { rounds: 2, seconds: 2.0, most_members, most_objects, most_connections }
    }

    /// Whether everything works at all; part of the test suite.
    pub fn smoke() -> Self {
        let (most_members, most_objects, most_connections) = (20, 100, 20);
        Self { rounds: 1, seconds: 0.3, most_members, most_objects, most_connections }
    }
}

/// All workloads, in the order of the documentation.
pub const ALL: &[&Workload] = &[
    &fan_out::FIXED,
    &fan_out::SATURATED,
    &fan_out::HALF,
    &scopes::SCOPES,
    &fetch::FETCH,
    &growth::GROWTH,
    &churn::CHURN,
    &storm::STORM,
    &idle::IDLE,
    &slow::SLOW,
];

/// What of all this is to be run.
pub struct Chosen {
    pub workloads: Vec<&'static Workload>,
    pub servers: BTreeSet<Contender>,
    /// What the names of cases have to contain.
    pub case: String,
}

/// Runs workloads against servers. Every sample goes to `done` as soon as it is there.
pub fn run(
    chosen: &Chosen,
    scale: &Scale,
    places: &Places,
    mut done: impl FnMut(&Sample),
) -> Vec<Failure> {
    let mut failures = Vec::new();
    for workload in &chosen.workloads {
        let taking_part: Vec<Contender> = workload
            .contenders
            .iter()
            .copied()
            .filter(|one| chosen.servers.contains(one))
            .collect();
        let cases = (workload.cases)(scale).into_iter();
        for case in cases.filter(|case| case.name.contains(&chosen.case)) {
            for round in 0..scale.rounds {
                for place in 0..taking_part.len() {
                    let server = taking_part[(place + round) % taking_part.len()];
                    let sample = Sample::new(workload.name, &case.name, server.name());
                    match (case.run)(places, server, sample) {
                        Ok(sample) => done(&sample),
                        Err(why) => {
                            let (workload, case, name) = (workload.name, &case.name, server.name());
                            let what = format!("{workload}, {case}, {name}: {why}");
                            failures.push(Failure { server, what });
                        }
                    }
                }
            }
        }
    }
    failures
}

/// What could not be measured.
pub struct Failure {
    /// Whose it is.
    pub server: Contender,
    /// Where, and why.
    pub what: String,
}

fn case(
    name: String,
    run: impl Fn(&Places, Contender, Sample) -> Result<Sample, String> + 'static,
) -> Case {
    Case { name, run: Box::new(run) }
}
