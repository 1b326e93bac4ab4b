//! Typed models over a graph: the schema of a model, a value as a whole state, reading and changing.
//!
//! What a scope's typed handle does is made of these; they need no scope and no runtime.

use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::graph::Graph;
use jetstream_core::model::schema::EnumerationValues;
use jetstream_core::model::{
    ChangeSet, Fragment, FragmentKind, Model as Definition, Property, PropertyType, Schema,
    SchemaBuilder,
};

use crate::edits::Edits;
use crate::new_object::NewObjects;
use crate::object::Reader;
use crate::object_mut::Writer;
use crate::{Id, Model, ModelMut, ModelRef, NewScopeError, SchemaMismatch, WriteError};

/// Derived models in a schema that is put together at run time.
///
/// ```
/// use jetstream::core::model::Schema;
/// use jetstream::{Model, SchemaExt};
///
/// #[derive(Model)]
/// struct Shape { x: f64, y: f64 }
///
/// let schema = Schema::builder()
///     .with::<Shape>()
///     .model("Label", |m| m.extends("Shape").property("text", "String"))
///     .build()?;
/// assert_eq!(schema.find("Label").unwrap().1.properties().len(), 3);
/// # Ok::<(), jetstream::core::model::schema::SchemaMistakes>(())
/// ```
pub trait SchemaExt {
    /// Adds a derived model, and all that it refers to.
    #[must_use]
    fn with<M: Model>(self) -> Self;
}

impl SchemaExt for SchemaBuilder {
    fn with<M: Model>(mut self) -> Self {
        M::define(&mut self);
        self
    }
}

/// The schema of a model: what [`Model::schema`] makes once.
#[doc(hidden)]
pub fn schema_of<M: Model>() -> Arc<Schema> {
    match Schema::builder().with::<M>().build() {
        Ok(schema) => Arc::new(schema),
        Err(mistakes) => panic!("the models of {} make no schema: {mistakes}", M::NAME),
    }
}

/// A value as a whole state: the root's id, a `change` of the root, and an `add` for each object that it
/// holds, depth first. The ids are new and random.
///
/// # Errors
///
/// What no property can hold.
pub fn state_of<M: Model>(root: M) -> Result<(ObjectId, Vec<Fragment>), WriteError> {
    let schema = M::schema();
    let mut objects = NewObjects::new(&schema);
    let id = objects.create(root);
    match objects.mistake {
        Some(mistake) => Err(mistake),
        None => {
            let mut fragments = objects.fragments;
            fragments[0].kind = FragmentKind::Change;
            Ok((id, fragments))
        }
    }
}

/// A value as the graph of a scope, for `Scope::builder` of the server.
///
/// # Errors
///
/// What no property can hold, and every [`Id`] that leads nowhere.
pub fn graph_of<M: Model>(root: M) -> Result<Graph, NewScopeError> {
    let (id, fragments) = state_of(root)?;
    Graph::from_state(M::schema(), id, fragments).map_err(NewScopeError::State)
}

/// Reads a graph whose root is an `M`.
///
/// # Errors
///
/// That the graph's models are others.
pub fn read<M: Model>(graph: &Graph) -> Result<M::Ref<'_>, SchemaMismatch> {
    check::<M>(graph)?;
    let root = Reader { graph, edits: None }.object(graph.root());
    Ok(M::Ref::from_object(root.expect("the root is in its graph")))
}

/// An object of a graph, if it is there and an `M`.
pub fn find<M: Model>(graph: &Graph, id: Id<M>) -> Option<M::Ref<'_>> {
    Reader { graph, edits: None }.object(id.object_id())?.cast::<M>()
}

/// Runs a transaction on a graph whose root is an `M`: gives what `change` wants done, as one ChangeSet
/// that is applied as a whole, and what it returned.
///
/// # Errors
///
/// That the graph's models are others; or the first mistake that was made, such as a number that is not
/// finite.
pub fn transact<M: Model, R>(
    graph: &Graph,
    change: impl FnOnce(&mut M::Mut<'_>) -> R,
) -> Result<(ChangeSet, R), TransactError> {
    check::<M>(graph)?;
    let mut edits = Edits::default();
    let root = Writer { graph, edits: &mut edits }.object(graph.root());
    let result = change(&mut M::Mut::from_object(root.expect("the root is in its graph")));
    Ok((edits.finish(graph)?, result))
}

/// Why a transaction gave no ChangeSet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactError {
    /// The graph's models are not those of the program.
    #[error(transparent)]
    Schema(#[from] SchemaMismatch),
    /// Something was set that no property can hold.
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn check<M: Model>(graph: &Graph) -> Result<(), SchemaMismatch> {
    check_schema::<M>(graph.schema())?;
    let schema = graph.schema();
    let root = graph.object(graph.root()).expect("the root is in its graph").model();
    if schema.find(M::NAME).is_some_and(|(model, _)| schema.is_a(root, model)) {
        return Ok(());
    }
    let name = schema.model(root).name();
    Err(SchemaMismatch(vec![format!("the root is a `{name}`, not a `{}`", M::NAME)]))
}

/// Whether a schema, from a configuration file perhaps, has the models of the program: at least their
/// properties, of the same types, in any order; and the same enumerations.
///
/// Costs nothing if the schema is the program's own.
///
/// # Errors
///
/// Every difference.
pub fn check_schema<M: Model>(schema: &Arc<Schema>) -> Result<(), SchemaMismatch> {
    let own = M::schema();
    if Arc::ptr_eq(&own, schema) {
        return Ok(());
    }
    let mut differences = Vec::new();
    for (_, model) in own.models() {
        compare_model(&own, schema, model, &mut differences);
    }
    for enumeration in own.enumerations() {
        let theirs = schema.enumerations().find(|other| other.name() == enumeration.name());
        if theirs.is_some_and(|theirs| !same_values(enumeration.values(), theirs.values())) {
            differences.push(format!("the values of `{}` differ", enumeration.name()));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(SchemaMismatch(differences)) }
}

fn compare_model(own: &Schema, theirs: &Schema, model: &Definition, found: &mut Vec<String>) {
    let name = model.name();
    let Some((id, other)) = theirs.find(name) else {
        found.push(format!("no model `{name}`"));
        return;
    };
    if let Some(ancestor) = model.extends() {
        let ancestor = own.model(ancestor).name();
        if theirs.find(ancestor).is_some_and(|(ancestor, _)| !theirs.is_a(id, ancestor)) {
            found.push(format!("`{name}` does not extend `{ancestor}`"));
        }
    }
    for (_, property) in model.properties() {
        let expected = own.type_name(property);
        match other.find(property.name()) {
            None => found.push(format!("no property \"{}\" on `{name}`", property.name())),
            Some((_, there)) => {
                let actual = theirs.type_name(there);
                if actual != expected || !same_kind(property, there) {
                    let property = property.name();
                    found.push(format!(
                        "\"{property}\" of `{name}` is `{actual}` in the scope and `{expected}` in the program"
                    ));
                }
            }
        }
    }
}

/// Types of one name may still be an enumeration here and a model there.
fn same_kind(a: &Property, b: &Property) -> bool {
    let is_enumeration = |p: &Property| matches!(p.kind(), PropertyType::Enumeration(_));
    a.is_reference() == b.is_reference() && is_enumeration(a) == is_enumeration(b)
}

/// The order of values means nothing, nor do the names of integers.
fn same_values(a: &EnumerationValues, b: &EnumerationValues) -> bool {
    match (a, b) {
        (EnumerationValues::Strings(a), EnumerationValues::Strings(b)) => {
            a.len() == b.len() && a.iter().all(|value| b.contains(value))
        }
        (EnumerationValues::Integers(a), EnumerationValues::Integers(b)) => {
            a.len() == b.len() && a.iter().all(|(_, v)| b.iter().any(|(_, other)| other == v))
        }
        _ => false,
    }
}
