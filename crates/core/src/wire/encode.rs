//! Messages, fragments and states into text.
//!
//! A server's message is a small head that differs from session to session, a body that many sessions
//! share, and a brace: so a broadcast is encoded once. Bodies are made here from typed fragments, or
//! written property by property with [`StateWriter`], without values in between.

use super::message::{ClientBody, Dialect, FragmentReply};
use super::print;
use crate::ids::{MessageIndex, ObjectId, ScopeIndex, SharedText};
use crate::model::{
    CollectionEdit, Fragment, FragmentKind, PropertyId, Rejection, Scalar, Schema, Value,
};

/// What stands before the body of a `ScopeState`; [`TAIL`] stands behind it.
pub fn scope_state_head(out: &mut String, index: MessageIndex, scope: ScopeIndex) {
    head(out, "ScopeState", index);
    field(out, "scopeIndex", scope.0.into());
    out.push(',');
}

/// What stands before the fragments of a `ScopeSync`; [`TAIL`] stands behind them.
pub fn scope_sync_head(out: &mut String, index: MessageIndex, scope: ScopeIndex) {
    head(out, "ScopeSync", index);
    field(out, "scopeIndex", scope.0.into());
    out.push_str(",\"fragments\":");
}

/// What stands before the replies of a `ScopeSyncReply`; [`TAIL`] stands behind them.
pub fn scope_sync_reply_head(out: &mut String, index: MessageIndex, reply_to: MessageIndex) {
    head(out, "ScopeSyncReply", index);
    field(out, "replyTo", reply_to.0);
    out.push_str(",\"fragmentReplies\":");
}

/// What ends every message.
pub const TAIL: &str = "}";

/// A whole `ScopeFetchReply`.
pub fn scope_fetch_reply(
    out: &mut String,
    index: MessageIndex,
    reply_to: MessageIndex,
    result: &Result<ScopeIndex, Rejection>,
) {
    head(out, "ScopeFetchReply", index);
    field(out, "replyTo", reply_to.0);
    match result {
        Ok(scope) => field(out, "scopeIndex", scope.0.into()),
        Err(error) => error_field(out, error),
    }
    out.push_str(TAIL);
}

/// A whole `Ping`, of either side.
pub fn ping(out: &mut String, ack: MessageIndex, resend_missing: bool) {
    head(out, "Ping", MessageIndex(0));
    field(out, "ack", ack.0);
    out.push_str(if resend_missing {
        ",\"resendMissing\":true}"
    } else {
        ",\"resendMissing\":false}"
    });
}

/// A whole `SessionCreateReply`: the token, or why there is none.
///
/// The same for peers of every version: clients of the original send versions beyond 1.0, too, and
/// recorded exchanges have these keys and no others.
pub fn session_create_reply(out: &mut String, result: Result<&str, &Rejection>) {
    head(out, "SessionCreateReply", MessageIndex(0));
    match result {
        Ok(token) => {
            out.push_str(",\"sessionToken\":");
            print::string(out, token);
        }
        Err(error) => error_field(out, error),
    }
    out.push_str(TAIL);
}

/// A whole message of a client. `ack` is written on any message where it is given (1.0).
pub fn client_message(
    out: &mut String,
    index: MessageIndex,
    ack: Option<MessageIndex>,
    body: &ClientBody,
) {
    client_head(out, body.kind(), index, ack);
    client_fields(out, body);
    out.push_str(TAIL);
}

/// What stands before a client message's own fields.
pub fn client_head(out: &mut String, kind: &str, index: MessageIndex, ack: Option<MessageIndex>) {
    head(out, kind, index);
    if let Some(ack) = ack {
        field(out, "ack", ack.0);
    }
}

/// A client message's own fields, each with a comma before it; [`TAIL`] stands behind them.
pub fn client_fields(out: &mut String, body: &ClientBody) {
    match body {
        ClientBody::SessionCreate { params, version } => {
            params_field(out, params);
            out.push_str(",\"version\":");
            print::string(out, &version.to_string());
        }
        ClientBody::ScopeFetch { name, params } => {
            out.push_str(",\"name\":");
            print::string(out, name);
            params_field(out, params);
        }
        ClientBody::ScopeSync { scope_index, fragments, atomic, procedure } => {
            field(out, "scopeIndex", scope_index.0.into());
            out.push_str(if *atomic { ",\"atomic\":true" } else { ",\"atomic\":false" });
            if let Some(procedure) = procedure {
                out.push_str(",\"procedure\":");
                print::string(out, procedure);
            }
            out.push_str(",\"fragments\":");
            list(out, fragments, |out, fragment| out.push_str(fragment.get()));
        }
        ClientBody::ScopeUnfetch { scope_index } => {
            field(out, "scopeIndex", scope_index.0.into());
        }
        ClientBody::SessionClose => {}
        ClientBody::Ping { resend_missing } => out.push_str(if *resend_missing {
            ",\"resendMissing\":true"
        } else {
            ",\"resendMissing\":false"
        }),
        ClientBody::Reply { reply_to } => field(out, "replyTo", reply_to.0),
    }
}

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

/// The entries of a `ScopeSyncReply` as a list, `[…]`.
pub fn fragment_replies(replies: &[FragmentReply]) -> SharedText {
    let mut out = String::with_capacity(2 + 3 * replies.len());
    list(&mut out, replies, |out, reply| {
        out.push('{');
        if let Some(rejection) = &reply.error {
            out.push_str("\"error\":");
            error(out, rejection);
        }
        if let Some(modifications) = &reply.modifications {
            out.push_str(if reply.error.is_some() {
                ",\"modifications\":"
            } else {
                "\"modifications\":"
            });
            out.push_str(modifications);
        }
        out.push('}');
    });
    out.into()
}

/// An error object, `{"message":…,"type":…}`.
pub fn error(out: &mut String, rejection: &Rejection) {
    out.push_str("{\"message\":");
    print::string(out, &rejection.message);
    if let Some(code) = &rejection.code {
        out.push_str(",\"type\":");
        print::string(out, code);
    }
    out.push('}');
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

/// Writes the body of a `ScopeState`, object by object: the root first.
#[derive(Debug)]
pub struct StateWriter {
    text: String,
    empty: bool,
}

impl StateWriter {
    /// Begins the state of a scope with this root.
    pub fn new(root: ObjectId) -> Self {
        let mut text = String::from("\"rootUUID\":");
        print::object_id(&mut text, root);
        text.push_str(",\"fragments\":[");
        Self { text, empty: true }
    }

    /// Begins the next object; it must be ended before another begins.
    pub fn fragment(
        &mut self,
        kind: FragmentKind,
        object: ObjectId,
        class_name: &str,
    ) -> FragmentWriter<'_> {
        if !std::mem::take(&mut self.empty) {
            self.text.push(',');
        }
        FragmentWriter::begin(&mut self.text, kind, object, class_name)
    }

    /// How long the state has become, in bytes.
    pub fn byte_length(&self) -> usize {
        self.text.len()
    }

    /// The finished body.
    pub fn finish(mut self) -> SharedText {
        self.text.push(']');
        self.text.into()
    }
}

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

fn head(out: &mut String, kind: &str, index: MessageIndex) {
    out.push_str("{\"type\":\"");
    out.push_str(kind);
    out.push_str("\",\"index\":");
    print::unsigned(out, index.0);
}

fn field(out: &mut String, name: &str, number: u64) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    print::unsigned(out, number);
}

fn error_field(out: &mut String, rejection: &Rejection) {
    out.push_str(",\"error\":");
    error(out, rejection);
}

fn params_field(out: &mut String, params: &serde_json::Map<String, serde_json::Value>) {
    out.push_str(",\"params\":");
    any_object(out, params);
}

fn any_object(out: &mut String, object: &serde_json::Map<String, serde_json::Value>) {
    out.push('{');
    for (place, (name, one)) in object.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        print::string(out, name);
        out.push(':');
        any(out, one);
    }
    out.push('}');
}

/// What an application handed us as JSON. Its depth is the application's own affair.
fn any(out: &mut String, one: &serde_json::Value) {
    use serde_json::Value as Json;
    match one {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) => print::number(out, number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => print::string(out, text),
        Json::Array(elements) => list(out, elements, any),
        Json::Object(object) => any_object(out, object),
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

fn list<T>(
    out: &mut String,
    elements: impl IntoIterator<Item = T>,
    print: impl Fn(&mut String, T),
) {
    out.push('[');
    for (place, element) in elements.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        print(out, element);
    }
    out.push(']');
}

/// The text that a date property's author sent, if it was no plain number of seconds.
fn as_sent(fragment: &Fragment, property: PropertyId) -> Option<&SharedText> {
    let sent = &fragment.dates_as_sent;
    sent.iter().find(|(id, _)| *id == property).map(|(_, text)| text)
}

#[cfg(test)]
mod tests;
