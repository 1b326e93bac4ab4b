//! What an operator does with what is stored: look at the past and go back to it, audit, export, verify, look
//! after those who are told of changes.
//!
//! [`Operations`] does it with a store and the scopes in front of it, whether clients use them at the same
//! time or not; [`control`] lets a process ask another one, which has the store open, to do it. What an
//! operation gives are lines, most of them JSON objects, so that the answer may be longer than memory.

pub mod control;
mod notify;
mod past;
mod transfer;
mod verify;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use jetstream_core::ids::{Revision, ScopeName};
use jetstream_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::notify::Notifier;
use crate::scope::Scopes;
use crate::storage::{Evolution, Moment, Storage, StorageError, StoredScope};

pub use notify::{Letters, NotifyOperation};
pub use transfer::{ImportError, import};

/// What can be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// One line for each commit of a scope after a revision.
    History {
        /// The scope.
        scope: String,
        /// The revision.
        #[serde(default)]
        after: u64,
    },
    /// One line: the state of a scope at a moment, or as it is.
    State {
        /// The scope.
        scope: String,
        /// When.
        at: Option<At>,
    },
    /// Makes a scope what it was at a moment, as one atomic ChangeSet. One line: what came of it.
    Revert {
        /// The scope.
        scope: String,
        /// When.
        to: At,
    },
    /// One line for each commit, with everything that it changed: of one scope or of all.
    Audit {
        /// The scope.
        scope: Option<String>,
        /// Leaves out what was before.
        since: Option<At>,
    },
    /// The states of scopes, or of all, in lines that [`import`] reads.
    Export {
        /// Their names; none: all.
        scopes: Vec<String>,
    },
    /// One line for each scope, or for one: whether what is stored of it is what was written.
    Verify {
        /// The scope.
        scope: Option<String>,
    },
    /// One line for each schema that the store was written with.
    Schemas,
    /// What can be done about those who are told of changes.
    Notify(NotifyOperation),
    /// A copy of the store, as it is at one moment, in a folder on the store's machine. No line.
    BackUp {
        /// The folder, by its whole path.
        folder: PathBuf,
    },
}

/// A moment, as an operator writes it: a revision, or a time as ISO 8601 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct At(pub Moment);

impl std::str::FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(revision) = text.parse() {
            return Ok(Self(Moment::Revision(Revision(revision))));
        }
        let time = Timestamp::parse(text).map(|time| Self(Moment::Time(time)));
        time.ok_or_else(|| {
            format!("{text:?} is neither a revision nor a time such as 2026-03-01T12:00:00Z")
        })
    }
}

impl TryFrom<String> for At {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<At> for String {
    fn from(at: At) -> Self {
        match at.0 {
            Moment::Revision(revision) => revision.to_string(),
            Moment::Time(time) => iso(time),
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Moment::Revision(revision) => write!(f, "revision {revision}"),
            Moment::Time(time) => f.write_str(&iso(time)),
        }
    }
}

/// A store, and the scopes in front of it.
#[derive(Clone)]
pub struct Operations {
    storage: Arc<dyn Storage>,
    evolution: Arc<Evolution>,
    scopes: Scopes,
    notifiers: Arc<[Notifier]>,
}

/// Why an operation was not done, or not to its end; in plain words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OperationError(pub String);

impl From<StorageError> for OperationError {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}

/// Where the lines of an answer go.
#[derive(Debug, Clone)]
pub struct Lines(mpsc::Sender<String>);

impl Lines {
    /// Lines, and where they come out. Few wait: whoever makes them waits for who takes them.
    pub fn channel() -> (Self, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel(LINES_MAX);
        (Self(sender), receiver)
    }

    /// One line more.
    async fn say(&self, line: &impl Serialize) -> Result<(), OperationError> {
        let line =
            serde_json::to_string(line).map_err(|error| OperationError(error.to_string()))?;
        let gone = |_| OperationError("nobody takes the answer any more".to_owned());
        self.0.send(line).await.map_err(gone)
    }
}

impl Operations {
    /// With a store, its schemas, and the scopes that are kept in it.
    pub fn new(storage: Arc<dyn Storage>, evolution: Arc<Evolution>, scopes: Scopes) -> Self {
        Self { storage, evolution, scopes, notifiers: [].into() }
    }

    /// With those who are told of changes of the scopes.
    #[must_use]
    pub fn notifying(self, notifiers: impl IntoIterator<Item = Notifier>) -> Self {
        Self { notifiers: notifiers.into_iter().collect(), ..self }
    }

    /// Does it; the answer goes to `out`.
    ///
    /// # Errors
    ///
    /// What stood in the way. Lines that were given before hold.
    pub async fn run(&self, operation: Operation, out: &Lines) -> Result<(), OperationError> {
        match operation {
            Operation::History { scope, after } => self.history(&scope, Revision(after), out).await,
            Operation::State { scope, at } => self.state(&scope, at, out).await,
            Operation::Revert { scope, to } => self.revert(&scope, to, out).await,
            Operation::Audit { scope, since } => self.audit(scope.as_deref(), since, out).await,
            Operation::Export { scopes } => self.export(&scopes, out).await,
            Operation::Verify { scope } => self.verify(scope.as_deref(), out).await,
            Operation::Schemas => self.schemas(out).await,
            Operation::Notify(operation) => self.notify(operation, out).await,
            Operation::BackUp { folder } => Ok(self.storage.back_up(&folder).await?),
        }
    }

    async fn schemas(&self, out: &Lines) -> Result<(), OperationError> {
        for schema in self.storage.schemas().await? {
            let (version, text) = (schema.version.0, &*schema.text);
            out.say(&serde_json::json!({ "version": version, "text": text })).await?;
        }
        Ok(())
    }

    fn key(&self, name: impl Into<ScopeName>) -> StoredScope {
        StoredScope::evolving(name.into(), self.evolution.clone())
    }

    /// The key of a scope that is stored.
    async fn known(&self, name: &str) -> Result<StoredScope, OperationError> {
        let key = self.key(name);
        let latest = Moment::Revision(Revision(u64::MAX));
        match self.storage.snapshot_at(&key, latest).await? {
            Some(_) => Ok(key),
            None => Err(OperationError(format!("no scope {name:?} is stored"))),
        }
    }
}

/// A time as people read it.
fn iso(time: Timestamp) -> String {
    // Beyond the years that ISO 8601 knows there is still a number.
    time.to_iso8601().unwrap_or_else(|| format!("{} ms", time.0))
}

/// How many lines wait for who takes them.
const LINES_MAX: usize = 64;
