//! Messages, fragments and states into text.
//!
//! A server's message is a small head that differs from session to session, a body that many sessions
//! share, and a brace: so a broadcast is encoded once. Bodies are made here from typed fragments, or
//! written property by property with [`FragmentWriter`], without values in between.

use super::message::{ClientBody, FragmentReply};
use super::print;
use crate::ids::{MessageIndex, ScopeIndex, SharedText};
use crate::model::Rejection;

mod fragment;

pub use fragment::{FragmentWriter, STATE_TAIL, fragment, fragments, properties, state_head};

/// What stands before the body of a `ScopeState`; [`TAIL`] stands behind it.
pub fn scope_state_head(out: &mut String, index: MessageIndex, scope: ScopeIndex) {
    head(out, "ScopeState", index);
    field(out, "scopeIndex", scope.0.into());
    out.push(',');
}

/// What stands before the fragments of a `ScopeSync`; [`TAIL`] stands behind them.
///
/// In as few pieces as there can be: each change of a scope is headed anew for each of its members.
pub fn scope_sync_head(out: &mut String, index: MessageIndex, scope: ScopeIndex) {
    out.push_str("{\"type\":\"ScopeSync\",\"index\":");
    print::unsigned(out, index.0);
    out.push_str(",\"scopeIndex\":");
    print::unsigned(out, scope.0.into());
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
    result: Result<ScopeIndex, &Rejection>,
) {
    head(out, "ScopeFetchReply", index);
    field(out, "replyTo", reply_to.0);
    match result {
        Ok(scope) => field(out, "scopeIndex", scope.0.into()),
        Err(error) => error_field(out, error),
    }
    out.push_str(TAIL);
}

/// A whole `Reply` of a server.
pub fn reply(
    out: &mut String,
    index: MessageIndex,
    reply_to: MessageIndex,
    error: Option<&Rejection>,
) {
    head(out, "Reply", index);
    field(out, "replyTo", reply_to.0);
    if let Some(error) = error {
        error_field(out, error);
    }
    out.push_str(TAIL);
}

/// A whole `SessionExpiring`.
pub fn session_expiring(out: &mut String, seconds: u64) {
    head(out, "SessionExpiring", MessageIndex(0));
    field(out, "seconds", seconds);
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
        ClientBody::SessionRenew { params } => params_field(out, params),
        ClientBody::Ping { resend_missing } => out.push_str(if *resend_missing {
            ",\"resendMissing\":true"
        } else {
            ",\"resendMissing\":false"
        }),
        ClientBody::Reply { reply_to } => field(out, "replyTo", reply_to.0),
    }
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

/// The same refusal of so many fragments.
pub fn refusals(refusal: &Rejection, count: usize) -> SharedText {
    let reply = FragmentReply { error: Some(refusal.clone()), modifications: None };
    fragment_replies(&vec![reply; count])
}

/// How many fragments a text of [`fragment_replies`] is about.
pub fn replies_count(replies: &str) -> usize {
    let entries: Vec<serde::de::IgnoredAny> =
        serde_json::from_str(replies).expect("we wrote the list");
    entries.len()
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

#[cfg(test)]
mod tests;
