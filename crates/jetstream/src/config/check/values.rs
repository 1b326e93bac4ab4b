//! Values of properties: what the file says, typed by the schema.

use std::sync::Arc;

use super::models::Checked;
use crate::config::mistake::{Collector, list};
use crate::config::tree::{Node, Value as Written};
use crate::core::model::schema::EnumerationValues;
use crate::core::model::{Enumeration, Property, PropertyType, Scalar, Schema, Value};
use crate::core::time::Timestamp;

/// A plain value that the schema will type, for a default.
pub(super) fn untyped(node: &Node, mistakes: &mut Collector) -> Option<Scalar> {
    let scalar = match &node.value {
        Written::String(text) => Some(Scalar::from(text.as_str())),
        Written::Boolean(value) => Some(Scalar::Boolean(*value)),
        Written::Integer(_) | Written::Float(_) => number(&node.value).map(Scalar::Number),
        Written::Date(text) => Timestamp::parse(text).map(Scalar::Date),
        Written::Array(_) | Written::Table(_) => None,
    };
    if scalar.is_none() {
        let expected = match &node.value {
            Written::Integer(_) | Written::Float(_) => expected_number(&node.value),
            _ => "a text, a number, true, false or a date",
        };
        mistakes.add(node.place, format!("expected {expected}, found {}", node.value.found()));
    }
    scalar
}

/// The value that a property has from the start, or that a constraint asks for.
pub(super) fn typed(
    node: &Node,
    property: &Property,
    checked: &Checked,
    mistakes: &mut Collector,
) -> Option<Value> {
    let schema = &checked.schema;
    if property.is_reference() {
        mistakes.add_with_help(
            node.place,
            format!(
                "\"{}\" refers to objects ({}) and cannot be given here",
                property.name(),
                schema.type_name(property)
            ),
            "a scope that begins with objects takes them from a file: state = \"…json\"",
        );
        return None;
    }
    if !property.is_collection() {
        return scalar(node, property, checked, mistakes).map(|s| Value::Scalar(Some(s)));
    }
    let Written::Array(elements) = &node.value else {
        let (name, kind) = (property.name(), schema.type_name(property));
        let found = node.value.found();
        mistakes
            .add(node.place, format!("expected an array for \"{name}\" ({kind}), found {found}"));
        return None;
    };
    let scalars: Vec<Option<Scalar>> =
        elements.iter().map(|element| scalar(element, property, checked, mistakes)).collect();
    scalars.into_iter().collect::<Option<Arc<[Scalar]>>>().map(Value::Scalars)
}

fn scalar(
    node: &Node,
    property: &Property,
    checked: &Checked,
    mistakes: &mut Collector,
) -> Option<Scalar> {
    let schema = &checked.schema;
    let scalar = match (property.kind(), &node.value) {
        (PropertyType::String, Written::String(text)) => Some(Scalar::from(text.as_str())),
        (PropertyType::Boolean, Written::Boolean(value)) => Some(Scalar::Boolean(*value)),
        (PropertyType::Number, value) => number(value).map(Scalar::Number),
        (PropertyType::Date, value) => date(value).map(Scalar::Date),
        (PropertyType::Enumeration(id), value) => {
            let enumeration = schema.enumeration(id);
            let scalar = match value {
                Written::String(text) => Some(Scalar::from(text.as_str())),
                other => number(other).map(Scalar::Number),
            };
            if checked.is_vague(enumeration.name()) {
                return scalar;
            }
            scalar.filter(|scalar| enumeration.contains(scalar))
        }
        _ => None,
    };
    if scalar.is_none() {
        let message = format!(
            "expected {} for \"{}\", found {}",
            expected(property, &node.value, schema),
            property.name(),
            node.value.found()
        );
        mistakes.add(node.place, message);
    }
    scalar
}

/// A finite double that is exactly what was written.
fn number(value: &Written) -> Option<f64> {
    match value {
        Written::Float(number) if number.is_finite() => Some(*number),
        Written::Integer(number) => {
            let double = *number as f64;
            // Past 2^53 a double is not every integer; `as` back saturates, so it compares right.
            (double as i64 == *number && *number != i64::MAX).then_some(double)
        }
        _ => None,
    }
}

/// What a number has to be, where `found` is none that will do.
const fn expected_number(found: &Written) -> &'static str {
    match found {
        Written::Integer(_) => "a number that a double can hold exactly",
        _ => "a finite number",
    }
}

fn date(value: &Written) -> Option<Timestamp> {
    match value {
        Written::Date(text) | Written::String(text) => Timestamp::parse(text),
        other => number(other).and_then(Timestamp::from_seconds),
    }
}

fn expected(property: &Property, found: &Written, schema: &Schema) -> String {
    match property.kind() {
        PropertyType::String => "a string".to_owned(),
        PropertyType::Number => expected_number(found).to_owned(),
        PropertyType::Boolean => "true or false".to_owned(),
        PropertyType::Date => "a date, an ISO-8601 text or seconds since 1970".to_owned(),
        PropertyType::Enumeration(id) => values_of(schema.enumeration(id)),
        PropertyType::Model(_) => "a reference".to_owned(),
    }
}

/// `one of "Monday" and "Tuesday"`, `one of 0 (Open) and 1 (Closed)`.
fn values_of(enumeration: &Enumeration) -> String {
    let shown: Vec<String> = match enumeration.values() {
        EnumerationValues::Strings(values) => values.iter().map(|v| format!("{v:?}")).collect(),
        EnumerationValues::Integers(values) => {
            values.iter().map(|(name, value)| format!("{value} ({name})")).collect()
        }
    };
    format!("a value of {} ({})", enumeration.name(), list(shown))
}
