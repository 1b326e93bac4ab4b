//! Collections of plain values: `Vec<String>` in a model.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use jetstream_core::model::{Scalar, Value};

use crate::{Key, Object, ObjectMut, Plain};

/// Reads a collection of plain values in place.
pub struct Values<'a, T> {
    object: Object<'a>,
    key: Key,
    element: PhantomData<fn() -> T>,
}

impl<T> Clone for Values<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Values<'_, T> {}

impl<'a, T: Plain> Values<'a, T> {
    pub(crate) const fn new(object: Object<'a>, key: Key) -> Self {
        Self { object, key, element: PhantomData }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.scalars().len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.scalars().is_empty()
    }

    /// All values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T::Borrowed<'a>> + use<'a, T> {
        let (object, key) = (self.object, self.key);
        let borrow = move |scalar| T::borrow(scalar, |message| object.read_error(key, message));
        self.scalars().iter().map(borrow)
    }

    /// The value at a place, counted from 0.
    pub fn get(&self, index: usize) -> Option<T::Borrowed<'a>> {
        self.iter().nth(index)
    }

    fn scalars(&self) -> &'a [Scalar] {
        self.object.scalars(self.key)
    }
}

impl<'a, T: Plain> IntoIterator for Values<'a, T> {
    type Item = T::Borrowed<'a>;
    type IntoIter = Box<dyn Iterator<Item = T::Borrowed<'a>> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl<T: Plain> fmt::Debug for Values<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.scalars()).finish()
    }
}

/// Changes a collection of plain values within a transaction.
///
/// Such a collection is sent whole: every change of it costs its length.
pub struct ValuesMut<'a, T> {
    object: ObjectMut<'a>,
    key: Key,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Plain> ValuesMut<'a, T> {
    pub(crate) const fn new(object: ObjectMut<'a>, key: Key) -> Self {
        Self { object, key, element: PhantomData }
    }

    /// The same, only to be read.
    pub fn as_ref(&self) -> Values<'_, T> {
        Values::new(self.object.as_object(), self.key)
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// Puts a value at the end.
    pub fn push(&mut self, value: impl Into<T>) {
        self.insert(usize::MAX, value);
    }

    /// Puts a value at a place counted from 0; past the end, at the end.
    pub fn insert(&mut self, index: usize, value: impl Into<T>) {
        match value.into().to_scalar() {
            Ok(scalar) => self.change(|scalars| scalars.insert(index.min(scalars.len()), scalar)),
            Err(message) => self.object.mistake(self.key, message),
        }
    }

    /// Takes out the value at a place, counted from 0. `false` past the end.
    pub fn remove(&mut self, index: usize) -> bool {
        let there = index < self.len();
        if there {
            self.change(|scalars| {
                scalars.remove(index);
            });
        }
        there
    }

    /// Keeps only the values that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(T::Borrowed<'_>) -> bool) {
        let kept: Vec<bool> = self.as_ref().iter().map(&mut keep).collect();
        let mut kept = kept.into_iter();
        self.change(|scalars| scalars.retain(|_| kept.next().unwrap_or(true)));
    }

    /// Takes out all values.
    pub fn clear(&mut self) {
        self.change(Vec::clear);
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<Scalar>)) {
        let mut scalars = self.object.as_object().scalars(self.key).to_vec();
        change(&mut scalars);
        self.object.set(self.key, Value::Scalars(Arc::from(scalars)));
    }
}

impl<T: Plain> fmt::Debug for ValuesMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
