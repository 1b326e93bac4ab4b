//! What stores write: JSON with the names of models and properties, and a checksum.
//!
//! Names rather than ids, so that a schema may grow and a person can read what is stored. Each record
//! says which of the store's schemas its names are from. The checksum covers the text and where it
//! belongs, so that a record that got into another one's place is found, too.

mod read;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use jetstream_core::ids::{MessageIndex, Origin, Position, Revision, ScopeName};
use jetstream_core::model::{Fragment, Schema};
use jetstream_core::scope::{Answer, Entry};
use jetstream_core::wire::encode::FragmentWriter;
use jetstream_core::wire::print;

use super::{Snapshot, StorageError, StoredScope, StoredSession};

pub use read::{read_entries, read_session, read_snapshot};

/// A text and its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What is stored.
    pub text: String,
    /// The CRC-32 of where it belongs and of the text.
    pub crc: u32,
}

/// Where a record belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The entries of a scope's log after this position.
    Entries(&'a ScopeName, Position),
    /// A scope's state after this position.
    Snapshot(&'a ScopeName, Position),
    /// A session.
    Session,
    /// What a consumer did not take of a scope, up to this revision.
    Letter(&'a ScopeName, Revision),
}

impl Place<'_> {
    /// The checksum of a text that belongs here.
    pub fn crc(self, text: &str) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        let (kind, scope, position) = match self {
            Self::Entries(scope, position) => (1, scope.as_str(), position),
            Self::Snapshot(scope, position) => (2, scope.as_str(), position),
            Self::Session => (3, "", Position(0)),
            Self::Letter(scope, revision) => (4, scope.as_str(), Position(revision.0)),
        };
        hasher.update(&[kind]);
        hasher.update(&position.0.to_le_bytes());
        hasher.update(&(scope.len() as u64).to_le_bytes());
        hasher.update(scope.as_bytes());
        hasher.update(text.as_bytes());
        hasher.finalize()
    }

    /// The text with its checksum.
    pub fn seal(self, text: String) -> Record {
        Record { crc: self.crc(&text), text }
    }
}

/// Writes entries that come after a position.
pub fn write_entries(scope: &StoredScope, after: Position, entries: &[Entry]) -> Record {
    Place::Entries(&scope.name, after).seal(entries_text(scope, entries))
}

/// The same for a store that only learns later where the entries belong, and seals the text then.
pub fn entries_text(scope: &StoredScope, entries: &[Entry]) -> String {
    let mut out = begin(scope, 256 * entries.len());
    out.push_str("\"entries\":[");
    separated(&mut out, entries, |out, entry| write_entry(out, &scope.schema, entry));
    out.push_str("]}");
    out
}

/// Writes a snapshot.
pub fn write_snapshot(scope: &StoredScope, snapshot: &Snapshot) -> Record {
    let mut out = begin(scope, 256 * snapshot.fragments.len());
    let Snapshot { position, revision, time, root, fragments, answered, .. } = snapshot;
    field(&mut out, "position", position.0);
    field(&mut out, "revision", revision.0);
    let _ = write!(out, "\"time\":{},\"root\":", time.0);
    print::object_id(&mut out, *root);
    out.push_str(",\"fragments\":");
    write_fragments(&mut out, &scope.schema, fragments);
    out.push_str(",\"answered\":[");
    separated(&mut out, answered, write_answer);
    out.push_str("]}");
    Place::Snapshot(&scope.name, *position).seal(out)
}

/// Writes a session.
pub fn write_session(session: &StoredSession) -> Record {
    let text = serde_json::to_string(session).expect("its keys are texts, and nothing in it fails");
    Place::Session.seal(text)
}

/// What every record of a scope begins with.
fn begin(scope: &StoredScope, capacity: usize) -> String {
    let mut out = String::with_capacity(64 + capacity);
    out.push('{');
    field(&mut out, "format", FORMAT.into());
    field(&mut out, "schema", scope.version.0.into());
    out
}

fn field(out: &mut String, name: &str, value: u64) {
    let _ = write!(out, "\"{name}\":{value},");
}

fn write_entry(out: &mut String, schema: &Schema, entry: &Entry) {
    let commit = match entry {
        Entry::Answer(answer) => return write_answer(out, answer),
        Entry::Commit(commit) => commit,
    };
    out.push('{');
    field(out, "revision", commit.revision.0);
    let _ = write!(out, "\"time\":{},", commit.time.0);
    if let Some(origin) = commit.origin {
        write_origin(out, origin, commit.delivered);
    }
    if let Some(author) = &commit.author {
        out.push_str("\"author\":");
        print::string(out, author);
        out.push(',');
    }
    out.push_str("\"fragments\":");
    write_fragments(out, schema, &commit.fragments);
    let _ = write!(out, ",\"reply\":{}}}", commit.reply);
}

fn write_answer(out: &mut String, answer: &Answer) {
    let _ = write!(out, "{{\"time\":{},", answer.time.0);
    write_origin(out, answer.origin, answer.delivered);
    let _ = write!(out, "\"reply\":{}}}", answer.reply);
}

/// Where an entry comes from, and up to where its author has its answers, if it has any.
fn write_origin(out: &mut String, origin: Origin, delivered: MessageIndex) {
    let Origin { session, message } = origin;
    let _ = write!(out, "\"origin\":{{\"session\":{session},\"message\":{message}}},");
    if delivered > MessageIndex(0) {
        field(out, "delivered", delivered.0);
    }
}

fn write_fragments(out: &mut String, schema: &Schema, fragments: &[Fragment]) {
    out.push('[');
    separated(out, fragments, |out, fragment| write_fragment(out, schema, fragment));
    out.push(']');
}

/// As clients from 1.0 on write it, but for dates that an older one wrote in its own way.
fn write_fragment(out: &mut String, schema: &Schema, fragment: &Fragment) {
    let model = schema.model(fragment.model);
    let mut writer = FragmentWriter::begin(out, fragment.kind, fragment.object, model.name());
    for (id, value) in &fragment.properties {
        let name = model.property(*id).name();
        match fragment.dates_as_sent.iter().find(|(sent, _)| sent == id) {
            Some((_, text)) => writer.raw(name, text),
            None => writer.value(name, value),
        }
    }
    for (id, edits) in &fragment.collections {
        writer.edits(model.property(*id).name(), edits);
    }
    writer.end();
}

fn separated<T>(out: &mut String, all: &[T], mut write: impl FnMut(&mut String, &T)) {
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, one);
    }
}

/// The form of these texts. Whoever changes it reads the older ones, too.
const FORMAT: u32 = 1;

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// It does not fit the models.
    #[error("{0}")]
    Unfit(String),
}

impl RecordError {
    /// The error of a scope that has such a record.
    pub fn of(self, scope: &ScopeName) -> StorageError {
        match self {
            Self::Damaged(what) => StorageError::damaged(scope, what),
            Self::Unfit(what) => StorageError::Unfit(format!("the scope {scope:?}: {what}")),
        }
    }
}
