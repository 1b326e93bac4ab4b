//! The servers that are measured.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::job;
use crate::process::Process;
use crate::speech::{Card, Dialect, Speech};

/// A server of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// The limit program, one write for each frame.
    Limit,
    /// The limit program, one write for all that is to be written at a time.
    LimitJoined,
    /// The limit program, one call into the kernel for all that are told of a change.
    LimitBurst,
    /// This project, to clients of 1.0.
    Jetstream,
    /// The same as on a system that offers no io_uring.
    JetstreamPlain,
    /// This project, to clients of the original.
    JetstreamOriginal,
    /// The same as the first, over TLS.
    JetstreamTls,
    /// The original.
    Original,
    SocketIo,
    /// With its own interval between patches, 50 ms.
    Colyseus,
    /// With patches every 10 ms.
    Colyseus10,
    ShareDb,
    YWebsocket,
}

impl Contender {
    pub const ALL: [Self; 13] = [
        Self::Limit,
        Self::LimitJoined,
        Self::LimitBurst,
        Self::Jetstream,
        Self::JetstreamPlain,
        Self::JetstreamOriginal,
        Self::JetstreamTls,
        Self::Original,
        Self::SocketIo,
        Self::Colyseus,
        Self::Colyseus10,
        Self::ShareDb,
        Self::YWebsocket,
    ];

    /// The name in tables, files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::LimitJoined => "limit, joined writes",
            Self::LimitBurst => "limit, one call for all",
            Self::Jetstream => "jetstream",
            Self::JetstreamPlain => "jetstream, no io_uring",
            Self::JetstreamOriginal => "jetstream, original's clients",
            Self::JetstreamTls => "jetstream, tls",
            Self::Original => "original",
            Self::SocketIo => "socket.io",
            Self::Colyseus => "colyseus",
            Self::Colyseus10 => "colyseus, 10 ms",
            Self::ShareDb => "sharedb",
            Self::YWebsocket => "y-websocket",
        }
    }

    /// Whether it is this project.
    pub const fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Jetstream | Self::JetstreamPlain | Self::JetstreamOriginal | Self::JetstreamTls
        )
    }

    /// Whether it is the limit program.
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::Limit | Self::LimitJoined | Self::LimitBurst)
    }

    /// Whether it is a package from npm.
    pub const fn is_peer(self) -> bool {
        !self.is_ours() && !self.is_limit()
    }

    /// What its clients speak, if they speak Jetstream.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::JetstreamOriginal | Self::Original => Dialect::Original,
            _ => Dialect::V1,
        }
    }
}

/// Where the servers are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The binary of this project.
    pub server: PathBuf,
    /// The folder of the peers, with their packages installed.
    pub peers: PathBuf,
    /// Where files for a run may go.
    pub scratch: PathBuf,
}

/// What a server is started for.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub objects: usize,
    pub connections: usize,
    pub changes: usize,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    pub process: Process,
    pub port: u16,
    pub speech: Arc<Speech>,
}

impl Contender {
    /// Starts the server with its objects in place.
    pub fn start(self, places: &Places, size: Size) -> Result<Running, String> {
        let (process, port, speech) = match self {
            server if server.is_limit() => self.start_limit(places, size)?,
            server if server.is_ours() => self.start_ours(places, size)?,
            _ => self.start_peer(places, size)?,
        };
        Ok(Running { process, port, speech: Arc::new(speech) })
    }

    fn start_limit(self, places: &Places, size: Size) -> Result<(Process, u16, Speech), String> {
        let state = places.scratch.join("state.json");
        std::fs::write(&state, format!("{{{}}}", job::state(size.objects)))
            .map_err(|error| format!("{}: {error}", state.display()))?;
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(own);
        command.arg("limit").arg(&state);
        match self {
            Self::LimitJoined => drop(command.args(["--writes", "joined"])),
            Self::LimitBurst => drop(command.args(["--writes", "burst"])),
            _ => {}
        }
        let (process, port) = Process::start(&mut command, last_number)?;
        Ok((process, port, Speech::jetstream(Dialect::V1, "Canvas")))
    }

    fn start_ours(self, places: &Places, size: Size) -> Result<(Process, u16, Speech), String> {
        let is_secure = self == Self::JetstreamTls;
        let top = if self == Self::JetstreamPlain { "io_uring = false\n" } else { "" };
        job::write_configuration(&places.scratch, size.objects, "memory = true", top, is_secure)
            .map_err(|error| format!("{}: {error}", places.scratch.display()))?;
        let mut command = Command::new(&places.server);
        command.arg("serve").arg("jetstream.toml").current_dir(&places.scratch);
        // What it logs is the same for all workloads and no part of them.
        command.env("JETSTREAM_LOG_LEVEL", "error");
        let (process, port) = Process::start(&mut command, last_number)?;
        let speech = Speech::jetstream(self.dialect(), "Canvas");
        Ok((process, port, Speech { is_secure, ..speech }))
    }

    fn start_peer(self, places: &Places, size: Size) -> Result<(Process, u16, Speech), String> {
        let script = match self {
            Self::Original => "original.mjs",
            Self::SocketIo => "socket.io.mjs",
            Self::ShareDb => "sharedb.mjs",
            Self::YWebsocket => "y-websocket.mjs",
            _ => "colyseus.mjs",
        };
        let mut command = Command::new("node");
        let sizes = [size.objects, size.connections, size.changes];
        command.arg(script).args(sizes.map(|size| size.to_string())).current_dir(&places.peers);
        command.env("NODE_ENV", "production");
        if self == Self::Colyseus10 {
            command.env("PATCH_RATE", "10");
        }
        let read = |line: &str| serde_json::from_str::<Card>(line).ok();
        let (process, card) = Process::start(&mut command, read)?;
        Ok((process, card.port, card.speech()))
    }
}

impl Places {
    /// Makes the folder for a run's files.
    pub fn prepare(&self) -> Result<(), String> {
        let made = std::fs::create_dir_all(&self.scratch);
        made.map_err(|error| format!("{}: {error}", self.scratch.display()))
    }

    /// Whether the peers' packages are there.
    pub fn has_peers(&self) -> bool {
        Path::new(&self.peers).join("node_modules").exists()
    }
}

/// The port in a line such as "listening on ws://127.0.0.1:3000".
fn last_number(line: &str) -> Option<u16> {
    line.contains("listening").then(|| line.rsplit(':').next()?.trim().parse().ok())?
}
