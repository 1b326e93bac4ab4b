//! Fragments and states into text.

use super::list;
use crate::ids::{ObjectId, SharedText};
use crate::model::{CollectionEdit, Fragment, FragmentKind, PropertyId, Scalar, Schema, Value};
use crate::wire::message::Dialect;
use crate::wire::print;

/// Fragments as a list, `[…]`, for one dialect.
///
/// Below 1.0, dates are written as their author sent them, and edits of collections are left out: the
/// scope turns what such a peer does not know into `change` fragments before.
pub fn fragments(schema: &Schema, fragments: &[Fragment], dialect: Dialect) -> SharedText {
    let mut out = String::with_capacity(64 + 192 * fragments.len());
    list(&mut out, fragments, |out, one| fragment(out, schema, one, dialect));
    out.into()
}

/// One fragment, as [`fragments`] writes it.
pub fn fragment(out: &mut String, schema: &Schema, fragment: &Fragment, dialect: Dialect) {
    let model = schema.model(fragment.model);
    let mut writer = FragmentWriter::begin(out, fragment.kind, fragment.object, model.name());
    for (id, value) in &fragment.properties {
        let name = model.property(*id).name();
        match as_sent(fragment, *id).filter(|_| dialect < Dialect::V1) {
            Some(text) => writer.raw(name, text),
            None => writer.value(name, value),
        }
    }
    if dialect >= Dialect::V1 {
        for (id, edits) in &fragment.collections {
            writer.edits(model.property(*id).name(), edits);
        }
    }
    writer.end();
}

/// Property values as an object, such as the `modifications` of a reply. Dates are seconds.
pub fn properties<'a>(values: impl IntoIterator<Item = (&'a str, &'a Value)>) -> SharedText {
    let mut out = String::from("{");
    for (name, one) in values {
        if out.len() > 1 {
            out.push(',');
        }
        print::string(&mut out, name);
        out.push(':');
        value(&mut out, one);
    }
    out.push('}');
    out.into()
}

/// What stands before the fragments of a state, which follow with commas between them; [`STATE_TAIL`] stands
/// behind them.
pub fn state_head(out: &mut String, root: ObjectId) {
    out.push_str("\"rootUUID\":");
    print::object_id(out, root);
    out.push_str(",\"fragments\":[");
}

/// What ends the body of a state.
pub const STATE_TAIL: &str = "]";

/// Writes one fragment, property by property.
#[derive(Debug)]
#[must_use = "a fragment must be ended"]
pub struct FragmentWriter<'a> {
    out: &'a mut String,
    part: Part,
}

/// Which of a fragment's dictionaries is being written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    /// None yet. `properties` stands on every kind but `remove`, even if empty.
    Head {
        has_properties: bool,
    },
    Properties,
    Collections,
}

impl<'a> FragmentWriter<'a> {
    /// Begins a fragment.
    pub fn begin(
        out: &'a mut String,
        kind: FragmentKind,
        object: ObjectId,
        class_name: &str,
    ) -> Self {
        out.push_str("{\"type\":\"");
        out.push_str(kind.as_str());
        out.push_str("\",\"uuid\":");
        print::object_id(out, object);
        out.push_str(",\"clsName\":");
        print::string(out, class_name);
        let has_properties = kind != FragmentKind::Remove;
        Self { out, part: Part::Head { has_properties } }
    }

    /// A plain value; `None` is unset.
    pub fn scalar(&mut self, name: &str, scalar: Option<&Scalar>) {
        self.property(name);
        optional(self.out, scalar, print::scalar);
    }

    /// A collection of plain values.
    pub fn scalars<'s>(&mut self, name: &str, scalars: impl IntoIterator<Item = &'s Scalar>) {
        self.property(name);
        list(self.out, scalars, print::scalar);
    }

    /// A reference; `None` is unset.
    pub fn reference(&mut self, name: &str, reference: Option<ObjectId>) {
        self.property(name);
        optional(self.out, reference, print::object_id);
    }

    /// A collection of references.
    pub fn references(&mut self, name: &str, references: impl IntoIterator<Item = ObjectId>) {
        self.property(name);
        list(self.out, references, print::object_id);
    }

    /// Any value.
    pub fn value(&mut self, name: &str, one: &Value) {
        self.property(name);
        value(self.out, one);
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) {
        self.property(name);
        self.out.push_str(json);
    }

    /// Edits of a collection of references. No property may follow.
    pub fn edits(&mut self, name: &str, edits: &[CollectionEdit]) {
        self.begin_properties();
        self.out.push_str(match self.part {
            Part::Head { .. } => ",\"collections\":{",
            Part::Properties => "},\"collections\":{",
            Part::Collections => ",",
        });
        self.part = Part::Collections;
        print::string(self.out, name);
        self.out.push(':');
        list(self.out, edits, collection_edit);
    }

    /// Ends the fragment.
    pub fn end(mut self) {
        self.begin_properties();
        self.out.push_str(match self.part {
            Part::Head { .. } => "}",
            Part::Properties | Part::Collections => "}}",
        });
    }

    fn begin_properties(&mut self) {
        if self.part == (Part::Head { has_properties: true }) {
            self.out.push_str(",\"properties\":{");
            self.part = Part::Properties;
        }
    }

    fn property(&mut self, name: &str) {
        debug_assert!(self.part != Part::Collections, "properties come before collections");
        match self.part {
            Part::Head { .. } => {
                self.out.push_str(",\"properties\":{");
                self.part = Part::Properties;
            }
            Part::Properties | Part::Collections => self.out.push(','),
        }
        print::string(self.out, name);
        self.out.push(':');
    }
}

fn value(out: &mut String, value: &Value) {
    match value {
        Value::Scalar(scalar) => optional(out, scalar.as_ref(), print::scalar),
        Value::Scalars(scalars) => list(out, scalars.iter(), print::scalar),
        Value::Reference(reference) => optional(out, *reference, print::object_id),
        Value::References(references) => list(out, references.iter().copied(), print::object_id),
    }
}

fn collection_edit(out: &mut String, edit: &CollectionEdit) {
    match *edit {
        CollectionEdit::Insert { object, after } => {
            out.push_str("{\"insert\":");
            print::object_id(out, object);
            out.push_str(",\"after\":");
            optional(out, after, print::object_id);
        }
        CollectionEdit::Remove { object } => {
            out.push_str("{\"remove\":");
            print::object_id(out, object);
        }
    }
    out.push('}');
}

fn optional<T>(out: &mut String, value: Option<T>, print: impl FnOnce(&mut String, T)) {
    match value {
        Some(value) => print(out, value),
        None => out.push_str("null"),
    }
}

/// The text that a date property's author sent, if it was no plain number of seconds.
fn as_sent(fragment: &Fragment, property: PropertyId) -> Option<&SharedText> {
    let sent = &fragment.dates_as_sent;
    sent.iter().find(|(id, _)| *id == property).map(|(_, text)| text)
}
