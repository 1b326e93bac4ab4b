//! `[enumerations]` and `[models]`: from tables to a [`Schema`].
//!
//! The schema's own builder judges them. Its mistakes carry a path in the words of the file, which is
//! found again in the tree to know the line.

use std::collections::BTreeSet;

use super::reader::{Reader, allowed, array, string, table};
use super::values;
use crate::config::mistake::{Collector, Place};
use crate::config::tree::{Entry, Node, Table, Value, quoted};
use crate::core::model::schema::{Lifetime, PropertyDefinition, SchemaMistake};
use crate::core::model::{Schema, SchemaBuilder};

/// A schema that may lack what was mistaken in the file, so that the rest can be checked against it.
pub(super) struct Checked {
    pub(super) schema: Schema,
    /// Models that lack something: what seems to be missing in them may be there.
    incomplete: BTreeSet<String>,
    /// Enumerations of which a value could not be read.
    vague: BTreeSet<String>,
}

impl Checked {
    /// Whether an enumeration may have more values than it seems to have.
    pub(super) fn is_vague(&self, enumeration: &str) -> bool {
        self.vague.contains(enumeration)
    }

    /// Whether it is certain that `model` has no other properties than it seems to have.
    pub(super) fn knows_all_of(&self, model: &str) -> bool {
        let mut current = self.schema.find(model).map(|(_, model)| model);
        while let Some(model) = current {
            if self.incomplete.contains(&**model.name()) {
                return false;
            }
            current = model.extends().map(|id| self.schema.model(id));
        }
        true
    }

    /// Whether some model was left out as a whole, so that its name is no mistake.
    pub(super) fn was_left_out(&self, model: &str) -> bool {
        self.incomplete.contains(model) && self.schema.find(model).is_none()
    }
}

/// Reads both tables. All mistakes in them are reported.
pub(super) fn read(root: &mut Reader<'_>, whole: &Table, mistakes: &mut Collector) -> Checked {
    let mut description = Description::default();
    if let Some(entry) = root.take("enumerations")
        && let Some(table) = table(&entry.node, "the enumerations", mistakes)
    {
        for entry in &table.0 {
            description.read_enumeration(entry, mistakes);
        }
    }
    if let Some(entry) = root.take("models")
        && let Some(table) = table(&entry.node, "the models", mistakes)
    {
        for entry in &table.0 {
            description.read_model(entry, mistakes);
        }
    }
    description.build(whole, mistakes)
}

/// What the file says of the schema, as far as it could be read.
#[derive(Default)]
struct Description {
    enumerations: Vec<(String, Values)>,
    models: Vec<Model>,
    incomplete: BTreeSet<String>,
    vague: BTreeSet<String>,
}

enum Values {
    Strings(Vec<String>),
    Integers(Vec<(String, i64)>),
}

struct Model {
    name: String,
    extends: Option<String>,
    lifetime: Lifetime,
    properties: Vec<PropertyDefinition>,
}

impl Values {
    /// The values that could be read, and whether those are all.
    fn read(node: &Node, mistakes: &mut Collector) -> Option<(Self, bool)> {
        match &node.value {
            Value::Array(elements) => {
                let read: Vec<String> =
                    elements.iter().filter_map(|element| text(element, mistakes)).collect();
                let all = read.len() == elements.len();
                Some((Self::Strings(read), all))
            }
            Value::Table(Table(entries)) => {
                let read: Vec<(String, i64)> = entries
                    .iter()
                    .filter_map(|e| Some((e.key.clone(), integer(&e.node, mistakes)?)))
                    .collect();
                let all = read.len() == entries.len();
                Some((Self::Integers(read), all))
            }
            other => {
                mistakes.add_with_help(
                    node.place,
                    format!("expected the values of an enumeration, found {}", other.found()),
                    "an array of strings, [\"Monday\", \"Tuesday\"], or a table of integers, \
                     { Open = 0, Closed = 1 }",
                );
                None
            }
        }
    }
}

fn text(node: &Node, mistakes: &mut Collector) -> Option<String> {
    match &node.value {
        // An empty text is a value like any other.
        Value::String(text) => Some(text.clone()),
        other => {
            mistakes.add(node.place, format!("expected a string, found {}", other.found()));
            None
        }
    }
}

fn integer(node: &Node, mistakes: &mut Collector) -> Option<i64> {
    match &node.value {
        Value::Integer(number) => Some(*number),
        other => {
            mistakes.add(node.place, format!("expected an integer, found {}", other.found()));
            None
        }
    }
}

impl Description {
    fn read_enumeration(&mut self, entry: &Entry, mistakes: &mut Collector) {
        let name = entry.key.clone();
        let values = match Values::read(&entry.node, mistakes) {
            Some((values, true)) => values,
            _ => {
                // What refers to it is right as far as anybody can tell, so the schema gets to see some
                // enumeration of that name, with a value that nobody will see.
                self.vague.insert(name.clone());
                Values::Strings(vec![String::new()])
            }
        };
        self.enumerations.push((name, values));
    }

    fn read_model(&mut self, entry: &Entry, mistakes: &mut Collector) {
        let name = entry.key.clone();
        let Some(mut reader) = Reader::open("a model", &entry.node, mistakes) else {
            self.incomplete.insert(name);
            return;
        };
        let extends = reader
            .take("extends")
            .and_then(|e| string(&e.node, "the name of a model", mistakes))
            .map(str::to_owned);
        let lifetime = Lifetime::default();
        let mut model = Model { name, extends, lifetime, properties: Vec::new() };
        if let Some(entry) = reader.take("properties")
            && let Some(table) = table(&entry.node, "the properties of a model", mistakes)
        {
            for entry in &table.0 {
                match property(entry, mistakes) {
                    Some(property) => model.properties.push(property),
                    None => drop(self.incomplete.insert(model.name.clone())),
                }
            }
        }
        if let Some(entry) = reader.take("lifetime") {
            model.lifetime = lifetime_of(&entry.node, mistakes).unwrap_or_default();
        }
        reader.finish(mistakes);
        self.models.push(model);
    }

    /// Builds the schema; what is mistaken is reported and left out, until the rest is a schema.
    fn build(mut self, whole: &Table, mistakes: &mut Collector) -> Checked {
        let mut reported = false;
        loop {
            let found = match self.builder().build() {
                Ok(schema) => {
                    return Checked { schema, incomplete: self.incomplete, vague: self.vague };
                }
                Err(found) => found.0,
            };
            if !reported {
                found.iter().for_each(|mistake| report(mistake, whole, mistakes));
                reported = true;
            }
            for mistake in &found {
                self.leave_out(&mistake.path);
            }
        }
    }

    fn builder(&self) -> SchemaBuilder {
        let mut builder = Schema::builder();
        for (name, values) in &self.enumerations {
            builder = match values {
                Values::Strings(values) => {
                    builder.enumeration_of_strings(name, values.iter().map(String::as_str))
                }
                Values::Integers(values) => builder.enumeration_of_integers(
                    name,
                    values.iter().map(|(name, value)| (name.as_str(), *value)),
                ),
            };
        }
        for model in &self.models {
            builder = builder.model(&model.name, |description| {
                let mut description = description.lifetime(model.lifetime);
                if let Some(extends) = &model.extends {
                    description = description.extends(extends);
                }
                model.properties.iter().cloned().fold(description, |d, mut property| {
                    if self.vague.contains(property.kind.trim()) {
                        property.default = None;
                    }
                    d.define(property)
                })
            });
        }
        builder
    }

    /// Takes out what a mistake is about. Always takes something out, so that this ends.
    fn leave_out(&mut self, path: &[String]) {
        let part = |index: usize| path.get(index).map(String::as_str);
        match (part(0), part(1)) {
            (Some("enumerations"), Some(name)) => self.enumerations.retain(|e| e.0 != name),
            (Some("models"), Some(name)) => {
                self.incomplete.insert(name.to_owned());
                match (self.models.iter_mut().find(|m| m.name == name), part(2), part(3)) {
                    (Some(model), Some("extends"), _) if model.extends.is_some() => {
                        model.extends = None;
                    }
                    // Only inherited, where it is reported for the model that has it, and left out there.
                    (Some(model), Some("properties"), Some(property)) => {
                        model.properties.retain(|p| p.name != property);
                    }
                    _ => self.models.retain(|m| m.name != name),
                }
            }
            _ => {
                self.incomplete.extend(self.models.drain(..).map(|model| model.name));
                self.enumerations.clear();
            }
        }
    }
}

/// `lifetime = "session"`.
fn lifetime_of(node: &Node, mistakes: &mut Collector) -> Option<Lifetime> {
    let text = string(node, "a lifetime", mistakes)?;
    let found = LIFETIMES.iter().find(|(name, _)| *name == text).map(|(_, lifetime)| *lifetime);
    if found.is_none() {
        let help = allowed("lifetimes", text, LIFETIMES.iter().map(|(name, _)| *name));
        mistakes.add_with_help(node.place, format!("no lifetime {}", quoted(text)), help);
    }
    found
}

/// `x = "Number"` or `x = { type = "Number", default = 100 }`.
fn property(entry: &Entry, mistakes: &mut Collector) -> Option<PropertyDefinition> {
    let what = "the name of a type";
    let name = entry.key.clone();
    if let Value::String(_) = entry.node.value {
        let kind = string(&entry.node, what, mistakes)?.to_owned();
        return Some(PropertyDefinition { name, kind, default: None });
    }
    let Value::Table(_) = entry.node.value else {
        mistakes.add_with_help(
            entry.node.place,
            format!("expected the type of {}, found {}", quoted(&name), entry.node.value.found()),
            "x = \"Number\", or x = { type = \"Number\", default = 100 }",
        );
        return None;
    };
    let mut reader = Reader::open("a property", &entry.node, mistakes)?;
    let kind = reader.require("type", mistakes).and_then(|e| string(&e.node, what, mistakes));
    let default = reader.take("default").map(|entry| values::untyped(&entry.node, mistakes));
    reader.finish(mistakes);
    Some(PropertyDefinition { name, kind: kind?.to_owned(), default: default.flatten() })
}

/// Reports a mistake of the schema where its path leads in the file.
fn report(mistake: &SchemaMistake, whole: &Table, mistakes: &mut Collector) {
    if let Some(place) = place_of(&mistake.path, whole) {
        mistakes.add(place, mistake.message.clone());
    }
}

/// Where `path` leads. A path that ends at a key means the key itself; `type` of a property in the
/// short form is its value.
///
/// `None` for what a submodel only inherits: the same mistake is reported where it is made.
fn place_of(path: &[String], whole: &Table) -> Option<Place> {
    let mut table = whole;
    for (depth, part) in path.iter().enumerate() {
        let entry = table.get(part)?;
        let rest = &path[depth + 1..];
        match (&entry.node.value, rest) {
            (_, []) if matches!(part.as_str(), "type" | "default" | "extends") => {
                return Some(entry.node.place);
            }
            (_, []) => return Some(entry.key_place),
            (Value::Table(inner), _) => table = inner,
            (Value::Array(_), [value]) => return Some(last_of(&entry.node, value)),
            _ => return Some(entry.node.place),
        }
    }
    None
}

/// The last place of a text in an array: of two equal values, the second is one too many.
fn last_of(node: &Node, text: &str) -> Place {
    let is_text = |node: &&Node| matches!(&node.value, Value::String(found) if found == text);
    array(node, "an array", &mut Collector::default())
        .and_then(|elements| elements.iter().rfind(is_text))
        .map_or(node.place, |element| element.place)
}

/// How the file calls the lifetimes of objects.
const LIFETIMES: [(&str, Lifetime); 2] =
    [("scope", Lifetime::Scope), ("session", Lifetime::Session)];
