//! `[storage]` and `[migrations]`: where scopes are kept, and what becomes of them when the models change.

use std::path::Path;

use super::Context;
use super::limits::{Unit, number};
use super::reader::{Reader, boolean, string, table};
use crate::config::StorageConfig;
use crate::config::mistake::Collector;
use crate::config::tree::{Entry, Node, quoted};
#[cfg(feature = "postgres")]
use crate::storage::PostgresAddress;
use crate::storage::evolution::Migration;
use crate::storage::{Migrations, Retention, SchemaVersion};

/// Reads `[storage]`.
pub(super) fn storage(entry: Option<&Entry>, context: &mut Context) -> Option<StorageConfig> {
    let folder = |path: &str, context: &Context| context.directory.join(path);
    let Some(entry) = entry else {
        let path = folder(FOLDER, context);
        let control = Some(path.join(CONTROL));
        return Some(StorageConfig { path: Some(path), control, ..StorageConfig::default() });
    };
    let mistakes = &mut context.mistakes;
    let mut reader = Reader::open("[storage]", &entry.node, mistakes)?;
    let memory = reader.take("memory").map(|entry| boolean(&entry.node, mistakes));
    let path = reader.take("path");
    let retention = reader.take("retention").map(|entry| retention(&entry.node, mistakes));
    let models = reader.take("original_models");
    let models = models.map(|entry| number(&entry.node, Unit::Count, mistakes));
    let control = reader.take("control");
    let control = control.map(|entry| string(&entry.node, "the name of a file", mistakes));
    let database = reader.take("postgres");
    reader.finish(mistakes);
    let named = path.map(|entry| string(&entry.node, "the name of a folder", mistakes));
    let in_memory = memory == Some(Some(true));
    if let Some(path) = path
        && in_memory
    {
        let message = "a folder means nothing with memory = true";
        mistakes.add_with_help(path.key_place, message, "take out the one or the other");
    }
    if let Some(database) = database
        && (in_memory || path.is_some())
    {
        let message = "a database means nothing with \"memory\" or \"path\"";
        mistakes.add_with_help(database.key_place, message, "take out the one or the other");
    }
    let in_database = database.is_some();
    let database = database.map(|entry| address(entry, &context.directory, mistakes));
    let control = control.map_or(Some(None), |name| name.map(Some))?;
    let named = named.unwrap_or(Some(FOLDER))?;
    let in_folder = !memory.unwrap_or(Some(false))? && !in_database;
    let path = in_folder.then(|| folder(named, context));
    // Without PostgreSQL there is no address, and naming one is a mistake.
    let _address = database.map_or(Some(None), |address| address.map(Some))?;
    let named = control.map(|name| context.directory.join(name));
    Some(StorageConfig {
        control: named.or_else(|| path.as_ref().map(|path| path.join(CONTROL))),
        #[cfg(feature = "postgres")]
        postgres: _address,
        retention: retention.map_or(Some(None), |retention| retention.map(Some))?,
        original_models: models
            .map_or(Some(None), |models| models.map(Some))?
            .map(|models| SchemaVersion(u32::try_from(models).unwrap_or(u32::MAX))),
        path,
    })
}

#[cfg(feature = "postgres")]
fn address(entry: &Entry, folder: &Path, mistakes: &mut Collector) -> Option<PostgresAddress> {
    let text = string(&entry.node, "the address of a database", mistakes)?;
    PostgresAddress::parse(text, folder)
        // At the key: what stands behind it may hold a password, and is not to be shown.
        .map_err(|error| mistakes.add(entry.key_place, error))
        .ok()
}

#[cfg(not(feature = "postgres"))]
fn address(entry: &Entry, _: &Path, mistakes: &mut Collector) -> Option<()> {
    let message = "this program was built without PostgreSQL";
    mistakes.add_with_help(entry.key_place, message, "build it with the feature \"postgres\"");
    None
}

fn retention(node: &Node, mistakes: &mut Collector) -> Option<Retention> {
    let mut reader = Reader::open("a retention", node, mistakes)?;
    let age = reader.take("age").map(|entry| number(&entry.node, Unit::Milliseconds, mistakes));
    let size = reader.take("size").map(|entry| number(&entry.node, Unit::Bytes, mistakes));
    reader.finish(mistakes);
    let default = Retention::default();
    Some(Retention {
        age_ms_max: age.unwrap_or(Some(default.age_ms_max))?,
        bytes_max: size.unwrap_or(Some(default.bytes_max))?,
    })
}

/// Reads `[migrations]`. What the entries are about is only known together with a store.
pub(super) fn migrations(entry: Option<&Entry>, mistakes: &mut Collector) -> Option<Migrations> {
    let Some(entry) = entry else { return Some(Migrations::new()) };
    let entries = table(&entry.node, "the migrations", mistakes)?;
    let read: Vec<_> = entries.0.iter().map(|entry| migration(entry, mistakes)).collect();
    let mut migrations = Migrations::new();
    for (entry, migration) in entries.0.iter().zip(read) {
        migrations = migrations.entry(&entry.key, migration?);
    }
    Some(migrations)
}

fn migration(entry: &Entry, mistakes: &mut Collector) -> Option<Migration> {
    let parts: Vec<&str> = entry.key.split('.').collect();
    if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
        let message = format!("{} is neither a model nor a property of one", quoted(&entry.key));
        let help = "an entry is about a model or a property: \"Shape\" = …, \"Shape.colour\" = …";
        mistakes.add_with_help(entry.key_place, message, help);
        return None;
    }
    let mut reader = Reader::open("a migration", &entry.node, mistakes)?;
    let drop = reader.take("drop").map(|entry| boolean(&entry.node, mistakes));
    let rename = reader.take("rename").map(|entry| string(&entry.node, "a name", mistakes));
    let convert =
        reader.take("convert").map(|entry| string(&entry.node, "an expression", mistakes));
    reader.finish(mistakes);
    let text = |read: Option<Option<&str>>| {
        read.map_or(Some(None), |text| text.map(|text| Some(text.to_owned())))
    };
    match (drop, text(rename)?, text(convert)?) {
        (Some(Some(true)), None, None) => Some(Migration::Drop),
        // A mistake in it was told of.
        (Some(None), ..) => None,
        (None, rename, convert) if rename.is_some() || convert.is_some() => {
            if parts.len() == 1 && convert.is_some() {
                let message = "the objects of a model cannot be converted, their properties can";
                mistakes.add(entry.node.place, message);
                return None;
            }
            Some(Migration::Keep { rename, convert })
        }
        _ => {
            let help = "{ drop = true }, { rename = \"…\" }, { convert = \"…\" }, or the last two";
            mistakes.add_with_help(entry.node.place, "a migration says what becomes of it", help);
            None
        }
    }
}

/// Beside the configuration file.
const FOLDER: &str = "data";

/// In the folder, so that commands find the server that has it open.
const CONTROL: &str = "control.json";
