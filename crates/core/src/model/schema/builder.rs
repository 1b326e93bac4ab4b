//! How a schema is described: models and enumerations in any order, with types that are still names.

use std::fmt;
use std::sync::Arc;

use super::check::Check;
use super::{EnumerationValues, Lifetime, Schema};
use crate::model::Scalar;

/// One mistake in a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaMistake {
    /// Where it is: `["models", "Shape", "properties", "x"]`, in the words of the configuration file.
    pub path: Vec<String>,
    /// What was found and what is allowed.
    pub message: String,
}

impl fmt::Display for SchemaMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.join("."), self.message)
    }
}

/// All the mistakes of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema has mistakes:{}", .0.iter().map(|m| format!("\n  {m}")).collect::<String>())]
pub struct SchemaMistakes(pub Vec<SchemaMistake>);

/// A property as it is described to a [`SchemaBuilder`]: its type is still a name.
#[derive(Debug, Clone, PartialEq)]
pub struct PropertyDefinition {
    /// The name on the wire.
    pub name: String,
    /// `String`, `Number`, `Boolean`, `Date`, an enumeration, a model, or `[any of these]`.
    pub kind: String,
    /// What a new object has; seconds or an ISO-8601 text for a `Date`.
    pub default: Option<Scalar>,
}

/// Describes the properties of one model to a [`SchemaBuilder`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelBuilder {
    pub(super) extends: Option<String>,
    pub(super) lifetime: Lifetime,
    pub(super) properties: Vec<PropertyDefinition>,
}

impl ModelBuilder {
    /// Makes this a submodel: it has all properties of `model`, before its own.
    #[must_use]
    pub fn extends(mut self, model: impl Into<String>) -> Self {
        self.extends = Some(model.into());
        self
    }

    /// Sets how long objects of this model live; submodels inherit `Session`.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// A property: `property("shapes", "[Shape]")`.
    #[must_use]
    pub fn property(self, name: impl Into<String>, kind: impl Into<String>) -> Self {
        self.define(PropertyDefinition { name: name.into(), kind: kind.into(), default: None })
    }

    /// A property whose value in new objects is `default`.
    #[must_use]
    pub fn property_with_default(
        self,
        name: impl Into<String>,
        kind: impl Into<String>,
        default: impl Into<Scalar>,
    ) -> Self {
        let default = Some(default.into());
        self.define(PropertyDefinition { name: name.into(), kind: kind.into(), default })
    }

    /// A property from its description.
    #[must_use]
    pub fn define(mut self, definition: PropertyDefinition) -> Self {
        self.properties.push(definition);
        self
    }
}

/// Collects models and enumerations, in any order, and checks them together.
///
/// ```
/// use jetstream_core::model::Schema;
///
/// let schema = Schema::builder()
///     .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
///     .model("Shape", |m| m.property("x", "Number").property_with_default("width", "Number", 100.0))
///     .model("Circle", |m| m.extends("Shape").property("radius", "Number"))
///     .build()?;
/// assert_eq!(schema.find("Circle").unwrap().1.properties().len(), 3);
/// # Ok::<(), jetstream_core::model::schema::SchemaMistakes>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SchemaBuilder {
    pub(super) enumerations: Vec<(String, EnumerationValues)>,
    pub(super) models: Vec<(String, ModelBuilder)>,
}

impl SchemaBuilder {
    /// An enumeration of texts.
    #[must_use]
    pub fn enumeration_of_strings<T: Into<Arc<str>>>(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.enumerations.push((name.into(), EnumerationValues::Strings(values)));
        self
    }

    /// An enumeration of names for integers.
    #[must_use]
    pub fn enumeration_of_integers<T: Into<Arc<str>>>(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = (T, i64)>,
    ) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value)).collect();
        self.enumerations.push((name.into(), EnumerationValues::Integers(values)));
        self
    }

    /// A model, described by `describe`.
    #[must_use]
    pub fn model(
        mut self,
        name: impl Into<String>,
        describe: impl FnOnce(ModelBuilder) -> ModelBuilder,
    ) -> Self {
        self.models.push((name.into(), describe(ModelBuilder::default())));
        self
    }

    /// Adds a model unless the very same one is there already. Tells whether it was new.
    ///
    /// For descriptions that follow references, in which a model is met several times. Two different
    /// models of one name are both kept, so that [`build`](Self::build) reports them.
    pub fn add_model(&mut self, name: &str, model: ModelBuilder) -> bool {
        let new = !self.models.iter().any(|(other, there)| other == name && *there == model);
        if new {
            self.models.push((name.to_owned(), model));
        }
        new
    }

    /// Adds an enumeration unless the very same one is there already. Tells whether it was new.
    pub fn add_enumeration(&mut self, name: &str, values: EnumerationValues) -> bool {
        let new = !self.enumerations.iter().any(|(other, there)| other == name && *there == values);
        if new {
            self.enumerations.push((name.to_owned(), values));
        }
        new
    }

    /// Checks everything together.
    ///
    /// # Errors
    ///
    /// Every mistake: names that are empty or used twice, types that do not exist, defaults of the
    /// wrong type, models that extend themselves, properties that hide inherited ones.
    pub fn build(self) -> Result<Schema, SchemaMistakes> {
        Check::new(&self).run()
    }
}
