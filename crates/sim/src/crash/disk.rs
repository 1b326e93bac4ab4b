//! A disk: what was given to it, and what of that it has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jetstream_core::ids::{MessageIndex, Origin, Position, Revision, SessionId, SharedText};
use jetstream_core::model::Graph;
use jetstream_core::scope::{Entry, Recent, Restored, encode_state};
use jetstream_core::session::Record;
use jetstream_core::wire::message::Dialect;

use super::Outcome;

/// A session as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredSession {
    pub(super) id: SessionId,
    pub(super) dialect: Dialect,
    pub(super) record: Record,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) log: Vec<Entry>,
    /// So many entries survive.
    pub(super) durable: usize,
    /// By token.
    pub(super) sessions: BTreeMap<String, StoredSession>,
    /// Sessions that are being written.
    pub(super) saving: VecDeque<(String, StoredSession)>,
    /// What the scope was at each revision.
    pub(super) states: BTreeMap<Revision, SharedText>,
}

impl Disk {
    pub(super) fn new(beginning: &Graph) -> Self {
        let states = BTreeMap::from([(Revision(0), encode_state(beginning))]);
        let (sessions, saving) = (BTreeMap::new(), VecDeque::new());
        Self { log: Vec::new(), durable: 0, sessions, saving, states }
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.durable < self.log.len() || !self.saving.is_empty()
    }

    /// What is not written is lost, but for so many entries that just made it.
    pub(super) fn crash(&mut self, reached: usize, forgets: bool) {
        self.durable += reached;
        if forgets {
            self.durable = self.durable.saturating_sub(1);
        }
        self.lose();
        self.saving.clear();
    }

    /// What is not written is lost.
    pub(super) fn lose(&mut self) {
        self.log.truncate(self.durable);
        let last = self.restored_revision();
        self.states.retain(|revision, _| *revision <= last);
    }

    /// What a scope goes on from.
    pub(super) fn restored(&self, beginning: &Graph) -> Restored {
        let mut graph = beginning.clone();
        let mut recent = Recent::since(Revision(0));
        for commit in self.log[..self.durable].iter().filter_map(Entry::commit) {
            recent.replay(&mut graph, commit).expect("it was applied before");
        }
        let answered = self.log[..self.durable].iter().filter_map(Entry::answer).collect();
        let position = Position(self.durable as u64);
        Restored { graph, revision: self.restored_revision(), position, answered, recent }
    }

    /// What the log says about a message.
    pub(super) fn answers(&self, session: SessionId, message: MessageIndex) -> Vec<Outcome> {
        let origin = Origin { session, message };
        let answers = self.log[..self.durable].iter().filter_map(Entry::answer);
        answers.filter(|answer| answer.origin == origin).map(|a| outcome(&a.reply)).collect()
    }

    /// No message has had an effect twice.
    pub(super) fn check_once(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let mut origins = self.log.iter().filter_map(Entry::answer).map(|answer| answer.origin);
        match origins.find(|origin| !seen.insert(*origin)) {
            Some(twice) => Err(format!("{twice:?} is in the log twice")),
            None => Ok(()),
        }
    }

    fn restored_revision(&self) -> Revision {
        let mut commits = self.log[..self.durable].iter().rev().filter_map(Entry::commit);
        commits.next().map_or(Revision(0), |commit| commit.revision)
    }
}

/// Which fragments a reply accepts.
pub(super) fn outcome(reply: &str) -> Outcome {
    let entries: Vec<serde_json::Value> = serde_json::from_str(reply).expect("a list");
    entries.iter().map(|entry| entry.get("error").is_none()).collect()
}
