//! A graph as it is, or as it would be with a plan applied, looked at in one way.
//!
//! Who judges a change wants to see the object before and after it. The graph is not touched for that:
//! the plan lies over it, and what the plan does not mention is looked up below.

use std::collections::HashMap;

use indexmap::{IndexMap, IndexSet};

use super::draft::{CollectionChange, FieldChange, KeyEdit, Plan};
use super::graph::{Field, Graph, Key, edit_sequence, field_children};
use super::sequence::Sequence;
use super::{Model, ModelId, PropertyId, Scalar, Schema, Value};
use crate::ids::ObjectId;

/// A graph with or without a plan over it.
#[derive(Debug)]
pub struct Prospect<'g> {
    graph: &'g Graph,
    plan: Option<&'g Plan>,
    added: HashMap<ObjectId, Key>,
    added_keys: HashMap<Key, (ObjectId, ModelId)>,
}

/// What a plan does to the references of one property.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferenceEdits {
    /// Objects that are in it more often than before.
    pub inserted: IndexSet<ObjectId>,
    /// Objects that are in it less often than before.
    pub taken: IndexSet<ObjectId>,
    /// Objects that stay have another order.
    pub reordered: bool,
}

impl ReferenceEdits {
    fn count(
        &mut self,
        prospect: &Prospect<'_>,
        before: impl Iterator<Item = Key>,
        after: impl Iterator<Item = Key>,
    ) {
        let mut counts: IndexMap<Key, i64> = IndexMap::new();
        after.for_each(|key| *counts.entry(key).or_default() += 1);
        before.for_each(|key| *counts.entry(key).or_default() -= 1);
        let ids = |sign: i64| {
            let those = counts.iter().filter(move |(_, count)| count.signum() == sign);
            those.map(|(key, _)| prospect.at(*key).id())
        };
        self.inserted.extend(ids(1));
        self.taken.extend(ids(-1));
    }
}

/// An object of a [`Prospect`].
#[derive(Clone, Copy)]
pub struct ProspectObject<'p> {
    prospect: &'p Prospect<'p>,
    key: Key,
}

impl<'g> Prospect<'g> {
    /// The graph as it is.
    pub fn present(graph: &'g Graph) -> Self {
        Self { graph, plan: None, added: HashMap::new(), added_keys: HashMap::new() }
    }

    /// The graph as it would be with a plan that was made for it.
    pub fn with(graph: &'g Graph, plan: &'g Plan) -> Self {
        let added = plan.added.iter().map(|added| (added.id, added.key)).collect();
        let keys = plan.added.iter().map(|added| (added.key, (added.id, added.model)));
        Self { graph, plan: Some(plan), added, added_keys: keys.collect() }
    }

    /// The object with this id: one that is there, or one that the plan adds.
    pub fn object(&self, id: ObjectId) -> Option<ProspectObject<'_>> {
        let key = self.graph.key(id).or_else(|| self.added.get(&id).copied())?;
        Some(self.at(key))
    }

    /// The root.
    pub fn root(&self) -> ProspectObject<'_> {
        self.at(self.graph.root_key())
    }

    /// The models that the objects are of.
    pub fn schema(&self) -> &'g Schema {
        self.graph.schema()
    }

    /// Whether the plan adds the object.
    pub fn adds(&self, id: ObjectId) -> bool {
        self.added.contains_key(&id)
    }

    /// What the plan does to a property that refers to objects.
    pub fn edits(&self, id: ObjectId, property: PropertyId) -> ReferenceEdits {
        let mut edits = ReferenceEdits::default();
        let (Some(object), Some(plan)) = (self.object(id), self.plan) else { return edits };
        let before = object.base(property).into_iter().flat_map(field_children);
        match plan.fields.get(&(object.key, property)) {
            Some(FieldChange::Reference(after)) => {
                edits.count(self, before, after.iter().copied());
            }
            Some(FieldChange::Collection(CollectionChange::Whole(after))) => {
                let kept_before: Vec<Key> = before.filter(|key| after.contains(*key)).collect();
                let held = object.base(property).into_iter().flat_map(field_children);
                edits.count(self, held, after.iter());
                let inserted = |key: &Key| edits.inserted.contains(&self.at(*key).id());
                let kept = after.iter().filter(|key| !inserted(key));
                edits.reordered = !kept.eq(kept_before.into_iter().filter(|key| !inserted(key)));
            }
            Some(FieldChange::Collection(CollectionChange::Edits {
                edits: done, counts, ..
            })) => {
                let Some(Field::References(held)) = object.base(property) else { return edits };
                // In the order of the edits: a map has none.
                for edit in done {
                    let (KeyEdit::Insert(key, _) | KeyEdit::Remove(key) | KeyEdit::RemoveAll(key)) =
                        *edit;
                    let was = held.count(key);
                    let is = counts.get(&key).copied().unwrap_or(was);
                    let id = self.at(key).id();
                    if is > was {
                        edits.inserted.insert(id);
                    } else if is < was {
                        edits.taken.insert(id);
                    }
                    edits.reordered |= was > 0 && matches!(edit, KeyEdit::Insert(..));
                }
            }
            Some(FieldChange::Scalar(_) | FieldChange::Scalars(_)) | None => {}
        }
        edits
    }

    pub(crate) const fn at(&self, key: Key) -> ProspectObject<'_> {
        ProspectObject { prospect: self, key }
    }
}

impl<'p> ProspectObject<'p> {
    /// The object's id.
    pub fn id(&self) -> ObjectId {
        match self.prospect.added_keys.get(&self.key) {
            Some((id, _)) => *id,
            None => self.prospect.graph.at(self.key).id,
        }
    }

    /// Its model.
    pub fn model(&self) -> ModelId {
        match self.prospect.added_keys.get(&self.key) {
            Some((_, model)) => *model,
            None => self.prospect.graph.at(self.key).model,
        }
    }

    /// Its model's definition.
    pub fn definition(&self) -> &'p Model {
        self.prospect.graph.schema().model(self.model())
    }

    /// The models of its graph.
    pub fn schema(&self) -> &'p Schema {
        self.prospect.graph.schema()
    }

    /// A plain value; `None` if it is unset or no plain value.
    pub fn scalar(&self, property: PropertyId) -> Option<&'p Scalar> {
        match (self.change(property), self.base(property)) {
            (Some(FieldChange::Scalar(scalar)), _) => scalar.as_ref(),
            (_, Some(Field::Scalar(scalar))) => scalar.as_ref(),
            (_, None) => self.definition().property(property).default(),
            _ => None,
        }
    }

    /// A collection of plain values; empty if it is none.
    pub fn scalars(&self, property: PropertyId) -> &'p [Scalar] {
        match (self.change(property), self.base(property)) {
            (Some(FieldChange::Scalars(scalars)), _) | (_, Some(Field::Scalars(scalars))) => {
                scalars
            }
            _ => &[],
        }
    }

    /// The object referred to; `None` if it is unset or no single reference.
    pub fn reference(&self, property: PropertyId) -> Option<Self> {
        let key = match (self.change(property), self.base(property)) {
            (Some(FieldChange::Reference(key)), _) | (_, Some(Field::Reference(key))) => *key,
            _ => None,
        };
        key.map(|key| Self { key, ..*self })
    }

    /// The objects of a collection, in order. Costs a look at all of them.
    pub fn references(&self, property: PropertyId) -> Vec<Self> {
        let base = || self.base(property).into_iter().flat_map(field_children);
        let keys: Vec<Key> = match self.change(property) {
            Some(FieldChange::Collection(CollectionChange::Whole(sequence))) => {
                sequence.iter().collect()
            }
            Some(FieldChange::Collection(CollectionChange::Edits { edits, .. })) => {
                let mut sequence: Sequence<Key> = base().collect();
                edits.iter().for_each(|edit| edit_sequence(&mut sequence, *edit));
                sequence.iter().collect()
            }
            Some(_) => Vec::new(),
            None => base().collect(),
        };
        keys.into_iter().map(|key| Self { key, ..*self }).collect()
    }

    /// What the property holds, as it would be sent.
    pub fn value(&self, property: PropertyId) -> Value {
        let definition = self.definition().property(property);
        match (definition.is_reference(), definition.is_collection()) {
            (false, false) => Value::Scalar(self.scalar(property).cloned()),
            (false, true) => Value::Scalars(self.scalars(property).into()),
            (true, false) => Value::Reference(self.reference(property).map(|object| object.id())),
            (true, true) => Value::References(
                self.references(property).iter().map(ProspectObject::id).collect(),
            ),
        }
    }

    fn change(&self, property: PropertyId) -> Option<&'p FieldChange> {
        self.prospect.plan?.fields.get(&(self.key, property))
    }

    /// What the graph holds; `None` for what the plan adds.
    fn base(&self, property: PropertyId) -> Option<&'p Field> {
        // A key that the plan gives to a new object is free in the graph.
        self.prospect.graph.get(self.key).map(|object| &object.fields[property.index()])
    }
}

impl PartialEq for ProspectObject<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl std::fmt::Debug for ProspectObject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.definition().name(), self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{
        ChangeSet, CollectionEdit, Fragment, FragmentKind, JudgeLimits, Schema, judge,
    };

    fn id(number: u128) -> ObjectId {
        ObjectId::from_uuid(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn an_object_is_seen_as_the_plan_makes_it_and_the_graph_stays() {
        let schema = Schema::builder()
            .model("Node", |m| m.property("label", "String").property("children", "[Node]"))
            .build()
            .unwrap();
        let (node, model) = schema.find("Node").unwrap();
        let (label, children) = (model.find("label").unwrap().0, model.find("children").unwrap().0);
        let mut graph = Graph::new(Arc::new(schema.clone()), id(0), node);
        let text = |text: &str| Value::Scalar(Some(Scalar::from(text)));
        let insert = |number, after| CollectionEdit::Insert { object: id(number), after };
        let first = ChangeSet::new([
            Fragment::new(FragmentKind::Add, id(1), node).with(label, text("one")),
            Fragment::new(FragmentKind::Change, id(0), node)
                .with_edits(children, vec![insert(1, None)]),
        ]);
        graph.apply(judge(&graph, &first, &JudgeLimits::NONE).plan.unwrap());

        let second = ChangeSet::new([
            Fragment::new(FragmentKind::Add, id(2), node).with(label, text("two")),
            Fragment::new(FragmentKind::Change, id(1), node).with(label, text("uno")),
            Fragment::new(FragmentKind::Change, id(0), node)
                .with_edits(children, vec![insert(2, Some(id(1)))]),
        ]);
        let plan = judge(&graph, &second, &JudgeLimits::NONE).plan.unwrap();
        let (before, after) = (Prospect::present(&graph), Prospect::with(&graph, &plan));
        assert_eq!(before.object(id(1)).unwrap().value(label), text("one"));
        assert_eq!(after.object(id(1)).unwrap().value(label), text("uno"));
        assert!(before.object(id(2)).is_none());
        assert_eq!(after.object(id(2)).unwrap().value(label), text("two"));
        let ids = |object: ProspectObject<'_>| -> Vec<ObjectId> {
            object.references(children).iter().map(ProspectObject::id).collect()
        };
        assert_eq!(ids(before.root()), [id(1)]);
        assert_eq!(ids(after.root()), [id(1), id(2)]);
    }
}
