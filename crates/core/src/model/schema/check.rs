//! The judgement of a described schema as a whole.

use std::collections::HashMap;
use std::fmt;

use super::{
    Enumeration, EnumerationId, EnumerationValues, Model, ModelBuilder, ModelId, Property,
    PropertyId, PropertyType, Schema, SchemaBuilder, SchemaMistake, SchemaMistakes,
};
use crate::model::{Scalar, spelling};
use crate::time::Timestamp;

/// The work of [`SchemaBuilder::build`], which goes on after a mistake to find the others.
pub(super) struct Check<'a> {
    source: &'a SchemaBuilder,
    types: HashMap<&'a str, PropertyType>,
    mistakes: Vec<SchemaMistake>,
    /// What was found out about misspelled names: a generated description has the same ones often.
    hints: HashMap<(String, bool), String>,
}

impl<'a> Check<'a> {
    pub(super) fn new(source: &'a SchemaBuilder) -> Self {
        let types = [
            ("String", PropertyType::String),
            ("Number", PropertyType::Number),
            ("Boolean", PropertyType::Boolean),
            ("Date", PropertyType::Date),
        ];
        Self { source, types: types.into(), mistakes: Vec::new(), hints: HashMap::new() }
    }

    pub(super) fn run(mut self) -> Result<Schema, SchemaMistakes> {
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
            let mut by_name = HashMap::default();
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
                let hint = self.nearest(extends, true);
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
                let hint = self.nearest(element, false);
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
    fn nearest(&mut self, name: &str, models_only: bool) -> String {
        if let Some(hint) = self.hints.get(&(name.to_owned(), models_only)) {
            return hint.clone();
        }
        let admits = |kind: &PropertyType| !models_only || matches!(kind, PropertyType::Model(_));
        let types = self.types.iter().filter(|(_, kind)| admits(kind));
        let mut names: Vec<&str> = types.map(|(name, _)| *name).collect();
        // Not in hash order: the same mistake reads the same in every run.
        names.sort_unstable();
        let hint = match spelling::nearest(name, names.iter().copied()) {
            Some(close) => format!(" (did you mean `{close}`?)"),
            None => format!("; there are {}", names.join(", ")),
        };
        self.hints.insert((name.to_owned(), models_only), hint.clone());
        hint
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
