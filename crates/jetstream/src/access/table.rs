//! Which rule decides about a model or a property.
//!
//! The one that says most: of the property itself, in the model or the nearest supermodel that has one; then of
//! the model, or the nearest supermodel; then the one for everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use jetstream_core::model::spelling::nearest;
use jetstream_core::model::{ModelId, PropertyId, Schema};

use super::Operation;
use crate::expression::{Expression, Mistake};

/// A condition with its name.
#[derive(Debug)]
pub(super) struct Rule {
    /// As refusals name it: `change."Shape.color"`.
    pub(super) name: String,
    pub(super) expression: Expression,
    /// Its place among the rules of its table.
    pub(super) number: usize,
}

impl Rule {
    pub(super) fn new(operation: Operation, target: &str, expression: Expression) -> Self {
        let operation_name = operation.as_str();
        let name = match operation {
            Operation::Fetch => operation_name.to_owned(),
            _ if target.contains(['.', '*']) => format!("{operation_name}.{target:?}"),
            _ => format!("{operation_name}.{target}"),
        };
        Self { name, expression, number: 0 }
    }

    pub(super) fn looks_at(&self, variable: &str) -> bool {
        self.expression.uses().names(variable)
    }
}

/// What a rule is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Everything,
    Model(ModelId),
    Property(ModelId, PropertyId),
}

impl Target {
    pub(super) const fn model(self) -> Option<ModelId> {
        match self {
            Self::Everything => None,
            Self::Model(model) | Self::Property(model, _) => Some(model),
        }
    }
}

/// Reads what a rule is about.
pub(super) fn target(schema: &Schema, operation: Operation, text: &str) -> Result<Target, Mistake> {
    if operation == Operation::Fetch || text == "*" {
        return Ok(Target::Everything);
    }
    let refuse = |message: String, help| Err(Mistake { span: 0..text.len(), message, help });
    let (model_name, property_name) = match text.split_once('.') {
        Some((model, property)) => (model, Some(property)),
        None => (text, None),
    };
    let Some((model, definition)) = schema.find(model_name) else {
        let names = schema.models().map(|(_, model)| &**model.name());
        let help = nearest(model_name, names).map(|meant| format!("did you mean {meant:?}?"));
        return refuse(format!("no model {model_name:?}"), help);
    };
    let Some(property_name) = property_name else { return Ok(Target::Model(model)) };
    if matches!(operation, Operation::Add | Operation::Remove) {
        let message = format!(
            "an object is {operation}ed as a whole",
            operation = operation.as_str().trim_end_matches('e')
        );
        return refuse(message, Some(format!("write the rule for {model_name:?}")));
    }
    match definition.find(property_name) {
        Some((property, _)) => Ok(Target::Property(model, property)),
        None => {
            let names = definition.properties().map(|(_, property)| &**property.name());
            let help =
                nearest(property_name, names).map(|meant| format!("did you mean {meant:?}?"));
            refuse(format!("no property {property_name:?} on {model_name:?}"), help)
        }
    }
}

/// The rules about one operation.
#[derive(Debug, Default)]
pub(super) struct Table {
    rules: Vec<Arc<Rule>>,
    everything: Option<Arc<Rule>>,
    models: BTreeMap<ModelId, Arc<Rule>>,
    /// Those that were written, and once settled those that were inherited.
    properties: BTreeMap<ModelId, Vec<(PropertyId, Arc<Rule>)>>,
}

impl Table {
    pub(super) fn insert(&mut self, target: Target, rule: Arc<Rule>) {
        let mut rule = Arc::into_inner(rule).expect("it was made for this table");
        rule.number = self.rules.len();
        let rule = Arc::new(rule);
        self.rules.push(rule.clone());
        match target {
            Target::Everything => self.everything = Some(rule),
            Target::Model(model) => drop(self.models.insert(model, rule)),
            Target::Property(model, property) => {
                self.properties.entry(model).or_default().push((property, rule));
            }
        }
    }

    /// Works out for every model which rules it has from whom.
    pub(super) fn settle(&mut self, schema: &Schema) {
        let (mut models, mut properties) = (BTreeMap::new(), BTreeMap::new());
        for (model, _) in schema.models() {
            let line =
                || std::iter::successors(Some(model), |model| schema.model(*model).extends());
            let own = line().find_map(|model| self.models.get(&model));
            models.extend(own.or(self.everything.as_ref()).map(|rule| (model, rule.clone())));
            let mut named: BTreeMap<PropertyId, Arc<Rule>> = BTreeMap::new();
            for (property, rule) in line().filter_map(|model| self.properties.get(&model)).flatten()
            {
                named.entry(*property).or_insert_with(|| rule.clone());
            }
            properties.insert(model, named.into_iter().collect());
        }
        (self.models, self.properties) = (models, properties);
    }

    pub(super) fn of_model(&self, model: ModelId) -> Option<&Arc<Rule>> {
        self.models.get(&model)
    }

    pub(super) fn of(&self, model: ModelId, property: Option<PropertyId>) -> Option<&Arc<Rule>> {
        let named = property.and_then(|property| self.named(model, property));
        named.or_else(|| self.of_model(model))
    }

    pub(super) fn names(&self, model: ModelId, property: PropertyId) -> bool {
        self.named(model, property).is_some()
    }

    pub(super) fn of_properties(&self, model: ModelId) -> &[(PropertyId, Arc<Rule>)] {
        self.properties.get(&model).map_or(&[], Vec::as_slice)
    }

    pub(super) fn rules(&self) -> Vec<Arc<Rule>> {
        self.rules.clone()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(super) fn looks_at(&self, variable: &str) -> bool {
        self.rules.iter().any(|rule| rule.looks_at(variable))
    }

    fn named(&self, model: ModelId, property: PropertyId) -> Option<&Arc<Rule>> {
        let named = self.of_properties(model).iter().find(|(named, _)| *named == property);
        named.map(|(_, rule)| rule)
    }
}
