//! Records which functions a change goes through, for the linker to put side by side.
//!
//! The server runs under callgrind, which counts calls only while clients send changes. What is called for
//! every change is written into `crates/jetstream/layout.ld`, by its name without the hash that the compiler
//! adds: the hash is another one after every change of the code, the name is not. `docs/decisions/layout.md`
//! says what it is for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::{bench, command, tools};

/// Writes the list anew, from a build of the present code.
pub fn record(root: &Path) -> Result<(), String> {
    let valgrind = tools::require_valgrind(root)?;
    let (server, generator) = build(root)?;
    let folder = bench::results(root).join("layout");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make a folder: {error}"))?;
    let calls = watch(root, &folder, &valgrind, &server, &generator)?;
    let names = names(&called_for_each_change(&calls)?, &sizes(root, &server)?);
    write(&root.join(FILE), &script(&names))?;
    println!("{} names are in {FILE}", names.len());
    Ok(())
}

fn build(root: &Path) -> Result<(PathBuf, PathBuf), String> {
    for arguments in [["--profile", "profiling", "jetstream"], ["--profile", "release", BENCH]] {
        let [flag, profile, package] = arguments;
        let all = ["build", flag, profile, "--package", package, "--bins"];
        bench::succeed(command::run(root, env!("CARGO"), &all, &[])?, "the build")?;
    }
    let target = bench::target(root);
    Ok((target.join("profiling/jetstream"), target.join("release").join(BENCH)))
}

/// Has clients send changes to a server under callgrind. What was called comes back.
fn watch(
    root: &Path,
    folder: &Path,
    valgrind: &Path,
    server: &Path,
    generator: &Path,
) -> Result<String, String> {
    let (calls, watched) = (folder.join("calls"), folder.join("server.sh"));
    let (valgrind, server, out) = (valgrind.display(), server.display(), calls.display());
    let flags = "--tool=callgrind --instr-atstart=no --demangle=no";
    let command = format!("exec {valgrind} {flags} --callgrind-out-file={out} {server} \"$@\"");
    write(&watched, &format!("#!/bin/sh\n{command}\n"))?;
    let executable = command::run(root, "chmod", &["+x", &watched.display().to_string()], &[])?;
    bench::succeed(executable, "chmod")?;
    let mut generator = Command::new(generator)
        .args(["run", "fan-out", "--only", "jetstream", "--rounds", "1"])
        .args(["--case", "20 members", "--seconds", &RUN.as_secs().to_string()])
        .args([Path::new("--server"), &watched, Path::new("--out"), folder])
        .args([Path::new("--peers"), &root.join(bench::PEERS)])
        .spawn()
        .map_err(|error| format!("could not start {}: {error}", generator.display()))?;
    // By then all have joined, and what is done once was done.
    sleep(RUN / 2);
    let control = |what: &[&str]| command::run(root, "callgrind_control", what, &[]);
    control(&["-i", "on"])?;
    sleep(RUN / 5);
    control(&["-i", "off"])?;
    control(&["-d"])?;
    let ended = generator.wait().map_err(|error| format!("lost {BENCH}: {error}"))?;
    if !ended.success() {
        return Err(format!("{BENCH} failed"));
    }
    let dump = calls.with_extension("1");
    fs::read_to_string(&dump).map_err(|error| format!("cannot read {}: {error}", dump.display()))
}

/// The functions that were called at least once for every other change, from callgrind's format.
fn called_for_each_change(dump: &str) -> Result<BTreeSet<&str>, String> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut calls: HashMap<&str, u64> = HashMap::new();
    let mut called = None;
    for line in dump.lines() {
        if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                // A function that calls itself is counted apart, with a number behind its name.
                names.insert(number, name.split_once('\'').map_or(name, |(name, _)| name));
            }
            called = line.starts_with('c').then_some(number);
        } else if let Some(count) = line.strip_prefix("calls=")
            && let (Some(number), Some(count)) = (called, count.split(' ').next())
        {
            *calls.entry(number).or_default() += count.parse::<u64>().unwrap_or(0);
        }
    }
    let is_change = |number: &&str| names.get(*number).is_some_and(|name| name.contains(CHANGE));
    let changes = calls.iter().filter(|(number, _)| is_change(number)).map(|(_, count)| count);
    let changes: u64 = changes.sum();
    if changes == 0 {
        return Err("no change came while calls were counted".to_owned());
    }
    let frequent = calls.iter().filter(|(_, count)| *count * 2 >= changes);
    Ok(frequent.filter_map(|(number, _)| names.get(number).copied()).collect())
}

/// The functions in the program, with their sizes in bytes.
fn sizes(root: &Path, program: &Path) -> Result<Vec<(String, u64)>, String> {
    let listed = Command::new("nm")
        .args(["--print-size", "--defined-only"])
        .arg(program)
        .current_dir(root)
        .output()
        .map_err(|error| format!("could not start nm: {error}"))?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let functions = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (size, kind, name) = (words.nth(1)?, words.next()?, words.next()?);
        let is_code = matches!(kind, "t" | "T" | "w" | "W");
        is_code.then_some((name.to_owned(), u64::from_str_radix(size, 16).ok()?))
    });
    Ok(functions.collect())
}

/// What to look for, so that it finds these functions whatever their hashes are.
fn names(called: &BTreeSet<&str>, functions: &[(String, u64)]) -> BTreeSet<String> {
    let mut found: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (function, size) in functions {
        let (count, bytes) = found.entry(without_hashes(function)).or_default();
        (*count, *bytes) = (*count + 1, *bytes + size);
    }
    let names = called.iter().map(|name| without_hashes(name));
    // Of what is generic, all instances have the same name: most of them are somebody else's.
    let is_ours = |name: &String| {
        found.get(name).is_some_and(|(count, bytes)| *count <= INSTANCES_MAX || *bytes <= BYTES_MAX)
    };
    names.filter(is_ours).collect()
}

/// A name as the compiler writes it, with `*` for the hashes of both of its ways to write names.
fn without_hashes(name: &str) -> String {
    let name = name.split_once(".llvm.").map_or(name, |(name, _)| name);
    if name.starts_with("_ZN") {
        return match name.rsplit_once("17h") {
            Some((name, hash)) if hash.ends_with('E') => format!("{name}17h*E"),
            _ => name.to_owned(),
        };
    }
    if !name.starts_with("_R") {
        return name.to_owned();
    }
    let mut parts = name.split("Cs");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once('_').map_or("", |(_, rest)| rest);
        plain.push_str("Cs*_");
        plain.push_str(rest);
    }
    plain
}

fn script(names: &BTreeSet<String>) -> String {
    let mut script = HEAD.to_owned();
    for name in names {
        writeln!(script, "    *(.text.{name})").expect("a String takes every text");
    }
    script.push_str(TAIL);
    script
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

const FILE: &str = "crates/jetstream/layout.ld";
const BENCH: &str = "jetstream-bench";
/// Part of the name of what is called once for each change.
const CHANGE: &str = "14jetstream_core5scope5Scope4sync";
/// How long clients send changes.
const RUN: Duration = Duration::from_secs(30);
const INSTANCES_MAX: u64 = 6;
const BYTES_MAX: u64 = 12_000;

const HEAD: &str = "\
/* The functions that every change goes through, for the linker to put side by side.
   Written by `cargo xtask bench layout`; docs/decisions/layout.md says why. */
SECTIONS
{
  .text.change :
  {
";
const TAIL: &str = "  }\n}\nINSERT BEFORE .text;\n";

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
fn=(1) _ZN14jetstream_core5scope5Scope6handle17h0123456789abcdefE
12 30
cfn=(2) _ZN14jetstream_core5scope5Scope4sync17hfedcba9876543210E
calls=40 12
12 900
cfn=(3) mi_free
calls=90 1
12 90
cfn=(4) _ZN4once17h0123456789abcdefE
calls=3 1
12 9
fn=(3)
1 90
cfn=(5) walk'2
calls=25 1
1 25
";

    #[test]
    fn what_is_called_for_most_changes_is_on_the_list() {
        let called = called_for_each_change(DUMP).unwrap();
        let sync = "_ZN14jetstream_core5scope5Scope4sync17hfedcba9876543210E";
        assert_eq!(called, BTreeSet::from([sync, "mi_free", "walk"]));
        assert!(called_for_each_change("fn=(1) main\n1 2\n").is_err());
    }

    #[test]
    fn names_lose_their_hashes() {
        let cases = [
            ("_ZN3foo3bar17h0123456789abcdefE", "_ZN3foo3bar17h*E"),
            ("_ZN3foo3bar17h0123456789abcdefE.llvm.77", "_ZN3foo3bar17h*E"),
            (
                "_RNvMNtCsjrHSEGnQ3l9_3std4timeNtB2_7Instant3now",
                "_RNvMNtCs*_3std4timeNtB2_7Instant3now",
            ),
            ("mi_malloc", "mi_malloc"),
        ];
        for (name, expected) in cases {
            assert_eq!(without_hashes(name), expected);
        }
    }

    #[test]
    fn large_families_of_instances_are_left_where_they_are() {
        let instances = |count: usize, size| {
            (0..count).map(move |n| (format!("_ZN4poll17h{n:016x}E"), size)).collect::<Vec<_>>()
        };
        let called = BTreeSet::from(["_ZN4poll17h0000000000000000E"]);
        let found = |functions: &[_]| names(&called, functions).len();
        assert_eq!((found(&instances(6, 9_000)), found(&instances(7, 9_000))), (1, 0));
        assert_eq!((found(&instances(90, 100)), found(&[])), (1, 0));
    }
}
