//! The models of a scope: names, properties and types, checked as a whole.
//!
//! A [`Schema`] can only be made by a [`SchemaBuilder`], whose [`build`](SchemaBuilder::build) reports
//! every mistake at once. The configuration file, `#[derive(Model)]` and code that describes models at
//! run time all go through it, so all three mean the same.

mod builder;
mod check;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use super::Scalar;
use crate::hash::OwnState;

pub use builder::{ModelBuilder, PropertyDefinition, SchemaBuilder, SchemaMistake, SchemaMistakes};
pub use check::MAX_SAFE_INTEGER;

/// Names a model within its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(u16);

/// Names an enumeration within its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnumerationId(u16);

/// Names a property within its model; also its place in the order on the wire.
///
/// A submodel inherits its supermodel's properties first, so an inherited property has the same id in
/// both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PropertyId(u16);

impl PropertyId {
    /// The property at this place, which is one of a model's.
    pub(crate) const fn from_index(index: u16) -> Self {
        Self(index)
    }

    /// The place in [`Model::properties`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a property holds, or, if it is a collection, each of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyType {
    /// A text.
    String,
    /// A finite IEEE double.
    Number,
    /// True or false.
    Boolean,
    /// A moment in time, to the millisecond.
    Date,
    /// One of the values of an enumeration.
    Enumeration(EnumerationId),
    /// A reference to an object of this model or of a submodel.
    Model(ModelId),
}

/// A property of a model.
#[derive(Debug, Clone)]
pub struct Property {
    name: Arc<str>,
    kind: PropertyType,
    collection: bool,
    default: Option<Scalar>,
}

impl Property {
    /// The name on the wire.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it holds, or what each element is.
    pub const fn kind(&self) -> PropertyType {
        self.kind
    }

    /// Whether it holds an ordered list.
    pub const fn is_collection(&self) -> bool {
        self.collection
    }

    /// Whether it refers to objects, alone or as a collection: such properties make parents.
    pub const fn is_reference(&self) -> bool {
        matches!(self.kind, PropertyType::Model(_))
    }

    /// What a new object has where nothing else is said; collections begin empty.
    pub const fn default(&self) -> Option<&Scalar> {
        self.default.as_ref()
    }
}

/// The values of an enumeration.
#[derive(Debug, Clone, PartialEq)]
pub enum EnumerationValues {
    /// Texts, in the order given.
    Strings(Vec<Arc<str>>),
    /// Names with the integers that stand for them on the wire, in the order given.
    Integers(Vec<(Arc<str>, i64)>),
}

/// A named set of values.
#[derive(Debug, Clone)]
pub struct Enumeration {
    name: Arc<str>,
    values: EnumerationValues,
}

impl Enumeration {
    /// The name in the schema; it does not go over the wire.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// All values, in the order given.
    pub const fn values(&self) -> &EnumerationValues {
        &self.values
    }

    /// Whether `scalar` is one of the values.
    pub fn contains(&self, scalar: &Scalar) -> bool {
        match (&self.values, scalar) {
            (EnumerationValues::Strings(values), Scalar::String(text)) => values.contains(text),
            (EnumerationValues::Integers(values), Scalar::Number(number)) => {
                values.iter().any(|(_, value)| *value as f64 == *number)
            }
            _ => false,
        }
    }
}

/// How long objects of a model live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// As long as the root reaches them.
    #[default]
    Scope,
    /// At most as long as the session that added them: cursors, who is here. They leave the scope when
    /// that session does, for whatever reason.
    Session,
}

/// A named type with typed properties.
#[derive(Debug, Clone)]
pub struct Model {
    name: Arc<str>,
    extends: Option<ModelId>,
    lifetime: Lifetime,
    properties: Vec<Property>,
    by_name: HashMap<Arc<str>, PropertyId, OwnState>,
}

impl Model {
    /// The name on the wire (`clsName`).
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The supermodel.
    pub const fn extends(&self) -> Option<ModelId> {
        self.extends
    }

    /// How long objects of this model live.
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// All properties in the order on the wire, inherited ones first.
    pub fn properties(&self) -> impl ExactSizeIterator<Item = (PropertyId, &Property)> {
        // The builder refuses models with more properties than an id can count.
        self.properties.iter().enumerate().map(|(index, p)| (PropertyId(index as u16), p))
    }

    /// The property with this id.
    ///
    /// # Panics
    ///
    /// If the id is another model's.
    pub fn property(&self, id: PropertyId) -> &Property {
        &self.properties[id.index()]
    }

    /// The property with this name.
    pub fn find(&self, name: &str) -> Option<(PropertyId, &Property)> {
        let id = *self.by_name.get(name)?;
        Some((id, &self.properties[id.index()]))
    }
}

/// The models and enumerations of an application.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    models: Vec<Model>,
    models_by_name: HashMap<Arc<str>, ModelId, OwnState>,
    enumerations: Vec<Enumeration>,
}

impl Schema {
    /// Begins a schema.
    pub fn builder() -> SchemaBuilder {
        SchemaBuilder::default()
    }

    /// All models, in the order in which they were defined.
    pub fn models(&self) -> impl ExactSizeIterator<Item = (ModelId, &Model)> {
        self.models.iter().enumerate().map(|(index, model)| (ModelId(index as u16), model))
    }

    /// All enumerations, in the order in which they were defined.
    pub fn enumerations(&self) -> impl ExactSizeIterator<Item = &Enumeration> {
        self.enumerations.iter()
    }

    /// The model with this id.
    ///
    /// # Panics
    ///
    /// If the id is another schema's.
    pub fn model(&self, id: ModelId) -> &Model {
        &self.models[id.0 as usize]
    }

    /// The model with this name.
    pub fn find(&self, name: &str) -> Option<(ModelId, &Model)> {
        let id = *self.models_by_name.get(name)?;
        Some((id, self.model(id)))
    }

    /// The enumeration with this id.
    ///
    /// # Panics
    ///
    /// If the id is another schema's.
    pub fn enumeration(&self, id: EnumerationId) -> &Enumeration {
        &self.enumerations[id.0 as usize]
    }

    /// Whether a property typed with `ancestor` takes objects of `model`: it is that model, or extends it.
    pub fn is_a(&self, model: ModelId, ancestor: ModelId) -> bool {
        let mut current = Some(model);
        while let Some(id) = current {
            if id == ancestor {
                return true;
            }
            current = self.model(id).extends;
        }
        false
    }

    /// What a property of this type is called in an error: `Number`, `[Shape]`.
    pub fn type_name(&self, property: &Property) -> String {
        let element: &str = match property.kind {
            PropertyType::String => "String",
            PropertyType::Number => "Number",
            PropertyType::Boolean => "Boolean",
            PropertyType::Date => "Date",
            PropertyType::Enumeration(id) => self.enumeration(id).name(),
            PropertyType::Model(id) => self.model(id).name(),
        };
        if property.collection { format!("[{element}]") } else { element.to_owned() }
    }
}
