//! The server under attack, and two honest clients beside the attacker.

use std::path::PathBuf;

use serde_json::json;

use crate::client::Client;
use crate::process::Process;

/// A server in a process of its own.
#[derive(Debug)]
pub struct Victim {
    process: Process,
}

impl Victim {
    /// With the limits that it has by default.
    pub fn start() -> Self {
        Self::with_limits(&[])
    }

    /// With some limits as in the configuration file: `handshake_timeout_ms=300`.
    pub fn with_limits(limits: &[&str]) -> Self {
        let program = std::env::current_exe().expect("a program has a path");
        let models: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests", "conformance", "models.json"].iter().collect();
        let mut command = format!("{} serve", program.display());
        for limit in limits {
            command += &format!(" --limit {limit}");
        }
        Self { process: Process::start(&command, &models).expect("the server starts") }
    }

    pub fn address(&self) -> String {
        self.process.address()
    }

    /// The most memory that the server ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("the server runs, and this system tells what it uses");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kibibytes.expect("a line with the peak") * 1024
    }

    /// Two clients that work in the scope.
    pub async fn workers(&self) -> Workers {
        let address = self.address();
        Workers {
            author: Client::join(&address).await,
            watcher: Client::join(&address).await,
            turn: 0,
        }
    }
}

/// Somebody who edits, and somebody who sees every edit.
#[derive(Debug)]
pub struct Workers {
    author: Client,
    watcher: Client,
    turn: u64,
}

impl Workers {
    /// The author changes something a few times; each change is accepted, and each arrives at the
    /// watcher, in order.
    pub async fn work(&mut self) {
        const EDITS: u64 = 20;
        let first = self.turn + 1;
        self.turn += EDITS;
        let mut sent = Vec::new();
        for value in first..=self.turn {
            sent.push(self.author.change("x", &json!(value)).await);
        }
        for index in sent {
            assert_eq!(self.author.reply(index).await["fragmentReplies"], json!([{}]));
        }
        for value in first..=self.turn {
            let arrived = self.watcher.next_value_of_x().await;
            assert_eq!(arrived, json!(value), "every edit arrives, in order");
        }
    }
}

impl Client {
    /// Skips what others change.
    async fn next_value_of_x(&mut self) -> serde_json::Value {
        loop {
            let message = self.receive().await;
            if let Some(x) = message["fragments"][0]["properties"].get("x") {
                return x.clone();
            }
        }
    }
}
