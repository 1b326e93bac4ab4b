//! Typed models: what an object may hold, what it holds, and how a ChangeSet changes it.
//!
//! - [`schema`]: the models of a scope, checked as a whole.
//! - [`value`]: what a property can hold.
//! - [`fragment`]: one add, change, removal or move of one object; a [`ChangeSet`] of them.
//! - [`rejection`]: why a fragment was refused.
//! - [`sequence`]: an ordered collection of references.
//! - [`graph`]: the objects of a scope, reachable from its root.
//! - [`draft`]: a ChangeSet judged against a graph without touching it.
//! - [`effects`]: which objects a change added, changed and removed.
//! - [`prospect`]: a graph as it is or as it would be, looked at in one way.
//! - [`restore`]: the ChangeSet that makes a graph what it was.
//! - [`constraint`]: what a procedure admits.
//! - [`spelling`]: what a misspelled name was probably meant to be.

pub mod constraint;
pub mod fragment;
pub mod merge;
pub mod prospect;
pub mod rejection;
pub mod restore;
pub mod schema;
pub mod spelling;
pub mod value;

pub use fragment::{ChangeSet, CollectionEdit, Fragment, FragmentKind, ProcedureName};
pub use graph::{Graph, ObjectRef, StateError};
pub use judge::{JudgeLimits, Judgement, Sight, judge, judge_by_sight};
pub use rejection::{ErrorCode, Rejection};
pub use schema::{
    Enumeration, EnumerationId, Lifetime, Model, ModelId, Property, PropertyId, PropertyType,
    Schema, SchemaBuilder,
};
pub use value::{Scalar, Value};
pub mod draft;
pub mod effects;
pub mod graph;
pub mod judge;
mod plan;
pub mod sequence;
mod settle;
mod size;
pub(crate) mod way;
