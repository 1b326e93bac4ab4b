//! What a value is, as far as that is known before there is one.

use std::fmt;

use jetstream_core::model::schema::EnumerationValues;
use jetstream_core::model::{EnumerationId, ModelId, Property, PropertyType, Schema};

/// The kind of an expression's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Not known before: a claim, for example.
    Any,
    /// Nothing but `null`.
    Null,
    /// True or false.
    Boolean,
    /// A whole number that counts places: what `size()` gives.
    Integer,
    /// A Number, a Date as seconds, or a value of an enumeration of integers.
    Number,
    /// A text.
    Text,
    /// A list of these.
    List(Box<Kind>),
    /// Values by name.
    Map,
    /// An object of this model or of a submodel.
    Object(ModelId),
}

impl Kind {
    /// What a property holds.
    pub(super) fn of(schema: &Schema, property: &Property) -> Self {
        let one = match property.kind() {
            PropertyType::String => Self::Text,
            PropertyType::Number | PropertyType::Date => Self::Number,
            PropertyType::Boolean => Self::Boolean,
            PropertyType::Enumeration(id) => Self::of_enumeration(schema, id),
            PropertyType::Model(model) => Self::Object(model),
        };
        if property.is_collection() { Self::List(Box::new(one)) } else { one }
    }

    fn of_enumeration(schema: &Schema, id: EnumerationId) -> Self {
        match schema.enumeration(id).values() {
            EnumerationValues::Strings(_) => Self::Text,
            EnumerationValues::Integers(_) => Self::Number,
        }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Any | Self::Integer | Self::Number)
    }

    /// Whether a value of the one kind can be equal to one of the other.
    pub(super) fn compares_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any | Self::Null, _) | (_, Self::Any | Self::Null) => true,
            (Self::Integer | Self::Number, Self::Integer | Self::Number) => true,
            (Self::Object(_), Self::Object(_)) => true,
            (Self::List(a), Self::List(b)) => a.compares_with(b),
            _ => self == other,
        }
    }

    /// For messages.
    pub(super) fn name(&self, schema: &Schema) -> String {
        match self {
            Self::Any => "any value".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Boolean => "a Boolean".to_owned(),
            Self::Integer => "a count".to_owned(),
            Self::Number => "a Number".to_owned(),
            Self::Text => "a String".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map => "a map".to_owned(),
            Self::Object(model) => format!("a {}", schema.model(*model).name()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Null => "null",
            Self::Boolean => "Boolean",
            Self::Integer | Self::Number => "Number",
            Self::Text => "String",
            Self::List(_) => "list",
            Self::Map => "map",
            Self::Object(_) => "object",
        })
    }
}
