//! A server in a process of its own, and what it costs.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Open as long as we live: the programs of ours end when it closes.
    _input: Option<ChildStdin>,
}

impl Process {
    /// Starts a server, and waits for the first line for which `read` finds something.
    pub fn start<T>(
        command: &mut Command,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<(Self, T), String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("could not start {name}: {error}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("standard output was piped");
        let mut process = Self { child, _input: input };
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let found = lines.find_map(|line| read(&line));
        // Whoever stops reading a pipe may block the writer.
        std::thread::spawn(move || lines.for_each(drop));
        match found {
            Some(found) => Ok((process, found)),
            None => {
                let status = process.child.wait();
                Err(format!("{name} did not say where it listens: {status:?}"))
            }
        }
    }

    /// The time that the process has spent on a processor, in the kernel or not.
    ///
    /// From the scheduler's own count, in nanoseconds: the ticks of `/proc/PID/stat` are as long as some
    /// of what is measured. Threads that have ended are not in it; servers keep theirs.
    pub fn cpu(&self) -> Duration {
        let folder = format!("/proc/{}/task", self.child.id());
        let threads = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let spent = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }

    /// The same, once the process has nothing to do any more: the kernel counts the time of a thread only
    /// when the thread stops, or at its next tick.
    pub fn cpu_at_rest(&self) -> Duration {
        let mut spent = self.cpu();
        for _ in 0..REST_LOOKS_MAX {
            std::thread::sleep(REST);
            let before = std::mem::replace(&mut spent, self.cpu());
            if spent - before < REST_SPENT_MAX {
                break;
            }
        }
        spent
    }

    /// What of the process is in memory, in bytes.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) << 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Longer than a tick of the kernel's clock.
const REST: Duration = Duration::from_millis(6);
/// Timers that a server has anyhow take less.
const REST_SPENT_MAX: Duration = Duration::from_micros(100);
const REST_LOOKS_MAX: usize = 100;
