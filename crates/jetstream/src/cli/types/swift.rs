//! Models as Swift classes for the original's client for iOS.
//!
//! It finds out about a model by the Objective-C runtime: classes below `ModelObject`, with the name that
//! goes over the wire, and `dynamic` variables of types that Objective-C knows. Enumerations are none of
//! these: their properties hold what goes over the wire, and an `enum` beside them gives it a name.

use super::OF_A_SESSION;
use super::names::{Names, is_identifier, pascal};
use crate::core::model::schema::{Enumeration, EnumerationValues, Lifetime};
use crate::core::model::{Model, Property, PropertyType, Scalar, Schema};

pub(super) fn print(schema: &Schema) -> Result<String, String> {
    let mut body = "\nimport Foundation\nimport Jetstream\n".to_owned();
    for enumeration in schema.enumerations() {
        body.push_str(&print_enumeration(enumeration));
    }
    for (_, model) in schema.models() {
        body.push_str(&print_model(schema, model)?);
    }
    Ok(body)
}

fn print_enumeration(enumeration: &Enumeration) -> String {
    let mut free = Names::without(&["Self", "Type", "Protocol"]);
    let mut case = |name: &str| {
        let wanted = pascal(name);
        free.give(&if is_identifier(&wanted) { wanted } else { format!("Value{wanted}") })
    };
    let (raw, cases): (&str, Vec<String>) = match enumeration.values() {
        EnumerationValues::Strings(texts) => (
            "String",
            texts
                .iter()
                .map(|text| format!("    case {} = {}\n", case(text), quoted(text)))
                .collect(),
        ),
        EnumerationValues::Integers(numbers) => (
            "Int",
            numbers
                .iter()
                .map(|(name, number)| format!("    case {} = {number}\n", case(name)))
                .collect(),
        ),
    };
    format!("\npublic enum {}: {raw} {{\n{}}}\n", escaped(enumeration.name()), cases.concat())
}

fn print_model(schema: &Schema, model: &Model) -> Result<String, String> {
    let base = model.extends().map(|base| schema.model(base));
    let parent = base.map_or("ModelObject".to_owned(), |base| escaped(base.name()));
    let mut variables = String::new();
    for (_, property) in model.properties().skip(base.map_or(0, |base| base.properties().len())) {
        let name = property.name();
        if !is_identifier(name) || INHERITED.contains(&&**name) {
            return Err(format!(
                "the property {name:?} of {:?} cannot be a variable of a Swift class",
                model.name()
            ));
        }
        variables.push_str(&print_property(schema, property));
    }
    let note = match model.lifetime() {
        Lifetime::Session => format!("/// {OF_A_SESSION}\n"),
        Lifetime::Scope => String::new(),
    };
    let name = model.name();
    Ok(format!(
        "\n{note}@objc({name}) public class {}: {parent} {{\n{variables}}}\n",
        escaped(name)
    ))
}

fn print_property(schema: &Schema, property: &Property) -> String {
    let (kind, unset) = match property.kind() {
        PropertyType::String => ("String".to_owned(), None),
        PropertyType::Number => ("Double".to_owned(), Some("0")),
        PropertyType::Boolean => ("Bool".to_owned(), Some("false")),
        PropertyType::Date => ("NSDate".to_owned(), None),
        PropertyType::Enumeration(id) => match schema.enumeration(id).values() {
            EnumerationValues::Strings(_) => ("String".to_owned(), None),
            EnumerationValues::Integers(_) => ("Int".to_owned(), Some("0")),
        },
        PropertyType::Model(id) => (escaped(schema.model(id).name()), None),
    };
    let name = escaped(property.name());
    let default = property.default().map(|default| value(default, kind == "Int"));
    let is_collection = property.is_collection();
    let typed = match (is_collection, default, unset) {
        (true, ..) => format!("{name} = [{kind}]()"),
        (false, Some(default), Some(_)) => format!("{name}: {kind} = {default}"),
        (false, None, Some(unset)) => format!("{name}: {kind} = {unset}"),
        (false, Some(default), None) => format!("{name}: {kind}? = {default}"),
        (false, None, None) => format!("{name}: {kind}?"),
    };
    // An enumeration says more than the type that carries it.
    let note = match property.kind() {
        PropertyType::Enumeration(id) => format!(" // {}", schema.enumeration(id).name()),
        _ => String::new(),
    };
    format!("    @objc public dynamic var {typed}{note}\n")
}

fn value(value: &Scalar, is_integer: bool) -> String {
    match value {
        Scalar::String(text) => quoted(text),
        // As an Int if it stands for an enumeration.
        Scalar::Number(number) if is_integer => number.to_string(),
        Scalar::Number(number) => format!("{number:?}"),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Date(at) => format!("NSDate(timeIntervalSince1970: {:?})", at.0 as f64 / 1000.0),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn escaped(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("`{name}`") } else { name.to_owned() }
}

/// What every class there has already, so that a variable of that name would be another thing.
const INHERITED: &[&str] = &[
    "class",
    "debugDescription",
    "description",
    "hash",
    "isProxy",
    "self",
    "superclass",
    "uuid",
    "zone",
];

const KEYWORDS: &[&str] = &[
    "Any",
    "Protocol",
    "Self",
    "Type",
    "as",
    "associatedtype",
    "break",
    "case",
    "catch",
    "class",
    "continue",
    "default",
    "defer",
    "deinit",
    "do",
    "else",
    "enum",
    "extension",
    "fallthrough",
    "false",
    "fileprivate",
    "for",
    "func",
    "guard",
    "if",
    "import",
    "in",
    "init",
    "inout",
    "internal",
    "is",
    "let",
    "nil",
    "operator",
    "private",
    "protocol",
    "public",
    "repeat",
    "rethrows",
    "return",
    "self",
    "static",
    "struct",
    "subscript",
    "super",
    "switch",
    "throw",
    "throws",
    "true",
    "try",
    "typealias",
    "var",
    "where",
    "while",
];
