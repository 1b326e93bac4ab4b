//! Plain values: texts, numbers, booleans, dates and enumerations.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jetstream_core::model::schema::{EnumerationValues, MAX_SAFE_INTEGER};
use jetstream_core::model::{Scalar, SchemaBuilder, Value};
use jetstream_core::time::Timestamp;

use crate::element::{Single, Whole};
use crate::{
    Copying, Element, Family, Key, NewObject, Object, ObjectMut, ReadError, Values, ValuesMut,
};

/// A type whose values an object contains, rather than refers to.
///
/// Implemented for the plain types and, through [`Enumeration`], by `#[derive(Model)]` on enums.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no plain value",
    label = "plain are `String`, `f64`, `f32`, integers, `bool`, `Timestamp`, `SystemTime` and enumerations",
    note = "a reference to another model can always be unset: write `Option<M>` or `Option<Id<M>>`"
)]
pub trait Plain: Sized + 'static {
    /// What reading one in place gives: `&str` for a `String`; for integers a `Result`, since a
    /// `Number` may hold what is no integer.
    type Borrowed<'a>;

    /// The name of the type in a schema.
    fn type_name() -> &'static str;
    /// Adds the type to a schema, if it is an enumeration.
    fn define_types(schema: &mut SchemaBuilder) {
        let _ = schema;
    }

    /// What an unset property reads as where `Option` does not say that it is unset.
    fn unset() -> Self;
    /// The same in place.
    fn borrow_unset<'a>() -> Self::Borrowed<'a>;
    /// Reads a value of the schema's type in place. `read_error` puts an error in its context.
    fn borrow(scalar: &Scalar, read_error: impl FnOnce(String) -> ReadError) -> Self::Borrowed<'_>;

    /// Copies a value of the schema's type out.
    ///
    /// # Errors
    ///
    /// Why the Rust type cannot hold it.
    fn from_scalar(scalar: &Scalar) -> Result<Self, String>;
    /// The value as a property holds it.
    ///
    /// # Errors
    ///
    /// Why no property can hold it.
    fn to_scalar(self) -> Result<Scalar, String>;
}

/// The family of all [`Plain`] types.
pub struct PlainFamily;

impl<T: Plain> Family<T> for PlainFamily {
    type One = Single<Option<T>>;
    type Many = Whole<T>;
    type Get<'a> = T::Borrowed<'a>;
    type GetAll<'a> = Values<'a, T>;
    type Edit<'a> = T::Borrowed<'a>;
    type EditAll<'a> = ValuesMut<'a, T>;

    fn type_name() -> &'static str {
        T::type_name()
    }

    fn define_types(schema: &mut SchemaBuilder) {
        T::define_types(schema);
    }

    fn get(object: Object<'_>, key: Key) -> Option<T::Borrowed<'_>> {
        let scalar = object.scalar(key)?;
        Some(T::borrow(scalar, |message| object.read_error(key, message)))
    }

    fn get_all(object: Object<'_>, key: Key) -> Values<'_, T> {
        Values::new(object, key)
    }

    fn edit(object: ObjectMut<'_>, key: Key) -> Option<T::Borrowed<'_>> {
        <Self as Family<T>>::get(object.into_object(), key)
    }

    fn edit_all(object: ObjectMut<'_>, key: Key) -> ValuesMut<'_, T> {
        ValuesMut::new(object, key)
    }

    fn read(object: Object<'_>, key: Key, _copy: &mut Copying) -> Result<Option<T>, ReadError> {
        object.scalar(key).map(|scalar| copy(scalar, object, key)).transpose()
    }

    fn read_all(object: Object<'_>, key: Key, _copy: &mut Copying) -> Result<Vec<T>, ReadError> {
        object.scalars(key).iter().map(|scalar| copy(scalar, object, key)).collect()
    }

    fn write(value: Option<T>, object: &mut NewObject<'_, '_>, key: Key) {
        write(value, object, key);
    }

    fn write_all(values: Vec<T>, object: &mut NewObject<'_, '_>, key: Key) {
        match values.into_iter().map(T::to_scalar).collect::<Result<Arc<[_]>, _>>() {
            Ok(scalars) => object.set(key, Value::Scalars(scalars)),
            Err(message) => object.mistake(key, message),
        }
    }
}

fn copy<T: Plain>(scalar: &Scalar, object: Object<'_>, key: Key) -> Result<T, ReadError> {
    T::from_scalar(scalar).map_err(|message| object.read_error(key, message))
}

pub(crate) fn write<T: Plain>(value: Option<T>, object: &mut NewObject<'_, '_>, key: Key) {
    match value.map(T::to_scalar).transpose() {
        Ok(scalar) => object.set(key, Value::Scalar(scalar)),
        Err(message) => object.mistake(key, message),
    }
}

pub(crate) fn get_or_default<T: Plain>(object: Object<'_>, key: Key) -> T::Borrowed<'_> {
    match object.scalar_or_default(key) {
        Some(scalar) => T::borrow(scalar, |message| object.read_error(key, message)),
        None => T::borrow_unset(),
    }
}

pub(crate) fn read_or_default<T: Plain>(object: Object<'_>, key: Key) -> Result<T, ReadError> {
    match object.scalar_or_default(key) {
        Some(scalar) => copy(scalar, object, key),
        None => Ok(T::unset()),
    }
}

/// The schema says what kind of value a property holds, and it was compared with the program's models.
fn wrong_kind(scalar: &Scalar) -> ! {
    unreachable!("{scalar:?} is not of the property's type")
}

impl Element for String {
    type Family = PlainFamily;
}

impl Plain for String {
    type Borrowed<'a> = &'a str;

    fn type_name() -> &'static str {
        "String"
    }

    fn unset() -> Self {
        Self::new()
    }

    fn borrow_unset<'a>() -> Self::Borrowed<'a> {
        ""
    }

    fn borrow(scalar: &Scalar, _: impl FnOnce(String) -> ReadError) -> &str {
        match scalar {
            Scalar::String(text) => text,
            other => wrong_kind(other),
        }
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, String> {
        match scalar {
            Scalar::String(text) => Ok(text.to_string()),
            other => wrong_kind(other),
        }
    }

    fn to_scalar(self) -> Result<Scalar, String> {
        Ok(Scalar::String(self.into()))
    }
}

/// A plain type that is read in place as itself and can hold all that the schema allows.
macro_rules! plain_copy {
    ($type:ty, $name:literal, $unset:expr, $kind:ident, $from:expr, $to:expr) => {
        impl Element for $type {
            type Family = PlainFamily;
        }

        impl Plain for $type {
            type Borrowed<'a> = Self;

            fn type_name() -> &'static str {
                $name
            }

            fn unset() -> Self {
                $unset
            }

            fn borrow_unset<'a>() -> Self::Borrowed<'a> {
                $unset
            }

            fn borrow(scalar: &Scalar, _: impl FnOnce(String) -> ReadError) -> Self {
                match scalar {
                    Scalar::$kind(value) => $from(*value),
                    other => wrong_kind(other),
                }
            }

            fn from_scalar(scalar: &Scalar) -> Result<Self, String> {
                match scalar {
                    Scalar::$kind(value) => Ok($from(*value)),
                    other => wrong_kind(other),
                }
            }

            fn to_scalar(self) -> Result<Scalar, String> {
                $to(self).map(Scalar::$kind)
            }
        }
    };
}

plain_copy!(f64, "Number", 0.0, Number, |number| number, finite);
plain_copy!(f32, "Number", 0.0, Number, |number: f64| number as f32, |number| finite(f64::from(
    number
)));
plain_copy!(bool, "Boolean", false, Boolean, |boolean| boolean, Ok);
plain_copy!(Timestamp, "Date", Timestamp(0), Date, |date| date, known_date);
plain_copy!(SystemTime, "Date", UNIX_EPOCH, Date, system_time, timestamp);

fn finite(number: f64) -> Result<f64, String> {
    if number.is_finite() { Ok(number) } else { Err(format!("{number} is no finite number")) }
}

fn known_date(date: Timestamp) -> Result<Timestamp, String> {
    if (-Timestamp::MAX_MILLIS..=Timestamp::MAX_MILLIS).contains(&date.0) {
        Ok(date)
    } else {
        Err("the date is outside the years that JavaScript knows".to_owned())
    }
}

fn system_time(date: Timestamp) -> SystemTime {
    let distance = Duration::from_millis(date.0.unsigned_abs());
    let time = if date.0 < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    // Some platforms know no time before 1601; what a client sets must not make them panic.
    time.unwrap_or(UNIX_EPOCH)
}

/// Rounded down to the millisecond, before 1970 as after it.
fn timestamp(time: SystemTime) -> Result<Timestamp, String> {
    let millis = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_nanos().div_ceil(1_000_000));
            whole.map(|millis| -millis)
        }
    };
    known_date(Timestamp(millis.unwrap_or(i64::MAX)))
}

macro_rules! plain_integer {
    ($($type:ident)*) => {$(
        impl Element for $type {
            type Family = PlainFamily;
        }

        impl Plain for $type {
            type Borrowed<'a> = Result<Self, ReadError>;

            fn type_name() -> &'static str {
                "Number"
            }

            fn unset() -> Self {
                0
            }

            fn borrow_unset<'a>() -> Self::Borrowed<'a> {
                Ok(0)
            }

            fn borrow(
                scalar: &Scalar,
                read_error: impl FnOnce(String) -> ReadError,
            ) -> Result<Self, ReadError> {
                Self::from_scalar(scalar).map_err(read_error)
            }

            fn from_scalar(scalar: &Scalar) -> Result<Self, String> {
                let Scalar::Number(number) = scalar else { wrong_kind(scalar) };
                integer(*number)
                    .and_then(|integer| Self::try_from(integer).ok())
                    .ok_or_else(|| format!("{number} is no {}", stringify!($type)))
            }

            fn to_scalar(self) -> Result<Scalar, String> {
                let exact = i64::try_from(self).ok();
                match exact.filter(|integer| integer.unsigned_abs() <= MAX_SAFE_INTEGER) {
                    Some(integer) => Ok(Scalar::Number(integer as f64)),
                    None => Err(format!("{self} is no exact number in JavaScript (±2^53 - 1)")),
                }
            }
        }
    )*};
}

plain_integer!(i8 i16 i32 i64 u8 u16 u32 u64);

/// The number as an integer, if it is one and JavaScript can tell it from its neighbours.
fn integer(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64).then_some(number as i64)
}

/// An enum as a named set of values. Derived with `#[derive(Model)]`.
pub trait Enumeration: Sized + 'static {
    /// The name in a schema.
    const NAME: &'static str;
    /// All values, in the order of the variants.
    const VALUES: EnumerationTable;

    /// The place of this value in the table.
    fn index(&self) -> usize;
    /// The value at a place of the table.
    fn from_index(index: usize) -> Option<Self>;
}

/// The values of an [`Enumeration`] as they go over the wire.
#[derive(Debug, Clone, Copy)]
pub enum EnumerationTable {
    /// Texts.
    Strings(&'static [&'static str]),
    /// Names of integers, and the integers.
    Integers(&'static [(&'static str, i64)]),
}

impl EnumerationTable {
    /// The same for a schema.
    pub fn to_values(self) -> EnumerationValues {
        match self {
            Self::Strings(values) => {
                EnumerationValues::Strings(values.iter().map(|value| (*value).into()).collect())
            }
            Self::Integers(values) => EnumerationValues::Integers(
                values.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
            ),
        }
    }

    fn position(self, scalar: &Scalar) -> Option<usize> {
        match (self, scalar) {
            (Self::Strings(values), Scalar::String(text)) => {
                values.iter().position(|value| **value == **text)
            }
            (Self::Integers(values), Scalar::Number(number)) => {
                values.iter().position(|(_, value)| *value as f64 == *number)
            }
            _ => None,
        }
    }

    fn scalar(self, index: usize) -> Scalar {
        match self {
            Self::Strings(values) => values[index].into(),
            Self::Integers(values) => Scalar::Number(values[index].1 as f64),
        }
    }
}

/// Reads a value of the enumeration.
pub fn enumeration_value<E: Enumeration>(scalar: &Scalar) -> E {
    let found = E::VALUES.position(scalar).and_then(E::from_index);
    found.unwrap_or_else(|| wrong_kind(scalar))
}

/// The value as a property holds it.
pub fn enumeration_scalar<E: Enumeration>(value: &E) -> Scalar {
    E::VALUES.scalar(value.index())
}
