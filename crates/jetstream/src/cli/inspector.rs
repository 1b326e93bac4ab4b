//! `/inspector`: a page that shows what goes on in the server, and the answers that it asks for.
//!
//! It shows every value of every scope. So it is there only for who is on this machine, or for who knows
//! the token of the configuration; otherwise there is nothing at this path.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::pages;
use crate::config::InspectorConfig;
use crate::core::ids::{ObjectId, Revision, ScopeName, SessionId};
use crate::core::model::Graph;
use crate::core::scope::first_state_fragments;
use crate::core::wire::encode;
use crate::core::wire::message::Dialect;
use crate::scope::Scope;
use crate::server::{Inspected, Recorded, ServerHandle, Way};
use crate::transport::ConnectInfo;
use crate::transport::local::is_for_this_machine;

/// The page and its answers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Inspector(Arc<Inner>);

struct Inner {
    config: InspectorConfig,
    /// The server, once it runs.
    server: OnceLock<ServerHandle>,
}

/// Whether somebody may look.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    /// There is nothing here.
    Absent,
    /// The page may be seen, which asks for the token. What it shows may not.
    Page,
    Everything,
}

impl Inspector {
    pub(super) fn new(config: InspectorConfig) -> Self {
        Self(Arc::new(Inner { config, server: OnceLock::new() }))
    }

    /// From now on there is something to show.
    pub(super) fn begin(&self, server: &ServerHandle) {
        let _ = self.0.server.set(server.clone());
    }

    /// Whether anybody could look, at a server with this address.
    pub(super) fn is_there(&self, address: SocketAddr) -> bool {
        self.0.config.admit(address, &HeaderMap::new()) != Admission::Absent
    }

    /// The answer to a request below `/inspector`; `None` to any other.
    pub(super) async fn answer(&self, request: &Request<()>) -> Option<Response<Bytes>> {
        let path = request.uri().path();
        let rest =
            path.strip_prefix("/inspector").filter(|r| r.is_empty() || r.starts_with('/'))?;
        let Some(server) = self.0.server.get() else { return Some(nothing()) };
        let admission = self.0.config.admit(server.local_addr(), request.headers());
        let mut response = match (admission, rest.strip_prefix("/api/")) {
            (Admission::Absent, _) => nothing(),
            (Admission::Page, Some(_)) => {
                refusal(StatusCode::FORBIDDEN, "the token is missing or wrong\n")
            }
            (Admission::Everything, Some(question)) => {
                let path = request.uri().path_and_query().map_or("", |path| path.as_str());
                reply(server, question, &ConnectInfo::new(path)).await
            }
            (_, None) => pages::answer(request, true).unwrap_or_else(nothing),
        };
        protect(response.headers_mut());
        Some(response)
    }
}

impl InspectorConfig {
    fn admit(&self, address: SocketAddr, headers: &HeaderMap) -> Admission {
        if !self.enabled {
            return Admission::Absent;
        }
        let Some(token) = &self.token else {
            let reachable = !address.ip().to_canonical().is_loopback();
            let foreign = reachable || !is_for_this_machine(headers);
            return if foreign { Admission::Absent } else { Admission::Everything };
        };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        match given.is_some_and(|given| token.is(given)) {
            true => Admission::Everything,
            false => Admission::Page,
        }
    }
}

/// What somebody who may know everything asks for.
async fn reply(server: &ServerHandle, question: &str, asked: &ConnectInfo) -> Response<Bytes> {
    let parameter = |name: &str| {
        let found = asked.query().find(|(candidate, _)| *candidate == name);
        found.map_or("", |(_, value)| value)
    };
    let number = |name: &str| parameter(name).parse::<u64>().unwrap_or_default();
    let answer = match question {
        "server" => Some(overview(server).await.to_string()),
        "scope" => scope(server, parameter("name"), Revision(number("after"))).await,
        "messages" => {
            let session = SessionId(number("session"));
            let frames = server.watch(session, number("after")).await;
            frames.map(|frames| messages(&frames).to_string())
        }
        _ => None,
    };
    match answer {
        Some(answer) => {
            let mut response = Response::new(Bytes::from(answer));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        None => nothing(),
    }
}

/// Sessions and scopes.
async fn overview(server: &ServerHandle) -> Value {
    let sessions = server.inspect().await;
    let scope = |scope: &Scope| {
        let (revision, members) = (scope.revision().0, scope.member_count());
        json!({"name": scope.name().as_str(), "revision": revision, "members": members})
    };
    let session = |session: &Inspected| {
        let status = &session.status;
        let names: Vec<&str> = session.scopes.iter().map(|scope| scope.name().as_str()).collect();
        json!({
            // A text: it may be more than a JavaScript number can tell apart.
            "id": status.info.id().to_string(),
            "version": status.info.version().to_string(),
            "connected": status.connected,
            "backlogBytes": status.backlog_bytes,
            "scopes": names,
        })
    };
    let scopes = server.open_scopes(&sessions);
    json!({
        "scopes": scopes.values().map(scope).collect::<Vec<_>>(),
        "sessions": sessions.iter().map(session).collect::<Vec<_>>(),
    })
}

/// The objects of a scope, once it is past a revision or a while has passed. `None`: it is not open.
async fn scope(server: &ServerHandle, name: &str, after: Revision) -> Option<String> {
    let sessions = server.inspect().await;
    let scope = server.open_scopes(&sessions).remove(&ScopeName::from(name))?;
    // Before the revision is looked at, so that no commit comes between.
    let mut changes = scope.changes();
    if after != Revision(0) && scope.revision() == after {
        let _ = timeout(CHANGE_WAIT, changes.next()).await;
    }
    let state = scope.read_at(state).await.ok()?;
    serde_json::to_string(&state).ok()
}

/// The first objects of a scope, as a `ScopeState` has them, and how many there are.
#[derive(Serialize)]
struct State {
    revision: u64,
    root: ObjectId,
    count: usize,
    /// As text, for the properties are to stay in their order.
    objects: Box<RawValue>,
}

fn state(graph: &Graph, revision: Revision) -> State {
    let fragments = first_state_fragments(graph, OBJECTS_MAX);
    let text = encode::fragments(graph.schema(), &fragments, Dialect::V1);
    let objects = RawValue::from_string(text.to_string()).expect("what we write is JSON");
    State { revision: revision.0, root: graph.root(), count: graph.len(), objects }
}

fn messages(frames: &[Recorded]) -> Value {
    let frame = |frame: &Recorded| {
        json!({
            "number": frame.number,
            "at": frame.at.0,
            "fromClient": frame.way == Way::FromClient,
            "bytes": frame.bytes,
            "text": &*frame.text,
        })
    };
    json!({"messages": frames.iter().map(frame).collect::<Vec<_>>()})
}

fn nothing() -> Response<Bytes> {
    refusal(StatusCode::NOT_FOUND, "no such page\n")
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// For this page alone: no other site reads it, frames it or gets it from a cache.
fn protect(headers: &mut HeaderMap) {
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
}

const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// How many objects of a scope are shown: more than anybody scrolls through.
const OBJECTS_MAX: usize = 2_000;

/// How long a question for the next change waits.
const CHANGE_WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn admit(
        config: &InspectorConfig,
        address: &str,
        headers: &[(&'static str, &str)],
    ) -> Admission {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        config.admit(address.parse().unwrap(), &headers.collect())
    }

    #[test]
    fn without_a_token_only_this_machine_may_look() {
        let open = InspectorConfig { enabled: true, token: None };
        for host in ["localhost:3000", "LOCALHOST", "127.0.0.1:3000", "[::1]:3000", "[::1]"] {
            assert_eq!(admit(&open, "127.0.0.1:3000", &[("host", host)]), Admission::Everything);
            assert_eq!(admit(&open, "[::1]:3000", &[("host", host)]), Admission::Everything);
            for address in ["0.0.0.0:3000", "[::]:3000", "192.0.2.1:3000"] {
                assert_eq!(admit(&open, address, &[("host", host)]), Admission::Absent);
            }
        }
        for host in ["evil.test", "evil.test:3000", "localhost.evil.test", "192.0.2.1", ""] {
            assert_eq!(admit(&open, "127.0.0.1:3000", &[("host", host)]), Admission::Absent);
        }
        let proxied = [("host", "localhost"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(admit(&open, "127.0.0.1:3000", &proxied), Admission::Absent);
        let closed = InspectorConfig { enabled: false, token: None };
        assert_eq!(admit(&closed, "127.0.0.1:3000", &[]), Admission::Absent);
    }

    #[test]
    fn with_a_token_it_is_always_asked_for() {
        let config =
            InspectorConfig { enabled: true, token: Some(Secret::new("a long secret text")) };
        for address in ["127.0.0.1:3000", "0.0.0.0:3000"] {
            let with = |value| admit(&config, address, &[("authorization", value)]);
            assert_eq!(with("Bearer a long secret text"), Admission::Everything);
            for wrong in ["Bearer a long secret tex", "Bearer ", "a long secret text", "Basic x"] {
                assert_eq!(with(wrong), Admission::Page, "{wrong}");
            }
            assert_eq!(admit(&config, address, &[]), Admission::Page);
        }
    }
}
