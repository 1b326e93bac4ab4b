//! The way from what a class saw to what it sees, as fragments for its members.

use std::collections::HashSet;

use indexmap::IndexSet;

use super::view::{Step, Turn, View, places_of};
use crate::ids::ObjectId;
use crate::model::{
    CollectionEdit, Fragment, FragmentKind, Graph, ObjectRef, PropertyId, Sight, Value,
};
use crate::wire::message::Dialect;

/// What happened to a view. `view` is how it is now; `None`: everything is seen.
pub(super) struct Passage<'a> {
    pub(super) graph: &'a Graph,
    pub(super) view: Option<&'a View>,
    pub(super) turn: &'a Turn,
    pub(super) step: &'a Step,
}

impl Passage<'_> {
    /// What members are told who had no part in it: objects that came, then properties that changed.
    pub(super) fn fragments(&self, dialect: Dialect) -> Vec<Fragment> {
        let mut fragments: Vec<Fragment> =
            self.turn.entered.iter().filter_map(|id| self.add(*id)).collect();
        for (id, property) in self.places() {
            let Some(object) = self.graph.object(id) else { continue };
            let fragment = Fragment::new(FragmentKind::Change, id, object.model());
            let now = self.now(object, property);
            if self.turn.uncovered.contains(&(id, property))
                || self.turn.covered.contains(&(id, property))
            {
                fragments.push(fragment.with(property, now));
                continue;
            }
            let before = self.before(object, property);
            if before == now {
                continue;
            }
            fragments.push(match edits_between(&before, &now) {
                Some(edits) if dialect >= Dialect::V1 => fragment.with_edits(property, edits),
                _ => fragment.with(property, now),
            });
        }
        fragments
    }

    /// What the author is told behind its reply: what its own ChangeSet does to its view beyond what it
    /// asked for. Whole values, which mean the same whatever it shows.
    pub(super) fn for_author(&self) -> Vec<Fragment> {
        let own: HashSet<ObjectId> = self.step.added.iter().copied().collect();
        let entered = self.turn.entered.iter().filter(|id| !own.contains(*id)).copied();
        let entered: Vec<ObjectId> = entered.collect();
        let unseen = self.step.added.iter().copied().filter(|id| !self.sees(*id));
        let left = self.turn.left.keys().copied().filter(|id| !self.step.takes_away(*id));
        let mut places: IndexSet<(ObjectId, PropertyId)> = IndexSet::new();
        for id in entered.iter().copied().chain(left).chain(unseen) {
            self.note_holders(id, &mut places);
        }
        places.extend(self.turn.covered.iter().chain(&self.turn.uncovered));
        let adds = entered.iter().filter_map(|id| self.add(*id));
        let changes = places.into_iter().filter_map(|(id, property)| {
            let object = self.graph.object(id).filter(|_| self.sees(id))?;
            let fragment = Fragment::new(FragmentKind::Change, id, object.model());
            Some(fragment.with(property, self.now(object, property)))
        });
        adds.chain(changes).collect()
    }

    fn add(&self, id: ObjectId) -> Option<Fragment> {
        let object = self.graph.object(id)?;
        let mut fragment = Fragment::new(FragmentKind::Add, id, object.model());
        for (property, _) in self.graph.schema().model(object.model()).properties() {
            if self.sees_property(id, property) {
                let value = self.now(object, property);
                if value != Value::Reference(None) {
                    fragment.properties.push((property, value));
                }
            }
        }
        Some(fragment)
    }

    /// Where members may have to be told something, of objects that stay.
    fn places(&self) -> IndexSet<(ObjectId, PropertyId)> {
        let mut places = IndexSet::new();
        for (id, properties) in &self.step.changed {
            let seen = properties.iter().map(|(property, _)| (*id, *property));
            places.extend(seen.filter(|(id, property)| self.sees_property(*id, *property)));
        }
        for id in self.turn.entered.iter().chain(self.turn.left.keys()) {
            self.note_holders(*id, &mut places);
        }
        places.extend(self.turn.covered.iter().chain(&self.turn.uncovered));
        places.retain(|(id, _)| self.sees(*id) && !self.turn.entered.contains(id));
        places
    }

    fn note_holders(&self, id: ObjectId, places: &mut IndexSet<(ObjectId, PropertyId)>) {
        let Some(object) = self.graph.object(id) else { return };
        for parent in object.parents().filter(|parent| self.sees(parent.id())) {
            let held = places_of(parent, id).map(|property| (parent.id(), property));
            places.extend(held.filter(|(id, property)| self.sees_property(*id, *property)));
        }
    }

    /// What a property holds for those who see it, and nothing if they do not.
    fn now(&self, object: ObjectRef<'_>, property: PropertyId) -> Value {
        if !self.sees_property(object.id(), property) {
            return match object.value(property) {
                Value::Scalar(_) => Value::Scalar(None),
                Value::Scalars(_) => Value::Scalars([].into()),
                Value::Reference(_) => Value::Reference(None),
                Value::References(_) => Value::References([].into()),
            };
        }
        clip(object.value(property), |id| self.sees(id))
    }

    fn before(&self, object: ObjectRef<'_>, property: PropertyId) -> Value {
        let changed = self.step.changed.get(&object.id()).into_iter().flatten();
        let before =
            changed.filter(|(id, _)| *id == property).map(|(_, value)| value.clone()).next();
        clip(before.unwrap_or_else(|| object.value(property)), |id| self.saw(id))
    }

    fn sees(&self, id: ObjectId) -> bool {
        match self.view {
            Some(view) => view.sees(id),
            None => self.graph.object(id).is_some(),
        }
    }

    fn sees_property(&self, id: ObjectId, property: PropertyId) -> bool {
        self.view.is_none_or(|view| view.sees_property(id, property))
    }

    fn saw(&self, id: ObjectId) -> bool {
        (self.sees(id) && !self.turn.entered.contains(&id)) || self.turn.left.contains_key(&id)
    }
}

/// A value without the objects that are not seen.
pub(super) fn clip(value: Value, sees: impl Fn(ObjectId) -> bool) -> Value {
    match value {
        Value::Reference(reference) => Value::Reference(reference.filter(|id| sees(*id))),
        Value::References(references) => {
            Value::References(references.iter().copied().filter(|id| sees(*id)).collect())
        }
        value => value,
    }
}

/// The edits that lead from one collection to another, if that is shorter than saying the other.
fn edits_between(before: &Value, after: &Value) -> Option<Vec<CollectionEdit>> {
    let (Value::References(before), Value::References(after)) = (before, after) else {
        return None;
    };
    let same = before.iter().zip(after.iter()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&before[same..], &after[same..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let repeats = |elements: &[ObjectId]| {
        let mut met = HashSet::new();
        !elements.iter().all(|id| met.insert(*id))
    };
    // An edit means the first place of an element; it must be the only one.
    if (old.len() + new.len()) * 2 >= after.len() || repeats(before) || repeats(after) {
        return None;
    }
    let removed = old.iter().map(|object| CollectionEdit::Remove { object: *object });
    let inserted = new.iter().enumerate().map(|(place, object)| {
        let after = (same + place).checked_sub(1).map(|behind| after[behind]);
        CollectionEdit::Insert { object: *object, after }
    });
    Some(removed.chain(inserted).collect())
}

/// A fragment without what a view hides; `None` if nothing of it is left.
pub(super) fn clip_fragment(view: &View, fragment: Fragment) -> Option<Fragment> {
    if !view.sees(fragment.object) {
        return None;
    }
    let id = fragment.object;
    let had = !fragment.properties.is_empty();
    let seen = fragment.properties.into_iter().filter(|(p, _)| view.sees_property(id, *p));
    let properties: Vec<_> =
        seen.map(|(property, value)| (property, clip(value, |id| view.sees(id)))).collect();
    let dates_as_sent =
        fragment.dates_as_sent.into_iter().filter(|(p, _)| view.sees_property(id, *p));
    let dates_as_sent = dates_as_sent.collect();
    let is_left = !had || !properties.is_empty() || fragment.kind == FragmentKind::Add;
    is_left.then_some(Fragment { properties, dates_as_sent, ..fragment })
}
