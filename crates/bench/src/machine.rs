//! What the measurements were made on, and what else the machine did meanwhile.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// A machine and its noise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gb: f64,
    pub system: String,
    pub rust: String,
    pub node: String,
    /// The commit of the server that was measured.
    pub commit: String,
    pub server_bytes: u64,
    /// Of the last minute, when the run began.
    pub load_before: f64,
    /// What others took of the processors during the run, as a share of all; the host's theft included.
    pub foreign_share: f64,
    #[serde(skip)]
    begun: Option<Ticks>,
}

/// Time of all processors since the machine started, in ticks.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    busy: u64,
    stolen: u64,
    all: u64,
    ours: u64,
}

impl Machine {
    pub fn look(server: &Path) -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kilobytes = memory.split(' ').next().and_then(|text| text.parse::<f64>().ok());
        let load = file("/proc/loadavg");
        Self {
            processor: field(&file("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gb: kilobytes.unwrap_or_default() / f64::from(1 << 20),
            system: format!("Linux {}", file("/proc/sys/kernel/osrelease").trim()),
            rust: said("rustc", &["--version"]),
            node: said("node", &["--version"]),
            commit: said("git", &["describe", "--always", "--dirty"]),
            server_bytes: std::fs::metadata(server).map_or(0, |data| data.len()),
            load_before: load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
            foreign_share: 0.0,
            begun: Ticks::now(),
        }
    }

    /// Notes what others have taken since the first look.
    pub fn look_again(&mut self) {
        if let (Some(begun), Some(now)) = (self.begun, Ticks::now()) {
            let busy = (now.busy - begun.busy) as f64 + (now.stolen - begun.stolen) as f64;
            let ours = (now.ours - begun.ours) as f64;
            self.foreign_share = ((busy - ours) / (now.all - begun.all) as f64).max(0.0);
        }
    }

    /// In a sentence or two.
    pub fn describe(&self) -> String {
        let Self { processor, cores, memory_gb, system, rust, node, commit, .. } = self;
        format!(
            "{processor}, {cores} cores, {memory_gb:.0} GB, {system}, {rust}, Node {node}; commit \
             {commit}, binary {:.1} MB. Load before the run {:.2}; others took {:.0} % of the \
             processors during it.",
            self.server_bytes as f64 / 1e6,
            self.load_before,
            self.foreign_share * 100.0,
        )
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        let numbers: Vec<u64> =
            text.lines().next()?.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal
        let [user, nice, system, idle, waiting, irq, softirq, stolen] = numbers.get(..8)? else {
            return None;
        };
        let busy = user + nice + system + irq + softirq;
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        // utime, stime and those of children that have ended; the name before may hold spaces.
        let fields: Vec<u64> = own
            .rsplit(')')
            .next()?
            .split_whitespace()
            .skip(11)
            .take(4)
            .filter_map(|n| n.parse().ok())
            .collect();
        let ours = fields.iter().sum();
        Some(Self { busy, stolen: *stolen, all: busy + idle + waiting + stolen, ours })
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
