//! A server in a process of its own: what it costs can be measured, and it may die alone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    port: u16,
}

impl Process {
    /// Starts `command` (split at spaces) with `--port 0 MODELS`, and waits for the port it prints:
    /// the last number in the first line that has one.
    pub fn start(command: &str, models: &Path) -> Result<Self, String> {
        let mut words = command.split_whitespace();
        let program = words.next().ok_or("the server's command is empty")?;
        let mut child = Command::new(program)
            .args(words)
            .args(["--port", "0"])
            .arg(models)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("could not start {program}: {error}"))?;
        let output = child.stdout.take().expect("standard output was piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            line.rsplit(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse().ok())
        });
        // Whoever stops reading a pipe may block the writer.
        std::thread::spawn(move || lines.for_each(drop));
        match port {
            Some(port) => Ok(Self { child, port }),
            None => {
                let _ = child.kill();
                Err(format!("{program} printed no port"))
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its number for the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
