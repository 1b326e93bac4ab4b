//! Rust types as models: what `#[derive(Model)]` builds on, and typed reading and changing of a graph.
//!
//! Use it through `jetstream::typed` in a server and through `jetstream_client::typed` in a client; both
//! are this crate, so a model that is derived for one can be used with the other.
//!
//! Start at [`Model`](trait@Model), which says what can be derived and what that generates. The rest, in
//! the order to read it:
//!
//! - `field`, `element`, `plain`, `held`: the types that fields can have, and how each is read,
//!   changed and written.
//! - `object`, `objects`, `values`: reading a scope in place.
//! - `object_mut`, `edits`, `list`, `holders`, `assign`: changing it within a transaction.
//! - `new_object`, `copying`: values into objects and back.
//! - `state`: all of it over a graph.

mod assign;
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
mod state;
mod values;

pub use assign::{Assign, Attach};
pub use copying::{COPIES_PER_OBJECT_MAX, COPY_DEPTH_MAX};
pub use element::Element;
pub use error::{NewScopeError, ReadError, SchemaMismatch, WriteError};
pub use field::Field;
pub use id::Id;
pub use model::{Extends, Model, ModelMut, ModelProperty, ModelRef};
pub use object::Object;
pub use object_mut::ObjectMut;
pub use objects::{Objects, ObjectsMut};
pub use plain::{Enumeration, EnumerationTable, Plain};
pub use state::{SchemaExt, TransactError, check_schema, find, graph_of, read, state_of, transact};
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
