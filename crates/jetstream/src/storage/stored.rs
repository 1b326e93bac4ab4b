//! A scope as a store has it.

use std::sync::Arc;

use jetstream_core::ids::{ObjectId, Position, Revision, ScopeName, SharedText};
use jetstream_core::model::{Fragment, Graph, Scalar, Schema, Value};
use jetstream_core::scope::{Answer, Answered, Commit, Entry, Recent, state_fragments};
use jetstream_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Evolution, StorageError};

/// Which scope is meant, and what its fragments are typed with.
#[derive(Debug, Clone)]
pub struct StoredScope {
    /// The name under which it is fetched, which is its key in the store.
    pub name: ScopeName,
    /// Its models. Stores write names rather than ids, so that a schema may grow.
    pub schema: Arc<Schema>,
    /// Which of the store's schemas that is; it stands on every record that is written.
    pub version: SchemaVersion,
    /// All of the store's schemas: what is read is typed with the one that it was written with.
    pub evolution: Arc<Evolution>,
}

impl StoredScope {
    /// A scope of a store that knows only one schema.
    pub fn new(name: ScopeName, schema: Arc<Schema>) -> Self {
        Self::evolving(name, Arc::new(Evolution::only(schema)))
    }

    /// A scope of a store that may have been written with other schemas before.
    pub fn evolving(name: ScopeName, evolution: Arc<Evolution>) -> Self {
        let (version, schema) = evolution.present();
        Self { name, schema: schema.clone(), version, evolution }
    }

    /// The schema that a record was written with, by the version that stands on it.
    ///
    /// # Errors
    ///
    /// [`StorageError::Unfit`] if the store was not written with it, as far as is known.
    pub fn schema_of(&self, version: SchemaVersion) -> Result<&Arc<Schema>, StorageError> {
        let unknown = || {
            let (name, number) = (&self.name, version.0);
            StorageError::Unfit(format!(
                "the scope {name:?} was written with schema {number}, which \
                                         is not known"
            ))
        };
        self.evolution.schema(version).ok_or_else(unknown)
    }
}

/// Counts the schemas that a store was written with. 0: the schema was not made known to the store.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SchemaVersion(pub u32);

/// A schema that a store was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchema {
    /// Its number.
    pub version: SchemaVersion,
    /// What it says, in a form that the store need not understand.
    pub text: SharedText,
}

impl StoredSchema {
    /// Whether `schema` comes after those that are there. If it is one of them, it does not.
    ///
    /// # Errors
    ///
    /// [`StorageError::Refused`] if its version is another one's, or before the last.
    pub(super) fn is_new(there: &[Self], schema: &Self) -> Result<bool, StorageError> {
        if there.contains(schema) {
            return Ok(false);
        }
        match there.last() {
            Some(last) if last.version >= schema.version => Err(StorageError::Refused(format!(
                "schema {} does not come after {}",
                schema.version.0, last.version.0
            ))),
            _ => Ok(true),
        }
    }

    /// Whether entries of one schema may stand behind a snapshot of another.
    ///
    /// # Errors
    ///
    /// [`StorageError::Refused`] if they are not the same.
    pub(super) fn goes_on(
        snapshot: SchemaVersion,
        entries: SchemaVersion,
    ) -> Result<(), StorageError> {
        if snapshot == entries {
            return Ok(());
        }
        let (snapshot, entries) = (snapshot.0, entries.0);
        Err(StorageError::Refused(format!(
            "entries of schema {entries} behind a snapshot of schema {snapshot}"
        )))
    }
}

/// A scope's whole state at a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Which of the store's schemas its fragments are of. The store sets it when it takes the snapshot.
    pub version: SchemaVersion,
    /// The last entry that it contains; 0 where the log begins with it.
    pub position: Position,
    /// The last commit that it contains.
    pub revision: Revision,
    /// When that was made.
    pub time: Timestamp,
    /// The object that everything is reached from.
    pub root: ObjectId,
    /// First a `change` of the root, then an `add` for each other object.
    pub fragments: Arc<[Fragment]>,
    /// Replies that may not have reached their authors, in the order in which they were given: a ChangeSet
    /// that comes again is recognised by them, even after its commit is in the snapshot.
    pub answered: Arc<[Answer]>,
}

impl Snapshot {
    /// The state of a graph, which a log begins with.
    pub fn of(graph: &Graph, revision: Revision, time: Timestamp) -> Self {
        let (root, fragments) = (graph.root(), state_fragments(graph).into());
        let (version, position, answered) = (SchemaVersion(0), Position(0), [].into());
        Self { version, position, revision, time, root, fragments, answered }
    }

    /// The same, behind an entry of the log, with the replies that are not known to have arrived.
    #[must_use]
    pub fn behind(self, position: Position, answered: impl Into<Arc<[Answer]>>) -> Self {
        Self { position, answered: answered.into(), ..self }
    }
}

/// What a store has of a scope. The entries are of the same schema as the snapshot.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Where it begins.
    pub snapshot: Snapshot,
    /// What came after it, in order and without a gap.
    pub entries: Vec<Entry>,
}

/// A commit of a scope's past.
#[derive(Debug, Clone)]
pub struct PastCommit {
    /// Which of the store's schemas its fragments are of.
    pub version: SchemaVersion,
    /// The commit.
    pub commit: Arc<Commit>,
}

/// A scope as it was after the last entry.
#[derive(Debug)]
pub struct Rebuilt {
    /// Which of the store's schemas the store has it in. The objects are of the present one.
    pub written: SchemaVersion,
    /// Its objects.
    pub graph: Graph,
    /// How many commits it has seen.
    pub revision: Revision,
    /// How many entries its log has seen.
    pub position: Position,
    /// When the last commit was made.
    pub time: Timestamp,
    /// The replies of the snapshot and of the entries, as far as they are not known to have arrived.
    pub answered: Answered,
    /// What the entries changed.
    pub recent: Recent,
}

impl Rebuilt {
    /// This state, to be stored.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.graph, self.revision, self.time)
            .behind(self.position, self.answered.iter().cloned().collect::<Vec<_>>())
    }
}

impl Stored {
    /// The last entry's place.
    pub fn position(&self) -> Position {
        Position(self.snapshot.position.0 + self.entries.len() as u64)
    }

    /// The last commit's revision.
    pub fn revision(&self) -> Revision {
        let last = self.entries.iter().rev().find_map(Entry::commit);
        last.map_or(self.snapshot.revision, |commit| commit.revision)
    }

    /// Leaves out what came after an entry.
    #[must_use]
    pub fn until(mut self, position: Position) -> Self {
        let kept = position.0.saturating_sub(self.snapshot.position.0);
        self.entries.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        self
    }

    /// The state after the last entry.
    ///
    /// # Errors
    ///
    /// [`StorageError::Unfit`] if the state does not fit the schema, or cannot be brought to the present
    /// one.
    pub fn rebuild(self, scope: &StoredScope) -> Result<Rebuilt, StorageError> {
        let position = self.position();
        let Snapshot { version: written, revision, time, root, fragments, answered, .. } =
            self.snapshot;
        let schema = scope.schema_of(written)?;
        let graph = Graph::from_state(schema.clone(), root, fragments.to_vec())
            .map_err(|errors| unfit(revision, &errors[0]))?;
        let answered = answered.iter().cloned().collect();
        let recent = Recent::since(revision);
        let mut rebuilt = Rebuilt { written, graph, revision, position, time, answered, recent };
        for entry in self.entries {
            entry.answer().into_iter().for_each(|answer| rebuilt.answered.note(answer));
            if let Entry::Commit(commit) = entry {
                rebuilt.apply(&commit)?;
            }
        }
        let revision = rebuilt.revision;
        if written != scope.version {
            // Properties have other places now.
            rebuilt.recent = Recent::since(revision);
        }
        let brought = scope.evolution.bring(rebuilt.graph, written);
        rebuilt.graph = brought.map_err(|error| unfit(revision, &error))?;
        Ok(rebuilt)
    }
}

impl Rebuilt {
    fn apply(&mut self, commit: &Commit) -> Result<(), StorageError> {
        (self.revision, self.time) = (commit.revision, commit.time);
        let replayed = self.recent.replay(&mut self.graph, commit);
        replayed.map_err(|refused| unfit(commit.revision, &refused))
    }
}

fn unfit(revision: Revision, problem: &dyn std::fmt::Display) -> StorageError {
    StorageError::Unfit(format!("the stored state at revision {revision}: {problem}"))
}

/// What is known of a scope without loading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeSummary {
    /// The name.
    pub name: ScopeName,
    /// The last commit's revision.
    pub revision: Revision,
    /// About how much room it takes with its past, in bytes.
    pub bytes: u64,
    /// When the last commit was made, or, if there was none, what it began with.
    pub modified: Timestamp,
}

/// About how much room a snapshot takes, for stores that do not know better.
pub(super) fn snapshot_bytes(snapshot: &Snapshot) -> u64 {
    let answered = snapshot.answered.iter().map(|answer| 64 + answer.reply.len() as u64);
    128 + answered.sum::<u64>() + snapshot.fragments.iter().map(fragment_bytes).sum::<u64>()
}

/// About how much room an entry takes.
pub(super) fn entry_bytes(entry: &Entry) -> u64 {
    match entry {
        Entry::Answer(answer) => 64 + answer.reply.len() as u64,
        Entry::Commit(commit) => {
            let fragments = commit.fragments.iter().map(fragment_bytes);
            96 + commit.reply.len() as u64 + fragments.sum::<u64>()
        }
    }
}

fn fragment_bytes(fragment: &Fragment) -> u64 {
    let properties = fragment.properties.iter().map(|(_, value)| 16 + value_bytes(value));
    let edits = fragment.collections.iter().map(|(_, edits)| 16 + 64 * edits.len() as u64);
    96 + properties.sum::<u64>() + edits.sum::<u64>()
}

fn value_bytes(value: &Value) -> u64 {
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::String(text) => text.len() as u64,
        Scalar::Number(_) | Scalar::Boolean(_) | Scalar::Date(_) => 8,
    };
    match value {
        Value::Scalar(one) => one.as_ref().map_or(0, scalar),
        Value::Scalars(all) => all.iter().map(scalar).sum(),
        _ => 38 * value.references().len() as u64,
    }
}
