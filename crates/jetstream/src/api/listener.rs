//! Connections of programs: accepted within bounds, served until the server goes away.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::answer::{Body, json};
use super::patience::Patient;
use super::problem::Problem;
use super::request::{Query, accepts};
use super::route::Operation;
use super::token::Tokens;
use super::{Api, ApiLimits};
use crate::future::catch_panic;
use crate::scope::Scopes;
use crate::server::ServerHandle;
use crate::transport::local::is_this_machine;
use crate::transport::websocket::tls_acceptor;

/// An [`Api`] that has its port.
pub(crate) struct ApiListener {
    api: Api,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// What every request needs.
pub(super) struct Serving {
    pub(super) scopes: Scopes,
    pub(super) server: ServerHandle,
    pub(super) limits: ApiLimits,
    /// A permit for each program that follows a scope.
    pub(super) streams: Arc<Semaphore>,
    tokens: Tokens,
}

impl Api {
    /// Takes the port.
    pub(crate) async fn bind(self) -> io::Result<ApiListener> {
        let refused = |message: &str| io::Error::new(io::ErrorKind::InvalidInput, message);
        if self.tokens.is_empty() && !self.unprotected {
            return Err(refused("the interface for programs needs a token"));
        }
        if self.unprotected && !is_this_machine(&self.address) {
            return Err(refused("without tokens programs are answered on a loopback address only"));
        }
        let tls = match &self.certificate {
            Some((certificate, key)) => Some(tls_acceptor(certificate, key)?),
            None => None,
        };
        let listener = TcpListener::bind(&self.address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen at {}: {error}", self.address))
        })?;
        let address = listener.local_addr()?;
        Ok(ApiListener { api: self, listener, address, tls })
    }
}

impl ApiListener {
    /// The address that was taken.
    pub(crate) const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the server goes away, and what was asked until then to its end.
    pub(crate) async fn serve(self, server: ServerHandle) {
        let Self { api, listener, tls, .. } = self;
        let Api { scopes, tokens, unprotected, limits, .. } = api;
        let streams = Arc::new(Semaphore::new(limits.streams_max.min(Semaphore::MAX_PERMITS)));
        let tokens = Tokens { tokens, unprotected };
        let connections_max = limits.connections_max;
        let serving = Arc::new(Serving { scopes, server: server.clone(), limits, streams, tokens });
        let (closing, _) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stopping = pin!(server.stopping());
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
                () = &mut stopping => break,
            };
            if connections.len() >= connections_max {
                serving.server.metrics().connections_refused.inc();
                continue;
            }
            let (serving, tls, closing) = (serving.clone(), tls.clone(), closing.subscribe());
            connections.spawn(connection(stream, tls, serving, closing));
        }
        drop(listener);
        closing.send_replace(true);
        while connections.join_next().await.is_some() {}
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    serving: Arc<Serving>,
    closing: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => requests(stream, serving, closing).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME_MAX, tls.accept(stream)).await {
                requests(stream, serving, closing).await;
            }
        }
    }
}

/// Serves the requests of a connection, one after the other.
async fn requests<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    serving: Arc<Serving>,
    mut closing: watch::Receiver<bool>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let serving = serving.clone();
        async move { Ok::<_, Infallible>(serving.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIME_MAX)), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // Whatever became of it: the client is gone.
        _ = connection.as_mut() => return,
        _ = closing.wait_for(|closing| *closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

impl Serving {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let metrics = self.server.metrics();
        metrics.api_requests.inc();
        let answered = catch_panic(self.operation(request)).await.unwrap_or_else(|panic| {
            tracing::error!(%panic, "a request of a program panicked");
            Err(Problem::internal())
        });
        answered.unwrap_or_else(|problem| {
            metrics.api_refusals.inc();
            problem.into_response()
        })
    }

    async fn operation(&self, request: Request<Incoming>) -> Result<Response<Body>, Problem> {
        let operation = Operation::of(request.method(), request.uri().path())?;
        let Some((role, scope)) = operation.needs() else {
            Query::of(request.uri(), &[])?;
            return Ok(json(StatusCode::OK, Bytes::from_static(DESCRIPTION.as_bytes())));
        };
        let caller = self.tokens.admit(request.headers())?;
        caller.require(role, scope)?;
        let kind = match operation {
            Operation::Follow(_) => "text/event-stream",
            _ => "application/json",
        };
        accepts(request.headers(), kind)?;
        match &operation {
            Operation::Description => unreachable!("it needs nothing"),
            Operation::State(name) => self.state(name, &request).await,
            Operation::Object(name, id) => self.object(name, *id, &request).await,
            Operation::Update(name) => self.update(name, &caller, request).await,
            Operation::Change(name) => self.change(name, &caller, request).await,
            Operation::Follow(name) => self.follow(name, &request).await,
            Operation::Sessions => self.sessions(&request),
            Operation::End(id) => self.end(*id, &caller, &request).await,
            Operation::Revoke => self.revoke(&caller, request).await,
        }
    }
}

/// What can be asked, as an OpenAPI document.
pub(super) const DESCRIPTION: &str = include_str!("openapi.json");

/// How long the head of a request may take, and a connection may be without one.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client may read nothing.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a TLS handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How long accepting pauses after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Programs send about ten.
const HEADERS_MAX: usize = 100;
const HEADERS_BYTES_MAX: usize = 16 << 10;
