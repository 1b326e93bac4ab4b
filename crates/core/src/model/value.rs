//! What a property can hold.

use std::sync::Arc;

use crate::ids::ObjectId;
use crate::time::Timestamp;

/// A single plain value.
///
/// A value of an enumeration is the text or the number that stands for it, so it needs no variant of
/// its own: the schema says which are allowed.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A text; also a value of an enumeration of strings.
    String(Arc<str>),
    /// A finite IEEE double; also a value of an enumeration of integers.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A moment in time, to the millisecond.
    Date(Timestamp),
}

/// What a property of an object holds, or is to hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A plain value; `None` is unset.
    Scalar(Option<Scalar>),
    /// A collection of plain values, always sent whole.
    Scalars(Arc<[Scalar]>),
    /// A reference to an object; `None` is unset.
    Reference(Option<ObjectId>),
    /// A collection of references, in order. The same object may stand in it more than once.
    References(Arc<[ObjectId]>),
}

impl Value {
    /// The objects that this value refers to, in order.
    pub fn references(&self) -> &[ObjectId] {
        match self {
            Self::Scalar(_) | Self::Scalars(_) => &[],
            Self::Reference(reference) => reference.as_slice(),
            Self::References(references) => references,
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<f64> for Scalar {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Scalar {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<Timestamp> for Scalar {
    fn from(date: Timestamp) -> Self {
        Self::Date(date)
    }
}
