//! Typed ids: an object's id that remembers the object's model.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use jetstream_core::ids::ObjectId;

use crate::{Extends, Model};

/// Names an object of model `M`, or of a submodel.
///
/// As the type of a field, `Option<Id<User>>` and `Vec<Id<User>>` are references like `Option<User>` and
/// `Vec<User>`, with one difference: the value holds the object's name instead of the object. That is how
/// a value refers to an object that others hold too, or back to the object that holds it.
///
/// An id does not keep its object in the scope.
pub struct Id<M> {
    id: ObjectId,
    model: PhantomData<fn() -> M>,
}

impl<M> Id<M> {
    /// Claims that `id` names an object of model `M`. Wherever the id is used, the claim is checked.
    pub const fn new(id: ObjectId) -> Self {
        Self { id, model: PhantomData }
    }

    /// The id without its type.
    pub const fn object_id(self) -> ObjectId {
        self.id
    }

    /// The same object as one of a supermodel.
    pub fn upcast<S: Model>(self) -> Id<S>
    where
        M: Extends<S>,
    {
        Id::new(self.id)
    }
}

// Derived, these would ask the same of `M`, of which no value is held.
impl<M> Clone for Id<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Id<M> {}

impl<M> PartialEq for Id<M> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<M> Eq for Id<M> {}

impl<M> PartialOrd for Id<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M> Ord for Id<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl<M> Hash for Id<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<M> fmt::Display for Id<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl<M: Model> fmt::Debug for Id<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", M::NAME, self.id)
    }
}

impl<M> From<Id<M>> for ObjectId {
    fn from(id: Id<M>) -> Self {
        id.id
    }
}
