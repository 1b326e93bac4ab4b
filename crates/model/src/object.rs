//! An object of a scope, read in place: as the graph has it, or as a transaction would leave it.

use std::fmt;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::graph::{Graph, ObjectRef};
use jetstream_core::model::{ModelId, PropertyId, Scalar, Value};

use crate::edits::{Edit, Edits};
use crate::list::{Element, ListView};
use crate::{Copying, Id, Key, Model, ModelRef, ReadError};

/// A graph, with the changes of a transaction on top if there is one.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) edits: Option<&'a Edits>,
}

impl<'a> Reader<'a> {
    /// The object with this id, new or not.
    pub(crate) fn object(self, id: ObjectId) -> Option<Object<'a>> {
        let base = self.graph.object(id);
        let edit = self.edits.and_then(|edits| edits.of(id));
        let model = match (edit, base) {
            (Some(edit), _) => edit.model,
            (None, Some(base)) => base.model(),
            (None, None) => return None,
        };
        Some(Object { reader: self, id, model, base, edit })
    }

    /// An object that a property holds.
    fn held(self, id: ObjectId) -> Object<'a> {
        self.object(id).expect("what a property holds is in the scope")
    }

    fn held_base(self, base: ObjectRef<'a>) -> Object<'a> {
        let edit = self.edits.and_then(|edits| edits.of(base.id()));
        Object { reader: self, id: base.id(), model: base.model(), base: Some(base), edit }
    }
}

/// An object of a scope without its Rust type; generated types such as `ShapeRef` are made of it.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    reader: Reader<'a>,
    id: ObjectId,
    model: ModelId,
    base: Option<ObjectRef<'a>>,
    edit: Option<&'a Edit>,
}

impl<'a> Object<'a> {
    /// The object's id.
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// The object's own model, which may be a submodel of the one that it was asked for as.
    pub fn model(&self) -> &'a jetstream_core::model::Model {
        self.reader.graph.schema().model(self.model)
    }

    pub(crate) const fn model_id(&self) -> ModelId {
        self.model
    }

    /// The same object, for generated code that reads both kinds of accessor alike.
    #[doc(hidden)]
    pub const fn as_object(&self) -> Self {
        *self
    }

    /// Whether the object is of model `M` or of a submodel.
    pub fn is<M: Model>(&self) -> bool {
        let schema = self.reader.graph.schema();
        schema.find(M::NAME).is_some_and(|(model, _)| schema.is_a(self.model, model))
    }

    /// The object as one of model `M`, if it is.
    pub fn cast<M: Model>(&self) -> Option<M::Ref<'a>> {
        self.is::<M>().then(|| M::Ref::from_object(*self))
    }

    /// An object anywhere in the scope.
    pub fn find<M: Model>(&self, id: Id<M>) -> Option<M::Ref<'a>> {
        self.reader.object(id.object_id())?.cast::<M>()
    }

    /// Copies the object, and all that it holds, into a value of its own.
    ///
    /// # Errors
    ///
    /// What the value's type cannot hold: see [`ReadError`].
    pub fn read<M: Model>(&self) -> Result<M, ReadError> {
        Copying::default().read(*self)
    }

    pub(crate) fn property(&self, key: Key) -> PropertyId {
        key.of(self.model())
    }

    pub(crate) fn read_error(&self, key: Key, message: String) -> ReadError {
        ReadError { property: Some(key.name.to_owned()), ..self.copy_error(message) }
    }

    pub(crate) fn copy_error(&self, message: String) -> ReadError {
        let model = self.model().name().to_string();
        ReadError { object: self.id, model, property: None, message }
    }

    /// A plain value; `None` if it is unset.
    pub(crate) fn scalar(&self, key: Key) -> Option<&'a Scalar> {
        let property = self.property(key);
        match self.edit.and_then(|edit| edit.value(property)) {
            Some(Value::Scalar(scalar)) => scalar.as_ref(),
            _ => self.base?.scalar(property),
        }
    }

    /// A plain value; if it is unset the property's default, if it has one.
    pub(crate) fn scalar_or_default(&self, key: Key) -> Option<&'a Scalar> {
        self.scalar(key).or_else(|| self.model().property(self.property(key)).default())
    }

    /// A collection of plain values.
    pub(crate) fn scalars(&self, key: Key) -> &'a [Scalar] {
        let property = self.property(key);
        match (self.edit.and_then(|edit| edit.value(property)), self.base) {
            (Some(Value::Scalars(scalars)), _) => scalars,
            (_, Some(base)) => base.scalars(property),
            (_, None) => &[],
        }
    }

    /// The object that is referred to; `None` if it is unset.
    pub(crate) fn reference(&self, key: Key) -> Option<Object<'a>> {
        let property = self.property(key);
        match self.edit.and_then(|edit| edit.value(property)) {
            Some(Value::Reference(reference)) => reference.map(|id| self.reader.held(id)),
            _ => Some(self.reader.held_base(self.base?.reference(property)?)),
        }
    }

    /// A collection of references.
    pub(crate) fn list(&self, key: Key) -> ListView<'a> {
        let property = self.property(key);
        ListView {
            base: self.base.map(|base| (base, property)),
            edit: self.edit.and_then(|edit| edit.list(property)),
        }
    }

    /// How many objects the scope has, those of the transaction not counted.
    pub(crate) fn scope_len(&self) -> usize {
        self.reader.graph.len()
    }

    /// An object that a list of this object holds.
    pub(crate) fn element(&self, id: ObjectId) -> Object<'a> {
        self.reader.held(id)
    }

    /// The objects of a collection, in order.
    pub(crate) fn elements(&self, key: Key) -> impl Iterator<Item = Object<'a>> + use<'a> {
        let reader = self.reader;
        self.list(key).elements().map(move |element| match element {
            Element::Base(object) => reader.held_base(object),
            Element::Named(id) => reader.held(id),
        })
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.model().name(), self.id)
    }
}
