//! Reading and changing scopes.

use std::fmt::Write as _;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use jetstream_core::ids::{ObjectId, Revision};
use jetstream_core::limits::Limits;
use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::message::{Dialect, FragmentReply, RawFragment};
use jetstream_core::wire::update::Update;
use jetstream_core::wire::{encode, print};
use serde::Deserialize;

use super::answer::{self, Body, json};
use super::events::Events;
use super::listener::Serving;
use super::problem::Problem;
use super::request::{self, NUMBER_MAX, Query};
use super::token::Caller;
use crate::scope::{Scope, UpdateRequest, Updated};

/// The body of a request that changes a scope by fragments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default = "atomic")]
    atomic: bool,
    fragments: Vec<RawFragment>,
}

/// Half of what a program asked for is seldom what it wants.
const fn atomic() -> bool {
    true
}

impl Serving {
    pub(super) async fn state(
        &self,
        name: &str,
        request: &Request<Incoming>,
    ) -> Result<Response<Body>, Problem> {
        Query::of(request.uri(), &[])?;
        let known = request::if_none_match(request.headers());
        let scope = self.scopes.open(name).await?;
        let Some(state) = scope.state(known.first().copied()).await? else {
            return Ok(answer::not_modified(known[0]));
        };
        if known.contains(&state.tag) {
            return Ok(answer::not_modified(state.tag));
        }
        let mut text = String::with_capacity(state.body.byte_length() + 64 + name.len());
        text.push_str("{\"scope\":");
        print::string(&mut text, name);
        let _ = write!(text, ",\"revision\":{},", state.tag.revision);
        state.body.pieces().iter().for_each(|piece| text.push_str(piece));
        text.push('}');
        Ok(answer::state(state.tag, text))
    }

    pub(super) async fn object(
        &self,
        name: &str,
        id: ObjectId,
        request: &Request<Incoming>,
    ) -> Result<Response<Body>, Problem> {
        Query::of(request.uri(), &[])?;
        let known = request::if_none_match(request.headers());
        let scope = self.scopes.open(name).await?;
        let Some(object) = scope.object(id).await? else {
            return Err(Problem::not_found(format!("no object {id} in the scope")));
        };
        if known.contains(&object.tag) {
            return Ok(answer::not_modified(object.tag));
        }
        let model = scope.schema().model(object.fragment.model);
        let named = object.fragment.properties.iter();
        let named = named.map(|(id, value)| (&**model.property(*id).name(), value));
        let mut text = format!("{{\"revision\":{},\"uuid\":", object.tag.revision);
        print::object_id(&mut text, id);
        text.push_str(",\"clsName\":");
        print::string(&mut text, model.name());
        let _ = write!(text, ",\"properties\":{}}}", encode::properties(named));
        Ok(answer::state(object.tag, text))
    }

    pub(super) async fn update(
        &self,
        name: &str,
        caller: &Caller,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Problem> {
        let (head, text) = self.text(request).await?;
        let update = Update::parse(&text).map_err(|error| Problem::bad_request(error.message))?;
        let scope = self.scopes.open(name).await?;
        let request = terms(&scope, caller, &head, "update", &text)?;
        let updated = in_time(request.update_by(update)).await?;
        if let Some(refusal) = refusal(&updated.replies) {
            let Rejection { code, message, .. } = refusal.clone();
            let kind = code.unwrap_or_else(|| ErrorCode::Rejected.as_str().into());
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, message);
            return Err(problem.beside(format!(",\"revision\":{}", updated.revision)));
        }
        Ok(json(StatusCode::OK, format!("{{{}}}", done(&updated))))
    }

    pub(super) async fn change(
        &self,
        name: &str,
        caller: &Caller,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Problem> {
        let (head, text) = self.text(request).await?;
        let wrong = |error| Problem::bad_request(format!("the body: {error}"));
        let Change { atomic, fragments } = serde_json::from_str(&text).map_err(wrong)?;
        if fragments.is_empty() {
            return Err(Problem::bad_request("fragments: expected at least one"));
        }
        let scope = self.scopes.open(name).await?;
        // How many there may be is bounded by the body; the application is trusted with sizes.
        let limits = Limits { fragments_max: usize::MAX, ..Limits::of_what_was_taken() };
        let typing = Typing { schema: scope.schema(), dialect: Dialect::V1, limits: &limits };
        let changes = typing.change_set(&fragments, atomic, None);
        let request = terms(&scope, caller, &head, "changes", &text)?;
        let updated = in_time(request.update(changes)).await?;
        let reply = |reply: &Result<(), Rejection>| FragmentReply {
            error: reply.as_ref().err().cloned(),
            modifications: None,
        };
        let replies: Vec<_> = updated.replies.iter().map(reply).collect();
        let replies = format!(",\"fragmentReplies\":{}", encode::fragment_replies(&replies));
        let is_refused = updated.replies.iter().all(Result::is_err);
        if let Some(Rejection { code, message, .. }) =
            refusal(&updated.replies).filter(|_| is_refused).cloned()
        {
            let kind = code.unwrap_or_else(|| ErrorCode::Rejected.as_str().into());
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, message);
            return Err(problem.beside(format!(",\"revision\":{}{replies}", updated.revision)));
        }
        Ok(json(StatusCode::OK, format!("{{{}{replies}}}", done(&updated))))
    }

    pub(super) async fn follow(
        &self,
        name: &str,
        request: &Request<Incoming>,
    ) -> Result<Response<Body>, Problem> {
        let query = Query::of(request.uri(), &["after", "wait"])?;
        let after = query.number("after", NUMBER_MAX)?;
        let wait = query.number("wait", WAIT_SECONDS_MAX)?.map(Duration::from_secs);
        // Who comes back is further than where it began.
        let after = request::last_event(request.headers())?.or(after).map(Revision);
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| {
            let message = "as many programs follow scopes as may at a time";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", message).later()
        })?;
        let scope = self.scopes.open(name).await?;
        let events = Events::of(&scope, after, wait, &self.server, permit).await?;
        Ok(answer::events(events))
    }

    /// The head of a request and its body, which has to be text.
    async fn text(
        &self,
        request: Request<Incoming>,
    ) -> Result<(http::request::Parts, String), Problem> {
        let (head, body) = request.into_parts();
        Query::of(&head.uri, &[])?;
        let body = request::body(&head.headers, body, self.limits.body_bytes_max).await?;
        let text = String::from_utf8(body.into());
        let text = text.map_err(|_| Problem::bad_request("the body is not in UTF-8"))?;
        Ok((head, text))
    }
}

/// On which terms a scope is to be changed.
fn terms<'a>(
    scope: &'a Scope,
    caller: &Caller,
    head: &http::request::Parts,
    operation: &str,
    text: &str,
) -> Result<UpdateRequest<'a>, Problem> {
    let mut request = scope.on_behalf_of(caller.name());
    if let Some(key) = request::idempotency_key(&head.headers)? {
        request = request.key(key, format!("{operation}\n{text}"));
    }
    if let Some(tag) = request::if_match(&head.headers)? {
        request = request.at(tag);
    }
    Ok(request)
}

/// Waits for an answer, but not for ever. It is not known then whether the scope will be changed.
async fn in_time(
    update: impl Future<Output = Result<Updated, crate::scope::ScopeError>>,
) -> Result<Updated, Problem> {
    match tokio::time::timeout(ANSWER_TIME_MAX, update).await {
        Ok(updated) => Ok(updated?),
        Err(_) => {
            let message = "there is no answer yet; with the same Idempotency-Key you get it later";
            Err(Problem::unavailable(message).called("timed-out"))
        }
    }
}

/// What a change did, as fields.
fn done(updated: &Updated) -> String {
    let mut text = format!("\"revision\":{},\"added\":[", updated.revision);
    for (place, id) in updated.added.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        print::object_id(&mut text, *id);
    }
    text.push(']');
    text
}

/// Why something was refused: not that others were.
fn refusal(replies: &[Result<(), Rejection>]) -> Option<&Rejection> {
    let refused = || replies.iter().filter_map(|reply| reply.as_ref().err());
    let aborted = ErrorCode::TransactionAborted.as_str();
    refused().find(|refusal| refusal.code.as_deref() != Some(aborted)).or_else(|| refused().next())
}

/// How long a scope may take to change. A disk that takes longer hangs.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// A day.
const WAIT_SECONDS_MAX: u64 = 86_400;
