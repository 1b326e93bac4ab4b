//! Why a request was not done.

use std::borrow::Cow;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::wire::encode;

use super::answer::{Body, json};
use crate::scope::{FeedError, OpenError, ScopeError};

/// An answer with an error: `{"error": {"type", "message"}}`.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) error: Rejection,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// More fields, each with a comma before it.
    beside: String,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        let error = Rejection { code: Some(kind.into()), ..Rejection::message(message) };
        Self { status, error, headers: Vec::new(), beside: String::new() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    /// It can be tried again later.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).later()
    }

    pub(super) fn internal() -> Self {
        let message = "the server has made a mistake";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal.as_str(), message)
    }

    /// The same with another type than the usual one.
    pub(super) fn called(mut self, kind: &'static str) -> Self {
        self.error.code = Some(kind.into());
        self
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, to be tried again.
    pub(super) fn later(self) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The same with more fields beside the error, each with a comma before it.
    pub(super) fn beside(mut self, fields: String) -> Self {
        self.beside = fields;
        self
    }

    /// The body of the answer.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("{\"error\":");
        encode::error(&mut text, &self.error);
        text.push_str(&self.beside);
        text.push('}');
        text
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = json(self.status, self.text());
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unknown(_) => Self::not_found("no such scope").called("scope-not-found"),
            OpenError::Refused(Rejection { code, message, .. }) => match code {
                // There are as many open as there may be.
                Some(code) if code == ErrorCode::TooLarge.as_str() => Self::unavailable(message),
                code => {
                    let kind = code.unwrap_or_else(|| ErrorCode::Rejected.as_str().into());
                    Self::new(StatusCode::FORBIDDEN, kind, message)
                }
            },
            OpenError::Failed(error) => error.into(),
        }
    }
}

impl From<ScopeError> for Problem {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::Closed(_) => Self::unavailable("the scope is being closed"),
            // Whoever has what the scope begins with says why; that it could not be asked is no fault of ours.
            ScopeError::Refused(Rejection { code, message, .. }) => match code {
                Some(code) if code == ErrorCode::Internal.as_str() => Self::unavailable(message),
                code => {
                    OpenError::Refused(Rejection { code, ..Rejection::message(message) }).into()
                }
            },
            ScopeError::Panicked(_) => Self::internal(),
            ScopeError::Moved { revision, .. } => {
                let message = format!("the scope is at revision {revision}");
                Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", message)
                    .beside(format!(",\"revision\":{revision}"))
            }
            ScopeError::KeyUsed(_) => {
                let message = "the Idempotency-Key was used for another request to this scope";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", message)
            }
            ScopeError::NotSaved(why) => Self::unavailable(why).called("not-saved"),
        }
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Gone { .. } => Self::new(StatusCode::GONE, "gone", error.to_string()),
            FeedError::Scope(error) => error.into(),
            FeedError::Storage(error) => {
                tracing::warn!(%error, "the past of a scope cannot be read");
                Self::unavailable("the past of the scope cannot be read at present")
            }
        }
    }
}
