//! What a scope begins with, from somewhere else: asked for once, when the scope is first opened and its store has
//! nothing of it.
//!
//! A [`Loader`] is a closure, or a service over HTTP ([`HttpLoader`]). It gives a whole state. While it works, only
//! those wait who want that scope; if it fails, they are denied, nothing is kept of it, and the next fetch asks
//! again.

use std::future::Future;
use std::sync::Arc;

use ::http::{StatusCode, header};
use jetstream_core::ids::{ObjectId, ScopeName};
use jetstream_core::limits::Limits;
use jetstream_core::model::{ErrorCode, Graph, ModelId, Rejection, Schema};
use jetstream_core::scope::access::ScopeFacts;
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::message::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::future::BoxFuture;
use crate::http::{Answer, Service};
use crate::procedure::{RequestTemplate, refusal_of};

/// A scope that has nothing yet.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    pub(crate) scope: Arc<ScopeFacts>,
    pub(crate) schema: Arc<Schema>,
}

impl LoadRequest {
    /// Its name.
    pub fn name(&self) -> &ScopeName {
        &self.scope.name
    }

    /// What a parameter of its family's name stands for: `id` in `boards/{id}`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.scope.params.get(name).map(String::as_str)
    }

    /// Its models.
    pub const fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }
}

/// Gives what a scope begins with.
///
/// It may take its time, up to the scope's `procedure_timeout_ms`. Its refusal is told to those who want the scope.
/// The graph has to be of the scope's schema.
pub trait Loader: Send + Sync + 'static {
    /// What the scope begins with, or why there is no such scope.
    fn load(&self, request: LoadRequest) -> BoxFuture<'static, Result<Graph, Rejection>>;
}

impl<F, R> Loader for F
where
    F: Fn(LoadRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Graph, Rejection>> + Send + 'static,
{
    fn load(&self, request: LoadRequest) -> BoxFuture<'static, Result<Graph, Rejection>> {
        Box::pin(self(request))
    }
}

/// Asks a service: a status of success and `{"rootUUID": …, "fragments": […]}`, a `ScopeState` without its envelope.
///
/// 404 is "no such scope", 400 to 499 otherwise a refusal, in the service's words if it has any. Anything else, an
/// answer that makes no sense, and no answer are failures, of which clients are told that and no more.
#[derive(Debug, Clone)]
pub struct HttpLoader {
    service: Arc<Service>,
    request: Arc<RequestTemplate>,
    success: Arc<[StatusCode]>,
    limits: Arc<Limits>,
    root: ModelId,
}

impl HttpLoader {
    /// Asks `service` with requests made of `request`, for states whose root is of the model `root`. `success` are
    /// the statuses that bring one; none: 200 to 299.
    pub fn new(
        service: Arc<Service>,
        request: RequestTemplate,
        success: impl Into<Arc<[StatusCode]>>,
        limits: impl Into<Arc<Limits>>,
        root: ModelId,
    ) -> Self {
        let (request, success, limits) = (Arc::new(request), success.into(), limits.into());
        Self { service, request, success, limits, root }
    }

    async fn ask(self, request: LoadRequest) -> Result<Graph, Rejection> {
        let failed = |why: &dyn std::fmt::Display| {
            tracing::warn!(scope = %request.name(), %why, "a scope cannot be loaded");
        };
        let outgoing = self.request.fill_for_scope(&request.scope).map_err(|error| {
            failed(&error);
            cannot("the service cannot be asked for it")
        })?;
        let answer = self.service.call(&outgoing).await.map_err(|error| {
            failed(&error);
            cannot(&error.to_string())
        })?;
        let brings = match &*self.success {
            [] => answer.status.is_success(),
            success => success.contains(&answer.status),
        };
        if !brings {
            return Err(refusal(&answer).unwrap_or_else(|| {
                failed(&format!("its status is {}", answer.status.as_u16()));
                cannot("the service failed")
            }));
        }
        // A large state takes longer to read than others may wait for.
        let (schema, limits, root) = (request.schema.clone(), self.limits.clone(), self.root);
        let read = move || read_state(&answer, &schema, root, &limits);
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|error| Err(error.to_string())).map_err(|why| {
            failed(&why);
            cannot("the answer of the service is no state of it")
        })
    }
}

impl Loader for HttpLoader {
    fn load(&self, request: LoadRequest) -> BoxFuture<'static, Result<Graph, Rejection>> {
        Box::pin(self.clone().ask(request))
    }
}

/// That a scope could not be loaded.
pub(crate) fn cannot(why: &str) -> Rejection {
    Rejection::new(ErrorCode::Internal, format!("the scope cannot be loaded: {why}"))
}

/// What a client is told of an answer that refuses; `None`: it is no refusal.
fn refusal(answer: &Answer) -> Option<Rejection> {
    if answer.status == StatusCode::NOT_FOUND {
        return Some(Rejection::message("No such scope"));
    }
    if !answer.status.is_client_error() {
        return None;
    }
    let plain = || Rejection::message("the service does not give this scope");
    Some(refusal_of(answer, ErrorCode::Rejected).unwrap_or_else(plain))
}

/// A `ScopeState` without its envelope; other keys are passed over, as they are on the wire.
#[derive(Deserialize)]
struct State<'a> {
    #[serde(rename = "rootUUID")]
    root: ObjectId,
    #[serde(borrow)]
    fragments: Vec<&'a RawValue>,
}

/// The objects of a state, checked as everything that a scope begins with.
fn read_state(
    answer: &Answer,
    schema: &Arc<Schema>,
    root: ModelId,
    limits: &Limits,
) -> Result<Graph, String> {
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let state: State<'_> = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("its body ({}) is wrong: {error}", kind.unwrap_or("no type")))?;
    if state.fragments.len() > limits.scope_objects_max {
        let (count, max) = (state.fragments.len(), limits.scope_objects_max);
        return Err(format!("it has {count} objects, and a scope at most {max}"));
    }
    let typing = Typing { schema, dialect: Dialect::Original, limits };
    let fragments = state.fragments.iter().enumerate().map(|(place, raw)| {
        let wrong = |rejection: Rejection| format!("fragment {place}: {}", rejection.message);
        typing.fragment(raw).map_err(wrong)
    });
    let fragments: Vec<_> = fragments.collect::<Result<_, _>>()?;
    if let Some(first) = fragments.first().filter(|first| first.model != root) {
        let (found, wanted) = (schema.model(first.model).name(), schema.model(root).name());
        return Err(format!("its root is a {found}, and the scope's a {wanted}"));
    }
    Graph::from_state(schema.clone(), state.root, fragments)
        .map_err(|errors| errors.first().map_or_else(String::new, ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ROOT: &str = "ca000000-0000-4000-8000-000000000001";
    const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

    fn read(body: &Value, change: impl FnOnce(&mut Limits)) -> Result<usize, String> {
        let schema = Schema::builder()
            .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
            .model("Shape", |m| m.property("x", "Number"))
            .build()
            .unwrap();
        let root = schema.find("Canvas").unwrap().0;
        let mut limits = Limits::default();
        change(&mut limits);
        let (status, headers) = (StatusCode::OK, ::http::HeaderMap::new());
        let answer = Answer { status, headers, body: body.to_string().into() };
        read_state(&answer, &Arc::new(schema), root, &limits).map(|graph| graph.len())
    }

    fn canvas(shapes: Value) -> Value {
        json!({"type": "change", "uuid": ROOT, "clsName": "Canvas",
               "properties": {"name": "a", "shapes": shapes}})
    }

    fn shape(x: Value) -> Value {
        json!({"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": x}})
    }

    #[test]
    fn a_state_is_read_as_one_from_a_file_and_what_is_none_is_refused() {
        let good =
            json!({"rootUUID": ROOT, "fragments": [canvas(json!([SHAPE])), shape(json!(1))]});
        assert_eq!(read(&good, |_| ()), Ok(2));
        assert!(
            read(&good, |limits| limits.scope_objects_max = 1).unwrap_err().contains("at most 1")
        );
        assert!(read(&good, |limits| limits.string_bytes_max = 0).is_err());
        for (body, why) in [
            (json!([]), "is wrong"),
            (json!({"rootUUID": ROOT}), "fragments"),
            (json!({"rootUUID": "no", "fragments": []}), "uuid"),
            (json!({"rootUUID": ROOT, "fragments": []}), ""),
            (json!({"rootUUID": ROOT, "fragments": [shape(json!(1))]}), "its root is a Shape"),
            (json!({"rootUUID": SHAPE, "fragments": [canvas(json!([]))]}), ""),
            (
                json!({"rootUUID": ROOT, "fragments": [canvas(json!([SHAPE])), shape(json!("wide"))]}),
                "fragment 1",
            ),
            (json!({"rootUUID": ROOT, "fragments": [canvas(json!([SHAPE]))]}), ""),
            (json!({"rootUUID": ROOT, "fragments": [canvas(json!([])), shape(json!(1))]}), ""),
        ] {
            let error = read(&body, |_| ()).unwrap_err();
            assert!(error.contains(why), "{body}: {error}");
        }
    }
}
