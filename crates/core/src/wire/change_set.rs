//! Raw fragments into typed ones, against a scope's schema.
//!
//! Everything that can be known without the scope's objects is checked here, so that a
//! [`ChangeSet`] is typed and bounded. A fragment that fails stands as its [`Rejection`] in its place:
//! replies are by position, and the other fragments are judged without it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json;
use super::message::{Dialect, RawFragment};
use super::print;
use crate::ids::{ObjectId, SharedText};
use crate::limits::{Limit, Limits};
use crate::model::schema::EnumerationValues;
use crate::model::{
    ChangeSet, CollectionEdit, Enumeration, Fragment, FragmentKind, Model, ModelId, ProcedureName,
    Property, PropertyId, PropertyType, Rejection, Scalar, Schema, Value,
};
use crate::time::Timestamp;

/// Types fragments for one scope and one peer.
#[derive(Debug, Clone, Copy)]
pub struct Typing<'a> {
    /// The scope's models.
    pub schema: &'a Schema,
    /// What the sender speaks: below 1.0 the key `collections` means nothing.
    pub dialect: Dialect,
    /// How long texts and collections may be.
    pub limits: &'a Limits,
}

impl Typing<'_> {
    /// Types the fragments of one ScopeSync.
    ///
    /// Never fails as a whole: too many fragments, or a procedure that is none, refuse every fragment.
    pub fn change_set(
        &self,
        fragments: &[RawFragment],
        atomic: bool,
        procedure: Option<&str>,
    ) -> ChangeSet {
        let refused = |rejection: Rejection| ChangeSet {
            fragments: fragments.iter().map(|_| Err(rejection.clone())).collect(),
            atomic,
            procedure: None,
        };
        let max = self.limits.fragments_max;
        if fragments.len() > max {
            return refused(Rejection::beyond(
                Limit::Fragments,
                format!("more than {max} fragments"),
            ));
        }
        match procedure.map(|text| procedure_name(text, atomic)).transpose() {
            Err(rejection) => refused(rejection),
            Ok(procedure) => ChangeSet {
                fragments: fragments.iter().map(|fragment| self.fragment(fragment)).collect(),
                atomic,
                procedure,
            },
        }
    }

    /// Types one fragment.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with the name of the property and what was expected.
    pub fn fragment(&self, fragment: &RawValue) -> Result<Fragment, Rejection> {
        let [kind, object, model, properties, collections] =
            json::object(fragment.get(), &["type", "uuid", "clsName", "properties", "collections"])
                .map_err(|_| Rejection::fragment("a fragment is an object"))?;
        let kind = fragment_kind(kind)?;
        let object = uuid(object).ok_or_else(|| Rejection::fragment("uuid: expected a uuid"))?;
        let (model, _) = self.model(model)?;
        let mut fragment = Fragment::new(kind, object, model);
        if let Some(properties) = properties {
            self.read_properties(&mut fragment, properties)?;
        }
        if let Some(collections) = collections.filter(|_| self.dialect >= Dialect::V1) {
            self.read_collections(&mut fragment, collections)?;
        }
        if kind == FragmentKind::Remove {
            // Checked like any others, but a removal sets nothing.
            fragment = Fragment::new(kind, object, model);
        }
        Ok(fragment)
    }

    /// Types the properties of an object of `model`, such as the `modifications` of a reply.
    ///
    /// # Errors
    ///
    /// As [`fragment`](Self::fragment).
    pub fn properties(
        &self,
        model: ModelId,
        properties: &str,
    ) -> Result<Vec<(PropertyId, Value)>, Rejection> {
        let properties = serde_json::from_str(properties)
            .map_err(|_| Rejection::fragment("properties: expected an object"))?;
        // The object does not matter: nobody sees the fragment.
        let mut fragment = Fragment::new(FragmentKind::Change, ObjectId::NIL, model);
        self.read_properties(&mut fragment, properties)?;
        Ok(fragment.properties)
    }

    fn model(&self, name: Option<&RawValue>) -> Result<(ModelId, &Model), Rejection> {
        let name = name.and_then(json::string);
        let name = name.ok_or_else(|| Rejection::fragment("clsName: expected a string"))?;
        self.schema
            .find(&name)
            .ok_or_else(|| Rejection::fragment(format!("no model {}", quoted(&name))))
    }

    fn read_properties(&self, fragment: &mut Fragment, raw: &RawValue) -> Result<(), Rejection> {
        let model = self.schema.model(fragment.model);
        for (id, raw) in known_properties(model, "properties", raw)? {
            let property = model.property(id);
            let value = PropertyTyping { typing: self, model, property }.value(raw)?;
            if property.kind() == PropertyType::Date && !is_plain_seconds(&value, raw) {
                fragment.dates_as_sent.push((id, SharedText::from(raw.get())));
            }
            fragment.properties.push((id, value));
        }
        Ok(())
    }

    fn read_collections(&self, fragment: &mut Fragment, raw: &RawValue) -> Result<(), Rejection> {
        let model = self.schema.model(fragment.model);
        for (id, raw) in known_properties(model, "collections", raw)? {
            let property = model.property(id);
            let typed = PropertyTyping { typing: self, model, property };
            if fragment.properties.iter().any(|(other, _)| *other == id) {
                return Err(typed.rejection("stands both in properties and in collections"));
            }
            fragment.collections.push((id, typed.edits(raw)?));
        }
        Ok(())
    }
}

/// The entries of a dictionary by property, each property once: in the place of the first entry and with
/// the value of the last, as in JavaScript.
fn known_properties<'a>(
    model: &Model,
    key: &str,
    raw: &'a RawValue,
) -> Result<Vec<(PropertyId, &'a RawValue)>, Rejection> {
    let mut found: Vec<(PropertyId, &RawValue)> = Vec::new();
    let all_known = json::entries(raw.get(), |name, value| {
        let Some((id, _)) = model.find(&name) else {
            let (name, model) = (quoted(&name), quoted(model.name()));
            return Err(Rejection::fragment(format!("no property {name} on {model}")));
        };
        match found.iter_mut().find(|(other, _)| *other == id) {
            Some((_, earlier)) => *earlier = value,
            None => found.push((id, value)),
        }
        Ok(())
    });
    all_known.map_err(|_| Rejection::fragment(format!("{key}: expected an object")))??;
    Ok(found)
}

/// Types the value of one property.
struct PropertyTyping<'a> {
    typing: &'a Typing<'a>,
    model: &'a Model,
    property: &'a Property,
}

impl PropertyTyping<'_> {
    fn value(&self, raw: &RawValue) -> Result<Value, Rejection> {
        match (self.property.is_reference(), self.property.is_collection()) {
            (false, false) if raw.get() == "null" => Ok(Value::Scalar(None)),
            (false, false) => Ok(Value::Scalar(Some(self.scalar(raw)?))),
            (false, true) => self.collect(raw, |raw| self.scalar(raw)).map(Value::Scalars),
            (true, false) if raw.get() == "null" => Ok(Value::Reference(None)),
            (true, false) => Ok(Value::Reference(Some(self.reference(raw)?))),
            (true, true) => self.collect(raw, |raw| self.reference(raw)).map(Value::References),
        }
    }

    fn collect<T>(
        &self,
        raw: &RawValue,
        element: impl Fn(&RawValue) -> Result<T, Rejection>,
    ) -> Result<std::sync::Arc<[T]>, Rejection> {
        let elements = self.elements(raw)?;
        elements.into_iter().map(element).collect()
    }

    fn elements<'r>(&self, raw: &'r RawValue) -> Result<Vec<&'r RawValue>, Rejection> {
        let max = self.typing.limits.collection_elements_max;
        let elements =
            json::elements(raw.get(), max).map_err(|_| self.expected("an array", raw))?;
        elements.ok_or_else(|| {
            let message = self.about(&format!("more than {max} elements"));
            Rejection::beyond(Limit::CollectionElements, message)
        })
    }

    fn scalar(&self, raw: &RawValue) -> Result<Scalar, Rejection> {
        let (scalar, expected) = match self.property.kind() {
            PropertyType::String => {
                (self.text(raw)?.map(|text| Scalar::String(text.into())), "a string")
            }
            PropertyType::Number => (json::number(raw).map(Scalar::Number), "a number"),
            PropertyType::Boolean => (json::boolean(raw).map(Scalar::Boolean), "true or false"),
            PropertyType::Date => {
                (date(raw).map(Scalar::Date), "seconds since 1970 or an ISO-8601 date")
            }
            PropertyType::Enumeration(id) => {
                return self.enumeration_value(self.typing.schema.enumeration(id), raw);
            }
            PropertyType::Model(_) => unreachable!("a reference is no plain value"),
        };
        scalar.ok_or_else(|| self.expected(expected, raw))
    }

    fn text<'r>(&self, raw: &'r RawValue) -> Result<Option<Cow<'r, str>>, Rejection> {
        let max = self.typing.limits.string_bytes_max;
        match json::string(raw) {
            Some(text) if text.len() > max => {
                let message = self.about(&format!("a string of more than {max} bytes"));
                Err(Rejection::beyond(Limit::StringBytes, message))
            }
            text => Ok(text),
        }
    }

    fn enumeration_value(
        &self,
        enumeration: &Enumeration,
        raw: &RawValue,
    ) -> Result<Scalar, Rejection> {
        let found = match enumeration.values() {
            EnumerationValues::Strings(values) => json::string(raw)
                .and_then(|text| values.iter().find(|value| ***value == *text))
                .map(|value| Scalar::String(value.clone())),
            EnumerationValues::Integers(_) => json::number(raw).map(Scalar::Number),
        };
        found
            .filter(|scalar| enumeration.contains(scalar))
            .ok_or_else(|| self.expected(&format!("one of {}", values_of(enumeration)), raw))
    }

    fn reference(&self, raw: &RawValue) -> Result<ObjectId, Rejection> {
        uuid(Some(raw)).ok_or_else(|| self.expected("a uuid", raw))
    }

    fn edits(&self, raw: &RawValue) -> Result<Vec<CollectionEdit>, Rejection> {
        if !(self.property.is_reference() && self.property.is_collection()) {
            return Err(self.rejection("only a collection of objects can be edited in collections"));
        }
        let edits = self.elements(raw)?;
        edits
            .into_iter()
            .map(|edit| {
                collection_edit(edit)
                    .ok_or_else(|| self.expected("{insert, after} or {remove} with uuids", edit))
            })
            .collect()
    }

    fn expected(&self, expected: &str, found: &RawValue) -> Rejection {
        // A text of the right kind of JSON can still be wrong: not a uuid, not a value, not Unicode.
        let found = match json::kind(found) {
            "a string" => {
                json::string(found).map_or("a string that is no Unicode".into(), |s| quoted(&s))
            }
            kind => kind.to_owned(),
        };
        self.rejection(&format!("expected {expected}, found {found}"))
    }

    fn rejection(&self, what: &str) -> Rejection {
        Rejection::fragment(self.about(what))
    }

    fn about(&self, what: &str) -> String {
        format!(
            "property {} of {}: {what}",
            quoted(self.property.name()),
            quoted(self.model.name())
        )
    }
}

fn procedure_name(text: &str, atomic: bool) -> Result<ProcedureName, Rejection> {
    let name = ProcedureName::parse(text).ok_or_else(|| {
        Rejection::fragment(format!("procedure: expected \"Model.name\", found {}", quoted(text)))
    })?;
    if atomic {
        Ok(name)
    } else {
        Err(Rejection::fragment(format!("the procedure {name} is only called with atomic: true")))
    }
}

fn fragment_kind(raw: Option<&RawValue>) -> Result<FragmentKind, Rejection> {
    let kind = raw.and_then(json::string);
    let kind = kind.ok_or_else(|| Rejection::fragment("type: expected a string"))?;
    [FragmentKind::Add, FragmentKind::Change, FragmentKind::Remove, FragmentKind::MoveChange]
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| {
            Rejection::fragment(format!(
                "type: expected add, change, remove or movechange, found {}",
                quoted(&kind)
            ))
        })
}

fn collection_edit(raw: &RawValue) -> Option<CollectionEdit> {
    let fields = json::object(raw.get(), &["insert", "after", "remove"]).ok()?;
    match fields {
        [Some(object), Some(after), None] => Some(CollectionEdit::Insert {
            object: uuid(Some(object))?,
            after: if after.get() == "null" { None } else { Some(uuid(Some(after))?) },
        }),
        [None, None, Some(object)] => Some(CollectionEdit::Remove { object: uuid(Some(object))? }),
        _ => None,
    }
}

fn uuid(raw: Option<&RawValue>) -> Option<ObjectId> {
    json::string(raw?)?.parse().ok()
}

fn date(raw: &RawValue) -> Option<Timestamp> {
    match json::string(raw) {
        Some(text) => Timestamp::parse(&text),
        None => Timestamp::from_seconds(json::number(raw)?),
    }
}

/// Whether our own print of a date, or of a collection of dates, means the same as what was sent.
fn is_plain_seconds(value: &Value, raw: &RawValue) -> bool {
    let same = |scalar: &Scalar, raw: &RawValue| matches!(scalar, Scalar::Date(date) if json::number(raw) == Some(date.to_seconds()));
    match value {
        Value::Scalar(Some(scalar)) => same(scalar, raw),
        Value::Scalars(scalars) => match json::elements(raw.get(), scalars.len()) {
            Ok(Some(elements)) => scalars.iter().zip(elements).all(|(s, raw)| same(s, raw)),
            _ => false,
        },
        _ => true,
    }
}

fn values_of(enumeration: &Enumeration) -> String {
    let mut text = String::from("[");
    let mut value = |print: &dyn Fn(&mut String)| {
        if text.len() > 1 {
            text.push_str(", ");
        }
        print(&mut text);
    };
    match enumeration.values() {
        EnumerationValues::Strings(values) => {
            values.iter().for_each(|text| value(&|out| print::string(out, text)));
        }
        EnumerationValues::Integers(values) => {
            values.iter().for_each(|(_, number)| value(&|out| print::integer(out, *number)));
        }
    }
    text.push(']');
    text
}

/// What a client sent, as it may stand in an error: in quotes and not too long.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    match text.char_indices().nth(QUOTED_CHARACTERS_MAX) {
        None => print::string(&mut out, text),
        Some((end, _)) => {
            print::string(&mut out, &text[..end]);
            out.push('…');
        }
    }
    out
}

/// How much of what a client sent is quoted in an error. The client knows the rest.
const QUOTED_CHARACTERS_MAX: usize = 40;

#[cfg(test)]
mod tests;
