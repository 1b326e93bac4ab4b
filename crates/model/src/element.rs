//! What a property can be made of: plain values, enumerations and models.
//!
//! Two families of types behave alike within and unlike each other: plain values, which an object
//! contains, and models, to which it refers. A type only says which family it is of
//! ([`Element::Family`]); what follows for reading and changing is written once for each family.

use std::marker::PhantomData;

use jetstream_core::model::SchemaBuilder;

use crate::{Copying, Key, NewObject, Object, ObjectMut, ReadError};

/// A type that a property can hold, alone (`Option<T>`) or as a collection (`Vec<T>`).
///
/// Implemented for the plain types and by `#[derive(Model)]`; the table is on
/// [`Model`](trait@super::Model).
#[diagnostic::on_unimplemented(
    message = "a property cannot hold a `{Self}`",
    label = "no plain type, and no struct or enum with `#[derive(Model)]`"
)]
pub trait Element: Sized + 'static {
    /// How it is read and changed: [`PlainFamily`](super::PlainFamily) or
    /// [`ModelFamily`](super::ModelFamily).
    type Family: Family<Self>;
}

/// How the types of a family are read and changed, alone and in collections.
pub trait Family<T> {
    /// What can be assigned to an `Option<T>`, as a type; see [`Assign`](super::Assign).
    type One;
    /// What can be assigned to a `Vec<T>`, as a type.
    type Many;
    /// What reading one gives.
    type Get<'a>;
    /// What reading a collection gives.
    type GetAll<'a>;
    /// What changes one in place.
    type Edit<'a>;
    /// What changes a collection in place.
    type EditAll<'a>;

    /// The name of the type in a schema.
    fn type_name() -> &'static str;
    /// Adds the type, and what it refers to, to a schema.
    fn define_types(schema: &mut SchemaBuilder);

    /// Reads one in place; `None` if it is unset.
    fn get(object: Object<'_>, key: Key) -> Option<Self::Get<'_>>;
    /// Reads a collection in place.
    fn get_all(object: Object<'_>, key: Key) -> Self::GetAll<'_>;
    /// Changes one in place; `None` if it is unset.
    fn edit(object: ObjectMut<'_>, key: Key) -> Option<Self::Edit<'_>>;
    /// Changes a collection in place.
    fn edit_all(object: ObjectMut<'_>, key: Key) -> Self::EditAll<'_>;

    /// Copies one out; `None` if it is unset.
    ///
    /// # Errors
    ///
    /// What the Rust type cannot hold.
    fn read(object: Object<'_>, key: Key, copy: &mut Copying) -> Result<Option<T>, ReadError>;
    /// Copies a collection out.
    ///
    /// # Errors
    ///
    /// What the Rust type cannot hold.
    fn read_all(object: Object<'_>, key: Key, copy: &mut Copying) -> Result<Vec<T>, ReadError>;
    /// Gives one to a new object.
    fn write(value: Option<T>, object: &mut NewObject<'_, '_>, key: Key);
    /// Gives a collection to a new object.
    fn write_all(values: Vec<T>, object: &mut NewObject<'_, '_>, key: Key);
}

/// Can be assigned: a `T` as a whole.
pub struct Single<T>(PhantomData<T>);
/// Can be assigned: a collection of `T`s as a whole.
pub struct Whole<T>(PhantomData<T>);
/// Can be assigned: an object of model `M`, new or existing.
pub struct Place<M>(PhantomData<M>);
/// Can be assigned: objects of model `M`, new or existing.
pub struct Places<M>(PhantomData<M>);
