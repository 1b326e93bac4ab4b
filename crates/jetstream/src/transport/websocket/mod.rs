//! WebSocket over TCP or TLS: what browsers and the original clients speak.
//!
//! - `listener`: accepts, holds the bounds before a session, serves plain HTTP requests.
//! - `upgrade`: a request that asks for WebSocket, and the answer.
//! - `inbound`, `outbound` (with `waiting`), `tls`: the two halves of a connection.
//! - `encode`: frames as bytes, in parts (`part`).
//! - `deflate`, `inflate`: compressed frames, for clients that offer permessage-deflate.

mod listener;
mod upgrade;

mod inbound;
mod outbound;
mod tls;
mod waiting;

mod encode;
mod part;

mod deflate;
mod inflate;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::{Environment, Listener, Transport};
use crate::future::BoxFuture;

pub(crate) use listener::serve_http;
pub(crate) use tls::acceptor as tls_acceptor;

/// The WebSocket transport. Every path is WebSocket, except those that the
/// [`http`](WebSocket::http) handler answers.
///
/// ```
/// use jetstream::WebSocket;
///
/// let transport = WebSocket::bind("0.0.0.0:3000").allow_origins(["https://example.org"]);
/// ```
pub struct WebSocket {
    place: Place,
    certificate: Option<(PathBuf, PathBuf)>,
    options: Options,
}

/// Where to listen.
enum Place {
    Address(String),
    Listener(std::net::TcpListener),
}

/// What a connection is held to before it has a session.
#[derive(Clone)]
struct Options {
    /// Lower case; `None`: any.
    origins: Option<Vec<String>>,
    compression: bool,
    io_uring: bool,
    http: Option<HttpHandler>,
    headers_max: usize,
    headers_bytes_max: usize,
}

/// Answers plain HTTP requests; `None` leaves the request to the transport.
pub type HttpHandler = Arc<
    dyn Fn(http::Request<()>) -> BoxFuture<'static, Option<http::Response<Bytes>>> + Send + Sync,
>;

impl WebSocket {
    /// Listens at an address, `host:port`. Port 0 picks a free one; the
    /// [handle](crate::ServerHandle::local_addr) tells which.
    pub fn bind(address: impl Into<String>) -> Self {
        Self::at(Place::Address(address.into()))
    }

    /// Listens with a socket that somebody else has bound.
    pub fn from_listener(listener: std::net::TcpListener) -> Self {
        Self::at(Place::Listener(listener))
    }

    fn at(place: Place) -> Self {
        let options = Options {
            origins: None,
            compression: false,
            io_uring: true,
            http: None,
            headers_max: HEADERS_MAX,
            headers_bytes_max: HEADERS_BYTES_MAX,
        };
        Self { place, certificate: None, options }
    }

    /// Speaks TLS with this certificate chain and key, both PEM files. They are read when the server
    /// starts.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Refuses browsers that were sent by pages of other origins (`https://example.org`). Clients that
    /// are no browsers send no origin and are let in.
    #[must_use]
    pub fn allow_origins<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        let origins = origins.into_iter().map(|origin| origin.into().to_ascii_lowercase());
        self.options.origins = Some(origins.collect());
        self
    }

    /// Agrees on permessage-deflate with clients that offer it. States are compressed then, once for all who
    /// fetch them; all else goes as it is. Off at first: it saves bytes, not work. Over TLS, read about it in
    /// `docs/security.md` before.
    #[must_use]
    pub fn compression(mut self, on: bool) -> Self {
        self.options.compression = on;
        self
    }

    /// Whether frames to many clients may leave in one call into the kernel, by way of Linux's io_uring; not those
    /// over TLS. On at first. Where the system does not offer it, each frame is a call, as when this is off.
    #[must_use]
    pub fn io_uring(mut self, on: bool) -> Self {
        self.options.io_uring = on;
        self
    }

    /// The most headers of a request, and the most bytes that they may have together (8 KiB at least).
    /// More are answered with 431.
    #[must_use]
    pub fn headers_max(mut self, count: usize, bytes: usize) -> Self {
        self.options.headers_max = count;
        self.options.headers_bytes_max = bytes.max(HEADERS_BYTES_MIN);
        self
    }

    /// Answers GET requests that do not ask for WebSocket, with pages for example. `None` leaves a
    /// request to the transport, which says that it speaks WebSocket.
    #[must_use]
    pub fn http<F, A>(mut self, handler: F) -> Self
    where
        F: Fn(http::Request<()>) -> A + Send + Sync + 'static,
        A: Future<Output = Option<http::Response<Bytes>>> + Send + 'static,
    {
        self.options.http = Some(Arc::new(move |request| Box::pin(handler(request))));
        self
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = match &self.place {
            Place::Address(address) => address.clone(),
            Place::Listener(listener) => format!("{listener:?}"),
        };
        f.debug_struct("WebSocket").field("place", &place).finish_non_exhaustive()
    }
}

impl Transport for WebSocket {
    fn listen(
        self: Box<Self>,
        environment: Environment,
    ) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let tls = match &self.certificate {
                Some((certificate, key)) => Some(tls::acceptor(certificate, key)?),
                None => None,
            };
            let listener = match self.place {
                Place::Address(address) => {
                    let with_address = |error: io::Error| {
                        io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"))
                    };
                    tokio::net::TcpListener::bind(&address).await.map_err(with_address)?
                }
                Place::Listener(listener) => {
                    listener.set_nonblocking(true)?;
                    tokio::net::TcpListener::from_std(listener)?
                }
            };
            let listener = listener::start(listener, tls, self.options, environment)?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }
}

/// Browsers send about twenty.
const HEADERS_MAX: usize = 100;
const HEADERS_BYTES_MAX: usize = 16 << 10;

/// What the HTTP parser works with at least.
const HEADERS_BYTES_MIN: usize = 8 << 10;
