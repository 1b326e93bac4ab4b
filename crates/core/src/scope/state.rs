//! A graph as the body of a `ScopeState`.

use crate::ids::SharedText;
use crate::model::{FragmentKind, Graph, ObjectRef, Value};
use crate::wire::encode::StateWriter;

/// Writes the whole state: the root as a `change`, then every other object as an `add`, depth first in
/// the order of properties, each once.
pub fn encode_state(graph: &Graph) -> SharedText {
    let mut writer = StateWriter::new(graph.root());
    for object in graph.depth_first() {
        write_object(&mut writer, object);
    }
    writer.finish()
}

fn write_object(writer: &mut StateWriter, object: ObjectRef<'_>) {
    let graph = object.graph();
    let kind = if object.id() == graph.root() { FragmentKind::Change } else { FragmentKind::Add };
    let model = graph.schema().model(object.model());
    let mut fragment = writer.fragment(kind, object.id(), model.name());
    for (id, property) in model.properties() {
        match (property.is_reference(), property.is_collection()) {
            (true, true) => {
                fragment.references(property.name(), object.references(id).map(|o| o.id()));
            }
            // An unset reference is left out, an unset value is null.
            (true, false) => {
                if let Some(target) = object.reference(id) {
                    fragment.reference(property.name(), Some(target.id()));
                }
            }
            (false, true) => fragment.scalars(property.name(), object.scalars(id)),
            (false, false) => fragment.scalar(property.name(), object.scalar(id)),
        }
    }
    fragment.end();
}

/// The same as fragments, for stores and for graphs of other processes.
pub fn state_fragments(graph: &Graph) -> Vec<crate::model::Fragment> {
    first_state_fragments(graph, usize::MAX)
}

/// The first of them, for who wants to look at a scope however large it is.
pub fn first_state_fragments(graph: &Graph, count: usize) -> Vec<crate::model::Fragment> {
    let fragments = graph.depth_first().take(count).map(|object| {
        let kind =
            if object.id() == graph.root() { FragmentKind::Change } else { FragmentKind::Add };
        let mut fragment = crate::model::Fragment::new(kind, object.id(), object.model());
        for (id, _) in graph.schema().model(object.model()).properties() {
            let value = object.value(id);
            if value != Value::Reference(None) {
                fragment.properties.push((id, value));
            }
        }
        fragment
    });
    fragments.collect()
}
