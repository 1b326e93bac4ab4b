//! The interface for programs, played by schemathesis: every operation of its OpenAPI document, with what the
//! document admits and what it does not, against a running server.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::command;
use crate::counts::{Counts, Runner, read};
use crate::tools;

/// Runs it. `server` is the command `jetstream`, `target` the folder for what is built.
pub fn check(root: &Path, server: &Path, target: &Path) -> Result<Counts, String> {
    let schemathesis = tools::require_schemathesis(root, target)?;
    let serving = Serving::start(server, &root.join(FOLDER).join("jetstream.toml"))?;
    let config = root.join(FOLDER).join("schemathesis.toml");
    let document = root.join(DOCUMENT);
    let (config, document) = (config.display().to_string(), document.display().to_string());
    let arguments = ["--config-file", &config, "run", "--url", &serving.url, &document];
    // Beside what is built: it leaves notes where it runs.
    let folder = schemathesis.parent().unwrap_or(target);
    let finished = command::run(folder, &schemathesis.display().to_string(), &arguments, &[])?;
    let counts = read(Runner::Schemathesis, &finished.lines)
        .ok_or("schemathesis ended without a summary")?;
    if !finished.success && counts.failed == 0 {
        return Err("schemathesis failed, although no case did".to_owned());
    }
    every_operation(&finished.lines)?;
    Ok(counts)
}

/// An operation that was not played is as bad as one that failed.
fn every_operation(lines: &[String]) -> Result<(), String> {
    let value = |name: &str| lines.iter().find_map(|line| line.trim().strip_prefix(name));
    let selected = value("Selected:").and_then(|text| text.trim().split_once('/'));
    let tested = value("Tested:").map(str::trim);
    match selected {
        Some((selected, all)) if selected == all && Some(all) == tested => Ok(()),
        _ => Err(format!("not all operations were played: {selected:?} chosen, {tested:?} played")),
    }
}

/// A server, for as long as this lives.
struct Serving {
    process: Child,
    url: String,
}

impl Serving {
    fn start(server: &Path, config: &Path) -> Result<Self, String> {
        let mut process = Command::new(server)
            .args(["serve".as_ref(), config.as_os_str()])
            .args(["--log-level", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("could not start {}: {error}", server.display()))?;
        let out = process.stdout.take().expect("standard output was piped");
        let mut serving = Self { process, url: String::new() };
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.strip_prefix("api on ")?.to_owned()));
        let url = url.ok_or("the server ended before it said where its interface is")?;
        serving.url = url.trim_end_matches("/v1/").to_owned();
        Ok(serving)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What belongs to this step: what is installed, and the configurations of both sides.
pub const FOLDER: &str = "tests-api";

const DOCUMENT: &str = "crates/jetstream/src/api/openapi.json";

/// The program in an environment of Python.
pub fn program(environment: &Path) -> PathBuf {
    environment.join("bin").join("schemathesis")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_was_not_played_is_noticed() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(every_operation(&lines("  Selected: 9/9\n  Tested: 9")).is_ok());
        for text in ["  Selected: 8/9\n  Tested: 8", "  Selected: 9/9\n  Tested: 8", "nothing"] {
            assert!(every_operation(&lines(text)).is_err(), "{text}");
        }
    }
}
