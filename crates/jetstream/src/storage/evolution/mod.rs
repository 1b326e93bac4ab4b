//! Schemas that change while what was written with the old ones stays.
//!
//! A store keeps every schema that it was written with, each with the [`Migrations`] that led to it, and
//! every record says with which of them it was written. So a start only compares schemas, whatever the
//! amount of data: a scope is brought to the present schema when it is loaded, through all the schemas in
//! between. What does not go without saying needs an entry; without it nothing is touched.

mod compare;
mod convert;
mod migration;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jetstream_core::model::{Graph, Schema};
use serde::{Deserialize, Serialize};

use super::{SchemaVersion, StoredSchema};
use compare::compare;
use convert::Conversion;
use text::SchemaText;

pub use compare::{Change, Entry, Settled};
pub use convert::ConversionError;
pub use migration::{Migration, Migrations};

/// All the schemas of a store, and the ways between them.
#[derive(Debug, Clone)]
pub struct Evolution {
    /// Oldest first; there is at least one.
    versions: Vec<Version>,
}

#[derive(Debug, Clone)]
struct Version {
    number: SchemaVersion,
    schema: Arc<Schema>,
    /// How a state goes on from here, and to which version; `None` for the last.
    next: Option<(usize, Conversion)>,
}

/// What a store keeps of a schema.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionText {
    format: u32,
    schema: SchemaText,
    /// The entries that led from the schema before to this one.
    migrations: Migrations,
    /// Its entries stand for those of the schema before, which is the same one: those did not do what
    /// they were meant to.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    replaces: bool,
}

/// What has to happen before a store can be served with a schema.
#[derive(Debug)]
pub struct Step {
    /// What lies between the last schema of the store and this one.
    pub changes: Vec<Change>,
    /// What the store has to be told before it is written to; `None`: nothing.
    pub add: Option<StoredSchema>,
    /// All the schemas, this one included.
    pub evolution: Evolution,
}

/// Why a store cannot be served with a schema.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvolutionError {
    /// Some changes need an entry. Here are all changes.
    #[error("{}", explain(.0))]
    Unsettled(Vec<Change>),
    /// What the store has of a schema cannot be read: by a newer version, perhaps.
    #[error("the stored schema {} cannot be read: {why}", .version.0)]
    Unreadable {
        /// Which.
        version: SchemaVersion,
        /// Why.
        why: String,
    },
}

fn explain(changes: &[Change]) -> String {
    let unsettled: Vec<_> = changes.iter().filter(|change| !change.is_settled()).collect();
    let count = unsettled.len();
    let mut text = String::from("the models do not fit what is stored, and nothing was touched:");
    for change in unsettled {
        text.push_str(&format!("\n{change}"));
    }
    text.push_str(&format!(
        "\n{count} of {} changes cannot be made without an entry",
        changes.len()
    ));
    text
}

impl Evolution {
    /// A schema without a past.
    pub fn only(schema: Arc<Schema>) -> Self {
        Self { versions: vec![Version { number: SchemaVersion(0), schema, next: None }] }
    }

    /// What it takes to serve a store, which was written with the schemas `stored`, with `schema`. Looks
    /// at no data.
    ///
    /// # Errors
    ///
    /// A change that needs an entry has none.
    pub fn step(
        stored: &[StoredSchema],
        schema: &Arc<Schema>,
        migrations: &Migrations,
    ) -> Result<Step, EvolutionError> {
        let mut texts = stored.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let present = SchemaText::of(schema);
        let (changes, next) = match texts.last() {
            None => (Vec::new(), Some((Migrations::new(), false))),
            Some((_, last)) if last.schema != present => {
                let (changes, used) = settle(last, schema, migrations)?;
                (changes, Some((used, false)))
            }
            Some((_, last)) => {
                let amended = amended(&texts, last, schema, migrations);
                (Vec::new(), amended.map(|used| (used, true)))
            }
        };
        let add = next.map(|(migrations, replaces)| {
            let number = SchemaVersion(texts.last().map_or(1, |(number, _)| number.0 + 1));
            let text = VersionText { format: FORMAT, schema: present, migrations, replaces };
            let stored = serde_json::to_string(&text).expect("names and numbers have a JSON text");
            texts.push((number, text));
            StoredSchema { version: number, text: stored.into() }
        });
        Ok(Step { changes, add, evolution: Self::new(texts, schema)? })
    }

    /// What a store says of itself, without a configuration: the last schema that it was written with is the
    /// present one. `None` if it was written with none.
    ///
    /// # Errors
    ///
    /// A schema cannot be read.
    pub fn stored(stored: &[StoredSchema]) -> Result<Option<Self>, EvolutionError> {
        let texts = stored.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let Some((number, last)) = texts.last() else { return Ok(None) };
        let present = schema_of(*number, last)?;
        Self::new(texts, &present).map(Some)
    }

    fn new(
        texts: Vec<(SchemaVersion, VersionText)>,
        present: &Arc<Schema>,
    ) -> Result<Self, EvolutionError> {
        let last = texts.len() - 1;
        let mut versions = Vec::with_capacity(texts.len());
        for (place, (number, text)) in texts.iter().enumerate() {
            // The last is the present one, whose ids are those that everybody uses.
            let schema = if place == last { present.clone() } else { schema_of(*number, text)? };
            versions.push(Version { number: *number, schema, next: None });
        }
        for place in 0..last {
            let mut next = place + 1;
            while texts.get(next + 1).is_some_and(|(_, text)| text.replaces) {
                next += 1;
            }
            let migrations = &texts[next].1.migrations;
            let (from, to) = (&versions[place].schema, &versions[next].schema);
            let (changes, conversion) = compare(from, to, migrations);
            if !changes.iter().all(Change::is_settled) {
                return Err(EvolutionError::Unsettled(changes));
            }
            versions[place].next = Some((next, conversion));
        }
        Ok(Self { versions })
    }

    /// The schema that is written with, and its number.
    pub fn present(&self) -> (SchemaVersion, &Arc<Schema>) {
        let last = self.versions.last().expect("there is at least one");
        (last.number, &last.schema)
    }

    /// Whether the store was written with no other schema before.
    pub fn is_first(&self) -> bool {
        self.versions.len() == 1
    }

    /// The schema with this number.
    pub fn schema(&self, version: SchemaVersion) -> Option<&Arc<Schema>> {
        self.place(version).map(|place| &self.versions[place].schema)
    }

    /// A state of one version as the present schema has it.
    ///
    /// # Errors
    ///
    /// There is no such version, or an entry does not do for this state.
    pub fn bring(&self, graph: Graph, version: SchemaVersion) -> Result<Graph, ConversionError> {
        let unknown = || ConversionError::new(format!("there is no schema {}", version.0));
        let mut place = self.place(version).ok_or_else(unknown)?;
        let mut graph = graph;
        while let Some((next, conversion)) = &self.versions[place].next {
            graph = conversion.graph(&graph)?;
            place = *next;
        }
        Ok(graph)
    }

    fn place(&self, version: SchemaVersion) -> Option<usize> {
        // What was written before the store was told of a schema was written with its first one.
        if version == SchemaVersion(0) {
            return Some(0);
        }
        self.versions.iter().position(|known| known.number == version)
    }
}

fn read(stored: &StoredSchema) -> Result<(SchemaVersion, VersionText), EvolutionError> {
    let version = stored.version;
    let unreadable = |why: String| EvolutionError::Unreadable { version, why };
    let text: VersionText =
        serde_json::from_str(&stored.text).map_err(|error| unreadable(error.to_string()))?;
    if text.format != FORMAT {
        return Err(unreadable(format!("its format is {}, not {FORMAT}", text.format)));
    }
    Ok((version, text))
}

fn schema_of(version: SchemaVersion, text: &VersionText) -> Result<Arc<Schema>, EvolutionError> {
    let schema = text.schema.clone().schema();
    schema.map(Arc::new).map_err(|why| EvolutionError::Unreadable { version, why })
}

/// The changes to the present schema, and the entries that settle them.
fn settle(
    last: &VersionText,
    schema: &Arc<Schema>,
    migrations: &Migrations,
) -> Result<(Vec<Change>, Migrations), EvolutionError> {
    let old = schema_of(SchemaVersion(0), last)?;
    let (changes, _) = compare(&old, schema, migrations);
    if !changes.iter().all(Change::is_settled) {
        return Err(EvolutionError::Unsettled(changes));
    }
    let used = changes.iter().filter_map(|change| match &change.settled {
        Settled::By(entry) => Some(entry.clone()),
        _ => None,
    });
    let used =
        used.fold(Migrations::new(), |used, entry| used.entry(&entry.subject, entry.migration));
    Ok((changes, used))
}

/// The entries that are to stand for those that led to the last schema, if they say something else.
///
/// An expression that fails is only found out when a scope is loaded, and then has to be put right.
fn amended(
    texts: &[(SchemaVersion, VersionText)],
    last: &VersionText,
    schema: &Arc<Schema>,
    migrations: &Migrations,
) -> Option<Migrations> {
    let before = texts.iter().rposition(|(_, text)| !text.replaces)?.checked_sub(1)?;
    let (_, used) = settle(&texts[before].1, schema, migrations).ok()?;
    (used != last.migrations).then_some(used)
}

/// How a schema's text is to be understood.
const FORMAT: u32 = 1;
