//! Runs a program, shows what it prints, and keeps it for counting.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// What a program did.
#[derive(Debug)]
pub struct Finished {
    /// It ended with code 0.
    pub success: bool,
    /// All its lines, of both outputs, in the order in which they came.
    pub lines: Vec<String>,
}

/// Runs `program` in `folder` to its end. An error means that it could not be started.
pub fn run(
    folder: &Path,
    program: &str,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> Result<Finished, String> {
    println!("$ {program} {}", arguments.join(" "));
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("could not start {program}: {error}"))?;
    let (sender, receiver) = channel();
    forward(child.stdout.take().expect("standard output was piped"), sender.clone());
    forward(child.stderr.take().expect("standard error was piped"), sender);
    let mut lines = Vec::new();
    for line in receiver {
        println!("{line}");
        lines.push(line);
    }
    let status = child.wait().map_err(|error| format!("lost {program}: {error}"))?;
    Ok(Finished { success: status.success(), lines })
}

fn forward(output: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

/// Whether a program can be started at all.
pub fn exists(program: &str) -> bool {
    let tried = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// The file that would be started under this name.
pub fn locate(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}
