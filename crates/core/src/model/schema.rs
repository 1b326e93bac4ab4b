//! The models of a scope: names, properties and types, checked as a whole.
//!
//! A [`Schema`] can only be made by a [`SchemaBuilder`], whose [`build`](SchemaBuilder::build) reports
//! every mistake at once. The configuration file, `#[derive(Model)]` and code that describes models at
//! run time all go through it, so all three mean the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Scalar, spelling};
use crate::time::Timestamp;

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
    by_name: HashMap<Arc<str>, PropertyId>,
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
    models_by_name: HashMap<Arc<str>, ModelId>,
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
    extends: Option<String>,
    lifetime: Lifetime,
    properties: Vec<PropertyDefinition>,
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
    enumerations: Vec<(String, EnumerationValues)>,
    models: Vec<(String, ModelBuilder)>,
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

/// The work of [`SchemaBuilder::build`], which goes on after a mistake to find the others.
struct Check<'a> {
    source: &'a SchemaBuilder,
    types: HashMap<&'a str, PropertyType>,
    mistakes: Vec<SchemaMistake>,
}

impl<'a> Check<'a> {
    fn new(source: &'a SchemaBuilder) -> Self {
        let types = [
            ("String", PropertyType::String),
            ("Number", PropertyType::Number),
            ("Boolean", PropertyType::Boolean),
            ("Date", PropertyType::Date),
        ];
        Self { source, types: types.into(), mistakes: Vec::new() }
    }

    fn run(mut self) -> Result<Schema, SchemaMistakes> {
        self.declare_names();
        let enumerations = self.enumerations();
        let models = self.models(&enumerations);
        if !self.mistakes.is_empty() {
            return Err(SchemaMistakes(self.mistakes));
        }
        let models_by_name =
            models.iter().enumerate().map(|(i, m)| (m.name.clone(), ModelId(i as u16))).collect();
        Ok(Schema { models, models_by_name, enumerations })
    }

    fn mistake(&mut self, path: &[&str], message: impl Into<String>) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.mistakes.push(SchemaMistake { path, message: message.into() });
    }

    fn declare_names(&mut self) {
        let source = self.source;
        for (table, count) in
            [("models", source.models.len()), ("enumerations", source.enumerations.len())]
        {
            if count > usize::from(u16::MAX) {
                self.mistake(
                    &[table],
                    format!("{count} of them, at most {} are possible", u16::MAX),
                );
                return;
            }
        }
        for (index, (name, _)) in source.enumerations.iter().enumerate() {
            let kind = PropertyType::Enumeration(EnumerationId(index as u16));
            self.declare("enumerations", name, kind);
        }
        for (index, (name, _)) in source.models.iter().enumerate() {
            self.declare("models", name, PropertyType::Model(ModelId(index as u16)));
        }
    }

    fn declare(&mut self, table: &str, name: &'a str, kind: PropertyType) {
        if !is_identifier(name) {
            self.mistake(&[table, name], IDENTIFIER_RULE);
        } else if self.types.contains_key(name) {
            self.mistake(&[table, name], format!("the type name `{name}` is taken already"));
        } else {
            self.types.insert(name, kind);
        }
    }

    fn enumerations(&mut self) -> Vec<Enumeration> {
        let source = self.source;
        for (name, values) in &source.enumerations {
            let path = ["enumerations", name.as_str()];
            match values {
                EnumerationValues::Strings(values) => {
                    self.check_values(path, values.iter().map(|value| (&**value, &**value)));
                }
                EnumerationValues::Integers(values) => {
                    self.check_values(path, values.iter().map(|(name, _)| (&**name, &**name)));
                    self.check_values(path, values.iter().map(|(name, value)| (&**name, *value)));
                    for (name, value) in values {
                        if value.unsigned_abs() > MAX_SAFE_INTEGER {
                            self.mistake(
                                &[path[0], path[1], name],
                                format!("{value} is no exact number in JavaScript (±2^53 - 1)"),
                            );
                        }
                    }
                }
            }
        }
        let own = source.enumerations.iter();
        own.map(|(name, values)| Enumeration { name: name.as_str().into(), values: values.clone() })
            .collect()
    }

    fn check_values<'v, T: PartialEq + fmt::Display + 'v>(
        &mut self,
        path: [&str; 2],
        values: impl Iterator<Item = (&'v str, T)>,
    ) {
        let mut seen = Vec::new();
        for (name, value) in values {
            if seen.contains(&value) {
                self.mistake(&[path[0], path[1], name], format!("the value {value} stands twice"));
            } else {
                seen.push(value);
            }
        }
        if seen.is_empty() {
            self.mistake(&path, "an enumeration needs at least one value");
        }
    }

    fn models(&mut self, enumerations: &[Enumeration]) -> Vec<Model> {
        let source = self.source;
        let own: Vec<_> = source
            .models
            .iter()
            .map(|(name, model)| self.own_properties(name, model, enumerations))
            .collect();
        let extends: Vec<_> =
            source.models.iter().map(|(name, model)| self.supermodel(name, model)).collect();
        let mut models = Vec::with_capacity(own.len());
        for index in 0..own.len() {
            let chain = self.ancestry(index, &extends);
            let name = source.models[index].0.as_str();
            let properties: Vec<Property> =
                chain.iter().rev().flat_map(|&ancestor| own[ancestor].iter().cloned()).collect();
            let mut by_name = HashMap::new();
            for (place, property) in properties.iter().enumerate() {
                if by_name.insert(property.name.clone(), PropertyId(place as u16)).is_some() {
                    self.mistake(
                        &["models", name, "properties", &property.name],
                        "the property stands twice, here or in a model that this one extends",
                    );
                }
            }
            if properties.len() > usize::from(u16::MAX) {
                self.mistake(&["models", name], "too many properties");
            }
            let lifetimes = chain.iter().map(|&ancestor| source.models[ancestor].1.lifetime);
            let lifetime = lifetimes.max().unwrap_or_default();
            let extends = extends[index];
            models.push(Model { name: name.into(), extends, lifetime, properties, by_name });
        }
        models
    }

    fn supermodel(&mut self, name: &str, model: &ModelBuilder) -> Option<ModelId> {
        let extends = model.extends.as_deref()?;
        match self.types.get(extends) {
            Some(PropertyType::Model(id)) => Some(*id),
            Some(_) => {
                self.mistake(&["models", name, "extends"], format!("`{extends}` is no model"));
                None
            }
            None => {
                let hint = self.nearest(extends, |kind| matches!(kind, PropertyType::Model(_)));
                self.mistake(&["models", name, "extends"], format!("no model `{extends}`{hint}"));
                None
            }
        }
    }

    /// The model and all that it extends, itself first. A circle is reported and cut.
    fn ancestry(&mut self, model: usize, extends: &[Option<ModelId>]) -> Vec<usize> {
        let mut chain = vec![model];
        let mut current = model;
        while let Some(next) = extends[current] {
            current = next.0 as usize;
            if chain.contains(&current) {
                let name = self.source.models[model].0.as_str();
                self.mistake(&["models", name, "extends"], "the model extends itself");
                break;
            }
            chain.push(current);
        }
        chain
    }

    fn own_properties(
        &mut self,
        model: &str,
        builder: &ModelBuilder,
        enumerations: &[Enumeration],
    ) -> Vec<Property> {
        let mut properties = Vec::with_capacity(builder.properties.len());
        for definition in &builder.properties {
            let path = ["models", model, "properties", definition.name.as_str()];
            if definition.name.is_empty() {
                self.mistake(&path, "the name of a property may not be empty");
            }
            let (element, collection) = parse_type(&definition.kind);
            let Some(&kind) = self.types.get(element) else {
                let hint = self.nearest(element, |_| true);
                self.mistake(
                    &[&path[..], &["type"]].concat(),
                    format!("no type `{element}`{hint}"),
                );
                continue;
            };
            let default_path = [&path[..], &["default"]].concat();
            let default = match &definition.default {
                None => None,
                Some(_) if collection => {
                    self.mistake(&default_path, "a collection begins empty and takes no default");
                    None
                }
                Some(given) => match default_of(kind, given, enumerations) {
                    Ok(default) => Some(default),
                    Err(message) => {
                        self.mistake(&default_path, message);
                        None
                    }
                },
            };
            let name = definition.name.as_str().into();
            properties.push(Property { name, kind, collection, default });
        }
        properties
    }

    /// " (did you mean `Shape`?)", or all that there is.
    fn nearest(&self, name: &str, admits: fn(&PropertyType) -> bool) -> String {
        let types = self.types.iter().filter(|(_, kind)| admits(kind));
        let mut names: Vec<&str> = types.map(|(name, _)| *name).collect();
        // Not in hash order: the same mistake reads the same in every run.
        names.sort_unstable();
        match spelling::nearest(name, names.iter().copied()) {
            Some(close) => format!(" (did you mean `{close}`?)"),
            None => format!("; there are {}", names.join(", ")),
        }
    }
}

/// `[Shape]` is a collection of `Shape`.
fn parse_type(text: &str) -> (&str, bool) {
    let text = text.trim();
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(element) => (element.trim(), true),
        None => (text, false),
    }
}

fn default_of(
    kind: PropertyType,
    given: &Scalar,
    enumerations: &[Enumeration],
) -> Result<Scalar, String> {
    let expected = match (kind, given) {
        (PropertyType::String, Scalar::String(_))
        | (PropertyType::Boolean, Scalar::Boolean(_))
        | (PropertyType::Date, Scalar::Date(_)) => return Ok(given.clone()),
        (PropertyType::Number, Scalar::Number(number)) if number.is_finite() => {
            return Ok(given.clone());
        }
        (PropertyType::Date, Scalar::Number(seconds)) => match Timestamp::from_seconds(*seconds) {
            Some(date) => return Ok(Scalar::Date(date)),
            None => "a date within the years that JavaScript knows".to_owned(),
        },
        (PropertyType::Date, Scalar::String(text)) => match Timestamp::parse(text) {
            Some(date) => return Ok(Scalar::Date(date)),
            None => "seconds since 1970 or an ISO-8601 date".to_owned(),
        },
        (PropertyType::Enumeration(id), given) => {
            let enumeration = &enumerations[id.0 as usize];
            if enumeration.contains(given) {
                return Ok(given.clone());
            }
            format!("a value of `{}`", enumeration.name)
        }
        (PropertyType::Model(_), _) => {
            return Err("a reference begins unset and takes no default".to_owned());
        }
        (PropertyType::String, _) => "a string".to_owned(),
        (PropertyType::Number, _) => "a finite number".to_owned(),
        (PropertyType::Boolean, _) => "true or false".to_owned(),
        (PropertyType::Date, _) => "seconds since 1970 or an ISO-8601 date".to_owned(),
    };
    Err(format!("the default has the wrong type, expected {expected}"))
}

/// Names are compared and printed everywhere, also as identifiers in generated code.
fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
}

const IDENTIFIER_RULE: &str = "a name is made of letters, digits and `_` and begins with no digit";

/// The largest integer that JavaScript tells from its neighbours, `Number.MAX_SAFE_INTEGER`.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(builder: SchemaBuilder) -> Vec<String> {
        builder.build().unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn inherited_properties_come_first_and_keep_their_ids() {
        let schema = Schema::builder()
            .model("Cook", |m| m.extends("Person").property("speciality", "Flavour"))
            .model("Person", |m| m.property("name", "String").property("age", "Number"))
            .enumeration_of_strings("Flavour", ["sweet", "sour"])
            .build()
            .unwrap();
        let (person, _) = schema.find("Person").unwrap();
        let (cook, model) = schema.find("Cook").unwrap();
        let names: Vec<_> = model.properties().map(|(_, p)| p.name().to_string()).collect();
        assert_eq!(names, ["name", "age", "speciality"]);
        assert_eq!(
            schema.model(person).find("age").unwrap().0,
            schema.model(cook).find("age").unwrap().0
        );
        assert!(schema.is_a(cook, person));
        assert!(!schema.is_a(person, cook));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let found = mistakes(
            Schema::builder()
                .enumeration_of_strings("Empty", [""; 0])
                .enumeration_of_integers("Twice", [("A", 1), ("B", 1)])
                .model("Shape", |m| {
                    m.property("x", "Nmber")
                        .property("y", "number")
                        .property_with_default("z", "Number", "no")
                        .property_with_default("all", "[Shape]", 1.0)
                })
                .model("Shape", |m| m)
                .model("Loop", |m| m.extends("Loop"))
                .model("Lost", |m| m.extends("Nowhere"))
                .model("9", |m| m),
        );
        let expected = [
            "models.Shape: the type name `Shape` is taken already",
            "models.9: a name is made of",
            "enumerations.Empty: an enumeration needs at least one value",
            "enumerations.Twice.B: the value 1 stands twice",
            "models.Shape.properties.x.type: no type `Nmber` (did you mean `Number`?)",
            "models.Shape.properties.y.type: no type `number` (did you mean `Number`?)",
            "models.Shape.properties.z.default: the default has the wrong type, expected a finite number",
            "models.Shape.properties.all.default: a collection begins empty",
            "models.Lost.extends: no model `Nowhere`; there are Loop, Lost, Shape",
            "models.Loop.extends: the model extends itself",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found} does not start with {expected}");
        }
    }

    #[test]
    fn a_property_may_not_hide_an_inherited_one() {
        let found = mistakes(
            Schema::builder()
                .model("A", |m| m.property("x", "Number"))
                .model("B", |m| m.extends("A").property("x", "String")),
        );
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("models.B.properties.x: the property stands twice"));
    }

    #[test]
    fn the_same_model_added_twice_is_one_and_a_different_one_is_a_mistake() {
        let shape = || ModelBuilder::default().property("x", "Number");
        let mut builder = Schema::builder();
        assert!(builder.add_model("Shape", shape()));
        assert!(!builder.add_model("Shape", shape()));
        assert_eq!(builder.clone().build().unwrap().models().len(), 1);
        assert!(builder.add_model("Shape", shape().property("y", "Number")));
        assert_eq!(mistakes(builder), ["models.Shape: the type name `Shape` is taken already"]);
    }

    #[test]
    fn a_submodel_lives_no_longer_than_its_supermodel() {
        let schema = Schema::builder()
            .model("Cursor", |m| m.lifetime(Lifetime::Session))
            .model("Pen", |m| m.extends("Cursor"))
            .model("Shape", |m| m)
            .build()
            .unwrap();
        let lifetime = |name| schema.find(name).unwrap().1.lifetime();
        assert_eq!(lifetime("Pen"), Lifetime::Session);
        assert_eq!(lifetime("Shape"), Lifetime::Scope);
    }

    #[test]
    fn a_date_default_is_given_in_seconds_or_as_text() {
        let schema = Schema::builder()
            .model("A", |m| {
                m.property_with_default("s", "Date", 1.5).property_with_default(
                    "t",
                    "Date",
                    "1970-01-01T00:00:01.500Z",
                )
            })
            .build()
            .unwrap();
        let (_, model) = schema.find("A").unwrap();
        for (_, property) in model.properties() {
            assert_eq!(property.default(), Some(&Scalar::Date(Timestamp(1500))));
        }
    }
}
