//! The whole test suite: its steps, their order, and what they add up to.
//!
//! A step that fails does not stop the others: one run tells everything that is wrong. The order is by
//! what a build leaves for the next step, not by importance.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::{self, Finished};
use crate::counts::{Counts, Runner, read};
use crate::{api, bench, instructions, tidy, tools};

/// One line of the summary.
struct Report {
    name: &'static str,
    took: Duration,
    outcome: Result<Counts, String>,
}

type Action = fn(&Path) -> Result<Counts, String>;

/// All steps in the order in which they run.
const STEPS: [(&str, Action); 12] = [
    ("format", |root| check(root, &["fmt", "--all", "--check"], &[])),
    ("tidy", |root| tidy::run(root).map(|_| Counts::default())),
    ("rust", rust),
    ("doc-examples", |root| tests(root, Runner::Libtest, &["test", "--workspace", "--doc"])),
    ("peers", |root| node(root, "tests-js")),
    ("javascript", |root| node(root, "js")),
    ("browser", browser),
    ("api", api),
    ("bench", |root| bench::smoke(root).map(|()| Counts::default())),
    ("instructions", |root| instructions::check(root).map(|()| Counts::default())),
    ("lints", |root| {
        check(root, &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[])
    }),
    ("documentation", |root| {
        let deny = ("RUSTDOCFLAGS", "--deny warnings".to_owned());
        check(root, &["doc", "--workspace", "--no-deps", "--document-private-items"], &[deny])
    }),
];

/// Runs all steps, or those named, and prints what they add up to. An error if anything failed.
pub fn run(root: &Path, named: &[&str]) -> Result<(), String> {
    if let Some(unknown) = named.iter().find(|name| STEPS.iter().all(|(step, _)| step != *name)) {
        let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no step {unknown:?}; the steps are {}", names.join(", ")));
    }
    tools::require_node()?;
    let mut reports = Vec::new();
    for (name, action) in STEPS {
        if named.is_empty() || named.contains(&name) {
            println!("\n=== {name}");
            let begun = Instant::now();
            let outcome = action(root);
            if let Err(message) = &outcome {
                println!("{message}");
            }
            reports.push(Report { name, took: begun.elapsed(), outcome });
        }
    }
    summarise(&reports)
}

/// A check without tests of its own: it passes or it does not.
fn check(
    root: &Path,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> Result<Counts, String> {
    let finished = command::run(root, env!("CARGO"), arguments, environment)?;
    if finished.success { Ok(Counts::default()) } else { Err("failed".to_owned()) }
}

/// nextest runs every test in a process of its own and many test binaries at a time. Where it is not
/// installed `cargo test` runs the same tests, slower; building nextest would take longer than that.
fn rust(root: &Path) -> Result<Counts, String> {
    tools::require_postgres(root)?;
    if command::exists("cargo-nextest") {
        tests(root, Runner::Nextest, &["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        // Not --all-targets: that would leave out nothing but run benchmarks as tests.
        let targets =
            ["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests", "--examples"];
        tests(root, Runner::Libtest, &targets)
    }
}

fn tests(root: &Path, runner: Runner, arguments: &[&str]) -> Result<Counts, String> {
    count(runner, command::run(root, env!("CARGO"), arguments, &[])?)
}

/// The tests of a folder with a package.json: its script `test`, and its types if it has some.
fn node(root: &Path, folder: &'static str) -> Result<Counts, String> {
    let path = root.join(folder);
    tools::install_packages(root, folder)?;
    if path.join("tsconfig.json").exists() {
        let finished = command::run(&path, "npx", &["--no-install", "tsc", "--project", "."], &[])?;
        if !finished.success {
            return Err(format!("the types of {folder}/ do not check"));
        }
    }
    build(root)?;
    count(Runner::Node, command::run(&path, "npm", &["test"], &environment(root))?)
}

/// The tests that drive a browser: the script `test:browser` of `js/`.
fn browser(root: &Path) -> Result<Counts, String> {
    let browser = tools::require_browser(root)?;
    build(root)?;
    let mut environment = environment(root);
    environment.push(("CHROMIUM", browser.display().to_string()));
    let path = root.join("js");
    count(Runner::Node, command::run(&path, "npm", &["run", "test:browser"], &environment)?)
}

/// The interface for programs.
fn api(root: &Path) -> Result<Counts, String> {
    build(root)?;
    let target = target(root);
    api::check(root, &target.join("debug/jetstream"), &target)
}

/// What other programs start: up to date also when only their step is run.
fn build(root: &Path) -> Result<Counts, String> {
    check(root, &["build", "--workspace", "--bins", "--examples"], &[])
}

/// Where tests in JavaScript find what was built.
fn environment(root: &Path) -> Vec<(&'static str, String)> {
    let built = |path: &str| target(root).join("debug").join(path).display().to_string();
    vec![
        ("JETSTREAM_BIN", built("jetstream")),
        ("CONFORMANCE_SERVER", built("examples/conformance")),
    ]
}

/// Where everything is built.
fn target(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| root.join("target"), |target| root.join(target))
}

/// A suite that prints no numbers, or none above zero, has not run.
fn count(runner: Runner, finished: Finished) -> Result<Counts, String> {
    let counts = read(runner, &finished.lines).ok_or("ended without a summary of its tests")?;
    if !finished.success && counts.failed == 0 {
        return Err("failed, although no test did".to_owned());
    }
    Ok(counts)
}

/// One line a step, then the sum, alone on its line. A check that fails and a test that was not run
/// count as failed: a run is green only when the last number is zero.
fn summarise(reports: &[Report]) -> Result<(), String> {
    let mut total = Counts::default();
    println!("\n=== summary");
    for Report { name, took, outcome } in reports {
        let text = match outcome {
            Ok(counts) => {
                total += *counts;
                describe(*counts)
            }
            Err(message) => {
                total.failed += 1;
                format!("FAILED: {}", message.lines().next().unwrap_or_default())
            }
        };
        println!("{name:14} {:6.1} s  {text}", took.as_secs_f64());
    }
    let failed = total.failed + total.skipped;
    println!("{} passed, {failed} failed", total.passed);
    if failed == 0 { Ok(()) } else { Err("the suite failed".to_owned()) }
}

fn describe(counts: Counts) -> String {
    match counts {
        Counts { passed: 0, failed: 0, skipped: 0 } => "ok".to_owned(),
        Counts { passed, failed, skipped: 0 } => format!("{passed} passed, {failed} failed"),
        Counts { passed, failed, skipped } => {
            format!("{passed} passed, {failed} failed, {skipped} NOT RUN")
        }
    }
}
