//! Models as what properties hold: each by reference, however the Rust value holds it.

use jetstream_core::ids::ObjectId;
use jetstream_core::model::{SchemaBuilder, Value};

use crate::element::{Place, Places};
use crate::{
    Copying, Element, Family, Id, Key, Model, ModelMut, ModelRef, NewObject, Object, ObjectMut,
    Objects, ObjectsMut, ReadError,
};

/// A way for a Rust value to hold an object: as a value (`M`, `Box<M>`) or by name (`Id<M>`).
pub trait Held: Sized + 'static {
    /// The object's model.
    type Model: Model;

    /// Copies the object out.
    ///
    /// # Errors
    ///
    /// What the Rust type cannot hold.
    fn read_held(object: Object<'_>, copy: &mut Copying) -> Result<Self, ReadError>;
    /// The object that a new one is to hold; made now if it is a value.
    fn write_held(self, object: &mut NewObject<'_, '_>) -> ObjectId;
}

/// The family of all models.
pub struct ModelFamily;

impl<T: Held> Family<T> for ModelFamily {
    type One = Place<T::Model>;
    type Many = Places<T::Model>;
    type Get<'a> = <T::Model as Model>::Ref<'a>;
    type GetAll<'a> = Objects<'a, T::Model>;
    type Edit<'a> = <T::Model as Model>::Mut<'a>;
    type EditAll<'a> = ObjectsMut<'a, T::Model>;

    fn type_name() -> &'static str {
        T::Model::NAME
    }

    fn define_types(schema: &mut SchemaBuilder) {
        T::Model::define(schema);
    }

    fn get(object: Object<'_>, key: Key) -> Option<Self::Get<'_>> {
        object.reference(key).map(ModelRef::from_object)
    }

    fn get_all(object: Object<'_>, key: Key) -> Self::GetAll<'_> {
        Objects::new(object, key)
    }

    fn edit(object: ObjectMut<'_>, key: Key) -> Option<Self::Edit<'_>> {
        let id = object.as_object().reference(key)?.id();
        object.into_other(id).map(ModelMut::from_object)
    }

    fn edit_all(object: ObjectMut<'_>, key: Key) -> Self::EditAll<'_> {
        ObjectsMut::new(object, key)
    }

    fn read(object: Object<'_>, key: Key, copy: &mut Copying) -> Result<Option<T>, ReadError> {
        object.reference(key).map(|held| T::read_held(held, copy)).transpose()
    }

    fn read_all(object: Object<'_>, key: Key, copy: &mut Copying) -> Result<Vec<T>, ReadError> {
        object.elements(key).map(|held| T::read_held(held, copy)).collect()
    }

    fn write(value: Option<T>, object: &mut NewObject<'_, '_>, key: Key) {
        // An unset reference is left out, as it is in a ScopeState.
        if let Some(value) = value {
            let id = value.write_held(object);
            object.set(key, Value::Reference(Some(id)));
        }
    }

    fn write_all(values: Vec<T>, object: &mut NewObject<'_, '_>, key: Key) {
        let ids = values.into_iter().map(|value| value.write_held(object)).collect();
        object.set(key, Value::References(ids));
    }
}

impl<M: Model> Element for Id<M> {
    type Family = ModelFamily;
}

impl<M: Model> Held for Id<M> {
    type Model = M;

    fn read_held(object: Object<'_>, _copy: &mut Copying) -> Result<Self, ReadError> {
        Ok(Self::new(object.id()))
    }

    fn write_held(self, _object: &mut NewObject<'_, '_>) -> ObjectId {
        self.object_id()
    }
}

impl<T: Held> Element for Box<T> {
    type Family = ModelFamily;
}

impl<T: Held> Held for Box<T> {
    type Model = T::Model;

    fn read_held(object: Object<'_>, copy: &mut Copying) -> Result<Self, ReadError> {
        T::read_held(object, copy).map(Self::new)
    }

    fn write_held(self, object: &mut NewObject<'_, '_>) -> ObjectId {
        (*self).write_held(object)
    }
}
