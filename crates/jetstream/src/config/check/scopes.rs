//! `[scopes]`: the names that clients fetch, and what is behind them.

use std::sync::Arc;

use http::Method;

use super::Context;
use super::models::Checked;
use super::procedures::{find_model, find_property};
use super::reader::{Reader, string, table};
use super::service::Usual;
use super::{access, limits, notify, service, state, values};
use crate::config::mistake::{Collector, Place};
use crate::config::tree::{Entry, Node, quoted};
use crate::config::{Initial, ScopeConfig, ServiceConfig, WriteConfig};
use crate::core::limits::Limits;
use crate::core::model::Model;
use crate::core::scope::{Visible, WriteOrder};
use crate::procedure::RequestTemplate;
use crate::scope::{Template, TemplateError};

/// Reads one scope, or one family of scopes.
pub(super) fn read(
    entry: &Entry,
    checked: &Checked,
    server: &Limits,
    context: &mut Context,
) -> Option<ScopeConfig> {
    let template = template(entry, context);
    let mut reader = Reader::open("a scope", &entry.node, &mut context.mistakes)?;
    let root = match reader.require("root", &mut context.mistakes) {
        Some(entry) => root(&entry.node, checked, context),
        None => None,
    };
    let limits = match reader.take("limits") {
        Some(entry) => limits::of_scope(&entry.node, server, &mut context.mistakes),
        None => server.clone(),
    };
    let visible = match reader.take("visible") {
        Some(entry) => visible(&entry.node, &mut context.mistakes),
        None => Some(Visible::default()),
    };
    let initial_key = ["initial", "state"].into_iter().find(|key| reader.get(key).is_some());
    let initial = initial(&mut reader, root, template.as_ref(), checked, &limits, context);
    let validate = reader.take("validate").map(|entry| validate(entry, root, checked, context));
    let rules = reader.take("access").map(|entry| match root {
        Some(root) => access::read(entry, root, checked, context),
        None => None,
    });
    let write = reader.take("write").map(|entry| write(entry, root, checked, context));
    let load = reader.take("load").map(|entry| load(entry, checked, context));
    if let (Some(given), Some(entry)) = (&initial_key, reader.get("load")) {
        context.mistakes.add_with_help(
            entry.key_place,
            format!("a scope that is loaded has no {}", quoted(given)),
            "what the service gives is what it begins with",
        );
    }
    let told = reader.take("notify");
    let notify = told.map(|told| notify::read(told, &entry.key, context));
    reader.finish(&mut context.mistakes);
    let (root, _) = checked.schema.find(root?.name())?;
    let validate = validate.map_or(Some(None), |validate| validate.map(Some))?;
    let access = rules.map_or(Some(None), |rules| rules.map(Some))?;
    Some(ScopeConfig {
        template: template?,
        root,
        initial: initial?,
        limits,
        visible: visible?,
        validate,
        access,
        notify: notify.map_or(Some(None), |notify| notify.map(Some))?,
        write: write.map_or(Some(None), |write| write.map(Some))?,
        load: load.map_or(Some(None), |load| load.map(Some))?,
    })
}

/// What is kept of how far a consumer has got goes by its name.
pub(super) fn consumers_apart(
    scopes: &[Option<ScopeConfig>],
    place: Place,
    mistakes: &mut Collector,
) {
    let names: Vec<&str> =
        scopes.iter().flatten().filter_map(|scope| Some(&*scope.notify.as_ref()?.name)).collect();
    for (place_of, name) in names.iter().enumerate() {
        if names[..place_of].contains(name) {
            let message = format!("two scopes notify {}", quoted(name));
            let help =
                "each \"notify\" has a name of its own: that of its scope, or its key \"name\"";
            mistakes.add_with_help(place, message, help);
        }
    }
}

/// Who decides about the ChangeSets that are no calls of procedures.
fn validate(
    entry: &Entry,
    root: Option<&Model>,
    checked: &Checked,
    context: &mut Context,
) -> Option<ServiceConfig> {
    let mut reader = Reader::open("a validation", &entry.node, &mut context.mistakes)?;
    let http = reader.require("http", &mut context.mistakes);
    reader.finish(&mut context.mistakes);
    let root = root.and_then(|root| checked.schema.find(root.name())).map(|(id, _)| id);
    let environment = RequestTemplate::environment(Arc::new(checked.schema.clone()), root);
    service::read(&http?.node, &checked.schema, &environment, &Usual::default(), context)
}

/// Who takes ChangeSets before they are committed.
fn write(
    entry: &Entry,
    root: Option<&Model>,
    checked: &Checked,
    context: &mut Context,
) -> Option<WriteConfig> {
    let mut reader =
        Reader::open("a service that is written to", &entry.node, &mut context.mistakes)?;
    let order = match reader.take("order") {
        Some(entry) => order(&entry.node, &mut context.mistakes),
        None => Some(WriteOrder::default()),
    };
    let http = reader.require("http", &mut context.mistakes);
    reader.finish(&mut context.mistakes);
    let root = root.and_then(|root| checked.schema.find(root.name())).map(|(id, _)| id);
    let environment = RequestTemplate::environment(Arc::new(checked.schema.clone()), root);
    let usual = Usual { repeatable: true, ..Usual::default() };
    let http = service::read(&http?.node, &checked.schema, &environment, &usual, context);
    Some(WriteConfig { order: order?, http: http? })
}

fn order(node: &Node, mistakes: &mut Collector) -> Option<WriteOrder> {
    match string(node, "\"places\" or \"authors\"", mistakes)? {
        "places" => Some(WriteOrder::Places),
        "authors" => Some(WriteOrder::Authors),
        other => {
            mistakes.add_with_help(
                node.place,
                format!("{} is no order in which changes are written", quoted(other)),
                "\"places\": what touches the same one after the other; \"authors\": only what one author sends",
            );
            None
        }
    }
}

/// Who gives what the scope begins with.
fn load(entry: &Entry, checked: &Checked, context: &mut Context) -> Option<ServiceConfig> {
    let mut reader = Reader::open("a service to load from", &entry.node, &mut context.mistakes)?;
    let http = reader.require("http", &mut context.mistakes);
    reader.finish(&mut context.mistakes);
    let environment = RequestTemplate::environment_of_scope(Arc::new(checked.schema.clone()));
    let answer_bytes_max = STATE_BYTES_MAX;
    let usual = Usual { method: Method::GET, repeatable: true, answer_bytes_max };
    service::read(&http?.node, &checked.schema, &environment, &usual, context)
}

/// The longest state that is loaded, in bytes, if nothing else is said: a hundred thousand objects and more.
const STATE_BYTES_MAX: usize = 64 << 20;

fn visible(node: &Node, mistakes: &mut Collector) -> Option<Visible> {
    match string(node, "\"durable\" or \"at once\"", mistakes)? {
        "durable" => Some(Visible::Durable),
        "at once" => Some(Visible::AtOnce),
        other => {
            mistakes.add_with_help(
                node.place,
                format!("{} is no time at which changes are visible", quoted(other)),
                "\"durable\": when they survive a crash; \"at once\": before, only replies wait",
            );
            None
        }
    }
}

fn template(entry: &Entry, context: &mut Context) -> Option<Template> {
    if entry.key.is_empty() {
        context.mistakes.add(entry.key_place, "the name of a scope may not be empty");
        return None;
    }
    let refused = |error: TemplateError| {
        context.mistakes.add_with_help(
            entry.key_place,
            error.to_string(),
            "a family has a placeholder in braces in its name: boards/{id}",
        );
    };
    Template::parse(&entry.key).map_err(refused).ok()
}

fn root<'a>(node: &Node, checked: &'a Checked, context: &mut Context) -> Option<&'a Model> {
    let name = string(node, "the name of the root's model", &mut context.mistakes)?;
    match find_model(name, checked) {
        Ok(model) => Some(model),
        Err(Some(help)) => {
            let message = format!("no model {}", quoted(name));
            context.mistakes.add_with_help(node.place, message, help);
            None
        }
        Err(None) => None,
    }
}

fn initial(
    reader: &mut Reader<'_>,
    root: Option<&Model>,
    template: Option<&Template>,
    checked: &Checked,
    limits: &Limits,
    context: &mut Context,
) -> Option<Initial> {
    let initial = reader.take("initial");
    let Some(state) = reader.take("state") else {
        return match initial {
            Some(entry) => properties(&entry.node, root?, checked, context),
            None => Some(Initial::Properties(Vec::new())),
        };
    };
    if initial.is_some() {
        context.mistakes.add_with_help(
            state.key_place,
            "a scope has either \"initial\" or \"state\"",
            "\"initial\" gives the root's first values, \"state\" the root and all objects",
        );
        return None;
    }
    if template.is_some_and(Template::is_family) {
        context.mistakes.add_with_help(
            state.key_place,
            "a family of scopes cannot begin with \"state\"",
            "an object has one uuid and is in one scope; use \"initial\"",
        );
        return None;
    }
    state::read(&state.node, root?, checked, limits, context)
}

fn properties(
    node: &Node,
    root: &Model,
    checked: &Checked,
    context: &mut Context,
) -> Option<Initial> {
    let mistakes = &mut context.mistakes;
    let written = table(node, "the root's first values", mistakes)?;
    let mut properties = Vec::new();
    for entry in &written.0 {
        if let Some((id, property)) = find_property(entry, root, checked, mistakes)
            && let Some(value) = values::typed(&entry.node, property, checked, mistakes)
        {
            properties.push((id, value));
        }
    }
    Some(Initial::Properties(properties))
}
