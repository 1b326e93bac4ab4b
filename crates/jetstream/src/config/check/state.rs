//! `state = "file.json"`: the objects that a scope begins with.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Context;
use super::models::Checked;
use super::reader::string;
use crate::config::Initial;
use crate::config::mistake::{Collector, Origin, Place, Source, SourceId};
use crate::config::tree::{Node, quoted};
use crate::core::ids::ObjectId;
use crate::core::limits::Limits;
use crate::core::model::{Fragment, Graph, Model, Schema, StateError};
use crate::core::wire::change_set::Typing;
use crate::core::wire::message::Dialect;

/// A `ScopeState` without its envelope; other keys are passed over, as they are on the wire.
#[derive(Deserialize)]
struct StateFile<'a> {
    #[serde(rename = "rootUUID")]
    root: ObjectId,
    #[serde(borrow)]
    fragments: Vec<&'a RawValue>,
}

/// Reads the file that `node` names. Its mistakes are reported with its own lines.
pub(super) fn read(
    node: &Node,
    model: &Model,
    checked: &Checked,
    limits: &Limits,
    context: &mut Context,
) -> Option<Initial> {
    let name = string(node, "the name of a file", &mut context.mistakes)?;
    let path = context.directory.join(name);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read {}: {error}", quoted(name));
            context.mistakes.add(node.place, message);
            return None;
        }
    };
    let name = path.display().to_string();
    let source = context.sources.add(Source::new(Origin::File, name, text.clone()));
    let schema = Arc::new(checked.schema.clone());
    let graph = graph(&text, source, model, &schema, limits, &mut context.mistakes)?;
    Some(Initial::State(Arc::new(graph)))
}

/// The objects that a text says, the root of this model.
pub(in crate::config) fn graph(
    text: &str,
    source: SourceId,
    model: &Model,
    schema: &Arc<Schema>,
    limits: &Limits,
    mistakes: &mut Collector,
) -> Option<Graph> {
    let state = parse(text, source, mistakes)?;
    let places: Vec<Place> = state.fragments.iter().map(|raw| place(raw, text, source)).collect();
    let fragments = typed(&state, &places, schema, limits, mistakes)?;
    let root = places.first().copied().unwrap_or(Place::new(source, 0..text.len()));
    check_root(&fragments, root, model, schema, mistakes)?;
    check_graph(&state, fragments, &places, root, schema, mistakes)
}

fn parse<'a>(text: &'a str, source: SourceId, mistakes: &mut Collector) -> Option<StateFile<'a>> {
    serde_json::from_str(text)
        .map_err(|error| {
            let at = offset(text, error.line(), error.column());
            // The position is in the place, and once is enough.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            mistakes.add_with_help(
                Place::new(source, at..at),
                format!("cannot be read as a state: {message}"),
                "{\"rootUUID\": \"…\", \"fragments\": [{\"type\": \"change\", …}, {\"type\": \"add\", …}, …]}",
            );
        })
        .ok()
}

fn typed(
    state: &StateFile<'_>,
    places: &[Place],
    schema: &Schema,
    limits: &Limits,
    mistakes: &mut Collector,
) -> Option<Vec<Fragment>> {
    let typing = Typing { schema, dialect: Dialect::Original, limits };
    let fragments: Vec<Option<Fragment>> = state
        .fragments
        .iter()
        .zip(places)
        .map(|(raw, place)| {
            let refused = |rejection: crate::core::model::Rejection| {
                mistakes.add(*place, rejection.message);
            };
            typing.fragment(raw).map_err(refused).ok()
        })
        .collect();
    fragments.into_iter().collect()
}

fn check_root(
    fragments: &[Fragment],
    place: Place,
    model: &Model,
    schema: &Schema,
    mistakes: &mut Collector,
) -> Option<()> {
    // That there is none is for the graph to say.
    let Some(first) = fragments.first() else { return Some(()) };
    let found = schema.model(first.model).name();
    if found == model.name() {
        return Some(());
    }
    let message =
        format!("the root is of the model \"{found}\", the scope's is \"{}\"", model.name());
    mistakes.add(place, message);
    None
}

fn check_graph(
    state: &StateFile<'_>,
    fragments: Vec<Fragment>,
    places: &[Place],
    root: Place,
    schema: &Arc<Schema>,
    mistakes: &mut Collector,
) -> Option<Graph> {
    match Graph::from_state(schema.clone(), state.root, fragments) {
        Ok(graph) => Some(graph),
        Err(errors) => {
            for error in errors {
                match error {
                    StateError::NoRoot(_) => mistakes.add(root, error.to_string()),
                    StateError::Fragment(index, rejection) => {
                        mistakes.add(places.get(index).copied().unwrap_or(root), rejection.message);
                    }
                }
            }
            None
        }
    }
}

/// Where a part of `text` stands in it.
fn place(part: &RawValue, text: &str, source: SourceId) -> Place {
    let start = part.get().as_ptr().addr() - text.as_ptr().addr();
    Place::new(source, start..start + part.get().len())
}

/// The byte at a line and a column, both from 1, the column in bytes.
pub(in crate::config) fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}
