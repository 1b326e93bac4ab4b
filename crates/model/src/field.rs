//! The types that a field of a model can have.

use jetstream_core::model::{Scalar, SchemaBuilder};

use crate::element::Single;
use crate::{Copying, Element, Family, Key, NewObject, Object, ObjectMut, Plain, ReadError, plain};

/// The type of a field of a model: a plain type `T`, or `Option<T>` or `Vec<T>` of an [`Element`].
///
/// Implemented here only. The table of all types is on [`Model`](trait@super::Model).
#[diagnostic::on_unimplemented(
    message = "a field of a model cannot be of type `{Self}`",
    label = "no property can hold this",
    note = "a reference to another model can always be unset: write `Option<M>` or `Option<Id<M>>`",
    note = "the other types are plain ones, enumerations, and `Option<T>` or `Vec<T>` of any of these"
)]
pub trait Field: Sized {
    /// What can be assigned to it, as a type; see [`Assign`](super::Assign).
    type Kind;
    /// What its getter returns.
    type Get<'a>;
    /// What its `…_mut` accessor returns.
    type Edit<'a>;

    /// The name of the type in a schema: `Number`, `[Shape]`.
    fn type_name() -> String;
    /// Adds the types that it mentions to a schema.
    fn define_types(schema: &mut SchemaBuilder);
    /// What a value begins with where the model gives no default.
    fn initial() -> Self;

    /// Reads it in place.
    fn get(object: Object<'_>, key: Key) -> Self::Get<'_>;
    /// Changes it in place.
    fn edit(object: ObjectMut<'_>, key: Key) -> Self::Edit<'_>;
    /// Copies it out.
    ///
    /// # Errors
    ///
    /// What the Rust type cannot hold.
    fn read(object: Object<'_>, key: Key, copy: &mut Copying) -> Result<Self, ReadError>;
    /// Gives it to a new object.
    fn write(self, object: &mut NewObject<'_, '_>, key: Key);
}

/// A plain value that is always there: an unset property reads as the property's default or, without
/// one, as the type's.
impl<T: Plain> Field for T {
    type Kind = Single<T>;
    type Get<'a> = T::Borrowed<'a>;
    type Edit<'a> = T::Borrowed<'a>;

    fn type_name() -> String {
        T::type_name().to_owned()
    }

    fn define_types(schema: &mut SchemaBuilder) {
        T::define_types(schema);
    }

    fn initial() -> Self {
        T::unset()
    }

    fn get(object: Object<'_>, key: Key) -> T::Borrowed<'_> {
        plain::get_or_default::<T>(object, key)
    }

    fn edit(object: ObjectMut<'_>, key: Key) -> T::Borrowed<'_> {
        plain::get_or_default::<T>(object.into_object(), key)
    }

    fn read(object: Object<'_>, key: Key, _copy: &mut Copying) -> Result<Self, ReadError> {
        plain::read_or_default(object, key)
    }

    fn write(self, object: &mut NewObject<'_, '_>, key: Key) {
        plain::write(Some(self), object, key);
    }
}

impl<T: Element> Field for Option<T> {
    type Kind = <T::Family as Family<T>>::One;
    type Get<'a> = Option<<T::Family as Family<T>>::Get<'a>>;
    type Edit<'a> = Option<<T::Family as Family<T>>::Edit<'a>>;

    fn type_name() -> String {
        T::Family::type_name().to_owned()
    }

    fn define_types(schema: &mut SchemaBuilder) {
        T::Family::define_types(schema);
    }

    fn initial() -> Self {
        None
    }

    fn get(object: Object<'_>, key: Key) -> Self::Get<'_> {
        T::Family::get(object, key)
    }

    fn edit(object: ObjectMut<'_>, key: Key) -> Self::Edit<'_> {
        T::Family::edit(object, key)
    }

    fn read(object: Object<'_>, key: Key, copy: &mut Copying) -> Result<Self, ReadError> {
        T::Family::read(object, key, copy)
    }

    fn write(self, object: &mut NewObject<'_, '_>, key: Key) {
        T::Family::write(self, object, key);
    }
}

impl<T: Element> Field for Vec<T> {
    type Kind = <T::Family as Family<T>>::Many;
    type Get<'a> = <T::Family as Family<T>>::GetAll<'a>;
    type Edit<'a> = <T::Family as Family<T>>::EditAll<'a>;

    fn type_name() -> String {
        format!("[{}]", T::Family::type_name())
    }

    fn define_types(schema: &mut SchemaBuilder) {
        T::Family::define_types(schema);
    }

    fn initial() -> Self {
        Self::new()
    }

    fn get(object: Object<'_>, key: Key) -> Self::Get<'_> {
        T::Family::get_all(object, key)
    }

    fn edit(object: ObjectMut<'_>, key: Key) -> Self::Edit<'_> {
        T::Family::edit_all(object, key)
    }

    fn read(object: Object<'_>, key: Key, copy: &mut Copying) -> Result<Self, ReadError> {
        T::Family::read_all(object, key, copy)
    }

    fn write(self, object: &mut NewObject<'_, '_>, key: Key) {
        T::Family::write_all(self, object, key);
    }
}

/// A field with a single plain value, which may be unset or not: it can have a default.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` takes no default",
    label = "only plain values and enumerations have defaults: collections begin empty, references unset"
)]
pub trait SingleField: Sized {
    /// The value as a property holds it.
    ///
    /// # Errors
    ///
    /// Why no property can hold it.
    fn into_scalar(self) -> Result<Option<Scalar>, String>;

    /// The value as the default of a property.
    ///
    /// # Panics
    ///
    /// If no property can hold it.
    fn default_scalar(self) -> Option<Scalar> {
        self.into_scalar().unwrap_or_else(|message| panic!("the default is impossible: {message}"))
    }
}

impl<T: Plain> SingleField for T {
    fn into_scalar(self) -> Result<Option<Scalar>, String> {
        self.to_scalar().map(Some)
    }
}

impl<T: Plain> SingleField for Option<T> {
    fn into_scalar(self) -> Result<Option<Scalar>, String> {
        self.map(T::to_scalar).transpose()
    }
}
