//! The server that is killed, and what it keeps things in.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres::Cluster;

/// What the server stores into.
#[derive(Debug)]
pub(crate) enum Store {
    /// A folder.
    Embedded,
    /// A folder that is at the last start as it was at the first kill.
    Forgetful,
    /// A database.
    Postgres(Cluster),
}

/// A server that is started again and again on the same address and the same store.
#[derive(Debug)]
pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) store: Store,
    process: Option<Child>,
    /// Picked by the first start, kept by the others.
    address: String,
}

impl Server {
    pub(crate) fn new(name: &str, store: Store) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("killer").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let storage = match &store {
            Store::Embedded | Store::Forgetful => "path = \"data\"".to_owned(),
            Store::Postgres(cluster) => format!("postgres = \"{}\"", cluster.database("killer")),
        };
        let config = format!("{CONFIG}\n[storage]\n{storage}\n");
        fs::write(folder.join("jetstream.toml"), config).unwrap();
        Self { folder, store, process: None, address: "127.0.0.1:0".to_owned() }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Starts it and waits until it listens. `at_most`: it is killed if it takes longer, as if somebody
    /// had not waited; `false` then.
    pub(crate) fn start(&mut self, at_most: Option<Duration>) -> bool {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetstream"));
        command.current_dir(&self.folder).args(["serve", "--listen", &self.address]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(told.send(line)));
        });
        let begun = Instant::now();
        let line = lines.recv_timeout(at_most.unwrap_or(PATIENCE));
        self.process = Some(child);
        match line {
            Ok(line) => {
                let address = line.strip_prefix("listening on ws://");
                self.address = address.unwrap_or_else(|| panic!("it said {line:?}")).to_owned();
                true
            }
            Err(_) if at_most.is_some_and(|most| begun.elapsed() >= most) => {
                self.kill();
                false
            }
            Err(error) => panic!("the server does not start: {error}; its log: {}", self.logged()),
        }
    }

    /// The database that it stores into, if it is one.
    pub(crate) fn database(&mut self) -> Option<&mut Cluster> {
        match &mut self.store {
            Store::Postgres(cluster) => Some(cluster),
            Store::Embedded | Store::Forgetful => None,
        }
    }

    /// Kills it, without a word.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Keeps a copy of the folder as it is now.
    pub(crate) fn remember(&self) {
        let copy = self.folder.join("copy");
        let _ = fs::remove_dir_all(&copy);
        copy_folder(&self.folder.join("data"), &copy);
    }

    /// Puts the copy in the place of the folder.
    pub(crate) fn forget(&self) {
        fs::remove_dir_all(self.folder.join("data")).unwrap();
        copy_folder(&self.folder.join("copy"), &self.folder.join("data"));
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The last lines of its log.
    pub(crate) fn logged(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Scopes in which everybody leaves marks, and a procedure that nobody calls rightly.
const CONFIG: &str = r#"
listen = "127.0.0.1:0"

[models.Mark.properties]
author = "String"
number = "Number"

[models.Tally.properties]
author = "String"
count = "Number"

[models.Board.properties]
title = "String"
marks = "[Mark]"
tallies = "[Tally]"

[scopes."boards/{number}"]
root = "Board"

[procedures."Board.retitle"]
constraints = [{ type = "change", model = "Board", properties = { title = "allowed" } }]
"#;

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
