//! The server under attack, and two honest clients beside the attacker.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, PATIENCE, SCOPE, SHAPE};
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
        Self::start_as("serve", limits)
    }

    /// The same, where who connects from this machine may say for whom.
    pub fn behind_a_proxy(limits: &[&str]) -> Self {
        Self::start_as("serve --proxy", limits)
    }

    fn start_as(how: &str, limits: &[&str]) -> Self {
        let program = std::env::current_exe().expect("a program has a path");
        let models: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests", "conformance", "models.json"].iter().collect();
        let mut command = format!("{} {how}", program.display());
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

    /// The shape's properties, as somebody gets them who comes now.
    pub async fn shape(&self) -> Value {
        let mut client = Client::establish(&self.address()).await;
        let index = client.index();
        client.send(&json!({ "type": "ScopeFetch", "index": index, "name": SCOPE })).await;
        assert_eq!(client.receive().await["scopeIndex"], 0);
        let mut state = client.receive().await;
        let fragments = state["fragments"].as_array_mut().expect("a state has fragments");
        let shape = fragments.iter_mut().find(|fragment| fragment["uuid"] == SHAPE);
        shape.expect("the shape is there")["properties"].take()
    }

    /// Sends the head of a request and then a little of it now and then, until the server has had enough.
    pub async fn dripped(&self, head: &[u8], drop: &[u8]) {
        let mut stream = TcpStream::connect(self.address()).await.expect("the server accepts");
        let (mut read, mut write) = stream.split();
        let drip = async {
            write.write_all(head).await?;
            loop {
                write.write_all(drop).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let mut answer = Vec::new();
        tokio::select! {
            _ = read.read_to_end(&mut answer) => {}
            ended = drip => { let _: std::io::Result<()> = ended; }
            () = tokio::time::sleep(PATIENCE) => panic!("the server goes on reading"),
        }
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
