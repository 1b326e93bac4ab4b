//! Rust values on their way into a scope: each becomes a fragment, and what it holds becomes others.

use jetstream_core::ids::ObjectId;
use jetstream_core::model::{Fragment, FragmentKind, ModelId, Schema, Value};
use uuid::Builder;

use crate::{Key, Model, WriteError};

/// The objects that were made from values, in depth-first order, each with all of its properties.
pub(crate) struct NewObjects<'s> {
    schema: &'s Schema,
    /// One `add` for each object.
    pub(crate) fragments: Vec<Fragment>,
    /// The first thing that could not be written.
    pub(crate) mistake: Option<WriteError>,
}

impl<'s> NewObjects<'s> {
    /// Objects for a scope with this schema, which must have the models of the values.
    pub(crate) const fn new(schema: &'s Schema) -> Self {
        Self { schema, fragments: Vec::new(), mistake: None }
    }

    /// Makes an object, and those that it holds. If the scope knows no such model, there is none by the
    /// id that is returned.
    pub(crate) fn create<M: Model>(&mut self, value: M) -> ObjectId {
        let id = new_id();
        let Some((model, _)) = self.schema.find(M::NAME) else {
            // A submodel that nothing names: the compiler knows it, the scope does not.
            self.mistake.get_or_insert(WriteError::unknown_model(M::NAME));
            return id;
        };
        let place = self.fragments.len();
        self.fragments.push(Fragment::new(FragmentKind::Add, id, model));
        value.write(&mut NewObject { objects: self, place, model });
        id
    }
}

/// A random id, version 4.
fn new_id() -> ObjectId {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    ObjectId::from_uuid(Builder::from_random_bytes(bytes).into_uuid())
}

/// One object that is made from a value; part of what `#[derive(Model)]` generates.
pub struct NewObject<'a, 's> {
    objects: &'a mut NewObjects<'s>,
    place: usize,
    model: ModelId,
}

impl NewObject<'_, '_> {
    /// Makes an object that this one holds.
    pub fn create<M: Model>(&mut self, value: M) -> ObjectId {
        self.objects.create(value)
    }

    /// Sets a property, which is set once.
    pub(crate) fn set(&mut self, key: Key, value: Value) {
        let property = key.of(self.objects.schema.model(self.model));
        self.objects.fragments[self.place].properties.push((property, value));
    }

    /// Notes that a property could not be set.
    pub(crate) fn mistake(&mut self, key: Key, message: String) {
        let model = self.objects.schema.model(self.model).name().to_string();
        let mistake = WriteError { model, property: Some(key.name.to_owned()), message };
        self.objects.mistake.get_or_insert(mistake);
    }
}
