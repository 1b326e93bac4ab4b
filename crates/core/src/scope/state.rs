//! A graph as the body of a `ScopeState`, and as what is stored of it.

use std::collections::HashSet;

use super::durable::{lasting_value, lasts};
use crate::ids::{ObjectId, SharedText};
use crate::model::{Fragment, FragmentKind, Graph, ObjectRef, PropertyId, Sight, Value};
use crate::wire::encode::StateWriter;

/// Writes the whole state: the root as a `change`, then every other object as an `add`, depth first in
/// the order of properties, each once.
pub fn encode_state(graph: &Graph) -> SharedText {
    let mut writer = StateWriter::new(graph.root(), graph.len());
    for object in graph.depth_first() {
        write_object(&mut writer, object, None);
    }
    writer.finish()
}

/// The same for those who see only a part: hidden objects and properties are not there.
pub(super) fn encode_view(graph: &Graph, sight: &dyn Sight) -> SharedText {
    let mut writer = StateWriter::new(graph.root(), graph.len());
    for object in depth_first(graph, sight) {
        write_object(&mut writer, object, Some(sight));
    }
    writer.finish()
}

/// What is seen, in the order of a state.
fn depth_first<'g>(graph: &'g Graph, sight: &dyn Sight) -> Vec<ObjectRef<'g>> {
    let mut met = HashSet::new();
    let mut order = Vec::new();
    let mut stack: Vec<ObjectRef<'g>> = graph.object(graph.root()).into_iter().collect();
    while let Some(object) = stack.pop() {
        if !sight.sees(object.id()) || !met.insert(object.id()) {
            continue;
        }
        order.push(object);
        let children = stack.len();
        for (property, _) in graph.schema().model(object.model()).properties() {
            if sight.sees_property(object.id(), property) {
                stack.extend(object.reference(property));
                stack.extend(object.references(property));
            }
        }
        stack[children..].reverse();
    }
    order
}

fn write_object(writer: &mut StateWriter, object: ObjectRef<'_>, sight: Option<&dyn Sight>) {
    let sees = |other: ObjectId| sight.is_none_or(|sight| sight.sees(other));
    let graph = object.graph();
    let kind = if object.id() == graph.root() { FragmentKind::Change } else { FragmentKind::Add };
    let model = graph.schema().model(object.model());
    let mut fragment = writer.fragment(kind, object.id(), model.name());
    for (id, property) in model.properties() {
        if sight.is_some_and(|sight| !sight.sees_property(object.id(), id)) {
            continue;
        }
        match (property.is_reference(), property.is_collection()) {
            (true, true) => {
                let elements = object.references(id).map(|element| element.id());
                fragment.references(property.name(), elements.filter(|id| sees(*id)));
            }
            // An unset reference is left out, an unset value is null.
            (true, false) => {
                if let Some(target) = object.reference(id).filter(|target| sees(target.id())) {
                    fragment.reference(property.name(), Some(target.id()));
                }
            }
            (false, true) => fragment.scalars(property.name(), object.scalars(id)),
            (false, false) => fragment.scalar(property.name(), object.scalar(id)),
        }
    }
    fragment.end();
}

/// The first objects as fragments, for who wants to look at a scope however large it is.
pub fn first_state_fragments(graph: &Graph, count: usize) -> Vec<Fragment> {
    let objects = graph.depth_first().take(count);
    objects.map(|object| fragment(object, |property| object.value(property))).collect()
}

/// What is stored of a graph, as fragments: the root as a `change`, every other object as an `add`. What
/// leaves with its session is not among them, nor what only such an object holds.
pub fn state_fragments(graph: &Graph) -> Vec<Fragment> {
    let lasting = graph.depth_first_where(|one| lasts(graph, one.id(), one.model()));
    lasting.map(|object| fragment(object, |property| lasting_value(object, property))).collect()
}

fn fragment(object: ObjectRef<'_>, value: impl Fn(PropertyId) -> Value) -> Fragment {
    let graph = object.graph();
    let kind = if object.id() == graph.root() { FragmentKind::Change } else { FragmentKind::Add };
    let mut fragment = Fragment::new(kind, object.id(), object.model());
    for (id, _) in graph.schema().model(object.model()).properties() {
        let value = value(id);
        if value != Value::Reference(None) {
            fragment.properties.push((id, value));
        }
    }
    fragment
}
