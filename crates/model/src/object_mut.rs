//! An object of a scope within a transaction: reads see what the transaction wrote.

use std::collections::HashMap;
use std::fmt;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::graph::Graph;
use jetstream_core::model::{Fragment, ModelId, Property, PropertyId, PropertyType, Schema, Value};

use crate::edits::{Edit, Edits};
use crate::holders::holders;
use crate::list::Base;
use crate::new_object::NewObjects;
use crate::object::Reader;
use crate::{Id, Key, Model, ModelMut, Object, WriteError};

/// A transaction in progress: a graph that stays as it is, and what is to become of it.
pub(crate) struct Writer<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) edits: &'a mut Edits,
}

impl<'a> Writer<'a> {
    fn reader(&self) -> Reader<'_> {
        Reader { graph: self.graph, edits: Some(self.edits) }
    }

    fn reborrow(&mut self) -> Writer<'_> {
        Writer { graph: self.graph, edits: self.edits }
    }

    /// The object with this id, to change it.
    pub(crate) fn object(self, id: ObjectId) -> Option<ObjectMut<'a>> {
        let model = self.reader().object(id)?.model_id();
        Some(ObjectMut { writer: self, id, model })
    }
}

/// An object of a scope within a transaction, without its Rust type; generated types such as `ShapeMut`
/// are made of it.
///
/// Changing never fails on the spot. The first mistake (a number that is not finite, a reference to
/// an object that is not in the scope) is noted, and makes the transaction fail as a whole when it ends.
pub struct ObjectMut<'a> {
    writer: Writer<'a>,
    id: ObjectId,
    model: ModelId,
}

impl<'a> ObjectMut<'a> {
    /// The object's id.
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// The object as the transaction has it so far.
    pub fn as_object(&self) -> Object<'_> {
        self.writer.reader().object(self.id).expect("an object in a transaction is there")
    }

    /// The same, for as long as the transaction could have been written to.
    pub(crate) fn into_object(self) -> Object<'a> {
        let reader = Reader { graph: self.writer.graph, edits: Some(self.writer.edits) };
        reader.object(self.id).expect("an object in a transaction is there")
    }

    /// The same object for a shorter time.
    pub fn reborrow(&mut self) -> ObjectMut<'_> {
        ObjectMut { writer: self.writer.reborrow(), id: self.id, model: self.model }
    }

    /// The object as one of model `M`, if it is.
    pub fn cast<M: Model>(self) -> Option<M::Mut<'a>> {
        let is = self.as_object().is::<M>();
        is.then(|| M::Mut::from_object(self))
    }

    /// An object anywhere in the scope, to change it.
    pub fn find<M: Model>(self, id: Id<M>) -> Option<M::Mut<'a>> {
        self.writer.object(id.object_id())?.cast::<M>()
    }

    /// Another object of the scope, to change it.
    pub(crate) fn into_other(self, id: ObjectId) -> Option<Self> {
        self.writer.object(id)
    }

    /// Takes an object out of every property that holds it. `false` if there is no such object, or if it
    /// is the root, which stays.
    pub fn delete<M: Model>(self, id: Id<M>) -> bool {
        let object = id.object_id();
        let graph = self.writer.graph;
        if object == graph.root() || self.writer.reader().object(object).is_none() {
            return false;
        }
        let mut writer = self.writer;
        for (holder, property) in holders(graph, writer.edits, object) {
            let holder = writer.reborrow().object(holder).expect("a holder is there");
            holder.take_out(property, object);
        }
        true
    }

    /// Sets a property, unless it holds the very same already.
    pub(crate) fn set(&mut self, key: Key, value: Value) {
        let property = self.as_object().property(key);
        self.set_property(property, value);
    }

    fn set_property(&mut self, property: PropertyId, value: Value) {
        let untouched = self
            .edit()
            .is_none_or(|edit| edit.value(property).is_none() && edit.list(property).is_none());
        let base = self.writer.graph.object(self.id);
        if untouched && base.is_some_and(|base| base.value(property) == value) {
            return;
        }
        self.writer.edits.of_mut(self.id, self.model).set(property, value);
    }

    /// Sets a property to what a conversion gave, or notes why there is nothing.
    pub(crate) fn set_or_mistake(&mut self, key: Key, value: Result<Value, String>) {
        match value {
            Ok(value) => self.set(key, value),
            Err(message) => self.mistake(key, message),
        }
    }

    pub(crate) fn mistake(&mut self, key: Key, message: String) {
        let model = self.writer.graph.schema().model(self.model).name().to_string();
        let property = Some(key.name.to_owned());
        self.writer.edits.mistake(WriteError { model, property, message });
    }

    /// Makes an object, and those that it holds. It must be given to a property to be kept; whether
    /// one [can hold](Self::can_hold) it is to be asked first, as the scope may not know its model.
    pub(crate) fn create<M: Model>(&mut self, value: M) -> ObjectId {
        let mut objects = NewObjects::new(self.writer.graph.schema());
        let id = objects.create(value);
        let (mut fragments, mistake) = (objects.fragments, objects.mistake);
        let dangling = self.cut_dangling(&mut fragments);
        self.writer.edits.add(fragments);
        for mistake in mistake.into_iter().chain(dangling) {
            self.writer.edits.mistake(mistake);
        }
        id
    }

    /// Takes out references of new objects that lead nowhere, which only an `Id` in a value can. Tells
    /// the first one.
    fn cut_dangling(&self, fragments: &mut [Fragment]) -> Option<WriteError> {
        let new: HashMap<ObjectId, ModelId> =
            fragments.iter().map(|fragment| (fragment.object, fragment.model)).collect();
        let schema = self.writer.graph.schema();
        let mut mistake = None;
        for fragment in fragments {
            let model = schema.model(fragment.model);
            fragment.properties.retain(|(property, value)| {
                let mut wrong = value.references().iter().filter_map(|object| {
                    let model_found = new.get(object).copied().or_else(|| self.model_of(*object));
                    cannot_hold(schema, model.property(*property), *object, model_found)
                });
                let Some(message) = wrong.next() else { return true };
                let property = Some(model.property(*property).name().to_string());
                mistake.get_or_insert(WriteError {
                    model: model.name().to_string(),
                    property,
                    message,
                });
                false
            });
        }
        mistake
    }

    /// Whether the property can refer to `object`; if not, notes the mistake.
    pub(crate) fn can_hold(&mut self, key: Key, object: ObjectId) -> bool {
        let holder = self.as_object();
        let property = holder.model().property(holder.property(key));
        let schema = self.writer.graph.schema();
        match cannot_hold(schema, property, object, self.model_of(object)) {
            None => true,
            Some(message) => {
                self.mistake(key, message);
                false
            }
        }
    }

    fn model_of(&self, object: ObjectId) -> Option<ModelId> {
        self.writer.reader().object(object).map(|object| object.model_id())
    }

    pub(crate) fn push(&mut self, key: Key, object: ObjectId) {
        let (property, base) = self.base(key);
        self.list(property).push(base, object);
    }

    /// Puts `object` behind the first place of `after`, or at the front.
    pub(crate) fn insert(&mut self, key: Key, object: ObjectId, after: Option<ObjectId>) {
        let (property, base) = self.base(key);
        self.list(property).insert(base, object, after);
    }

    /// Takes out the first place of `object`. `false` if there is none.
    pub(crate) fn remove(&mut self, key: Key, object: ObjectId) -> bool {
        let (property, base) = self.base(key);
        // Asked first, so that what changes nothing leaves no trace.
        self.as_object().list(key).contains(object) && self.list(property).remove(base, object)
    }

    fn take_out(mut self, property: PropertyId, object: ObjectId) {
        let schema = self.writer.graph.schema();
        if schema.model(self.model).property(property).is_collection() {
            let base = self.writer.graph.object(self.id).map(|base| (base, property));
            while self.list(property).remove(base, object) {}
        } else {
            self.set_property(property, Value::Reference(None));
        }
    }

    fn base(&self, key: Key) -> (PropertyId, Base<'a>) {
        let property = self.as_object().property(key);
        (property, self.writer.graph.object(self.id).map(|base| (base, property)))
    }

    fn list(&mut self, property: PropertyId) -> &mut super::list::List {
        self.writer.edits.of_mut(self.id, self.model).list_mut(property)
    }

    fn edit(&self) -> Option<&Edit> {
        self.writer.edits.of(self.id)
    }
}

/// Why a property cannot refer to `object`, of which `model` was found.
fn cannot_hold(
    schema: &Schema,
    property: &Property,
    object: ObjectId,
    model: Option<ModelId>,
) -> Option<String> {
    let Some(model) = model else { return Some(format!("{object} is not in the scope")) };
    let fits = match property.kind() {
        PropertyType::Model(expected) => schema.is_a(model, expected),
        _ => false,
    };
    let (found, takes) = (schema.model(model).name(), schema.type_name(property));
    (!fits).then(|| format!("{object} is a {found}, and the property takes {takes}"))
}

impl fmt::Debug for ObjectMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_object().fmt(f)
    }
}
