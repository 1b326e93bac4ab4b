//! The objects of a scope: everything that the root reaches, and nothing else.
//!
//! Each object knows its parents (who refers to it, and how often), and *hangs* from one of them, so
//! that following the hanging leads to the root. When an object loses a parent that it does not hang
//! from, nothing has to be looked at; when it loses the one that it hangs from, `settle` looks for
//! another, and only for it and for what hangs from it. So the cost of a change depends on the change,
//! never on the number of objects.
//!
//! A graph only changes by applying a [`Plan`], which a `Draft` worked out without touching it.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use smallvec::SmallVec;

use super::draft::{CollectionChange, FieldChange, KeyEdit, Place, Plan};
use super::judge::{JudgeLimits, judge};
use super::sequence::Sequence;
use super::size;
use super::{
    ChangeSet, Fragment, FragmentKind, Model, ModelId, PropertyId, Rejection, Scalar, Schema, Value,
};
use crate::ids::ObjectId;

/// Where an object lies in its graph. Shorter than its id, and free for another once it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u32);

/// The objects of a scope.
#[derive(Debug, Clone)]
pub struct Graph {
    schema: Arc<Schema>,
    root: Key,
    slots: Vec<Option<Object>>,
    /// Slots that are not in use; the last one is taken next.
    free: Vec<Key>,
    by_id: HashMap<ObjectId, Key>,
    /// What the objects take in memory, as `size` counts it.
    bytes: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: ObjectId,
    pub(crate) model: ModelId,
    pub(crate) fields: Box<[Field]>,
    pub(crate) parents: Parents,
    /// The parent that leads to the root; `None` only for the root.
    pub(crate) hangs_from: Option<Key>,
}

/// What a property of an object holds.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    Scalar(Option<Scalar>),
    Scalars(Arc<[Scalar]>),
    Reference(Option<Key>),
    References(Box<Sequence<Key>>),
}

/// Who refers to an object, and how often.
///
/// In the order in which they began to, as far as others have not left since: never in hash order,
/// since the order decides from whom an object hangs next.
#[derive(Debug, Clone)]
pub(crate) enum Parents {
    Few(SmallVec<[(Key, u32); 1]>),
    Many(Box<IndexMap<Key, u32>>),
}

/// With more parents than this, they are found by hash.
const FEW_PARENTS_MAX: usize = 16;

impl Parents {
    pub(crate) fn none() -> Self {
        Self::Few(SmallVec::new())
    }

    pub(crate) fn count(&self, parent: Key) -> u32 {
        match self {
            Self::Few(few) => few.iter().find(|(key, _)| *key == parent).map_or(0, |(_, n)| *n),
            Self::Many(many) => many.get(&parent).copied().unwrap_or(0),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, u32)> + '_ {
        let (few, many) = match self {
            Self::Few(few) => (few.as_slice(), None),
            Self::Many(many) => (&[][..], Some(many.iter().map(|(key, n)| (*key, *n)))),
        };
        few.iter().copied().chain(many.into_iter().flatten())
    }

    fn adjust(&mut self, parent: Key, by: i32) {
        let before = self.count(parent);
        let after = before.checked_add_signed(by).expect("an edge is only taken away once");
        self.set(parent, after);
    }

    fn set(&mut self, parent: Key, count: u32) {
        match self {
            Self::Few(few) => match few.iter().position(|(key, _)| *key == parent) {
                Some(place) if count == 0 => {
                    few.swap_remove(place);
                }
                Some(place) => few[place].1 = count,
                None if count == 0 => {}
                None if few.len() < FEW_PARENTS_MAX => few.push((parent, count)),
                None => {
                    let mut many: IndexMap<Key, u32> = few.drain(..).collect();
                    many.insert(parent, count);
                    *self = Self::Many(Box::new(many));
                }
            },
            Self::Many(many) => {
                if count == 0 {
                    many.swap_remove(&parent);
                } else {
                    many.insert(parent, count);
                }
            }
        }
    }
}

/// Why a state was refused as the content of a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The first fragment must be a `change` of the root.
    #[error("the first fragment must be a change of the root {0}")]
    NoRoot(ObjectId),
    /// A fragment was refused; its place in the list, and why.
    #[error("fragment {0}: {1}")]
    Fragment(usize, Rejection),
}

impl Graph {
    /// A graph of a root alone, its properties at their defaults.
    pub fn new(schema: Arc<Schema>, root: ObjectId, model: ModelId) -> Self {
        let object = Object {
            id: root,
            model,
            fields: default_fields(schema.model(model)),
            parents: Parents::none(),
            hangs_from: None,
        };
        let by_id = HashMap::from([(root, Key(0))]);
        let bytes = size::of(&object.fields);
        Self { schema, root: Key(0), slots: vec![Some(object)], free: Vec::new(), by_id, bytes }
    }

    /// A graph from a whole state: first a `change` of the root, then an `add` for each other object,
    /// which may refer to each other in any order.
    ///
    /// # Errors
    ///
    /// Every fragment that does not fit, among them objects that the root does not reach.
    pub fn from_state(
        schema: Arc<Schema>,
        root: ObjectId,
        fragments: Vec<Fragment>,
    ) -> Result<Self, Vec<StateError>> {
        let model = match fragments.first() {
            Some(first) if first.kind == FragmentKind::Change && first.object == root => {
                first.model
            }
            _ => return Err(vec![StateError::NoRoot(root)]),
        };
        let mut graph = Self::new(schema, root, model);
        let judgement = judge(&graph, &ChangeSet::new(fragments), &JudgeLimits::NONE);
        let refused = judgement.replies.into_iter().enumerate();
        let errors: Vec<_> = refused
            .filter_map(|(place, reply)| {
                reply.err().map(|error| StateError::Fragment(place, error))
            })
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        if let Some(plan) = judgement.plan {
            graph.apply(plan);
        }
        Ok(graph)
    }

    /// The models that the objects are of.
    pub const fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The object that everything is reached from.
    pub fn root(&self) -> ObjectId {
        self.at(self.root).id
    }

    /// How many objects there are, the root included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// What the objects take in memory, in bytes: for each 160 and 24 for each of its properties, texts by
    /// their length, and 24 for each element of a collection.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Never: there is always a root.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The object with this id, if the root reaches it.
    pub fn object(&self, id: ObjectId) -> Option<ObjectRef<'_>> {
        self.by_id.get(&id).map(|key| ObjectRef { graph: self, key: *key })
    }

    /// All objects, the root first, then depth first in the order of properties, each once: the order
    /// of a `ScopeState`.
    pub fn depth_first(&self) -> impl Iterator<Item = ObjectRef<'_>> {
        self.depth_first_where(|_| true)
    }

    /// The same, without the objects that are not `wanted` and those that only they lead to.
    pub(crate) fn depth_first_where<'g>(
        &'g self,
        wanted: impl Fn(ObjectRef<'g>) -> bool,
    ) -> impl Iterator<Item = ObjectRef<'g>> {
        self.depth_first_over(wanted, |_, _| true)
    }

    /// The same, following only the properties that are `open`.
    pub(crate) fn depth_first_over<'g>(
        &'g self,
        wanted: impl Fn(ObjectRef<'g>) -> bool,
        open: impl Fn(ObjectRef<'g>, PropertyId) -> bool,
    ) -> impl Iterator<Item = ObjectRef<'g>> {
        let mut seen = vec![false; self.slots.len()];
        let mut stack = vec![self.root];
        std::iter::from_fn(move || {
            loop {
                let key = stack.pop()?;
                let object = ObjectRef { graph: self, key };
                if std::mem::replace(&mut seen[key.0 as usize], true) || !wanted(object) {
                    continue;
                }
                let children = stack.len();
                for (property, field) in (0..).map(PropertyId::from_index).zip(&self.at(key).fields)
                {
                    let leads = matches!(field, Field::Reference(Some(_)) | Field::References(_));
                    if leads && open(object, property) {
                        stack.extend(field_children(field));
                    }
                }
                stack[children..].reverse();
                return Some(object);
            }
        })
    }

    /// Makes a plan true. The plan must come from a draft over this very graph.
    pub fn apply(&mut self, plan: Plan) {
        for added in plan.added {
            self.insert(
                added.key,
                Object {
                    id: added.id,
                    model: added.model,
                    fields: default_fields(self.schema.model(added.model)),
                    parents: Parents::none(),
                    hangs_from: None,
                },
            );
        }
        for ((key, property), change) in plan.fields {
            let field = &mut self.at_mut(key).fields[property.index()];
            let before = size::field(field);
            change_field(field, change);
            let after = size::field(field);
            self.bytes = self.bytes + after - before;
        }
        for ((child, parent), by) in plan.edges {
            if by != 0 {
                self.at_mut(child).parents.adjust(parent, by);
            }
        }
        for (key, parent) in plan.hung {
            self.at_mut(key).hangs_from = Some(parent);
        }
        self.remove_orphans(&plan.orphans);
    }

    fn insert(&mut self, key: Key, object: Object) {
        self.bytes += size::of(&object.fields);
        self.by_id.insert(object.id, key);
        if self.free.last() == Some(&key) {
            self.free.pop();
            self.slots[key.0 as usize] = Some(object);
        } else {
            debug_assert_eq!(key.0 as usize, self.slots.len());
            self.slots.push(Some(object));
        }
    }

    fn remove_orphans(&mut self, orphans: &[Key]) {
        for orphan in orphans {
            let object = self.slots[orphan.0 as usize].take().expect("an orphan is an object");
            self.by_id.remove(&object.id);
            self.bytes -= size::of(&object.fields);
            for child in object.fields.iter().flat_map(field_children) {
                // What only orphans refer to is an orphan itself and may be gone already.
                if let Some(child) = &mut self.slots[child.0 as usize] {
                    child.parents.set(*orphan, 0);
                }
            }
        }
        self.free.extend(orphans);
    }

    /// The keys that the next objects will get, in order.
    pub(crate) fn next_keys(&self) -> impl Iterator<Item = Key> + '_ {
        let fresh = (self.slots.len() as u32..).map(Key);
        self.free.iter().rev().copied().chain(fresh)
    }

    pub(crate) const fn root_key(&self) -> Key {
        self.root
    }

    pub(crate) fn key(&self, id: ObjectId) -> Option<Key> {
        self.by_id.get(&id).copied()
    }

    /// The object at `key`, which must be one.
    pub(crate) fn at(&self, key: Key) -> &Object {
        self.slots[key.0 as usize].as_ref().expect("a key is only kept while its object is there")
    }

    fn at_mut(&mut self, key: Key) -> &mut Object {
        self.slots[key.0 as usize].as_mut().expect("a key is only kept while its object is there")
    }

    /// The object at `key`, or `None` where a draft will put a new one.
    pub(crate) fn get(&self, key: Key) -> Option<&Object> {
        self.slots.get(key.0 as usize)?.as_ref()
    }

    /// The object at `key`, if there is one.
    pub(crate) fn object_at(&self, key: Key) -> Option<ObjectRef<'_>> {
        self.get(key).map(|_| ObjectRef { graph: self, key })
    }

    /// One past the highest number that a key has.
    pub(crate) const fn keys_end(&self) -> usize {
        self.slots.len()
    }

    /// What an object refers to, in the order of properties; repeated where it repeats.
    pub(crate) fn children(&self, key: Key) -> impl Iterator<Item = Key> + '_ {
        self.at(key).fields.iter().flat_map(field_children)
    }

    /// Whether the graph is what it promises to be. Looks at everything: for tests and the simulator.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let mut edges: HashMap<(Key, Key), u32> = HashMap::new();
        let mut reached = 0;
        for object in self.depth_first() {
            reached += 1;
            for child in self.children(object.key) {
                *edges.entry((child, object.key)).or_default() += 1;
            }
        }
        if reached != self.by_id.len() {
            return Err(format!("{} objects, but the root reaches {reached}", self.by_id.len()));
        }
        if self.slots.iter().flatten().count() + self.free.len() != self.slots.len() {
            return Err("the free slots are not the empty ones".to_owned());
        }
        let kept: usize = self.slots.iter().flatten().map(|o| o.parents.iter().count()).sum();
        let objects = self.slots.iter().flatten();
        let bytes: usize = objects.map(|object| size::of(&object.fields)).sum();
        if bytes != self.bytes {
            return Err(format!("{} bytes are counted, but there are {bytes}", self.bytes));
        }
        if kept != edges.len() {
            return Err(format!("{kept} parents are kept, but there are {}", edges.len()));
        }
        for ((child, parent), count) in edges {
            if self.at(child).parents.count(parent) != count {
                return Err(format!("{} miscounts a parent", self.at(child).id));
            }
        }
        for object in self.slots.iter().flatten() {
            self.check_hanging(object)?;
        }
        Ok(())
    }

    fn check_hanging(&self, object: &Object) -> Result<(), String> {
        let mut current = object;
        for _ in 0..=self.by_id.len() {
            match current.hangs_from {
                None if current.id == self.root() => return Ok(()),
                None => return Err(format!("{} hangs from nothing", current.id)),
                Some(parent) if current.parents.count(parent) == 0 => {
                    return Err(format!("{} hangs from what does not hold it", current.id));
                }
                Some(parent) => current = self.at(parent),
            }
        }
        Err(format!("{} hangs in a circle", object.id))
    }
}

fn default_fields(model: &Model) -> Box<[Field]> {
    let fields = model.properties().map(|(_, property)| {
        match (property.is_reference(), property.is_collection()) {
            (true, true) => Field::References(Box::default()),
            (true, false) => Field::Reference(None),
            (false, true) => Field::Scalars(Arc::from([])),
            (false, false) => Field::Scalar(property.default().cloned()),
        }
    });
    fields.collect()
}

fn change_field(field: &mut Field, change: FieldChange) {
    match (field, change) {
        (field, FieldChange::Scalar(value)) => *field = Field::Scalar(value),
        (field, FieldChange::Scalars(values)) => *field = Field::Scalars(values),
        (field, FieldChange::Reference(key)) => *field = Field::Reference(key),
        (field, FieldChange::Collection(CollectionChange::Whole(sequence))) => {
            *field = Field::References(sequence);
        }
        (
            Field::References(sequence),
            FieldChange::Collection(CollectionChange::Edits { edits, .. }),
        ) => {
            for edit in edits {
                edit_sequence(sequence, edit);
            }
        }
        (_, FieldChange::Collection(_)) => unreachable!("edits are only planned for collections"),
    }
}

/// Carries out one edit.
pub(crate) fn edit_sequence(sequence: &mut Sequence<Key>, edit: KeyEdit) {
    match edit {
        KeyEdit::Insert(key, Place::Front) => sequence.insert_after(key, None),
        KeyEdit::Insert(key, Place::Behind(after)) => sequence.insert_after(key, Some(after)),
        KeyEdit::Insert(key, Place::End) => sequence.push(key),
        KeyEdit::Remove(key) => {
            sequence.remove_first(key);
        }
        KeyEdit::RemoveAll(key) => {
            sequence.remove_all(key);
        }
    }
}

pub(crate) fn field_children(field: &Field) -> impl Iterator<Item = Key> + '_ {
    let (one, many) = match field {
        Field::Scalar(_) | Field::Scalars(_) => (None, None),
        Field::Reference(key) => (*key, None),
        Field::References(sequence) => (None, Some(sequence.iter())),
    };
    one.into_iter().chain(many.into_iter().flatten())
}

/// An object of a graph, to be read.
#[derive(Clone, Copy)]
pub struct ObjectRef<'g> {
    graph: &'g Graph,
    key: Key,
}

impl<'g> ObjectRef<'g> {
    /// The object's id.
    pub fn id(&self) -> ObjectId {
        self.object().id
    }

    /// Its model.
    pub fn model(&self) -> ModelId {
        self.object().model
    }

    /// The graph that it belongs to.
    pub const fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// A plain value; `None` if it is unset or no plain value.
    pub fn scalar(&self, property: PropertyId) -> Option<&'g Scalar> {
        match &self.object().fields[property.index()] {
            Field::Scalar(scalar) => scalar.as_ref(),
            _ => None,
        }
    }

    /// A collection of plain values; empty if it is none.
    pub fn scalars(&self, property: PropertyId) -> &'g [Scalar] {
        match &self.object().fields[property.index()] {
            Field::Scalars(scalars) => scalars,
            _ => &[],
        }
    }

    /// The object referred to; `None` if it is unset or no reference.
    pub fn reference(&self, property: PropertyId) -> Option<ObjectRef<'g>> {
        match self.object().fields[property.index()] {
            Field::Reference(key) => key.map(|key| ObjectRef { graph: self.graph, key }),
            _ => None,
        }
    }

    /// The objects of a collection, in order; none if it is no collection of references.
    pub fn references(
        &self,
        property: PropertyId,
    ) -> impl Iterator<Item = ObjectRef<'g>> + use<'g> {
        let graph = self.graph;
        let keys = self.sequence(property).map(Sequence::iter);
        keys.into_iter().flatten().map(move |key| ObjectRef { graph, key })
    }

    /// How many places a collection of references has.
    pub fn references_len(&self, property: PropertyId) -> usize {
        self.sequence(property).map_or(0, Sequence::len)
    }

    /// The object at a place of a collection of references, counted from 0.
    pub fn reference_at(&self, property: PropertyId, index: usize) -> Option<ObjectRef<'g>> {
        let key = self.sequence(property)?.get(index)?;
        Some(ObjectRef { graph: self.graph, key })
    }

    /// Whether a collection of references holds `object`.
    pub fn holds(&self, property: PropertyId, object: ObjectId) -> bool {
        let key = self.graph.key(object);
        key.is_some_and(|key| self.sequence(property).is_some_and(|keys| keys.contains(key)))
    }

    /// How many places of a collection of references are `object`'s.
    pub fn references_count(&self, property: PropertyId, object: ObjectId) -> usize {
        let key = self.graph.key(object);
        key.map_or(0, |key| self.sequence(property).map_or(0, |keys| keys.count(key)))
    }

    /// What the property holds, as it would be sent.
    pub fn value(&self, property: PropertyId) -> Value {
        let id = |key| self.graph.at(key).id;
        match &self.object().fields[property.index()] {
            Field::Scalar(scalar) => Value::Scalar(scalar.clone()),
            Field::Scalars(scalars) => Value::Scalars(scalars.clone()),
            Field::Reference(key) => Value::Reference(key.map(id)),
            Field::References(keys) => Value::References(keys.iter().map(id).collect()),
        }
    }

    /// The objects that refer to this one, each once.
    pub fn parents(&self) -> impl Iterator<Item = ObjectRef<'g>> + use<'g> {
        let graph = self.graph;
        self.object().parents.iter().map(move |(key, _)| ObjectRef { graph, key })
    }

    fn sequence(&self, property: PropertyId) -> Option<&'g Sequence<Key>> {
        match &self.object().fields[property.index()] {
            Field::References(sequence) => Some(sequence),
            _ => None,
        }
    }

    pub(crate) const fn key(&self) -> Key {
        self.key
    }

    fn object(&self) -> &'g Object {
        self.graph.at(self.key)
    }
}

impl std::fmt::Debug for ObjectRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.graph.schema.model(self.model()).name(), self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_parents_are_counted_as_few_are() {
        let mut parents = Parents::none();
        for round in 1..=3 {
            for parent in 0..40 {
                parents.adjust(Key(parent), 1);
                assert_eq!(parents.count(Key(parent)), round);
            }
        }
        for parent in 0..40 {
            parents.adjust(Key(parent), -3);
        }
        assert_eq!(parents.iter().count(), 0);
    }
}
