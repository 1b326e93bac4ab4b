//! From texts back to what was stored.

use std::sync::{Arc, LazyLock};

use jetstream_core::ids::{MessageIndex, ObjectId, Origin, Position, Revision, SharedText};
use jetstream_core::limits::Limits;
use jetstream_core::model::{Fragment, Schema};
use jetstream_core::scope::{Answer, Commit, Entry};
use jetstream_core::time::Timestamp;
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::message::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FORMAT, Place, RecordError};
use crate::storage::{SchemaVersion, Snapshot, StoredScope, StoredSession};

/// Reads what [`write_entries`](super::write_entries) wrote, with the schema that it says it is of.
///
/// # Errors
///
/// [`RecordError::Damaged`] if text and checksum do not belong together, or here;
/// [`RecordError::Unfit`] if they do, and the scope's models have no place for what it says.
pub fn read_entries(
    scope: &StoredScope,
    after: Position,
    text: &str,
    crc: u32,
) -> Result<(SchemaVersion, Vec<Entry>), RecordError> {
    let place = Place::Entries(&scope.name, after);
    let RawEntries { format, schema: version, entries } = parse(place, text, crc)?;
    let schema = check(scope, format, version)?;
    let entries = entries.into_iter().map(|entry| entry.typed(schema));
    Ok((version, entries.collect::<Result<_, _>>()?))
}

/// Reads what [`write_snapshot`](super::write_snapshot) wrote.
///
/// # Errors
///
/// As [`read_entries`].
pub fn read_snapshot(
    scope: &StoredScope,
    position: Position,
    text: &str,
    crc: u32,
) -> Result<Snapshot, RecordError> {
    let snapshot: RawSnapshot<'_> = parse(Place::Snapshot(&scope.name, position), text, crc)?;
    let schema = check(scope, snapshot.format, snapshot.schema)?;
    let answered: Result<Vec<_>, _> = snapshot.answered.into_iter().map(RawEntry::answer).collect();
    Ok(Snapshot {
        version: snapshot.schema,
        position: snapshot.position,
        revision: snapshot.revision,
        time: snapshot.time,
        root: snapshot.root,
        fragments: fragments(schema, &snapshot.fragments)?,
        answered: answered?.into(),
    })
}

/// Reads what [`write_session`](super::write_session) wrote.
///
/// # Errors
///
/// [`RecordError::Damaged`] if text and checksum do not belong together.
pub fn read_session(text: &str, crc: u32) -> Result<StoredSession, RecordError> {
    parse(Place::Session, text, crc)
}

#[derive(Deserialize)]
struct RawEntries<'a> {
    format: u32,
    schema: SchemaVersion,
    #[serde(borrow)]
    entries: Vec<RawEntry<'a>>,
}

#[derive(Deserialize)]
struct RawSnapshot<'a> {
    format: u32,
    schema: SchemaVersion,
    position: Position,
    revision: Revision,
    time: Timestamp,
    root: ObjectId,
    #[serde(borrow)]
    fragments: Vec<&'a RawValue>,
    #[serde(borrow)]
    answered: Vec<RawEntry<'a>>,
}

/// A commit if it has a revision, else an answer.
#[derive(Deserialize)]
struct RawEntry<'a> {
    revision: Option<Revision>,
    time: Timestamp,
    origin: Option<Origin>,
    author: Option<SharedText>,
    #[serde(default)]
    delivered: MessageIndex,
    #[serde(borrow, default)]
    fragments: Vec<&'a RawValue>,
    #[serde(borrow)]
    reply: &'a RawValue,
}

impl RawEntry<'_> {
    fn typed(self, schema: &Schema) -> Result<Entry, RecordError> {
        let Some(revision) = self.revision else { return self.answer().map(Entry::Answer) };
        Ok(Entry::Commit(Arc::new(Commit {
            revision,
            time: self.time,
            origin: self.origin,
            author: self.author,
            delivered: self.delivered,
            fragments: fragments(schema, &self.fragments)?,
            reply: self.reply.get().into(),
        })))
    }

    fn answer(self) -> Result<Answer, RecordError> {
        let origin = self.origin;
        let origin = origin.ok_or_else(|| damaged("an answer to nobody"))?;
        let (time, delivered) = (self.time, self.delivered);
        Ok(Answer { origin, time, delivered, reply: self.reply.get().into() })
    }
}

fn parse<'a, T: Deserialize<'a>>(
    place: Place<'_>,
    text: &'a str,
    crc: u32,
) -> Result<T, RecordError> {
    if place.crc(text) != crc {
        return Err(damaged("the checksum does not fit"));
    }
    // A text with the right checksum is what somebody wrote; it can still be of a later version.
    serde_json::from_str(text).map_err(|error| damaged(format!("not a record: {error}")))
}

/// The schema of a record of a format and a schema that are known.
fn check(scope: &StoredScope, format: u32, schema: SchemaVersion) -> Result<&Schema, RecordError> {
    if format != FORMAT {
        let why = format!("a record of format {format}; this version reads {FORMAT}");
        return Err(RecordError::Unfit(why));
    }
    let found = scope.evolution.schema(schema);
    let unknown = || RecordError::Unfit(format!("a record of schema {}, unknown here", schema.0));
    found.map(|schema| &**schema).ok_or_else(unknown)
}

fn fragments(schema: &Schema, raw: &[&RawValue]) -> Result<Arc<[Fragment]>, RecordError> {
    // It was within the limits when it was taken, and those may have become narrower.
    let typing = Typing { schema, dialect: Dialect::V1, limits: &NO_LIMITS };
    let fragments = raw.iter().map(|raw| typing.fragment(raw));
    fragments.collect::<Result<_, _>>().map_err(|error| RecordError::Unfit(error.to_string()))
}

fn damaged(what: impl Into<String>) -> RecordError {
    RecordError::Damaged(what.into())
}

static NO_LIMITS: LazyLock<Limits> = LazyLock::new(|| Limits {
    string_bytes_max: usize::MAX,
    collection_elements_max: usize::MAX,
    ..Limits::default()
});
