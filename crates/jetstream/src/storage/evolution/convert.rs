//! A state of one schema as a state of the next.
//!
//! Whole states are converted, not the changes that led to them: an expression may look at all of an
//! object, and what nothing refers to any more leaves as it would in a scope.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::limits::Limits;
use jetstream_core::model::prospect::Prospect;
use jetstream_core::model::{
    Fragment, FragmentKind, Graph, ModelId, ObjectRef, PropertyId, Schema, Value,
};
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::message::Dialect;

use crate::expression::{Bindings, Expression};

/// What expressions of migrations call the object as it was.
pub(super) const OBJECT: &str = "object";

/// The way from one schema to the next.
#[derive(Debug, Clone)]
pub(super) struct Conversion {
    from: Arc<Schema>,
    to: Arc<Schema>,
    models: HashMap<ModelId, ModelStep>,
}

/// What becomes of the objects of a model.
#[derive(Debug, Clone)]
pub(super) enum ModelStep {
    /// They leave.
    Drop,
    /// They go on.
    Become {
        /// As this.
        model: ModelId,
        /// What becomes of their old properties, by their old ids.
        properties: Vec<PropertyStep>,
        /// New properties whose values are made of the old object.
        computed: Vec<(PropertyId, Expression)>,
    },
}

/// What becomes of the values of a property.
#[derive(Debug, Clone)]
pub(super) enum PropertyStep {
    /// They are given up.
    Drop,
    /// They stay what they are.
    Keep(PropertyId),
    /// They are made anew.
    Convert(PropertyId, Expression),
}

impl PropertyStep {
    /// The property that has the values from now on.
    pub(super) const fn target(&self) -> Option<PropertyId> {
        match self {
            Self::Drop => None,
            Self::Keep(id) | Self::Convert(id, _) => Some(*id),
        }
    }
}

/// A state that cannot be converted. Names what stands in the way, without its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConversionError(String);

impl ConversionError {
    pub(super) const fn new(what: String) -> Self {
        Self(what)
    }
}

impl Conversion {
    pub(super) const fn new(
        from: Arc<Schema>,
        to: Arc<Schema>,
        models: HashMap<ModelId, ModelStep>,
    ) -> Self {
        Self { from, to, models }
    }

    /// The same objects as the next schema has them.
    ///
    /// # Errors
    ///
    /// The root's model was dropped, an expression failed, or gave what its property does not take.
    pub(super) fn graph(&self, graph: &Graph) -> Result<Graph, ConversionError> {
        let prospect = Prospect::present(graph);
        let mut fragments = Vec::with_capacity(graph.len());
        for object in graph.depth_first() {
            fragments.extend(self.object(object, &prospect)?);
        }
        let root = graph.root();
        if fragments.first().is_none_or(|first| first.object != root) {
            let what =
                "the root's model was dropped: its scope has to be removed or exported before";
            return Err(ConversionError(what.to_owned()));
        }
        attached(&mut fragments);
        Graph::from_state(self.to.clone(), root, fragments)
            .map_err(|errors| ConversionError(errors[0].to_string()))
    }

    fn object(
        &self,
        object: ObjectRef<'_>,
        prospect: &Prospect<'_>,
    ) -> Result<Option<Fragment>, ConversionError> {
        let Some(ModelStep::Become { model, properties, computed }) =
            self.models.get(&object.model())
        else {
            return Ok(None);
        };
        let is_root = object.id() == object.graph().root();
        let kind = if is_root { FragmentKind::Change } else { FragmentKind::Add };
        let mut fragment = Fragment::new(kind, object.id(), *model);
        let mut made: Vec<_> = computed.iter().map(|(new, expression)| (new, expression)).collect();
        for ((old, _), step) in self.from.model(object.model()).properties().zip(properties) {
            match step {
                PropertyStep::Drop => {}
                PropertyStep::Keep(new) => fragment.properties.push((*new, object.value(old))),
                PropertyStep::Convert(new, expression) => made.push((new, expression)),
            }
        }
        let mut bindings = Bindings::new();
        bindings.object(OBJECT, prospect.object(object.id()));
        for (new, expression) in made {
            let value = self.evaluate(expression, &bindings, *model, *new);
            let value = value.map_err(|what| {
                let (model, name) = self.names(*model, *new);
                ConversionError(format!("\"{model}.{name}\" of {}: {what}", object.id()))
            })?;
            fragment.properties.push((*new, value));
        }
        Ok(Some(fragment))
    }

    fn evaluate(
        &self,
        expression: &Expression,
        bindings: &Bindings<'_>,
        model: ModelId,
        property: PropertyId,
    ) -> Result<Value, String> {
        let given = expression.value(bindings).map_err(|error| error.to_string())?;
        let (_, name) = self.names(model, property);
        let properties = serde_json::json!({ name: given }).to_string();
        let limits = Limits::of_what_was_taken();
        let typing = Typing { schema: &self.to, dialect: Dialect::V1, limits: &limits };
        let typed = typing.properties(model, &properties).ok().and_then(|mut typed| typed.pop());
        typed.map(|(_, value)| value).ok_or_else(|| {
            let taken = self.to.type_name(self.to.model(model).property(property));
            format!("the expression gives what is no {taken}")
        })
    }

    fn names(&self, model: ModelId, property: PropertyId) -> (&str, &str) {
        let model = self.to.model(model);
        (model.name(), model.property(property).name())
    }
}

/// Takes references to objects that left out of values, and then the objects that nothing leads to.
fn attached(fragments: &mut Vec<Fragment>) {
    let places: HashMap<ObjectId, usize> =
        fragments.iter().enumerate().map(|(place, fragment)| (fragment.object, place)).collect();
    for fragment in fragments.iter_mut() {
        for (_, value) in &mut fragment.properties {
            if value.references().iter().any(|id| !places.contains_key(id)) {
                *value = without_lost(value, |id| places.contains_key(id));
            }
        }
    }
    let mut reached = HashSet::from([0]);
    let mut stack = vec![0];
    while let Some(place) = stack.pop() {
        let values = fragments[place].properties.iter().flat_map(|(_, value)| value.references());
        stack
            .extend(values.filter_map(|id| places.get(id)).filter(|place| reached.insert(**place)));
    }
    let mut place = 0..;
    fragments.retain(|_| place.next().is_some_and(|place| reached.contains(&place)));
}

fn without_lost(value: &Value, is_there: impl Fn(&ObjectId) -> bool) -> Value {
    match value {
        Value::References(ids) => Value::References(ids.iter().copied().filter(is_there).collect()),
        _ => Value::Reference(None),
    }
}
