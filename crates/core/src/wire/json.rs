//! Reading JSON without building values: objects into the raw texts of the keys that matter.
//!
//! Raw texts are found without recursion, so that nesting costs no stack, and the last of several equal
//! keys wins, as in JavaScript.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::schema::MAX_SAFE_INTEGER;

/// The raw values of the keys `names`, each at the place of its name. Other keys are skipped.
///
/// # Errors
///
/// A syntax error, or a data error where the text is no object.
pub(super) fn object<'a, const N: usize>(
    text: &'a str,
    names: &[&str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let mut found = [None; N];
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Slots { names, found: &mut found })?;
    reader.end()?;
    Ok(found)
}

/// All keys and raw values, in order, handed to `each` until it fails.
///
/// # Errors
///
/// `Ok(Err(_))`: what `each` returned; otherwise as for [`object`].
pub(super) fn entries<'a, E>(
    text: &'a str,
    each: impl FnMut(Cow<'a, str>, &'a RawValue) -> Result<(), E>,
) -> Result<Result<(), E>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let result = reader.deserialize_map(Entries { each, marker: PhantomData })?;
    if result.is_ok() {
        reader.end()?;
    }
    Ok(result)
}

/// The raw elements of an array, or `None` if there are more than `max`.
///
/// # Errors
///
/// A syntax error, or a data error where the text is no array.
pub(super) fn elements(
    text: &str,
    max: usize,
) -> Result<Option<Vec<&RawValue>>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let elements = reader.deserialize_seq(Elements { max })?;
    reader.end()?;
    Ok(elements)
}

/// A text as it was meant, with its escapes resolved. `None`: no text, or one that is no Unicode (an
/// unpaired surrogate).
pub(super) fn string<'a>(value: &'a RawValue) -> Option<Cow<'a, str>> {
    let text = value.get();
    // Most texts have no escapes, and what stands between the quotes is then the text itself.
    if let Some(plain) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
        && !plain.contains('\\')
    {
        return Some(Cow::Borrowed(plain));
    }
    serde_json::from_str::<String>(text).ok().map(Cow::Owned)
}

/// A whole number that JavaScript holds exactly and that is not negative, in whatever form it is
/// written.
pub(super) fn index(value: &RawValue) -> Option<u64> {
    let text = value.get();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|&number| number <= MAX_SAFE_INTEGER);
    }
    let number = number(value)?;
    let whole = number >= 0.0 && number.fract() == 0.0 && number <= MAX_SAFE_INTEGER as f64;
    whole.then_some(number as u64)
}

/// A finite number; -0 becomes 0, which is how it is printed.
pub(super) fn number(value: &RawValue) -> Option<f64> {
    // Only numbers begin so; without the question `serde_json` would build an error for every text.
    if !value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return None;
    }
    serde_json::from_str::<f64>(value.get()).ok().map(|number| number + 0.0)
}

/// `true` or `false`.
pub(super) fn boolean(value: &RawValue) -> Option<bool> {
    match value.get() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// What kind of value a raw text is, for errors.
pub(super) fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

struct Slots<'n, 'f, 'a, const N: usize> {
    names: &'n [&'n str; N],
    found: &'f mut [Option<&'a RawValue>; N],
}

impl<'a, const N: usize> Visitor<'a> for Slots<'_, '_, 'a, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(slot) = map.next_key_seed(Slot(self.names))? {
            match slot {
                Some(slot) => self.found[slot] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A key as the place of its name.
struct Slot<'n>(&'n [&'n str]);

impl<'a> DeserializeSeed<'a> for Slot<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Slot<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

struct Entries<'a, F, E> {
    each: F,
    marker: PhantomData<fn(&'a str) -> E>,
}

impl<'a, E, F> Visitor<'a> for Entries<'a, F, E>
where
    F: FnMut(Cow<'a, str>, &'a RawValue) -> Result<(), E>,
{
    type Value = Result<(), E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<Self::Value, M::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            let value = map.next_value()?;
            if let Err(error) = (self.each)(key, value) {
                // The rest must still be read: a visitor that stops early is an error of its own.
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

/// A key as text, borrowed where it has no escapes.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

struct Elements {
    max: usize,
}

impl<'a> Visitor<'a> for Elements {
    type Value = Option<Vec<&'a RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            if elements.len() == self.max {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            elements.push(element);
        }
        Ok(Some(elements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_last_of_several_equal_keys_wins_and_unknown_keys_are_skipped() {
        let [a, b, c] =
            object(r#"{"a":1,"x":[[{}]],"b":"two","\u0061":3}"#, &["a", "b", "c"]).unwrap();
        assert_eq!(a.unwrap().get(), "3");
        assert_eq!(b.unwrap().get(), "\"two\"");
        assert!(c.is_none());
    }

    #[test]
    fn an_index_is_a_whole_number_in_any_form() {
        let cases = [
            ("0", Some(0)),
            ("12", Some(12)),
            ("1.0", Some(1)),
            ("1e0", Some(1)),
            ("-0", Some(0)),
            ("9007199254740991", Some(9_007_199_254_740_991)),
            ("9007199254740992", None),
            ("1e300", None),
            ("1e400", None),
            ("1.5", None),
            ("-1", None),
            ("\"1\"", None),
            ("null", None),
            ("true", None),
            ("[1]", None),
        ];
        for (text, expected) in cases {
            assert_eq!(index(raw(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_text_with_an_unpaired_surrogate_is_none() {
        assert_eq!(string(raw(r#""plain""#)).as_deref(), Some("plain"));
        assert_eq!(string(raw(r#""a\u00e9\ud83d\ude00""#)).as_deref(), Some("aé😀"));
        assert_eq!(string(raw(r#""x\ud800y""#)), None);
        assert_eq!(string(raw("5")), None);
        assert_eq!(string(raw(r#""""#)).as_deref(), Some(""));
    }

    #[test]
    fn more_elements_than_allowed_are_none() {
        assert_eq!(elements("[1,2]", 2).unwrap().unwrap().len(), 2);
        assert!(elements("[1,2,3]", 2).unwrap().is_none());
        assert!(elements("[1,2,3", 2).is_err());
        assert!(elements("{}", 2).is_err());
    }
}
