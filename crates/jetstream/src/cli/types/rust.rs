//! Models as Rust structs for `#[derive(Model)]`.

use std::collections::HashMap;

use super::OF_A_SESSION;
use super::names::{Names, is_identifier, pascal, snake};
use crate::core::model::schema::{Enumeration, EnumerationValues, Lifetime};
use crate::core::model::{Model, Property, PropertyType, Scalar, Schema};

pub(super) fn print(schema: &Schema) -> String {
    let printer = Printer::new(schema);
    let enumerations = schema.enumerations().map(|enumeration| printer.enumeration(enumeration));
    let models = schema.models().map(|(_, model)| printer.model(model));
    let body: String = enumerations.chain(models).collect();
    let imports = match body.contains(": Timestamp") || body.contains("<Timestamp>") {
        true => "use jetstream::Model;\nuse jetstream::core::time::Timestamp;\n",
        false => "use jetstream::Model;\n",
    };
    format!("// In a client, `jetstream_client` instead of `jetstream`.\n\n{imports}{body}")
}

struct Printer<'s> {
    schema: &'s Schema,
    /// What models and enumerations are called here.
    types: HashMap<String, String>,
}

impl<'s> Printer<'s> {
    fn new(schema: &'s Schema) -> Self {
        let mut free = Names::without(TAKEN);
        let enumerations = schema.enumerations().map(|enumeration| enumeration.name());
        let all = enumerations.chain(schema.models().map(|(_, model)| model.name()));
        let types = all.map(|name| {
            let wanted = if is_type_name(name) { name.to_string() } else { pascal(name) };
            let wanted = if is_type_name(&wanted) { wanted } else { format!("Model{wanted}") };
            (name.to_string(), free.give(&wanted).replace('_', ""))
        });
        Self { schema, types: types.collect() }
    }

    fn enumeration(&self, enumeration: &Enumeration) -> String {
        let variants = variants(enumeration);
        let lines: Vec<String> = match enumeration.values() {
            EnumerationValues::Strings(texts) => {
                let both = texts.iter().zip(&variants);
                both.map(|(text, variant)| format!("{}    {variant},\n", renamed(4, text, variant)))
                    .collect()
            }
            EnumerationValues::Integers(numbers) => {
                let both = numbers.iter().zip(&variants);
                both.map(|((name, number), variant)| {
                    format!("{}    {variant} = {number},\n", renamed(4, name, variant))
                })
                .collect()
            }
        };
        let name = &self.types[&**enumeration.name()];
        let derives = "#[derive(Debug, Clone, Copy, PartialEq, Eq, Model)]";
        let rename = renamed(0, enumeration.name(), name);
        format!("\n{derives}\n{rename}pub enum {name} {{\n{}}}\n", lines.concat())
    }

    fn model(&self, model: &Model) -> String {
        let mut free = Names::without(&[]);
        let base = model.extends().map(|base| self.schema.model(base));
        let mut fields = String::new();
        if let Some(base) = base {
            let (field, kind) = (free.give(&field_of(base.name())), &self.types[&**base.name()]);
            fields.push_str(&format!("    #[model(extends)]\n    pub {}: {kind},\n", raw(&field)));
        }
        let own = model.properties().skip(base.map_or(0, |base| base.properties().len()));
        for (_, property) in own {
            fields.push_str(&self.field(property, &free.give(&field_of(property.name()))));
        }
        let name = &self.types[&**model.name()];
        let note = match model.lifetime() {
            Lifetime::Session => format!("/// {OF_A_SESSION}\n"),
            Lifetime::Scope => String::new(),
        };
        let lifetime = match (model.lifetime(), base.map(Model::lifetime)) {
            (Lifetime::Scope, _) | (_, Some(Lifetime::Session)) => "",
            (Lifetime::Session, _) => "#[model(lifetime = \"session\")]\n",
        };
        let (rename, submodels) = (renamed(0, model.name(), name), self.submodels(model));
        let derives = "#[derive(Debug, Clone, PartialEq, Model)]";
        let fields = if fields.is_empty() { fields } else { format!("\n{fields}") };
        format!("\n{note}{derives}\n{rename}{lifetime}{submodels}pub struct {name} {{{fields}}}\n")
    }

    /// Those that extend it: no property may mention them.
    fn submodels(&self, model: &Model) -> String {
        let extends = |other: &Model| {
            other.extends().is_some_and(|base| self.schema.model(base).name() == model.name())
        };
        let all = self.schema.models().filter(|(_, other)| extends(other));
        let names: Vec<&str> = all.map(|(_, other)| &*self.types[&**other.name()]).collect();
        match names.is_empty() {
            true => String::new(),
            false => format!("#[model(submodels({}))]\n", names.join(", ")),
        }
    }

    fn field(&self, property: &Property, field: &str) -> String {
        let element = match property.kind() {
            PropertyType::String => "String",
            PropertyType::Number => "f64",
            PropertyType::Boolean => "bool",
            PropertyType::Date => "Timestamp",
            PropertyType::Enumeration(id) => &self.types[&**self.schema.enumeration(id).name()],
            PropertyType::Model(id) => &self.types[&**self.schema.model(id).name()],
        };
        let kind = match (property.is_collection(), property.is_reference()) {
            (true, _) => format!("Vec<{element}>"),
            // On the heap, for models may hold each other.
            (false, true) => format!("Option<Box<{element}>>"),
            (false, false) => element.to_owned(),
        };
        let mut words = Vec::new();
        let here = raw(field);
        if &**property.name() != here.trim_start_matches("r#") {
            words.push(format!("rename = {:?}", property.name()));
        }
        if let Some(default) = property.default() {
            words.push(format!("default = {}", self.value(property, default)));
        }
        let attribute = match words.is_empty() {
            true => String::new(),
            false => format!("    #[model({})]\n", words.join(", ")),
        };
        format!("{attribute}    pub {here}: {kind},\n")
    }

    fn value(&self, property: &Property, value: &Scalar) -> String {
        if let PropertyType::Enumeration(id) = property.kind() {
            let enumeration = self.schema.enumeration(id);
            let place = match (enumeration.values(), value) {
                (EnumerationValues::Strings(texts), Scalar::String(text)) => {
                    texts.iter().position(|candidate| candidate == text)
                }
                (EnumerationValues::Integers(numbers), Scalar::Number(number)) => {
                    numbers.iter().position(|(_, candidate)| *candidate as f64 == *number)
                }
                _ => None,
            };
            let place = place.expect("a default is one of the values: the schema was checked");
            let name = &self.types[&**enumeration.name()];
            return format!("{name}::{}", variants(enumeration)[place]);
        }
        match value {
            Scalar::String(text) => format!("{text:?}"),
            Scalar::Number(number) => format!("{number:?}"),
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Date(at) => format!("Timestamp({})", at.0),
        }
    }
}

/// What the values of an enumeration are called as variants.
fn variants(enumeration: &Enumeration) -> Vec<String> {
    let values: Vec<&str> = match enumeration.values() {
        EnumerationValues::Strings(texts) => texts.iter().map(|text| &**text).collect(),
        EnumerationValues::Integers(numbers) => numbers.iter().map(|(name, _)| &**name).collect(),
    };
    let mut free = Names::without(&["Self"]);
    let variant = |value: &&str| {
        let wanted = if is_type_name(value) { (*value).to_owned() } else { pascal(value) };
        let wanted = if is_type_name(&wanted) { wanted } else { format!("Value{wanted}") };
        free.give(&wanted)
    };
    values.iter().map(variant).collect()
}

/// Whether a name looks like one of a type: a capital, letters and digits.
fn is_type_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn field_of(name: &str) -> String {
    let field = snake(name);
    if is_identifier(&field) {
        field
    } else {
        format!("property_{field}").trim_end_matches('_').to_owned()
    }
}

/// The field's name where it is a word of the language.
fn raw(field: &str) -> String {
    match field {
        "self" | "super" | "crate" => format!("{field}_"),
        _ if KEYWORDS.contains(&field) => format!("r#{field}"),
        _ => field.to_owned(),
    }
}

fn renamed(indent: usize, name: &str, here: &str) -> String {
    let space = " ".repeat(indent);
    if name == here { String::new() } else { format!("{space}#[model(rename = {name:?})]\n") }
}

/// Names of types that the text itself uses.
const TAKEN: &[&str] = &[
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Eq",
    "Model",
    "None",
    "Option",
    "PartialEq",
    "Self",
    "Some",
    "Timestamp",
    "Vec",
];

const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];
