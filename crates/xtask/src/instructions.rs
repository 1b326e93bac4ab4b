//! A gate on instructions: each step of a change is counted by callgrind and compared with what the
//! repository has on record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{command, tools};

/// What a step took when it was last put on record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recorded {
    instructions: u64,
    /// Why it is this number and not the one before.
    why: String,
}

/// Counts all steps and compares them with the record.
///
/// # Errors
///
/// If a step takes more than the record allows.
pub fn check(root: &Path) -> Result<(), String> {
    let recorded = read(root)?;
    let counted = count(root)?;
    let mut findings = Vec::new();
    for (step, instructions) in &counted {
        let known = recorded.get(*step).map_or(0, |recorded| recorded.instructions);
        let percent = (*instructions as f64 / known.max(1) as f64 - 1.0) * 100.0;
        println!("{step:8} {instructions:10} instructions, {percent:+.1} % of the record");
        if *instructions * 100 > known * (100 + PERCENT_MAX) {
            findings.push(format!("{step} takes {percent:.1} % more than {known}"));
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}; if that is worth it: cargo xtask bench counts --record \"why\"",
        findings.join(", ")
    ))
}

/// Counts all steps and puts on record what has changed by more than noise, with the reason.
pub fn record(root: &Path, why: &str) -> Result<(), String> {
    let mut recorded = read(root)?;
    for (step, instructions) in count(root)? {
        let known = recorded.get(step).map_or(0, |recorded| recorded.instructions);
        if instructions.abs_diff(known) * 100 > known {
            let why = why.to_owned();
            recorded.insert(step.to_owned(), Recorded { instructions, why });
        }
    }
    let lines = recorded
        .iter()
        .map(|(step, Recorded { instructions, why })| format!("{step} {instructions} {why}\n"));
    let text: String = std::iter::once(HEADER.to_owned()).chain(lines).collect();
    std::fs::write(root.join(RECORD), text).map_err(|error| format!("{RECORD}: {error}"))
}

fn read(root: &Path) -> Result<BTreeMap<String, Recorded>, String> {
    let text = std::fs::read_to_string(root.join(RECORD)).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| parse(line).ok_or_else(|| format!("{RECORD}: cannot read {line:?}"))).collect()
}

/// `step number reason`
fn parse(line: &str) -> Option<(String, Recorded)> {
    let (step, rest) = line.split_once(' ')?;
    let (number, why) = rest.split_once(' ')?;
    let instructions = number.parse().ok()?;
    Some((step.to_owned(), Recorded { instructions, why: why.to_owned() }))
}

fn count(root: &Path) -> Result<Vec<(&'static str, u64)>, String> {
    tools::require_valgrind(root)?;
    let arguments =
        ["build", "--profile", "counts", "--package", "jetstream-core", "--example", "counts"];
    // A setting of somebody's for other builds must not divide the code otherwise.
    if !command::run(root, env!("CARGO"), &arguments, &[("CARGO_INCREMENTAL", "0".to_owned())])?
        .success
    {
        return Err("the build failed".to_owned());
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let program = root.join(target).join("counts/examples/counts");
    STEPS.iter().map(|step| Ok((*step, count_step(&program, step)?))).collect()
}

fn count_step(program: &Path, step: &str) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*measured*")
        .arg(program)
        .arg(step)
        .output()
        .map_err(|error| format!("could not start valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    collected(&said)
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("{step}: nothing counted\n{said}"))
}

/// `==12== Collected : 1234`
fn collected(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("Collected :")?;
    rest.split_whitespace().next()?.parse().ok()
}

const STEPS: [&str; 4] = ["decode", "apply", "encode", "deliver"];
const RECORD: &str = "bench/instructions.txt";
/// More than this is no noise: hash maps with random keys differ by less than one per cent.
const PERCENT_MAX: u64 = 3;
const HEADER: &str = "\
# Instructions of each step (crates/core/examples/counts.rs), and why they are so many. A step that takes
# 3 % more fails the suite; put on record with: cargo xtask bench counts --record \"why\"
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_record_has_a_step_a_number_and_a_reason() {
        let (step, recorded) = parse("apply 1234 it judges more").unwrap();
        let expected = Recorded { instructions: 1234, why: "it judges more".to_owned() };
        assert_eq!((&*step, recorded), ("apply", expected));
        assert_eq!(parse("apply 1234"), None);
        assert_eq!(parse("apply many reasons"), None);
    }

    #[test]
    fn what_callgrind_says_is_read() {
        let said = "==7== Events    : Ir\n==7== Collected : 48153\n==7== \n";
        assert_eq!(collected(said), Some(48_153));
        assert_eq!(collected("==7== Events : Ir"), None);
    }
}
