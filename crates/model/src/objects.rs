//! Collections of references: `Vec<Shape>` in a model.

use std::fmt;
use std::marker::PhantomData;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::Value;

use crate::{Attach, Extends, Id, Key, Model, ModelMut, ModelRef, Object, ObjectMut};

/// Reads a collection of objects in place.
pub struct Objects<'a, M> {
    object: Object<'a>,
    key: Key,
    model: PhantomData<fn() -> M>,
}

impl<M> Clone for Objects<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Objects<'_, M> {}

impl<'a, M: Model> Objects<'a, M> {
    pub(crate) const fn new(object: Object<'a>, key: Key) -> Self {
        Self { object, key, model: PhantomData }
    }

    /// How many places there are; an object may have several.
    pub fn len(&self) -> usize {
        self.object.list(self.key).len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All objects, in order.
    pub fn iter(&self) -> impl Iterator<Item = M::Ref<'a>> + use<'a, M> {
        self.object.elements(self.key).map(M::Ref::from_object)
    }

    /// The ids of all objects, in order.
    pub fn ids(&self) -> impl Iterator<Item = Id<M>> + use<'a, M> {
        self.object.list(self.key).iter().map(Id::new)
    }

    /// The object with this id, if the collection holds it.
    pub fn get<S: Model + Extends<M>>(&self, id: Id<S>) -> Option<S::Ref<'a>> {
        let held = self.object.list(self.key).contains(id.object_id());
        held.then(|| self.object.element(id.object_id()).cast::<S>())?
    }

    /// The object at a place, counted from 0.
    pub fn at(&self, index: usize) -> Option<M::Ref<'a>> {
        let id = self.object.list(self.key).get(index)?;
        Some(M::Ref::from_object(self.object.element(id)))
    }

    /// The first object.
    pub fn first(&self) -> Option<M::Ref<'a>> {
        self.at(0)
    }

    /// The last object.
    pub fn last(&self) -> Option<M::Ref<'a>> {
        let id = self.object.list(self.key).last()?;
        Some(M::Ref::from_object(self.object.element(id)))
    }

    /// Whether the collection holds the object.
    pub fn contains<S: Model + Extends<M>>(&self, id: Id<S>) -> bool {
        self.object.list(self.key).contains(id.object_id())
    }
}

impl<'a, M: Model> IntoIterator for Objects<'a, M> {
    type Item = M::Ref<'a>;
    type IntoIter = Box<dyn Iterator<Item = M::Ref<'a>> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl<M: Model> fmt::Debug for Objects<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// Changes a collection of objects within a transaction.
///
/// What is done goes to others as edits (this in, behind that; that out), so it costs them and the wire
/// as much as was done, whatever the length of the collection.
pub struct ObjectsMut<'a, M> {
    object: ObjectMut<'a>,
    key: Key,
    model: PhantomData<fn() -> M>,
}

impl<'a, M: Model> ObjectsMut<'a, M> {
    pub(crate) const fn new(object: ObjectMut<'a>, key: Key) -> Self {
        Self { object, key, model: PhantomData }
    }

    /// The same, only to be read.
    pub fn as_ref(&self) -> Objects<'_, M> {
        Objects::new(self.object.as_object(), self.key)
    }

    /// How many places there are; an object may have several.
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// The object with this id, to change it, if the collection holds it.
    pub fn get<S: Model + Extends<M>>(&mut self, id: Id<S>) -> Option<S::Mut<'_>> {
        let held = self.as_ref().contains(id);
        held.then(|| self.object.reborrow().find(id))?
    }

    /// The object at a place, counted from 0, to change it.
    pub fn at(&mut self, index: usize) -> Option<M::Mut<'_>> {
        let id = self.object.as_object().list(self.key).get(index)?;
        self.object.reborrow().into_other(id).map(M::Mut::from_object)
    }

    /// Changes each object, in order.
    pub fn for_each(&mut self, mut change: impl FnMut(&mut M::Mut<'_>)) {
        let ids: Vec<ObjectId> = self.object.as_object().list(self.key).iter().collect();
        for id in ids {
            change(&mut self.element(id));
        }
    }

    /// Puts an object at the end: a new one as a value, an existing one as its [`Id`].
    pub fn push<A: Attach<M>>(&mut self, object: A) -> Id<A::Model> {
        let (id, holds) = object.attach(&mut self.object, self.key);
        if holds {
            self.object.push(self.key, id.object_id());
        }
        id
    }

    /// Puts an object at a place counted from 0; past the end, at the end.
    pub fn insert<A: Attach<M>>(&mut self, index: usize, object: A) -> Id<A::Model> {
        let list = self.object.as_object().list(self.key);
        let after = match index.checked_sub(1) {
            None => None,
            Some(_) if index >= list.len() => return self.push(object),
            Some(before) => list.get(before),
        };
        if after.is_none_or(|after| list.count(after) == 1) {
            return self.put(after, object);
        }
        // An edit names the first place of an element; only the whole collection can say another.
        let mut elements: Vec<ObjectId> = list.iter().collect();
        let (id, holds) = object.attach(&mut self.object, self.key);
        if holds {
            elements.insert(index, id.object_id());
            self.set(elements);
        }
        id
    }

    /// Puts an object behind the first place of `after`; if that is not there, at the end.
    pub fn insert_after<A: Attach<M>>(&mut self, after: Id<M>, object: A) -> Id<A::Model> {
        if !self.as_ref().contains(after) {
            return self.push(object);
        }
        self.put(Some(after.object_id()), object)
    }

    /// Puts an existing object of the collection at another place, counted without it. `false` if the
    /// collection does not hold it.
    pub fn move_to(&mut self, index: usize, id: Id<M>) -> bool {
        let held = self.remove(id);
        if held {
            self.insert(index, id);
        }
        held
    }

    /// Takes out the first place of an object. `false` if there is none.
    ///
    /// An object that nothing holds any more when the transaction ends leaves the scope.
    pub fn remove<S: Model + Extends<M>>(&mut self, id: Id<S>) -> bool {
        self.object.remove(self.key, id.object_id())
    }

    /// Takes out what stands at a place, counted from 0. `None` past the end.
    pub fn remove_at(&mut self, index: usize) -> Option<Id<M>> {
        let elements: Vec<ObjectId> = self.object.as_object().list(self.key).iter().collect();
        let id = *elements.get(index)?;
        if elements[..index].contains(&id) {
            // As above.
            self.set(elements.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, id)| *id));
        } else {
            self.object.remove(self.key, id);
        }
        Some(Id::new(id))
    }

    /// Keeps only the objects that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(M::Ref<'_>) -> bool) {
        let gone = self.as_ref().iter().filter(|object| !keep(*object));
        let gone: Vec<ObjectId> = gone.map(|object| object.object().id()).collect();
        for id in gone {
            self.object.remove(self.key, id);
        }
    }

    /// Takes out all objects.
    pub fn clear(&mut self) {
        self.set([]);
    }

    fn put<A: Attach<M>>(&mut self, after: Option<ObjectId>, object: A) -> Id<A::Model> {
        let (id, holds) = object.attach(&mut self.object, self.key);
        if holds {
            self.object.insert(self.key, id.object_id(), after);
        }
        id
    }

    fn set(&mut self, elements: impl IntoIterator<Item = ObjectId>) {
        self.object.set(self.key, Value::References(elements.into_iter().collect()));
    }

    fn element(&mut self, id: ObjectId) -> M::Mut<'_> {
        let object = self.object.reborrow().into_other(id);
        M::Mut::from_object(object.expect("what a property holds is in the scope"))
    }
}

impl<M: Model> fmt::Debug for ObjectsMut<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
