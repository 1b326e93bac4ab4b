//! A graph as the body of a `ScopeState`, and as what is stored of it.

use super::durable::{lasting_value, lasts};
use crate::ids::{ObjectId, SharedText};
use crate::model::graph::Key;
use crate::model::{Fragment, FragmentKind, Graph, ObjectRef, PropertyId, Sight, Value};
use crate::wire::encode::{self, FragmentWriter};

/// Writes the whole state: the root as a `change`, then every other object as an `add`, depth first in
/// the order of properties, each once.
pub fn encode_state(graph: &Graph) -> SharedText {
    encode_seen(graph, None)
}

/// The same for those who see only a part, if there is one: hidden objects and properties are not there.
pub(super) fn encode_seen(graph: &Graph, sight: Option<&dyn Sight>) -> SharedText {
    // Room for objects of some properties: a text that grows is copied again and again.
    let mut text = String::with_capacity(256 * graph.len());
    encode::state_head(&mut text, graph.root());
    write_objects(&mut text, graph, sight, &order(graph, sight));
    text.push_str(encode::STATE_TAIL);
    text.into()
}

/// What is seen, in the order of a state.
pub(super) fn order(graph: &Graph, sight: Option<&dyn Sight>) -> Vec<Key> {
    let mut order = Vec::with_capacity(graph.len());
    match sight {
        None => order.extend(graph.depth_first().map(|object| object.key())),
        Some(sight) => {
            let sees = |object: ObjectRef<'_>| sight.sees(object.id());
            let leads =
                |object: ObjectRef<'_>, property| sight.sees_property(object.id(), property);
            order.extend(graph.depth_first_over(sees, leads).map(|object| object.key()));
        }
    }
    order
}

/// Objects as fragments of a state: the root first of all, each other one behind a comma. What is not there
/// any more is left out.
pub(super) fn write_objects(
    out: &mut String,
    graph: &Graph,
    sight: Option<&dyn Sight>,
    keys: &[Key],
) {
    for object in keys.iter().filter_map(|key| graph.object_at(*key)) {
        let kind = if object.id() == graph.root() {
            FragmentKind::Change
        } else {
            out.push(',');
            FragmentKind::Add
        };
        write_object(out, kind, object, sight);
    }
}

fn write_object(
    out: &mut String,
    kind: FragmentKind,
    object: ObjectRef<'_>,
    sight: Option<&dyn Sight>,
) {
    let sees = |other: ObjectId| sight.is_none_or(|sight| sight.sees(other));
    let model = object.graph().schema().model(object.model());
    let mut fragment = FragmentWriter::begin(out, kind, object.id(), model.name());
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
    objects.map(object_fragment).collect()
}

/// An object as a state has it.
pub fn object_fragment(object: ObjectRef<'_>) -> Fragment {
    fragment(object, |property| object.value(property))
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
