//! States of scopes as lines of JSON that outlive versions of this program: out of one store and into another.
//!
//! The first line says what it is and of which schema, then there is one line for each scope, and the last
//! line counts them, so that a file that was cut is recognised. Names stand for models and properties, as on
//! the wire.

use std::io::BufRead;
use std::sync::Arc;

use jetstream_core::ids::{ObjectId, Revision, ScopeName};
use jetstream_core::limits::Limits;
use jetstream_core::model::{Graph, Schema};
use jetstream_core::time::Timestamp;
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::message::Dialect;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::past::state_line;
use super::{Lines, OperationError, Operations};
use crate::storage::past::{Summaries, rebuild};
use crate::storage::{
    Evolution, Migrations, SchemaVersion, Snapshot, Storage, StorageError, StoredSchema,
    StoredScope,
};

#[derive(Serialize, Deserialize)]
struct HeadLine {
    jetstream: String,
    format: u32,
    /// The schema, as a store keeps it.
    schema: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
struct EndLine {
    end: usize,
}

#[derive(Deserialize)]
struct ScopeLine {
    scope: String,
    revision: u64,
    time: String,
    #[serde(rename = "rootUUID")]
    root: ObjectId,
    fragments: Vec<Box<RawValue>>,
}

impl Operations {
    pub(super) async fn export(
        &self,
        scopes: &[String],
        out: &Lines,
    ) -> Result<(), OperationError> {
        let schema = Evolution::step(&[], self.evolution.present().1, &Migrations::new());
        let schema = schema.map_err(|error| OperationError(error.to_string()))?.add;
        let schema = schema.expect("a store that knows no schema is told of the first");
        let schema = RawValue::from_string(schema.text.to_string());
        let schema = schema.map_err(|error| OperationError(error.to_string()))?;
        out.say(&HeadLine { jetstream: KIND.to_owned(), format: FORMAT, schema }).await?;
        let mut end = 0;
        if scopes.is_empty() {
            let mut summaries = Summaries::of(&*self.storage);
            while let Some(summary) = summaries.next().await? {
                self.export_scope(&self.key(summary.name), out).await?;
                end += 1;
            }
        } else {
            for scope in scopes {
                self.export_scope(&self.known(scope).await?, out).await?;
                end += 1;
            }
        }
        out.say(&EndLine { end }).await
    }

    async fn export_scope(&self, key: &StoredScope, out: &Lines) -> Result<(), OperationError> {
        // It may have been removed since it was listed.
        let Some(stored) = self.storage.load(key).await? else { return Ok(()) };
        let rebuilt = rebuild(stored, key).await?;
        out.say(&state_line(key.name.as_str(), &rebuilt)?).await
    }
}

/// Why nothing, or not everything, was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line is not what an export has there. Nothing was imported.
    #[error("line {0}: {1}")]
    Line(usize, String),
    /// The schema does not lead to the present one. Nothing was imported.
    #[error("{0}")]
    Schema(String),
    /// A scope is there already. Nothing was imported.
    #[error("the scope {0:?} is there already")]
    There(ScopeName),
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The store failed; what was imported before stays.
    #[error("{0}")]
    Storage(#[from] StorageError),
}

/// Puts the scopes of an export into a store that nobody serves meanwhile. Their past is not in an export.
///
/// `open` gives the lines from the first, and is asked twice: everything is read and checked before anything
/// is written. Scopes that are there already are replaced if `replace` says so. Tells how many were imported.
///
/// # Errors
///
/// Something in the export is wrong, a scope is there already, or the store fails.
pub async fn import<R: BufRead>(
    storage: &dyn Storage,
    present: &Arc<Evolution>,
    migrations: &Migrations,
    replace: bool,
    open: impl Fn() -> std::io::Result<R>,
) -> Result<usize, ImportError> {
    let mut import = Import::begin(open()?, present, migrations)?;
    while let Some((name, _)) = import.next()? {
        let key = StoredScope::evolving(name, present.clone());
        if !replace && storage.load(&key).await?.is_some() {
            return Err(ImportError::There(key.name));
        }
    }
    let mut import = Import::begin(open()?, present, migrations)?;
    while let Some((name, snapshot)) = import.next()? {
        let key = StoredScope::evolving(name, present.clone());
        storage.remove_scope(&key.name).await?;
        storage.compact(&key, snapshot).await?;
    }
    Ok(import.scopes)
}

/// An export that is being read.
struct Import<R> {
    lines: std::io::Lines<R>,
    line: usize,
    /// From the schema of the export to the present one.
    evolution: Evolution,
    schema: Arc<Schema>,
    scopes: usize,
}

impl<R: BufRead> Import<R> {
    fn begin(reader: R, present: &Evolution, migrations: &Migrations) -> Result<Self, ImportError> {
        let mut lines = reader.lines();
        let head = lines.next().transpose()?.unwrap_or_default();
        let no_export = |_| ImportError::Line(1, "this is no export".to_owned());
        let head: HeadLine = serde_json::from_str(&head).map_err(no_export)?;
        if head.jetstream != KIND || head.format != FORMAT {
            let what = format!("expected {KIND:?} of format {FORMAT}");
            return Err(ImportError::Line(1, what));
        }
        let first = StoredSchema { version: EXPORTED, text: head.schema.get().into() };
        let step = Evolution::step(&[first], present.present().1, migrations);
        let evolution = step.map_err(|error| ImportError::Schema(error.to_string()))?.evolution;
        let schema = evolution.schema(EXPORTED).expect("it was just read").clone();
        Ok(Self { lines, line: 1, evolution, schema, scopes: 0 })
    }

    /// The next scope; `None` after the last.
    fn next(&mut self) -> Result<Option<(ScopeName, Snapshot)>, ImportError> {
        self.line += 1;
        let Some(text) = self.lines.next().transpose()? else {
            return Err(self.wrong("the export is cut: its last line is missing"));
        };
        if let Ok(EndLine { end }) = serde_json::from_str(&text) {
            if end != self.scopes {
                return Err(self.wrong(format!("{end} scopes were exported, not {}", self.scopes)));
            }
            return Ok(None);
        }
        let line: ScopeLine =
            serde_json::from_str(&text).map_err(|error| self.wrong(error.to_string()))?;
        let (name, revision) = (ScopeName::from(&*line.scope), Revision(line.revision));
        let time = Timestamp::parse(&line.time);
        let time = time.ok_or_else(|| self.wrong("time: expected an ISO-8601 date"))?;
        let graph = self.graph(line)?;
        let graph = self.evolution.bring(graph, EXPORTED);
        let graph = graph.map_err(|error| self.wrong(error.to_string()))?;
        self.scopes += 1;
        Ok(Some((name, Snapshot::of(&graph, revision, time))))
    }

    fn graph(&self, line: ScopeLine) -> Result<Graph, ImportError> {
        let limits = Limits::of_what_was_taken();
        let typing = Typing { schema: &self.schema, dialect: Dialect::V1, limits: &limits };
        let fragments = line.fragments.iter().map(|fragment| typing.fragment(fragment));
        let fragments = fragments.collect::<Result<Vec<_>, _>>();
        let fragments = fragments.map_err(|rejection| self.wrong(rejection.message))?;
        let graph = Graph::from_state(self.schema.clone(), line.root, fragments);
        graph.map_err(|errors| self.wrong(errors[0].to_string()))
    }

    fn wrong(&self, what: impl Into<String>) -> ImportError {
        ImportError::Line(self.line, what.into())
    }
}

/// What an export calls itself.
const KIND: &str = "export";
/// How its lines are to be understood.
const FORMAT: u32 = 1;
/// The version that an export's schema has while it is read.
const EXPORTED: SchemaVersion = SchemaVersion(1);
