//! A scope in the obvious way, to compare the real one with.
//!
//! Written from the protocol's chapter on changing, for reading and not for speed: it clones everything,
//! walks everything, and knows no way to do anything cleverly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, ModelId, PropertyId, PropertyType,
    Schema, Value,
};

/// A scope as a map of objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Oracle {
    schema: Schemas,
    root: ObjectId,
    objects: BTreeMap<ObjectId, Object>,
}

/// One object: its model and every property's value.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its model.
    pub model: ModelId,
    /// Every property that the model has.
    pub values: BTreeMap<PropertyId, Value>,
}

/// What becomes of one fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is applied.
    Applied,
    /// It is not.
    Refused,
    /// It would be, but another fragment of the same atomic ChangeSet is refused.
    Aborted,
}

/// A schema, the same for all states of a scope.
#[derive(Debug, Clone)]
struct Schemas(Arc<Schema>);

impl PartialEq for Schemas {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Oracle {
    /// A scope of a root alone.
    pub fn new(schema: Arc<Schema>, root: ObjectId, model: ModelId) -> Self {
        let object = Object::new(&schema, model);
        Self { schema: Schemas(schema), root, objects: BTreeMap::from([(root, object)]) }
    }

    /// What a graph holds.
    pub fn of(graph: &Graph) -> Self {
        let object = |object: jetstream_core::model::ObjectRef<'_>| {
            let properties = graph.schema().model(object.model()).properties();
            let values = properties.map(|(id, _)| (id, object.value(id))).collect();
            (object.id(), Object { model: object.model(), values })
        };
        Self {
            schema: Schemas(graph.schema().clone()),
            root: graph.root(),
            objects: graph.depth_first().map(object).collect(),
        }
    }

    /// All objects.
    pub const fn objects(&self) -> &BTreeMap<ObjectId, Object> {
        &self.objects
    }

    /// Judges a ChangeSet and applies what can be.
    pub fn sync(&mut self, changes: &ChangeSet, objects_max: usize) -> Vec<Verdict> {
        let mut refused: Vec<bool> = changes.fragments.iter().map(Result::is_err).collect();
        self.refuse_adds(changes, objects_max, &mut refused);
        for _ in 0..ROUNDS_MAX {
            if changes.atomic && refused.contains(&true) {
                let verdict = |r: &bool| if *r { Verdict::Refused } else { Verdict::Aborted };
                return refused.iter().map(verdict).collect();
            }
            match self.attempt(&standing(changes, &refused)) {
                Ok(next) => {
                    *self = next;
                    let verdict = |r: &bool| if *r { Verdict::Refused } else { Verdict::Applied };
                    return refused.iter().map(verdict).collect();
                }
                Err(places) => places.into_iter().for_each(|place| refused[place] = true),
            }
            self.spread(changes, &mut refused);
        }
        refused.iter().map(|_| Verdict::Refused).collect()
    }

    /// Does what the fragments say without asking whether it may be, as a client does that believes its
    /// server: what cannot be done is left out.
    pub fn trust(&mut self, fragments: &[Fragment]) {
        for fragment in fragments.iter().filter(|f| f.kind == FragmentKind::Add) {
            let object = || Object::new(&self.schema.0, fragment.model);
            self.objects.entry(fragment.object).or_insert_with(object);
        }
        for fragment in fragments {
            let _ = self.apply(fragment);
        }
        let reached = self.reached();
        self.objects.retain(|id, _| reached.contains(id));
    }

    /// An id can be added once, and only while there is room.
    fn refuse_adds(&self, changes: &ChangeSet, objects_max: usize, refused: &mut [bool]) {
        let mut ids: BTreeSet<ObjectId> = self.objects.keys().copied().collect();
        for (place, fragment) in standing(changes, refused) {
            if fragment.kind == FragmentKind::Add {
                refused[place] = ids.contains(&fragment.object) || ids.len() >= objects_max;
                if !refused[place] {
                    ids.insert(fragment.object);
                }
            }
        }
        self.spread(changes, refused);
    }

    /// Whoever names an object whose add was refused is refused, too.
    fn spread(&self, changes: &ChangeSet, refused: &mut [bool]) {
        loop {
            let standing = standing(changes, refused);
            let adds = standing.iter().filter(|(_, f)| f.kind == FragmentKind::Add);
            let known: BTreeSet<ObjectId> =
                adds.map(|(_, f)| f.object).chain(self.objects.keys().copied()).collect();
            let all = changes.fragments.iter().flatten();
            let lost: BTreeSet<ObjectId> = all
                .filter(|f| f.kind == FragmentKind::Add && !known.contains(&f.object))
                .map(|f| f.object)
                .collect();
            let names_lost = |f: &Fragment| named(f).iter().any(|id| lost.contains(id));
            match standing.iter().find(|(_, fragment)| names_lost(fragment)) {
                Some((place, _)) => refused[*place] = true,
                None => return,
            }
        }
    }

    /// The scope with these fragments applied, or the places of those that stand in the way.
    fn attempt(&self, fragments: &[(usize, &Fragment)]) -> Result<Self, Vec<usize>> {
        let mut next = self.clone();
        for (_, fragment) in fragments {
            match fragment.kind {
                FragmentKind::Add => {
                    let object = Object::new(&self.schema.0, fragment.model);
                    next.objects.insert(fragment.object, object);
                }
                // Only the parents that the ChangeSet gives it: all others let go before anything else.
                FragmentKind::MoveChange => next.take_out(fragment.object),
                FragmentKind::Change | FragmentKind::Remove => {}
            }
        }
        let failing = fragments.iter().filter(|(_, fragment)| next.apply(fragment).is_none());
        let failing: Vec<usize> = failing.map(|(place, _)| *place).collect();
        if !failing.is_empty() {
            return Err(failing);
        }
        let reached = next.reached();
        let must_be_attached =
            |f: &Fragment| matches!(f.kind, FragmentKind::Add | FragmentKind::MoveChange);
        let stray =
            fragments.iter().filter(|(_, f)| must_be_attached(f) && !reached.contains(&f.object));
        let stray: Vec<usize> = stray.map(|(place, _)| *place).collect();
        if !stray.is_empty() {
            return Err(stray);
        }
        next.objects.retain(|id, _| reached.contains(id));
        Ok(next)
    }

    /// Applies one fragment. `None` if it cannot be; the scope is then good for nothing.
    fn apply(&mut self, fragment: &Fragment) -> Option<()> {
        if self.objects.get(&fragment.object)?.model != fragment.model {
            return None;
        }
        if fragment.kind == FragmentKind::Remove {
            self.take_out(fragment.object);
            return (fragment.object != self.root).then_some(());
        }
        for (property, value) in &fragment.properties {
            for child in value.references() {
                self.may_hold(fragment.model, *property, *child)?;
            }
            self.values(fragment.object).insert(*property, value.clone());
        }
        for (property, edits) in &fragment.collections {
            for edit in edits {
                self.edit(fragment, *property, edit)?;
            }
        }
        Some(())
    }

    fn edit(
        &mut self,
        fragment: &Fragment,
        property: PropertyId,
        edit: &CollectionEdit,
    ) -> Option<()> {
        if let CollectionEdit::Insert { object, .. } = edit {
            self.may_hold(fragment.model, property, *object)?;
        }
        let value = self.values(fragment.object).get_mut(&property)?;
        let Value::References(list) = value else { return None };
        let mut elements = list.to_vec();
        let place_of = |id: ObjectId| elements.iter().position(|element| *element == id);
        match *edit {
            CollectionEdit::Insert { object, after: None } => elements.insert(0, object),
            CollectionEdit::Insert { object, after: Some(after) } => match place_of(after) {
                Some(place) => elements.insert(place + 1, object),
                None => elements.push(object),
            },
            CollectionEdit::Remove { object } => {
                place_of(object).map(|place| elements.remove(place));
            }
        }
        *value = Value::References(elements.into());
        Some(())
    }

    /// Whether the child exists and is what the property takes.
    fn may_hold(&self, model: ModelId, property: PropertyId, child: ObjectId) -> Option<()> {
        let schema = &self.schema.0;
        let PropertyType::Model(expected) = schema.model(model).property(property).kind() else {
            return None;
        };
        schema.is_a(self.objects.get(&child)?.model, expected).then_some(())
    }

    fn values(&mut self, id: ObjectId) -> &mut BTreeMap<PropertyId, Value> {
        &mut self.objects.get_mut(&id).expect("looked up by the caller").values
    }

    /// Takes an object out of every property that holds it.
    fn take_out(&mut self, id: ObjectId) {
        for value in self.objects.values_mut().flat_map(|object| object.values.values_mut()) {
            match value {
                Value::Reference(reference) if *reference == Some(id) => *reference = None,
                Value::References(list) => {
                    *list = list.iter().copied().filter(|element| *element != id).collect();
                }
                _ => {}
            }
        }
    }

    /// Everything that a path from the root leads to.
    fn reached(&self) -> BTreeSet<ObjectId> {
        let mut reached = BTreeSet::new();
        let mut to_visit = vec![self.root];
        while let Some(id) = to_visit.pop() {
            if reached.insert(id) {
                let values = self.objects[&id].values.values();
                to_visit.extend(values.flat_map(|value| value.references().iter().copied()));
            }
        }
        reached
    }
}

impl Object {
    fn new(schema: &Schema, model: ModelId) -> Self {
        let values = schema.model(model).properties().map(|(id, property)| {
            let value = match (property.is_reference(), property.is_collection()) {
                (true, true) => Value::References([].into()),
                (true, false) => Value::Reference(None),
                (false, true) => Value::Scalars([].into()),
                (false, false) => Value::Scalar(property.default().cloned()),
            };
            (id, value)
        });
        Self { model, values: values.collect() }
    }
}

/// The fragments that have not been refused, with their places.
fn standing<'a>(changes: &'a ChangeSet, refused: &[bool]) -> Vec<(usize, &'a Fragment)> {
    let fragments = changes.fragments.iter().enumerate().filter(|(place, _)| !refused[*place]);
    fragments.filter_map(|(place, f)| Some((place, f.as_ref().ok()?))).collect()
}

/// Everything that a fragment is about. An `after` is only a hint where to put something.
fn named(fragment: &Fragment) -> Vec<ObjectId> {
    let values = fragment.properties.iter().flat_map(|(_, value)| value.references());
    let edits = fragment.collections.iter().flat_map(|(_, edits)| edits);
    let edited = edits.map(CollectionEdit::object);
    values.copied().chain(edited).chain([fragment.object]).collect()
}

/// After this many attempts nothing of a ChangeSet is applied.
const ROUNDS_MAX: usize = 16;
