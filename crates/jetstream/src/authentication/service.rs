//! A service is asked who clients are.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jetstream_core::model::{ErrorCode, Rejection};
use serde_json::{Map, Value, json};

use super::{
    Authenticator, CREDENTIAL_BYTES_MAX, Identity, TOKEN, credential, identity, nothing_shown,
    unauthorized, undecided,
};
use crate::future::BoxFuture;
use crate::http::{Answer, Outgoing, Service};
use crate::scope::outdated;
use crate::server::SessionRequest;

/// Asks a service over HTTP: it says who it is and how long that is good, or refuses.
///
/// The service gets a POST with JSON, `{"occasion", "credential", "params", "version", "address", "path",
/// "origin"}`. It lets in with a status from 200 to 299 and `{"claims": {…}, "expiresAt": SECONDS}`, and refuses
/// with 400, 401, 403 or 422, or with `{"error": {"message", "type"}}`, which is told to the user. Anything else
/// is no answer: nobody is let in, and the client is told to try again.
#[derive(Clone)]
pub struct HttpAuthenticator {
    service: Arc<Service>,
    url: String,
    bearer: Option<HeaderValue>,
    anonymous: bool,
}

/// Why an answer lets nobody in.
enum Fault {
    /// The service says no.
    Refused(Rejection),
    /// It makes no sense.
    Unclear(&'static str),
}

impl HttpAuthenticator {
    /// Asks `service` at this address. Asking has no effects, so it may be asked again.
    pub fn new(service: Arc<Service>, url: impl Into<String>) -> Self {
        Self { service, url: url.into(), bearer: None, anonymous: false }
    }

    /// By which the service knows us: the whole header `Authorization`.
    #[must_use]
    pub fn bearer(mut self, bearer: Option<HeaderValue>) -> Self {
        self.bearer = bearer;
        self
    }

    /// Lets clients in that show nothing, as nobody. The service is not asked about them.
    #[must_use]
    pub const fn anonymous(mut self, anonymous: bool) -> Self {
        self.anonymous = anonymous;
        self
    }

    async fn ask(&self, request: &SessionRequest) -> Result<Identity, Rejection> {
        let credential = credential(request);
        // The one is told apart from the others, the other is about models.
        let others = |name: &str| name != TOKEN && name != outdated::PARAMETER;
        let params: Map<String, Value> =
            request.params().clone().into_iter().filter(|(name, _)| others(name)).collect();
        if credential.is_none() && params.is_empty() {
            return nothing_shown(self.anonymous);
        }
        if credential.is_some_and(|text| text.len() > CREDENTIAL_BYTES_MAX) {
            return Err(unauthorized("the credential is too long"));
        }
        let connection = request.connection();
        let question = json!({
            "occasion": request.occasion().as_str(),
            "credential": credential,
            "params": params,
            "version": request.version().to_string(),
            "address": connection.address().map(|address| address.to_string()),
            "path": connection.path(),
            "origin": connection.header("origin"),
        });
        let answer = self.service.call(&self.outgoing(&question)).await.map_err(|_| undecided())?;
        match understand(&answer) {
            Ok(identity) if identity.expires_at.is_some_and(|at| at <= now_seconds()) => {
                Err(unauthorized("the credential has expired"))
            }
            Ok(identity) => Ok(identity),
            Err(Fault::Refused(refusal)) => Err(refusal),
            Err(Fault::Unclear(why)) => {
                let status = answer.status.as_u16();
                tracing::warn!(status, why, "the answer about who a client is makes no sense");
                Err(undecided())
            }
        }
    }

    fn outgoing(&self, question: &Value) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(bearer) = &self.bearer {
            headers.insert(header::AUTHORIZATION, bearer.clone());
        }
        Outgoing {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body: Some(Bytes::from(question.to_string())),
            repeatable: true,
        }
    }
}

fn understand(answer: &Answer) -> Result<Identity, Fault> {
    let body: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
    let error = body.as_ref().and_then(|body| body.get("error")).filter(|error| !error.is_null());
    let refuses = [400, 401, 403, 422].map(|status| StatusCode::from_u16(status).ok());
    if refuses.contains(&Some(answer.status)) {
        return Err(Fault::Refused(refusal(error)));
    }
    if !answer.status.is_success() {
        return Err(Fault::Unclear("neither a yes nor a no"));
    }
    if error.is_some() {
        return Err(Fault::Refused(refusal(error)));
    }
    let mut body = body.ok_or(Fault::Unclear("no JSON object"))?;
    let expires_at = match body.get("expiresAt") {
        None | Some(Value::Null) => None,
        Some(Value::Number(seconds)) => {
            let seconds = seconds.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
            Some(seconds.ok_or(Fault::Unclear("\"expiresAt\" is no time in seconds"))? as u64)
        }
        Some(_) => return Err(Fault::Unclear("\"expiresAt\" is no number")),
    };
    match body.remove("claims") {
        Some(Value::Object(claims)) => Ok(identity(claims, expires_at)),
        _ => Err(Fault::Unclear("no object \"claims\"")),
    }
}

/// What the service says about a refusal, as far as it is short enough to be told.
fn refusal(error: Option<&Value>) -> Rejection {
    let text = |name| error.and_then(|error| error.get(name)).and_then(Value::as_str);
    let message = text("message").filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES_MAX);
    let message = message.unwrap_or("the credential was refused");
    // What the service calls "internal" is not ours.
    let own = text("type").filter(|text| !text.is_empty() && text.len() <= TYPE_BYTES_MAX);
    match own.filter(|code| *code != ErrorCode::Internal.as_str()) {
        Some(code) => Rejection::with_type(code.to_owned(), message),
        None => unauthorized(message),
    }
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Authenticator for HttpAuthenticator {
    fn authenticate<'a>(
        &'a self,
        request: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>> {
        Box::pin(self.ask(request))
    }
}

/// Shows no secret.
impl fmt::Debug for HttpAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAuthenticator")
            .field("url", &self.url)
            .field("anonymous", &self.anonymous)
            .finish_non_exhaustive()
    }
}

/// The longest message of a refusal that is passed on, in bytes; a longer one is a page, not a sentence.
const TEXT_BYTES_MAX: usize = 1_000;

/// The longest type of a refusal that is passed on, in bytes.
const TYPE_BYTES_MAX: usize = 100;

/// The year 9999. What is later than that is no time.
const SECONDS_MAX: f64 = 253_402_300_799.0;
