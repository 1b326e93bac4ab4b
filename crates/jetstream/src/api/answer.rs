//! What is answered: JSON, nothing, or events for as long as they are read.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::events::Events;
use crate::scope::StateTag;

/// The body of an answer.
pub(super) enum Body {
    /// All of it; `None`: it was sent.
    Whole(Option<Bytes>),
    /// Piece by piece.
    Events(Box<Events>),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Events(events) => {
                events.poll_next(context).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// A JSON text.
pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = typed("application/json", Body::Whole(Some(text.into())));
    *response.status_mut() = status;
    response
}

/// A JSON text about a state of a scope, by which it is known again.
pub(super) fn state(tag: StateTag, text: String) -> Response<Body> {
    tagged(tag, json(StatusCode::OK, text))
}

/// The state is the one that is known.
pub(super) fn not_modified(tag: StateTag) -> Response<Body> {
    let mut response = Response::new(Body::Whole(None));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    tagged(tag, response)
}

/// Done, and nothing to say.
pub(super) fn nothing() -> Response<Body> {
    let mut response = Response::new(Body::Whole(None));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What happens, as it happens.
pub(super) fn events(events: Events) -> Response<Body> {
    typed("text/event-stream", Body::Events(Box::new(events)))
}

fn typed(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn tagged(tag: StateTag, mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let quoted = HeaderValue::try_from(format!("\"{tag}\""));
    headers.insert(ETAG, quoted.expect("digits and a hyphen"));
    // Whoever keeps it asks each time whether it is still so.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
