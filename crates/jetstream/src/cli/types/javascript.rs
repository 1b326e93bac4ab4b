//! Models for the JavaScript client, as JavaScript or TypeScript.
//!
//! A definition names the models of its properties, so those stand before it. Where models refer to each
//! other in a circle that is not possible: there stands a function, and a type written out, because
//! TypeScript infers no type from itself.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use super::OF_A_SESSION;
use super::names::{Names, is_identifier};
use crate::core::model::schema::{EnumerationValues, Lifetime};
use crate::core::model::{Model, ModelId, Property, PropertyType, Scalar, Schema};
use crate::core::wire::print::number;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Js,
    Ts,
}

pub(super) fn print(schema: &Schema, dialect: Dialect) -> String {
    let mut printer = Printer::new(schema, dialect);
    for enumeration in schema.enumerations() {
        printer.enumeration(enumeration.name(), enumeration.values());
    }
    for (place, model) in printer.order.clone().into_iter().enumerate() {
        printer.model(place, model);
    }
    printer.finish()
}

struct Printer<'s> {
    schema: &'s Schema,
    dialect: Dialect,
    /// Models, each behind those that it needs as far as that is possible.
    order: Vec<ModelId>,
    place: HashMap<ModelId, usize>,
    /// What models and enumerations are called here: nearly always by their name.
    names: HashMap<String, String>,
    body: String,
    imports: Vec<&'static str>,
    /// Models that are referred to before they are defined.
    ahead: Vec<ModelId>,
}

impl<'s> Printer<'s> {
    fn new(schema: &'s Schema, dialect: Dialect) -> Self {
        let order = ordered(schema);
        let place = order.iter().enumerate().map(|(place, model)| (*model, place)).collect();
        let mut free = Names::without(RESERVED);
        let enumerations = schema.enumerations().map(|enumeration| enumeration.name());
        let all = enumerations.chain(schema.models().map(|(_, model)| model.name()));
        let names = all.map(|name| (name.to_string(), free.give(name))).collect();
        let (body, imports, ahead) = (String::new(), Vec::new(), Vec::new());
        Self { schema, dialect, order, place, names, body, imports, ahead }
    }

    fn enumeration(&mut self, name: &str, values: &EnumerationValues) {
        self.import("enumeration");
        let values = match values {
            EnumerationValues::Strings(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            EnumerationValues::Integers(numbers) => {
                let entry = |(name, number): &(Arc<str>, i64)| format!("{}: {number}", key(name));
                let numbers: Vec<String> = numbers.iter().map(entry).collect();
                format!("{{ {} }}", numbers.join(", "))
            }
        };
        let constant = &self.names[name];
        writeln!(self.body, "\nexport const {constant} = enumeration({}, {values})", quoted(name))
            .expect("a String takes every text");
    }

    fn model(&mut self, place: usize, id: ModelId) {
        self.import("model");
        let model = self.schema.model(id);
        let base = model.extends().map(|base| self.schema.model(base));
        let inherited = base.map_or(0, |base| base.properties().len());
        let lines: Vec<String> = model
            .properties()
            .skip(inherited)
            .map(|(_, property)| self.property(place, id, property))
            .collect();
        let definition = match lines.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{\n  {}\n}}", lines.join(",\n  ")),
        };
        let extends = base.map_or(String::new(), |base| {
            format!(", {{ extends: {} }}", self.names[&**base.name()])
        });
        let name = &self.names[&**model.name()];
        let note = match model.lifetime() {
            Lifetime::Session => format!("/** {OF_A_SESSION} */\n"),
            Lifetime::Scope => String::new(),
        };
        let quoted = quoted(model.name());
        let types = match self.dialect {
            Dialect::Js => format!("/** @typedef {{InstanceType<typeof {name}>}} {name} */\n"),
            Dialect::Ts => format!("export type {name} = InstanceType<typeof {name}>\n"),
        };
        let constant = format!("export const {name} = model({quoted}, {definition}{extends})\n");
        self.body.push_str(&format!("\n{types}{note}{constant}"));
    }

    fn property(&mut self, place: usize, within: ModelId, property: &Property) -> String {
        let element = match property.kind() {
            PropertyType::String => "String".to_owned(),
            PropertyType::Number => "Number".to_owned(),
            PropertyType::Boolean => "Boolean".to_owned(),
            PropertyType::Date => "Date".to_owned(),
            PropertyType::Enumeration(id) => {
                self.names[&**self.schema.enumeration(id).name()].clone()
            }
            PropertyType::Model(id) if id == within => {
                self.import("self");
                "self".to_owned()
            }
            PropertyType::Model(id) if self.place[&id] > place => self.ahead(id),
            PropertyType::Model(id) => self.names[&**self.schema.model(id).name()].clone(),
        };
        let kind = if property.is_collection() { format!("[{element}]") } else { element };
        let name = key(property.name());
        match property.default() {
            None => format!("{name}: {kind}"),
            Some(default) => {
                format!("{name}: {{ type: {kind}, default: {} }}", self.value(property, default))
            }
        }
    }

    /// A model that is defined further down.
    fn ahead(&mut self, id: ModelId) -> String {
        if !self.ahead.contains(&id) {
            self.ahead.push(id);
        }
        let name = &self.names[&**self.schema.model(id).name()];
        match self.dialect {
            Dialect::Js => format!(
                "/** @returns {{import('@jetstream/client').ModelClass<{name}Object, any>}} */ () => {name}"
            ),
            Dialect::Ts => format!("(): ModelClass<{name}Object, any> => {name}"),
        }
    }

    fn value(&self, property: &Property, value: &Scalar) -> String {
        if let (PropertyType::Enumeration(id), Scalar::Number(wanted)) = (property.kind(), value) {
            let enumeration = self.schema.enumeration(id);
            if let EnumerationValues::Integers(values) = enumeration.values()
                && let Some((name, _)) = values.iter().find(|(_, value)| *value as f64 == *wanted)
                && is_identifier(name)
            {
                return format!("{}.{name}", self.names[&**enumeration.name()]);
            }
        }
        match value {
            Scalar::String(text) => quoted(text),
            Scalar::Number(value) => {
                let mut text = String::new();
                number(&mut text, *value);
                text
            }
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Date(at) => format!("new Date({})", at.0),
        }
    }

    /// The type of the objects of a model, written out.
    fn interface(&self, id: ModelId) -> String {
        let model = self.schema.model(id);
        let name = &self.names[&**model.name()];
        let properties: Vec<String> =
            model.properties().map(|(_, property)| self.typed_property(property)).collect();
        match self.dialect {
            Dialect::Js => format!(
                "/** @typedef {{import('@jetstream/client').ModelObject & {{ {} }}}} {name}Object */\n",
                properties.join(", ")
            ),
            Dialect::Ts => format!(
                "interface {name}Object extends ModelObject {{\n  {}\n}}\n",
                properties.join("\n  ")
            ),
        }
    }

    fn typed_property(&self, property: &Property) -> String {
        let element = match property.kind() {
            PropertyType::String => "string".to_owned(),
            PropertyType::Number => "number".to_owned(),
            PropertyType::Boolean => "boolean".to_owned(),
            PropertyType::Date => "Date".to_owned(),
            PropertyType::Enumeration(id) => match self.schema.enumeration(id).values() {
                EnumerationValues::Strings(texts) => alternatives(texts.iter().map(|t| quoted(t))),
                EnumerationValues::Integers(numbers) => {
                    alternatives(numbers.iter().map(|(_, number)| number.to_string()))
                }
            },
            PropertyType::Model(id) => {
                let name = &self.names[&**self.schema.model(id).name()];
                if self.ahead.contains(&id) { format!("{name}Object") } else { name.clone() }
            }
        };
        let kind = match (property.is_collection(), property.is_reference()) {
            (true, _) => format!("Array<{element}>"),
            (false, true) => format!("{element} | null"),
            (false, false) => element,
        };
        format!("{}: {kind}", key(property.name()))
    }

    fn import(&mut self, name: &'static str) {
        if !self.imports.contains(&name) {
            self.imports.push(name);
            self.imports.sort_unstable();
        }
    }

    fn finish(self) -> String {
        let mut head =
            format!("import {{ {} }} from '@jetstream/client'\n", self.imports.join(", "));
        if !self.ahead.is_empty() && self.dialect == Dialect::Ts {
            head.push_str("import type { ModelClass, ModelObject } from '@jetstream/client'\n");
        }
        if !self.ahead.is_empty() {
            head.push('\n');
        }
        let interfaces: String = self.ahead.iter().map(|id| self.interface(*id)).collect();
        head + &interfaces + &self.body
    }
}

/// The models, each behind the one that it extends, and behind those that it refers to unless they refer
/// back to it.
fn ordered(schema: &Schema) -> Vec<ModelId> {
    let needs = |model: &Model| -> Vec<ModelId> {
        let references = model.properties().filter_map(|(_, property)| match property.kind() {
            PropertyType::Model(id) => Some(id),
            _ => None,
        });
        model.extends().into_iter().chain(references).collect()
    };
    let mut order = Vec::new();
    let mut begun = vec![false; schema.models().len()];
    let index: HashMap<ModelId, usize> =
        schema.models().enumerate().map(|(index, (id, _))| (id, index)).collect();
    for (root, _) in schema.models() {
        // Deep chains of models cost no stack: the bool says that all it needs has been looked at.
        let mut stack = vec![(root, false)];
        while let Some((id, is_ready)) = stack.pop() {
            if is_ready {
                order.push(id);
            } else if !std::mem::replace(&mut begun[index[&id]], true) {
                stack.push((id, true));
                let rest = needs(schema.model(id)).into_iter().rev();
                stack.extend(rest.map(|needed| (needed, false)));
            }
        }
    }
    behind_supermodels(schema, order)
}

/// In a circle a model may have come ahead of the one that it extends, which is never possible.
fn behind_supermodels(schema: &Schema, order: Vec<ModelId>) -> Vec<ModelId> {
    let mut sorted: Vec<ModelId> = Vec::with_capacity(order.len());
    for id in order {
        let ancestors = std::iter::successors(Some(id), |id| schema.model(*id).extends());
        let missing: Vec<ModelId> = ancestors.filter(|id| !sorted.contains(id)).collect();
        sorted.extend(missing.into_iter().rev());
    }
    sorted
}

fn alternatives(values: impl Iterator<Item = String>) -> String {
    format!("({})", values.collect::<Vec<_>>().join(" | "))
}

/// A key of an object: as it is, if JavaScript takes it.
fn key(name: &str) -> String {
    match name {
        // Without the brackets it would say what the object inherits from.
        "__proto__" => "['__proto__']".to_owned(),
        _ if is_identifier(name) => name.to_owned(),
        _ => quoted(name),
    }
}

/// A text in single quotes.
fn quoted(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a text is JSON");
    let inner = json[1..json.len() - 1].replace("\\\"", "\"").replace('\'', "\\'");
    format!("'{inner}'")
}

/// Words that cannot be names of constants in a module, and names that the text itself uses.
const RESERVED: &[&str] = &[
    "Array",
    "InstanceType",
    "ModelClass",
    "ModelObject",
    "any",
    "arguments",
    "as",
    "async",
    "await",
    "boolean",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "enumeration",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "model",
    "never",
    "new",
    "null",
    "number",
    "object",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "self",
    "static",
    "string",
    "super",
    "switch",
    "symbol",
    "this",
    "throw",
    "true",
    "try",
    "type",
    "typeof",
    "undefined",
    "unknown",
    "var",
    "void",
    "while",
    "with",
    "yield",
    "bigint",
];
