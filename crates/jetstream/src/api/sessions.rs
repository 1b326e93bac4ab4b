//! Seeing and ending sessions.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use jetstream_core::ids::SessionId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{self, Body, json};
use super::listener::Serving;
use super::problem::Problem;
use super::request::{self, NUMBER_MAX, Query};
use super::token::Caller;

/// A page of sessions.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    sessions: Vec<Session>,
    /// What the next page comes after; none: this was the last.
    next: Option<SessionId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    id: SessionId,
    connected: bool,
    version: String,
    backlog_bytes: usize,
    claims: Map<String, Value>,
}

/// Whose sessions are to end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoked {
    claims: Map<String, Value>,
}

impl Serving {
    pub(super) fn sessions(&self, request: &Request<Incoming>) -> Result<Response<Body>, Problem> {
        let query = Query::of(request.uri(), &["after", "limit"])?;
        let after = query.number("after", NUMBER_MAX)?.map(SessionId);
        let limit = query.number("limit", PAGE_SESSIONS_MAX)?.unwrap_or(PAGE_SESSIONS);
        if limit == 0 {
            return Err(Problem::bad_request("limit: expected a number from 1 on"));
        }
        let found = self.server.sessions_after(after, limit as usize);
        let next = found.last().map(|last| last.info.id());
        let next = next.filter(|_| found.len() as u64 == limit);
        let sessions = found.into_iter().map(|status| Session {
            id: status.info.id(),
            connected: status.connected,
            version: status.info.version().to_string(),
            backlog_bytes: status.backlog_bytes,
            claims: status.info.claims().entries().clone(),
        });
        let page = Page { sessions: sessions.collect(), next };
        let text = serde_json::to_string(&page).map_err(|_| Problem::internal())?;
        Ok(json(StatusCode::OK, text))
    }

    pub(super) async fn end(
        &self,
        id: SessionId,
        caller: &Caller,
        request: &Request<Incoming>,
    ) -> Result<Response<Body>, Problem> {
        Query::of(request.uri(), &[])?;
        if !self.server.end_session(id, "the session was ended").await {
            return Err(Problem::not_found("no such session"));
        }
        tracing::info!(session = %id, by = caller.name(), "session ended");
        Ok(answer::nothing())
    }

    pub(super) async fn revoke(
        &self,
        caller: &Caller,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Problem> {
        let (head, body) = request.into_parts();
        Query::of(&head.uri, &[])?;
        let body = request::body(&head.headers, body, self.limits.body_bytes_max).await?;
        let wrong = |error| Problem::bad_request(format!("the body: {error}"));
        let Revoked { claims } = serde_json::from_slice(&body).map_err(wrong)?;
        if claims.is_empty() {
            // Everybody has nothing in common with everybody.
            return Err(Problem::bad_request("claims: expected at least one"));
        }
        let ended = self.server.revoke(move |found| {
            claims.iter().all(|(name, value)| found.entries().get(name) == Some(value))
        });
        let ended = ended.await;
        tracing::info!(ended, by = caller.name(), "sessions revoked");
        Ok(json(StatusCode::OK, format!("{{\"ended\":{ended}}}")))
    }
}

/// How many sessions are told at a time, if nothing else is asked for.
const PAGE_SESSIONS: u64 = 100;
/// The most that are told at a time.
const PAGE_SESSIONS_MAX: u64 = 1_000;
