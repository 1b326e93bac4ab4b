//! Rust types as models: `#[derive(Model)]`, and typed reading and changing of a scope.
//!
//! Start at [`Model`](trait@Model), which says what can be derived and what that generates. All that
//! needs no server is the crate `jetstream-model`, which clients use, too; here is the rest:
//!
//! - `scope`, `changes`: the typed handle of a scope, and its commits as a typed stream.

mod changes;
mod scope;

pub use changes::{Change, TypedChanges, TypedCommit};
pub use jetstream_model::*;
pub use scope::{TryUpdateError, TypedScope, UpdateError};

/// The examples of the book's page on models.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/guide/models.md")]
struct Guide;
