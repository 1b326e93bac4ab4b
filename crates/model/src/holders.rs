//! Who holds an object at some point of a transaction, and whether the root still reaches it.

use std::collections::HashSet;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::PropertyId;
use jetstream_core::model::graph::Graph;

use crate::edits::Edits;
use crate::list::ListView;

/// The properties that hold an object at this point of a transaction, each once.
pub(crate) fn holders(
    graph: &Graph,
    edits: &Edits,
    object: ObjectId,
) -> Vec<(ObjectId, PropertyId)> {
    let edited = edits.iter().flat_map(|edit| edit.holding(graph, object).map(|p| (edit.id(), p)));
    let mut holders: Vec<_> = edited.collect();
    for parent in graph.object(object).iter().flat_map(|object| object.parents()) {
        let model = graph.schema().model(parent.model());
        let edit = edits.of(parent.id());
        for (property, definition) in model.properties().filter(|(_, p)| p.is_reference()) {
            let holds = if definition.is_collection() {
                let edit = edit.and_then(|edit| edit.list(property));
                ListView { base: Some((parent, property)), edit }.contains(object)
            } else if edit.is_some_and(|edit| edit.value(property).is_some()) {
                // Then it is among the edits, or no holder any more.
                false
            } else {
                parent.reference(property).is_some_and(|held| held.id() == object)
            };
            if holds && !holders.contains(&(parent.id(), property)) {
                holders.push((parent.id(), property));
            }
        }
    }
    holders
}

/// Whether the root reaches an object. Looks upwards, where there are few.
pub(crate) fn root_reaches(graph: &Graph, edits: &Edits, object: ObjectId) -> bool {
    let mut seen = HashSet::from([object]);
    let mut waiting = vec![object];
    while let Some(object) = waiting.pop() {
        if object == graph.root() {
            return true;
        }
        let holders = holders(graph, edits, object).into_iter().map(|(holder, _)| holder);
        waiting.extend(holders.filter(|holder| seen.insert(*holder)));
    }
    false
}
