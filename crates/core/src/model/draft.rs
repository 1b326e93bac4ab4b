//! A ChangeSet on trial: what a graph would be, worked out beside it and without touching it.
//!
//! A `Draft` keeps only what differs from its graph. It either becomes a [`Plan`], which the graph
//! applies as a whole, or is dropped.

use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};

use super::graph::{Field, Graph, Key, edit_sequence, field_children};
use super::judge::{JudgeLimits, Sight};
pub use super::plan::Plan;
pub(crate) use super::plan::{Added, CollectionChange, FieldChange, KeyEdit, Place};
use super::sequence::Sequence;
use super::size;
use super::way::climb;
use super::{
    CollectionEdit, Fragment, FragmentKind, ModelId, Property, PropertyId, PropertyType, Rejection,
    Schema, Value,
};
use crate::hash::OwnState;
use crate::ids::ObjectId;
use crate::limits::Limit;

/// What a graph would be with the fragments that were applied to it so far.
pub(crate) struct Draft<'g> {
    graph: &'g Graph,
    limits: &'g JudgeLimits,
    /// What the author sees; `None`: everything.
    sight: Option<&'g dyn Sight>,
    added: IndexMap<ObjectId, Added>,
    added_ids: HashMap<Key, ObjectId>,
    fields: IndexMap<(Key, PropertyId), FieldChange, OwnState>,
    edges: IndexMap<(Key, Key), i32, OwnState>,
    /// Parents that an object did not have before, though perhaps not any more by now.
    gained: HashMap<Key, Vec<Key>>,
    /// The parents of objects that were removed, kept up from then on: a second removal looks only at
    /// those that came back.
    followed: HashMap<Key, IndexSet<Key>>,
    /// Objects that have lost the parent that they hang from, though perhaps they got it back.
    lost: IndexSet<Key>,
    /// The places that this ChangeSet gives to objects: parent, property, child.
    given: HashSet<(Key, PropertyId, Key)>,
    /// Objects that keep only such places.
    moved: IndexSet<Key>,
    /// Properties that peers cannot learn about from `add` and `change` with whole values.
    touched: IndexSet<(Key, PropertyId)>,
    /// What the fragments add to the graph, in bytes.
    grown: usize,
}

impl<'g> Draft<'g> {
    pub(crate) fn new(
        graph: &'g Graph,
        limits: &'g JudgeLimits,
        sight: Option<&'g dyn Sight>,
    ) -> Self {
        Self {
            graph,
            limits,
            sight,
            added: IndexMap::new(),
            added_ids: HashMap::new(),
            fields: IndexMap::default(),
            edges: IndexMap::default(),
            gained: HashMap::new(),
            followed: HashMap::new(),
            lost: IndexSet::new(),
            given: HashSet::new(),
            moved: IndexSet::new(),
            touched: IndexSet::new(),
            grown: 0,
        }
    }

    pub(crate) const fn graph(&self) -> &'g Graph {
        self.graph
    }

    pub(crate) fn added(&self) -> impl Iterator<Item = Added> + '_ {
        self.added.values().copied()
    }

    pub(crate) fn lost(&self) -> impl Iterator<Item = Key> + '_ {
        self.lost.iter().copied()
    }

    /// Whether all objects hang where they hung, and peers can learn everything from whole values.
    pub(crate) fn moves_nothing(&self) -> bool {
        self.added.is_empty()
            && self.edges.is_empty()
            && self.moved.is_empty()
            && self.touched.is_empty()
    }

    /// Announces objects that fragments may refer to before their `add` is applied.
    pub(crate) fn declare(&mut self, adds: impl IntoIterator<Item = (ObjectId, ModelId)>) {
        for ((id, model), key) in adds.into_iter().zip(self.graph.next_keys()) {
            self.added.insert(id, Added { key, id, model });
            self.added_ids.insert(key, id);
        }
    }

    /// Applies one fragment to the draft.
    ///
    /// # Errors
    ///
    /// Why it cannot be applied. The draft may then hold half of it and must be dropped.
    pub(crate) fn apply(&mut self, fragment: &Fragment) -> Result<(), Rejection> {
        let (key, model) = self.resolve(fragment.object).ok_or_else(|| {
            Rejection::fragment(format!("no object {} in the scope", fragment.object))
        })?;
        if model != fragment.model {
            return Err(Rejection::fragment(format!(
                "{} is a {}, not a {}",
                fragment.object,
                self.schema().model(model).name(),
                self.schema().model(fragment.model).name(),
            )));
        }
        if fragment.kind == FragmentKind::Remove {
            return self.remove(fragment.object, key);
        }
        if fragment.kind == FragmentKind::MoveChange {
            self.moved.insert(key);
        }
        self.grow(key, model, fragment)?;
        for (property, value) in &fragment.properties {
            self.set(key, model, *property, value)?;
        }
        for (property, edits) in &fragment.collections {
            self.edit(key, model, *property, edits)?;
        }
        Ok(())
    }

    /// Makes sure that there is room for what a fragment adds. What this ChangeSet takes away makes room for
    /// the next one.
    fn grow(&mut self, key: Key, model: ModelId, fragment: &Fragment) -> Result<(), Rejection> {
        let mut by = match fragment.kind {
            FragmentKind::Add => size::object(self.schema().model(model).properties().len()),
            _ => 0,
        };
        for (property, value) in &fragment.properties {
            let after = size::value(value);
            if after > 0 {
                by += after.saturating_sub(self.base(key, *property).map_or(0, size::field));
            }
        }
        let edits = fragment.collections.iter().flat_map(|(_, edits)| edits);
        let inserted = edits.filter(|edit| matches!(edit, CollectionEdit::Insert { .. }));
        by += size::elements(inserted.count());
        self.grown += by;
        let max = self.limits.scope_bytes_max;
        if by > 0 && self.graph.bytes().saturating_add(self.grown) > max {
            let message = format!("the objects of a scope take at most {max} bytes");
            return Err(Rejection::beyond(Limit::ScopeBytes, message));
        }
        Ok(())
    }

    /// Takes moved objects out of every place that this ChangeSet did not give them.
    ///
    /// The outcome is the same as if they had been taken out before the first fragment was applied.
    pub(crate) fn finish_moves(&mut self) {
        let moved: Vec<Key> = self.moved.iter().copied().collect();
        let mut edited: IndexMap<(Key, PropertyId), Vec<Key>> = IndexMap::new();
        for child in &moved {
            for place in self.edited_places(*child) {
                edited.entry(place).or_default().push(*child);
            }
        }
        for ((parent, property), children) in edited {
            self.drop_old_places(parent, property, &children);
        }
        for child in moved {
            let parents: Vec<Key> = self.parents(child).collect();
            for (parent, property) in self.holders(child, &parents) {
                // A place that the author cannot see is none that it could mean to leave.
                if !self.given.contains(&(parent, property, child))
                    && self.sees_place(parent, property)
                {
                    self.take_out(parent, property, child);
                }
            }
        }
    }

    /// The collections that held an object before this ChangeSet and are edited by it.
    fn edited_places(&self, child: Key) -> Vec<(Key, PropertyId)> {
        let parents = self.graph.get(child).into_iter().flat_map(|object| object.parents.iter());
        let mut places = Vec::new();
        for (parent, _) in parents {
            let model = self.schema().model(self.model(parent));
            for (property, _) in model.properties().filter(|(_, p)| p.is_reference()) {
                let edits = matches!(
                    self.fields.get(&(parent, property)),
                    Some(FieldChange::Collection(CollectionChange::Edits { .. }))
                );
                let held = matches!(
                    self.base(parent, property),
                    Some(Field::References(sequence)) if sequence.contains(child)
                );
                if edits && held {
                    places.push((parent, property));
                }
            }
        }
        places
    }

    /// The draft as orders for its graph, together with what hangs where now and what is gone.
    pub(crate) fn into_plan(
        self,
        hung: Vec<(Key, Key)>,
        orphans: Vec<Key>,
        vanished: HashSet<Key>,
    ) -> Plan {
        Plan {
            vanished,
            added: self.added.into_values().collect(),
            fields: self.fields,
            edges: self.edges,
            hung,
            orphans,
        }
    }

    /// The properties whose values peers cannot learn from `add` and `change` with whole values.
    pub(crate) fn touched(&self) -> Vec<(ObjectId, PropertyId)> {
        self.touched.iter().map(|(key, property)| (self.id(*key), *property)).collect()
    }

    pub(crate) fn is_moved(&self, id: ObjectId) -> bool {
        self.resolve(id).is_some_and(|(key, _)| self.moved.contains(&key))
    }

    /// The object that the author means by an id, if there is one for it.
    pub(crate) fn resolve(&self, id: ObjectId) -> Option<(Key, ModelId)> {
        match self.graph.key(id) {
            Some(_) if self.sight.is_some_and(|sight| !sight.sees(id)) => None,
            Some(key) => Some((key, self.graph.at(key).model)),
            None => self.added.get(&id).map(|added| (added.key, added.model)),
        }
    }

    fn sees_place(&self, key: Key, property: PropertyId) -> bool {
        let Some(sight) = self.sight else { return true };
        let id = self.id(key);
        let sees = || sight.sees(id) && sight.sees_property(id, property);
        self.added_ids.contains_key(&key) || sees() || sight.is_completed(id, property)
    }

    /// Those of these objects to which nothing leads that the author sees.
    pub(crate) fn unseen(&self, of: impl IntoIterator<Item = Key>) -> HashSet<Key> {
        if self.sight.is_none() {
            return HashSet::new();
        }
        let mut safe = HashSet::from([self.graph.root_key()]);
        let mut unseen = HashSet::new();
        for key in of {
            if !unseen.contains(&key) {
                unseen.extend(climb(key, &mut safe, |at| self.seen_parents(at)));
            }
        }
        unseen
    }

    fn seen_parents(&self, child: Key) -> Vec<Key> {
        let parents: Vec<Key> = self.parents(child).collect();
        let mut places = self.holders(child, &parents);
        places.retain(|(parent, property)| self.sees_place(*parent, *property));
        places.into_iter().map(|(parent, _)| parent).collect()
    }

    /// What was taken out of some place and stays in the graph otherwise.
    pub(crate) fn taken(&self) -> impl Iterator<Item = Key> + '_ {
        let taken = self.edges.iter().filter(|(_, by)| **by < 0);
        taken.map(|((child, _), _)| *child).filter(|child| self.graph.get(*child).is_some())
    }

    pub(crate) fn id(&self, key: Key) -> ObjectId {
        match self.added_ids.get(&key) {
            Some(id) => *id,
            None => self.graph.at(key).id,
        }
    }

    fn model(&self, key: Key) -> ModelId {
        match self.added_ids.get(&key) {
            Some(id) => self.added[id].model,
            None => self.graph.at(key).model,
        }
    }

    fn schema(&self) -> &'g Schema {
        self.graph.schema()
    }

    fn set(
        &mut self,
        key: Key,
        model: ModelId,
        property: PropertyId,
        value: &Value,
    ) -> Result<(), Rejection> {
        let change = match value {
            Value::Scalar(scalar) => FieldChange::Scalar(scalar.clone()),
            Value::Scalars(scalars) => FieldChange::Scalars(scalars.clone()),
            Value::Reference(reference) => {
                let child = match reference {
                    Some(id) => Some(self.target(key, model, property, *id)?),
                    None => None,
                };
                self.set_reference(key, property, child);
                self.given.extend(child.map(|child| (key, property, child)));
                return Ok(());
            }
            Value::References(references) => {
                let mut children = Vec::with_capacity(references.len());
                for id in references.iter() {
                    children.push(self.target(key, model, property, *id)?);
                }
                self.given.extend(children.iter().map(|child| (key, property, *child)));
                self.set_collection(key, property, &children);
                return Ok(());
            }
        };
        self.fields.insert((key, property), change);
        Ok(())
    }

    /// The object that a property of `parent` is to refer to, if it may.
    fn target(
        &self,
        parent: Key,
        model: ModelId,
        property: PropertyId,
        id: ObjectId,
    ) -> Result<Key, Rejection> {
        let completed = self.sight.is_some_and(|s| s.is_completed(self.id(parent), property));
        let found = match self.graph.key(id).filter(|_| completed) {
            // Somebody who sees more has said so for the author.
            Some(key) => Some((key, self.graph.at(key).model)),
            None => self.resolve(id),
        };
        let property = self.schema().model(model).property(property);
        let Some((key, found)) = found else {
            return Err(Rejection::fragment(format!(
                "{:?} refers to {id}, which is not in the scope",
                property.name()
            )));
        };
        let PropertyType::Model(expected) = property.kind() else {
            return Err(self.wrong_kind(property));
        };
        if !self.schema().is_a(found, expected) {
            return Err(Rejection::fragment(format!(
                "{:?} takes {}, but {id} is a {}",
                property.name(),
                self.schema().type_name(property),
                self.schema().model(found).name(),
            )));
        }
        Ok(key)
    }

    fn wrong_kind(&self, property: &Property) -> Rejection {
        Rejection::fragment(format!(
            "{:?} is a {} and holds no objects",
            property.name(),
            self.schema().type_name(property)
        ))
    }

    fn set_reference(&mut self, key: Key, property: PropertyId, child: Option<Key>) {
        let before = match self.fields.get(&(key, property)) {
            Some(FieldChange::Reference(before)) => *before,
            _ => match self.base(key, property) {
                Some(Field::Reference(before)) => *before,
                _ => None,
            },
        };
        if let Some(before) = before {
            self.count_edge(before, key, -1);
        }
        if let Some(child) = child {
            self.count_edge(child, key, 1);
        }
        self.fields.insert((key, property), FieldChange::Reference(child));
    }

    fn set_collection(&mut self, key: Key, property: PropertyId, children: &[Key]) {
        // Most whole arrays differ from the present one in one place: what is the same at both ends
        // needs no counting.
        let before: Vec<Key> = self.collection(key, property);
        let same = before.iter().zip(children).take_while(|(a, b)| a == b).count();
        let (before, after) = (&before[same..], &children[same..]);
        let same = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        let (before, after) = (&before[..before.len() - same], &after[..after.len() - same]);
        for child in after {
            self.count_edge(*child, key, 1);
        }
        for child in before {
            self.count_edge(*child, key, -1);
        }
        let sequence = Box::new(children.iter().copied().collect());
        let change = FieldChange::Collection(CollectionChange::Whole(sequence));
        self.fields.insert((key, property), change);
    }

    fn edit(
        &mut self,
        key: Key,
        model: ModelId,
        property: PropertyId,
        edits: &[CollectionEdit],
    ) -> Result<(), Rejection> {
        let definition = self.schema().model(model).property(property);
        if !(definition.is_reference() && definition.is_collection()) {
            return Err(self.wrong_kind(definition));
        }
        for edit in edits {
            match *edit {
                CollectionEdit::Insert { object, after } => {
                    let child = self.target(key, model, property, object)?;
                    let place = match after {
                        None => Place::Front,
                        // What is gone is no mistake: somebody else took it out in the meantime.
                        Some(after) => {
                            self.resolve(after).map_or(Place::End, |(k, _)| Place::Behind(k))
                        }
                    };
                    self.edit_collection(key, property, KeyEdit::Insert(child, place));
                    // What is refused for not being seen must not be refused for its length before.
                    if self.sees_place(key, property) {
                        self.check_length(key, property, definition)?;
                    }
                    self.given.insert((key, property, child));
                }
                CollectionEdit::Remove { object } => {
                    if let Some((child, _)) = self.resolve(object) {
                        self.edit_collection(key, property, KeyEdit::Remove(child));
                    }
                }
            }
        }
        self.touched.insert((key, property));
        Ok(())
    }

    fn check_length(
        &mut self,
        key: Key,
        property: PropertyId,
        definition: &Property,
    ) -> Result<(), Rejection> {
        let max = self.limits.collection_elements_max;
        let length = match self.collection_change(key, property) {
            CollectionChange::Whole(sequence) => sequence.len(),
            CollectionChange::Edits { length, .. } => *length,
        };
        if length > max {
            let message = format!("{:?} takes at most {max} objects", definition.name());
            return Err(Rejection::beyond(Limit::CollectionElements, message));
        }
        Ok(())
    }

    fn edit_collection(&mut self, key: Key, property: PropertyId, edit: KeyEdit) {
        let (KeyEdit::Insert(child, _) | KeyEdit::Remove(child) | KeyEdit::RemoveAll(child)) = edit;
        let before = self.place_count(key, property, child);
        let after = match edit {
            KeyEdit::Insert(..) => before + 1,
            KeyEdit::Remove(_) => before.saturating_sub(1),
            KeyEdit::RemoveAll(_) => 0,
        };
        match self.collection_change(key, property) {
            CollectionChange::Whole(sequence) => edit_sequence(sequence, edit),
            CollectionChange::Edits { edits, counts, length } => {
                edits.push(edit);
                counts.insert(child, after);
                *length = *length + after - before;
            }
        }
        self.count_edge(child, key, after as i32 - before as i32);
    }

    fn collection_change(&mut self, key: Key, property: PropertyId) -> &mut CollectionChange {
        let length = match self.base(key, property) {
            Some(Field::References(sequence)) => sequence.len(),
            _ => 0,
        };
        let change = self.fields.entry((key, property)).or_insert_with(|| {
            let (edits, counts) = Default::default();
            FieldChange::Collection(CollectionChange::Edits { edits, counts, length })
        });
        match change {
            FieldChange::Collection(change) => change,
            _ => unreachable!("a collection of references only changes as one"),
        }
    }

    /// How often a collection holds `child`.
    fn place_count(&self, key: Key, property: PropertyId, child: Key) -> usize {
        let base = || match self.base(key, property) {
            Some(Field::References(sequence)) => sequence.count(child),
            _ => 0,
        };
        match self.fields.get(&(key, property)) {
            Some(FieldChange::Collection(CollectionChange::Whole(sequence))) => {
                sequence.count(child)
            }
            Some(FieldChange::Collection(CollectionChange::Edits { counts, .. })) => {
                counts.get(&child).copied().unwrap_or_else(base)
            }
            _ => base(),
        }
    }

    /// Carries the edits of a collection out as if these objects had been taken out of it before.
    fn drop_old_places(&mut self, key: Key, property: PropertyId, children: &[Key]) {
        let before: Vec<usize> =
            children.iter().map(|child| self.place_count(key, property, *child)).collect();
        let CollectionChange::Edits { edits, counts, length } =
            self.collection_change(key, property)
        else {
            return;
        };
        let mut after: HashMap<Key, usize> = children.iter().map(|child| (*child, 0)).collect();
        for edit in &*edits {
            match edit {
                KeyEdit::Insert(child, _) => {
                    after.entry(*child).and_modify(|count| *count += 1);
                }
                KeyEdit::Remove(child) => {
                    after.entry(*child).and_modify(|count| *count = count.saturating_sub(1));
                }
                KeyEdit::RemoveAll(child) => {
                    after.entry(*child).and_modify(|count| *count = 0);
                }
            }
        }
        edits.splice(0..0, children.iter().map(|child| KeyEdit::RemoveAll(*child)));
        for (child, before) in children.iter().zip(&before) {
            counts.insert(*child, after[child]);
            *length = *length + after[child] - before;
        }
        for (child, before) in children.iter().zip(before) {
            self.count_edge(*child, key, after[child] as i32 - before as i32);
        }
    }

    fn remove(&mut self, id: ObjectId, key: Key) -> Result<(), Rejection> {
        if key == self.graph.root_key() {
            return Err(Rejection::fragment(format!("{id} is the root and cannot be removed")));
        }
        let parents = self.parents_to_leave(key);
        self.followed.entry(key).or_insert_with(|| parents.iter().copied().collect());
        for (parent, property) in self.holders(key, &parents) {
            self.take_out(parent, property, key);
        }
        Ok(())
    }

    /// The parents that a removal has to look at.
    pub(crate) fn parents_to_leave(&self, key: Key) -> Vec<Key> {
        match self.followed.get(&key) {
            Some(parents) => parents.iter().copied().collect(),
            None => self.parents(key).collect(),
        }
    }

    fn take_out(&mut self, parent: Key, property: PropertyId, child: Key) {
        let model = self.model(parent);
        if self.schema().model(model).property(property).is_collection() {
            self.edit_collection(parent, property, KeyEdit::RemoveAll(child));
        } else {
            self.set_reference(parent, property, None);
        }
        self.touched.insert((parent, property));
    }

    /// The properties that hold an object, of these parents.
    fn holders(&self, child: Key, parents: &[Key]) -> Vec<(Key, PropertyId)> {
        let mut holders = Vec::new();
        for &parent in parents {
            let model = self.schema().model(self.model(parent));
            for (property, definition) in model.properties().filter(|(_, p)| p.is_reference()) {
                let holds = if definition.is_collection() {
                    self.place_count(parent, property, child) > 0
                } else {
                    self.reference(parent, property) == Some(child)
                };
                if holds {
                    holders.push((parent, property));
                }
            }
        }
        holders
    }

    fn reference(&self, key: Key, property: PropertyId) -> Option<Key> {
        match self.fields.get(&(key, property)) {
            Some(FieldChange::Reference(child)) => *child,
            _ => match self.base(key, property) {
                Some(Field::Reference(child)) => *child,
                _ => None,
            },
        }
    }

    /// The objects that refer to `child`, each once.
    pub(crate) fn parents(&self, child: Key) -> impl Iterator<Item = Key> + '_ {
        let base = self.graph.get(child).map(|object| object.parents.iter().map(|(key, _)| key));
        let gained = self.gained.get(&child).map_or(&[][..], Vec::as_slice);
        base.into_iter()
            .flatten()
            .chain(gained.iter().copied())
            .filter(move |parent| self.holds(*parent, child))
    }

    /// Whether `parent` refers to `child`.
    pub(crate) fn holds(&self, parent: Key, child: Key) -> bool {
        let base = self.graph.get(child).map_or(0, |object| object.parents.count(parent));
        let by = self.edges.get(&(child, parent)).copied().unwrap_or(0);
        i64::from(base) + i64::from(by) > 0
    }

    /// What `parent` refers to; some of it perhaps more than once.
    pub(crate) fn children(&self, parent: Key) -> Vec<Key> {
        let model = self.schema().model(self.model(parent));
        let mut children = Vec::new();
        for (property, definition) in model.properties().filter(|(_, p)| p.is_reference()) {
            match self.fields.get(&(parent, property)) {
                Some(FieldChange::Reference(child)) => children.extend(*child),
                Some(_) if definition.is_collection() => {
                    children.extend(self.collection(parent, property));
                }
                _ => children
                    .extend(self.base(parent, property).into_iter().flat_map(field_children)),
            }
        }
        children
    }

    /// The elements of a collection of references, in order.
    fn collection(&self, key: Key, property: PropertyId) -> Vec<Key> {
        let base = || self.base(key, property).into_iter().flat_map(field_children);
        match self.fields.get(&(key, property)) {
            Some(FieldChange::Collection(CollectionChange::Whole(sequence))) => {
                sequence.iter().collect()
            }
            Some(FieldChange::Collection(CollectionChange::Edits { edits, .. })) => {
                let mut sequence: Sequence<Key> = base().collect();
                edits.iter().for_each(|edit| edit_sequence(&mut sequence, *edit));
                sequence.iter().collect()
            }
            _ => base().collect(),
        }
    }

    /// What the graph holds; `None` for objects that this ChangeSet adds.
    fn base(&self, key: Key, property: PropertyId) -> Option<&'g Field> {
        self.graph.get(key).map(|object| &object.fields[property.index()])
    }

    fn count_edge(&mut self, child: Key, parent: Key, by: i32) {
        if by == 0 {
            return;
        }
        let existing = self.graph.get(child);
        let entry = self.edges.entry((child, parent));
        if let indexmap::map::Entry::Vacant(_) = entry
            && existing.is_none_or(|object| object.parents.count(parent) == 0)
        {
            self.gained.entry(child).or_default().push(parent);
        }
        *entry.or_insert(0) += by;
        let holds = self.holds(parent, child);
        if !holds && existing.is_some_and(|object| object.hangs_from == Some(parent)) {
            self.lost.insert(child);
        }
        if let Some(parents) = self.followed.get_mut(&child) {
            if holds {
                parents.insert(parent);
            } else {
                parents.swap_remove(&parent);
            }
        }
    }
}
