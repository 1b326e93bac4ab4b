//! Rust types as models: `#[derive(Model)]`, and typed reading and changing of a scope.
//!
//! Start at [`Model`](trait@Model), which says what can be derived and what that generates. The rest, in
//! the order to read it:
//!
//! - `field`, `element`, `plain`, `held`: the types that fields can have, and how each is read,
//!   changed and written.
//! - `object`, `objects`, `values`: reading a scope in place.
//! - `object_mut`, `edits`, `list`, `holders`, `assign`: changing it within a transaction.
//! - `new_object`, `copying`: values into objects and back.
//! - `state`: all of it over a graph, without a scope.
//! - `scope`, `changes`: the typed handle of a scope, and its commits as a typed stream.

mod assign;
mod changes;
mod copying;
mod edits;
mod element;
mod error;
mod field;
mod held;
mod holders;
mod id;
mod key;
mod list;
mod model;
mod new_object;
mod object;
mod object_mut;
mod objects;
mod plain;
mod scope;
mod state;
mod values;

pub use assign::{Assign, Attach};
pub use changes::{Change, TypedChanges, TypedCommit};
pub use copying::{COPIES_PER_OBJECT_MAX, COPY_DEPTH_MAX};
pub use element::Element;
pub use error::{ReadError, SchemaMismatch, WriteError};
pub use field::Field;
pub use id::Id;
pub use model::{Extends, Model, ModelMut, ModelProperty, ModelRef};
pub use object::Object;
pub use object_mut::ObjectMut;
pub use objects::{Objects, ObjectsMut};
pub use plain::{Enumeration, EnumerationTable, Plain};
pub use scope::{NewScopeError, TryUpdateError, TypedScope, UpdateError};
pub use state::{SchemaExt, TransactError, check_schema, graph_of, read, state_of, transact};
pub use values::{Values, ValuesMut};

// What else the generated code names. No part of what is promised to stay.
#[doc(hidden)]
pub use {
    copying::Copying,
    element::{Family, Place, Places, Single, Whole},
    field::SingleField,
    held::{Held, ModelFamily},
    key::Key,
    model::check_submodel,
    new_object::NewObject,
    plain::{PlainFamily, enumeration_scalar, enumeration_value},
    state::schema_of,
};

/// The examples of the book's page on models.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/guide/models.md")]
struct Guide;
