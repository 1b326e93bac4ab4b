//! What can go wrong between Rust values and the objects of a scope.

use jetstream_core::ids::ObjectId;
use jetstream_core::model::{ErrorCode, Rejection, StateError};

/// A property of an object holds what the Rust type of its field cannot.
///
/// A `Number` with a fraction or out of range, read into an integer field; objects that hold themselves,
/// or nest too deep, read into a value of its own. Clients may set any of these within the schema, so
/// this is never a reason to panic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{model} {object}: {message}", .property.as_ref().map(|p| format!("{p:?} of ")).unwrap_or_default())]
pub struct ReadError {
    /// Which object.
    pub object: ObjectId,
    /// The object's model.
    pub model: String,
    /// The property's name on the wire; `None` where the object as a whole is the matter.
    pub property: Option<String>,
    /// What was found and what was expected.
    pub message: String,
}

/// A Rust value that no property can hold, or a reference that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{model:?}: {message}", .property.as_ref().map(|p| format!("{p:?} of ")).unwrap_or_default())]
pub struct WriteError {
    /// The model of the object that was to hold it.
    pub model: String,
    /// The property's name on the wire; `None` where the object as a whole is the matter.
    pub property: Option<String>,
    /// What was found and what is possible.
    pub message: String,
}

impl WriteError {
    pub(crate) fn unknown_model(model: &str) -> Self {
        let advice = "name it in `#[model(submodels(…))]` of one that the scope has";
        let message = format!("the scope has no such model; {advice}");
        Self { model: model.to_owned(), property: None, message }
    }
}

/// A scope's schema and the Rust models do not describe the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scope's models are not those of the program:{}", .0.iter().map(|m| format!("\n  {m}")).collect::<String>())]
pub struct SchemaMismatch(pub Vec<String>);

/// Why a scope cannot begin with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NewScopeError {
    /// The value holds what no property can.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The value refers to objects that are not in it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    State(Vec<StateError>),
}

impl From<NewScopeError> for Rejection {
    /// For a family of scopes, whose making a client asked for: nothing in it was the client's.
    fn from(error: NewScopeError) -> Self {
        Self::new(ErrorCode::Internal, format!("the scope cannot begin: {error}"))
    }
}
