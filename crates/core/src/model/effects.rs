//! What a change did to a graph, by object: for those who follow a scope rather than sync it.

use std::collections::HashSet;

use super::draft::Plan;
use super::graph::{Graph, ObjectRef};
use super::{ModelId, PropertyId};
use crate::ids::ObjectId;

/// Which objects came, changed and left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Objects that were not there before.
    pub added: Vec<(ObjectId, ModelId)>,
    /// Objects that were there before and still are, with the properties that were set, in order. A
    /// property may have been set to what it held.
    pub changed: Vec<(ObjectId, ModelId, Vec<PropertyId>)>,
    /// Objects that the root does not reach any more.
    pub removed: Vec<(ObjectId, ModelId)>,
}

impl Plan {
    /// What the plan will do to its graph, to which it was not applied yet.
    pub fn effects(&self, graph: &Graph) -> Effects {
        let known = |key| graph.get(key).map(|object| (object.id, object.model));
        let removed: Vec<_> = self.orphans.iter().filter_map(|key| known(*key)).collect();
        let lost: HashSet<_> = self.orphans.iter().collect();
        let mut changed: Vec<(ObjectId, ModelId, Vec<PropertyId>)> = Vec::new();
        let mut fields: Vec<_> = self.fields.keys().copied().collect();
        // By object, so that the properties of one stand together.
        fields.sort_by_key(|(key, property)| (*key, *property));
        for (key, property) in fields {
            // New objects are new as a whole, and a lost one is lost as a whole.
            let Some((id, model)) = known(key).filter(|_| !lost.contains(&key)) else {
                continue;
            };
            match changed.last_mut() {
                Some((last, _, properties)) if *last == id => properties.push(property),
                _ => changed.push((id, model, vec![property])),
            }
        }
        let added = self.added.iter().map(|added| (added.id, added.model)).collect();
        Effects { added, changed, removed }
    }
}

impl Effects {
    /// What leads from one graph to a later one of the same scope. Looks at everything: for those who have
    /// missed what happened in between.
    pub fn between(before: &Graph, after: &Graph) -> Self {
        let mut effects = Self::default();
        for object in after.depth_first() {
            match before.object(object.id()).filter(|old| old.model() == object.model()) {
                None => effects.added.push((object.id(), object.model())),
                Some(old) => {
                    let properties = different(old, object);
                    if !properties.is_empty() {
                        effects.changed.push((object.id(), object.model(), properties));
                    }
                }
            }
        }
        for object in before.depth_first() {
            let model = after.object(object.id()).map(|object| object.model());
            if model != Some(object.model()) {
                effects.removed.push((object.id(), object.model()));
            }
        }
        effects
    }
}

fn different(before: ObjectRef<'_>, after: ObjectRef<'_>) -> Vec<PropertyId> {
    let properties = after.graph().schema().model(after.model()).properties();
    let changed = properties.filter(|(id, _)| before.value(*id) != after.value(*id));
    changed.map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::judge::{JudgeLimits, judge};
    use super::super::{ChangeSet, CollectionEdit, Fragment, FragmentKind, Schema, Value};
    use super::*;

    fn id(last: u8) -> ObjectId {
        format!("00000000-0000-4000-8000-0000000000{last:02}").parse().unwrap()
    }

    /// A list of nodes, each of which may hold another.
    fn graph() -> Graph {
        let schema = Schema::builder()
            .model("Node", |m| {
                m.property("label", "String").property("next", "Node").property("all", "[Node]")
            })
            .build()
            .unwrap();
        let (node, model) = schema.find("Node").unwrap();
        let next = model.find("next").unwrap().0;
        let all = model.find("all").unwrap().0;
        let fragments = vec![
            Fragment::new(FragmentKind::Change, id(0), node)
                .with(all, Value::References([id(1), id(3)].into())),
            Fragment::new(FragmentKind::Add, id(1), node).with(next, Value::Reference(Some(id(2)))),
            Fragment::new(FragmentKind::Add, id(2), node),
            Fragment::new(FragmentKind::Add, id(3), node),
        ];
        Graph::from_state(Arc::new(schema), id(0), fragments).unwrap()
    }

    #[test]
    fn the_effects_of_a_plan_are_what_lies_between_the_graphs() {
        let before = graph();
        let (node, model) = before.schema().find("Node").unwrap();
        let property = |name| model.find(name).unwrap().0;
        let (label, all) = (property("label"), property("all"));
        let changes = ChangeSet::atomic([
            Fragment::new(FragmentKind::Add, id(4), node)
                .with(label, Value::Scalar(Some("new".into()))),
            Fragment::new(FragmentKind::Change, id(3), node)
                .with(label, Value::Scalar(Some("changed".into()))),
            Fragment::new(FragmentKind::Change, id(2), node)
                .with(label, Value::Scalar(Some("lost".into()))),
            Fragment::new(FragmentKind::Change, id(0), node).with_edits(
                all,
                vec![
                    CollectionEdit::Insert { object: id(4), after: None },
                    CollectionEdit::Remove { object: id(1) },
                ],
            ),
        ]);
        let plan = judge(&before, &changes, &JudgeLimits::NONE).plan.unwrap();
        let mut effects = plan.effects(&before);
        let mut after = before.clone();
        after.apply(plan);
        let mut between = Effects::between(&before, &after);
        for effects in [&mut effects, &mut between] {
            effects.changed.sort();
            effects.removed.sort();
        }
        assert_eq!(effects, between);
        assert_eq!(effects.added, [(id(4), node)]);
        assert_eq!(effects.changed, [(id(0), node, vec![all]), (id(3), node, vec![label])]);
        assert_eq!(effects.removed, [(id(1), node), (id(2), node)]);
    }
}
