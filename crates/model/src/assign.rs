//! What can be assigned to a property, and what can be put into a collection.

use std::sync::Arc;

use jetstream_core::model::Value;

use crate::element::{Place, Places, Single, Whole};
use crate::field::SingleField;
use crate::{Extends, Id, Key, Model, ObjectMut, Plain};

/// A value that a generated `set_…` takes, for a property of kind `K`.
///
/// | field | what can be assigned |
/// |---|---|
/// | a plain type, `Option` of one | what turns into it with `Into` |
/// | `Vec` of a plain type | every iterator of what turns into it |
/// | `Option<M>` | a new `M` (or submodel) as a value, an existing one as its [`Id`], `None` |
/// | `Vec<M>` | every iterator of new or existing objects |
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot be assigned to this property",
    label = "the property is a `{K}`",
    note = "`Place<M>` takes an `M`, an `Id<M>` or `None`; `Places<M>` an iterator of either"
)]
pub trait Assign<K> {
    /// The [`Id`] of an object that was made, otherwise nothing.
    type Output;
    /// Carries it out within a transaction.
    fn assign(self, object: &mut ObjectMut<'_>, key: Key) -> Self::Output;
}

impl<T: SingleField, V: Into<T>> Assign<Single<T>> for V {
    type Output = ();

    fn assign(self, object: &mut ObjectMut<'_>, key: Key) {
        object.set_or_mistake(key, self.into().into_scalar().map(Value::Scalar));
    }
}

impl<T: Plain, I: IntoIterator<Item: Into<T>>> Assign<Whole<T>> for I {
    type Output = ();

    fn assign(self, object: &mut ObjectMut<'_>, key: Key) {
        let scalars = self.into_iter().map(|value| value.into().to_scalar());
        let scalars = scalars.collect::<Result<Arc<[_]>, _>>();
        object.set_or_mistake(key, scalars.map(Value::Scalars));
    }
}

impl<M: Model, S: Model + Extends<M>> Assign<Place<M>> for S {
    type Output = Id<S>;

    fn assign(self, object: &mut ObjectMut<'_>, key: Key) -> Id<S> {
        let id = object.create(self);
        if object.can_hold(key, id) {
            object.set(key, Value::Reference(Some(id)));
        }
        Id::new(id)
    }
}

impl<M: Model, S: Model + Extends<M>> Assign<Place<M>> for Id<S> {
    type Output = ();

    fn assign(self, object: &mut ObjectMut<'_>, key: Key) {
        if object.can_hold(key, self.object_id()) {
            object.set(key, Value::Reference(Some(self.object_id())));
        }
    }
}

impl<M: Model> Assign<Place<M>> for Option<Id<M>> {
    type Output = ();

    fn assign(self, object: &mut ObjectMut<'_>, key: Key) {
        match self {
            Some(id) => Assign::<Place<M>>::assign(id, object, key),
            None => object.set(key, Value::Reference(None)),
        }
    }
}

impl<M: Model, I: IntoIterator<Item: Attach<M>>> Assign<Places<M>> for I {
    type Output = ();

    fn assign(self, object: &mut ObjectMut<'_>, key: Key) {
        let attached = self.into_iter().map(|element| element.attach(object, key));
        let held = attached.filter(|(_, holds)| *holds);
        let elements = held.map(|(id, _)| id.object_id()).collect();
        object.set(key, Value::References(elements));
    }
}

/// An object to be put into a collection of `M`: a new one as a value, an existing one as its [`Id`].
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot be put into a collection of `{M}`",
    label = "neither `{M}` nor a submodel, nor an `Id` of one"
)]
pub trait Attach<M: Model> {
    /// The object's model: `M` or a submodel.
    type Model: Model + Extends<M>;
    /// The object, made if it is new, and whether the property can hold it; if not, that is noted.
    fn attach(self, object: &mut ObjectMut<'_>, key: Key) -> (Id<Self::Model>, bool);
}

impl<M: Model, S: Model + Extends<M>> Attach<M> for S {
    type Model = S;

    fn attach(self, object: &mut ObjectMut<'_>, key: Key) -> (Id<S>, bool) {
        let id = object.create(self);
        (Id::new(id), object.can_hold(key, id))
    }
}

impl<M: Model, S: Model + Extends<M>> Attach<M> for Id<S> {
    type Model = S;

    fn attach(self, object: &mut ObjectMut<'_>, key: Key) -> (Id<S>, bool) {
        (self, object.can_hold(key, self.object_id()))
    }
}
