//! Measures this server over sockets beside others that do the same job, and beside a program that does
//! nothing but write: see `docs/performance.md`.
//!
//! Started by `cargo xtask bench`, which builds and installs what it needs.

#![allow(
    unreachable_pub,
    reason = "nothing of a binary is reachable; `pub` says what a module offers"
)]

mod contender;
mod crowd;
mod job;
mod limit;
mod machine;
mod measure;
mod process;
mod report;
mod speech;
mod websocket;
mod workload;
mod writer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use contender::{Contender, Places};
use limit::Writes;
use machine::Machine;
use report::Results;
use workload::{Chosen, Scale, Workload};

/// Measures servers.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Runs workloads, prints their tables and keeps the results.
    Run(Run),
    /// Puts the tables and plots of kept results into the documentation.
    Render {
        /// The results.
        results: PathBuf,
        /// The page whose tables are replaced.
        page: PathBuf,
        /// Where the plots go.
        plots: PathBuf,
    },
    /// Draws what `perf script` prints, which it reads from its standard input, as a flame graph.
    Flame {
        /// What stands above it.
        title: String,
    },
    /// The limit program: writes prepared frames and does nothing else.
    Limit {
        /// The state that members get.
        state: PathBuf,
        /// How it writes.
        #[arg(long, value_enum, default_value = "single")]
        writes: Writes,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Workloads to run; all, if none is named.
    workloads: Vec<String>,
    /// A few minutes instead of an hour or two: smaller.
    #[arg(long, conflicts_with_all = ["smoke", "brief"])]
    quick: bool,
    /// Twenty minutes instead of an hour or two: as large, but only once.
    #[arg(long, conflicts_with = "smoke")]
    brief: bool,
    /// Tiny, to see whether everything works.
    #[arg(long)]
    smoke: bool,
    /// Only these servers; all, if none is named.
    #[arg(long = "only", value_name = "SERVER")]
    servers: Vec<String>,
    /// Only cases with this in their names.
    #[arg(long)]
    case: Option<String>,
    /// How many rounds, instead of what the selection has.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each measurement takes, in seconds, instead of what the selection has.
    #[arg(long)]
    seconds: Option<f64>,
    /// The binary of this project's server.
    #[arg(long)]
    server: PathBuf,
    /// The folder with the peers.
    #[arg(long)]
    peers: PathBuf,
    /// Where results and files of the runs go.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Run(run) => measure(&run),
        Chore::Render { results, page, plots } => render(&results, &page, &plots),
        Chore::Flame { title } => draw_flames(&title),
        Chore::Limit { state, writes } => {
            limit::serve(&state, writes).map_err(|error| error.to_string())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(run: &Run) -> Result<(), String> {
    let workloads = named_workloads(&run.workloads)?;
    let servers = named_servers(&run.servers)?;
    let scale = scale(run);
    let places = Places {
        server: absolute(&run.server)?,
        peers: run.peers.clone(),
        scratch: run.out.join("scratch"),
    };
    places.prepare()?;
    if servers.iter().any(|server| server.is_peer()) && !places.has_peers() {
        let peers = places.peers.display();
        return Err(format!("the packages of {peers} are not installed; cargo xtask bench does"));
    }
    let mut results = Results::new(Machine::look(&places.server));
    let chosen = Chosen { workloads, servers, case: run.case.clone().unwrap_or_default() };
    let failures = workload::run(&chosen, &scale, &places, |sample| {
        eprintln!("{}", report::line(sample));
        results.samples.push(sample.clone());
    });
    results.machine.look_again();
    let kept = run.out.join("results.json");
    results.save(&kept)?;
    let tables = report::tables(&results);
    std::fs::write(run.out.join("results.md"), &tables).map_err(|error| error.to_string())?;
    report::save_plots(&results, &run.out)?;
    say(&tables);
    say(&format!("kept in {}", kept.display()));
    let (borne, failures): (Vec<_>, Vec<_>) =
        failures.into_iter().partition(|failure| run.smoke && is_borne(failure, &results));
    for failure in borne {
        eprintln!("not measured: {}", failure.what);
    }
    let failures: Vec<String> = failures.into_iter().map(|failure| failure.what).collect();
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(format!("not measured:\n{}", failures.join("\n"))),
    }
}

/// A peer that falls behind on a busy machine says nothing of whether the harness works, as long as
/// something else was measured of it.
fn is_borne(failure: &workload::Failure, results: &Results) -> bool {
    let name = failure.server.name();
    failure.server.is_peer() && results.samples.iter().any(|sample| sample.server == name)
}

fn render(results: &Path, page: &Path, plots: &Path) -> Result<(), String> {
    let results = Results::load(results)?;
    report::save_plots(&results, plots)?;
    report::update_page(&results, page)
}

fn draw_flames(title: &str) -> Result<(), String> {
    let script = std::io::read_to_string(std::io::stdin()).map_err(|error| error.to_string())?;
    say(&report::flame::draw(title, &script));
    Ok(())
}

fn scale(run: &Run) -> Scale {
    let mut scale = match run {
        Run { smoke: true, .. } => Scale::smoke(),
        Run { quick: true, .. } => Scale::quick(),
        Run { brief: true, .. } => Scale::brief(),
        _ => Scale::full(),
    };
    scale.rounds = run.rounds.unwrap_or(scale.rounds);
    scale.seconds = run.seconds.unwrap_or(scale.seconds);
    scale
}

fn named_workloads(names: &[String]) -> Result<Vec<&'static Workload>, String> {
    if names.is_empty() {
        return Ok(workload::ALL.to_vec());
    }
    let find = |name: &String| {
        let found = workload::ALL.iter().find(|workload| workload.name == name);
        let all: Vec<&str> = workload::ALL.iter().map(|workload| workload.name).collect();
        found.copied().ok_or_else(|| format!("no workload {name:?}; there are {}", all.join(", ")))
    };
    names.iter().map(find).collect()
}

fn named_servers(names: &[String]) -> Result<BTreeSet<Contender>, String> {
    if names.is_empty() {
        return Ok(Contender::ALL.into());
    }
    let find = |name: &String| {
        let found = Contender::ALL.into_iter().find(|server| server.name() == name);
        let all = Contender::ALL.map(Contender::name).join("; ");
        found.ok_or_else(|| format!("no server {name:?}; there are {all}"))
    };
    names.iter().map(find).collect()
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn say(text: &str) {
    println!("{text}");
}
