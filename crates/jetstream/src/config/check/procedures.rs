//! `[procedures]`: what the ChangeSet of a procedure call may hold.

use std::sync::Arc;

use super::models::Checked;
use super::reader::{Reader, allowed, array, boolean, string, table};
use super::service::Usual;
use super::{Context, service, values};
use crate::config::mistake::Collector;
use crate::config::tree::{Entry, Node, Value as Written, quoted};
use crate::config::{ProcedureConfig, ScopeConfig};
use crate::core::model::constraint::{Constraint, PropertyConstraint};
use crate::core::model::{FragmentKind, Model, ModelId, ProcedureName, Property};
use crate::procedure::RequestTemplate;

/// Reads one procedure.
pub(super) fn read(
    entry: &Entry,
    checked: &Checked,
    scopes: &[Option<ScopeConfig>],
    context: &mut Context,
) -> Option<ProcedureConfig> {
    let mistakes = &mut context.mistakes;
    let name = name(entry, checked, mistakes);
    let mut reader = Reader::open("a procedure", &entry.node, mistakes)?;
    let mut constraints = Vec::new();
    if let Some(entry) = reader.take("constraints") {
        for node in array(&entry.node, "an array of constraints", mistakes).unwrap_or_default() {
            constraints.extend(constraint(node, checked, mistakes));
        }
    }
    let http = reader.take("http");
    reader.finish(mistakes);
    let action = http.map(|http| {
        let root = name.as_ref().and_then(|name| root_of(name, checked, scopes));
        let environment = RequestTemplate::environment(Arc::new(checked.schema.clone()), root);
        service::read(&http.node, &checked.schema, &environment, &Usual::default(), context)
    });
    let action = action.map_or(Some(None), |action| action.map(Some))?;
    Some(ProcedureConfig { name: name?, constraints, action })
}

/// The model of `root` in the expressions of a procedure: the model that the procedure belongs to if it is
/// a root, else the one that all scopes have. Otherwise it cannot be known.
fn root_of(
    name: &ProcedureName,
    checked: &Checked,
    scopes: &[Option<ScopeConfig>],
) -> Option<ModelId> {
    let mut roots = scopes.iter().flatten().map(|scope| scope.root);
    let (model, _) = checked.schema.find(name.parts().0)?;
    if roots.clone().any(|root| root == model) {
        return Some(model);
    }
    let first = roots.next()?;
    roots.all(|root| root == first).then_some(first)
}

fn name(entry: &Entry, checked: &Checked, mistakes: &mut Collector) -> Option<ProcedureName> {
    let Some(name) = ProcedureName::parse(&entry.key) else {
        mistakes.add_with_help(
            entry.key_place,
            format!("{} is no name of a procedure", quoted(&entry.key)),
            "a procedure is named \"Model.name\": [procedures.\"Canvas.addShape\"]",
        );
        return None;
    };
    let model = name.as_str().split('.').next().unwrap_or_default();
    if let Err(Some(help)) = find_model(model, checked) {
        let message = format!("no model {} for the procedure", quoted(model));
        mistakes.add_with_help(entry.key_place, message, help);
    }
    Some(name)
}

/// The model with this name; if there is none, what there is, unless a mistake told of already is the
/// reason.
pub(super) fn find_model<'a>(
    name: &str,
    checked: &'a Checked,
) -> Result<&'a Model, Option<String>> {
    match checked.schema.find(name) {
        Some((_, model)) => Ok(model),
        None if checked.was_left_out(name) => Err(None),
        None => {
            let names: Vec<&str> = checked.schema.models().map(|(_, m)| &**m.name()).collect();
            Err(Some(allowed("models", name, names.iter().copied())))
        }
    }
}

fn constraint(node: &Node, checked: &Checked, mistakes: &mut Collector) -> Option<Constraint> {
    let mut reader = Reader::open("a constraint", node, mistakes)?;
    let kind = reader.require("type", mistakes).and_then(|entry| kind(&entry.node, mistakes));
    let model = reader.require("model", mistakes).and_then(|e| model(&e.node, checked, mistakes));
    let written = reader
        .take("properties")
        .and_then(|entry| table(&entry.node, "the properties of a constraint", mistakes));
    let additional = flag(reader.take("additional"), mistakes);
    let repeated = flag(reader.take("repeated"), mistakes);
    reader.finish(mistakes);
    let model = model?;
    let mut properties = Vec::new();
    for entry in written.map(|table| table.0.as_slice()).unwrap_or_default() {
        if let Some((id, found)) = find_property(entry, model, checked, mistakes)
            && let Some(asked) = asked_of(entry, found, checked, mistakes)
        {
            properties.push((id, asked));
        }
    }
    if let (Some(FragmentKind::Remove), Some(first)) = (kind, written.and_then(|t| t.0.first())) {
        mistakes.add(first.key_place, "a removal sets no properties");
    }
    let (model, _) = checked.schema.find(model.name())?;
    let (additional, repeated) = (additional?, repeated?);
    Some(Constraint { kind: kind?, model, properties, additional, repeated })
}

/// A key that is false unless something else is said.
fn flag(entry: Option<&Entry>, mistakes: &mut Collector) -> Option<bool> {
    entry.map_or(Some(false), |entry| boolean(&entry.node, mistakes))
}

fn kind(node: &Node, mistakes: &mut Collector) -> Option<FragmentKind> {
    let text = string(node, "the type of a fragment", mistakes)?;
    let found = KINDS.into_iter().find(|kind| kind.as_str() == text);
    if found.is_none() {
        let help = allowed("types", text, KINDS.iter().map(|kind| kind.as_str()));
        mistakes.add_with_help(node.place, format!("no fragment type {}", quoted(text)), help);
    }
    found
}

fn model<'a>(node: &Node, checked: &'a Checked, mistakes: &mut Collector) -> Option<&'a Model> {
    let name = string(node, "the name of a model", mistakes)?;
    match find_model(name, checked) {
        Ok(model) => Some(model),
        Err(help) => {
            if let Some(help) = help {
                mistakes.add_with_help(node.place, format!("no model {}", quoted(name)), help);
            }
            None
        }
    }
}

/// The property that a key names.
pub(super) fn find_property<'a>(
    entry: &Entry,
    model: &'a Model,
    checked: &Checked,
    mistakes: &mut Collector,
) -> Option<(crate::core::model::PropertyId, &'a Property)> {
    let found = model.find(&entry.key);
    if found.is_none() && checked.knows_all_of(model.name()) {
        let names: Vec<&str> = model.properties().map(|(_, p)| &**p.name()).collect();
        let message = format!("no property {} on \"{}\"", quoted(&entry.key), model.name());
        let help = allowed("properties", &entry.key, names.iter().copied());
        mistakes.add_with_help(entry.key_place, message, help);
    }
    found
}

/// What a constraint asks of a property: `"new"`, `"insert"`, `"remove"`, a value, or, for the texts
/// that mean something else, `{ value = "new" }`.
fn asked_of(
    entry: &Entry,
    property: &Property,
    checked: &Checked,
    mistakes: &mut Collector,
) -> Option<PropertyConstraint> {
    let node = &entry.node;
    let edit = match &node.value {
        Written::String(text) if text == "new" => return Some(PropertyConstraint::New),
        Written::String(text) if text == "insert" => PropertyConstraint::Insert,
        Written::String(text) if text == "remove" => PropertyConstraint::Remove,
        Written::Table(_) => {
            let mut reader = Reader::open("a value", node, mistakes)?;
            let value = reader.require("value", mistakes);
            reader.finish(mistakes);
            return values::typed(&value?.node, property, checked, mistakes)
                .map(PropertyConstraint::Value);
        }
        _ => {
            return values::typed(node, property, checked, mistakes).map(PropertyConstraint::Value);
        }
    };
    if !property.is_collection() {
        mistakes.add_with_help(
            node.place,
            format!(
                "\"{}\" is no collection: {} cannot be asked of it",
                property.name(),
                node.value.found()
            ),
            "\"new\" for any value, a value for that one, { value = \"…\" } for a text with another meaning",
        );
        return None;
    }
    Some(edit)
}

/// The types of fragments that a constraint can admit.
const KINDS: [FragmentKind; 4] =
    [FragmentKind::Add, FragmentKind::Change, FragmentKind::Remove, FragmentKind::MoveChange];
