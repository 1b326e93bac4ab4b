//! Accepts connections, and holds them to their bounds until they are WebSocket connections.
//!
//! hyper reads the requests: with a time limit on the headers (a client that sends them byte by byte is
//! dropped), a limit on their number and size, and a permit for each connection that is not a session
//! yet. After the upgrade hyper and its buffers are gone.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use jetstream_core::limits::Limit;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::inbound::SocketSource;
use super::outbound::{SocketReader, SocketSink};
use super::tls::TaskSink;
use super::{HttpHandler, Options, upgrade};
use crate::future::BoxFuture;
use crate::transport::{
    ConnectInfo, Connection, Environment, FrameSink, FrameSource, Listener, Pending,
};

/// The port in its place; its task is aborted when this is dropped.
pub(super) struct WebSocketListener {
    address: SocketAddr,
    connections: mpsc::Receiver<Connection>,
    accepting: AbortHandle,
}

/// What every connection's task knows.
struct Shared {
    tls: Option<TlsAcceptor>,
    options: Options,
    environment: Environment,
    connections: mpsc::Sender<Connection>,
}

impl Shared {
    /// What a client has said, with the address that counts for it; `None`: there are too many from there.
    fn identify(
        &self,
        info: ConnectInfo,
        peer: SocketAddr,
        pending: &mut Option<Pending>,
    ) -> Option<ConnectInfo> {
        let (address, place) =
            self.environment.entrance.identify(pending.take()?, peer.ip(), info.headers())?;
        *pending = Some(place);
        Some(info.of_client(address))
    }
}

/// Begins to accept.
pub(super) fn start(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    options: Options,
    environment: Environment,
) -> io::Result<WebSocketListener> {
    let address = listener.local_addr()?;
    let (sender, connections) = mpsc::channel(ACCEPTED_MAX);
    let shared = Arc::new(Shared { tls, options, environment, connections: sender });
    let accepting = tokio::spawn(accept_all(listener, shared)).abort_handle();
    Ok(WebSocketListener { address, connections, accepting })
}

impl Drop for WebSocketListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for WebSocketListener {
    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    fn accept(&mut self) -> BoxFuture<'_, Option<Connection>> {
        Box::pin(self.connections.recv())
    }
}

/// Accepts for ever. Dropped, it drops the connections that are not upgraded yet.
async fn accept_all(listener: TcpListener, shared: Arc<Shared>) {
    let mut handshakes = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: it gets better when a client leaves.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            Some(_) = handshakes.join_next() => continue,
        };
        shared.environment.metrics.connections_accepted.inc();
        let Some(pending) = shared.environment.entrance.enter(Some(peer.ip())) else { continue };
        handshakes.spawn(handshake(stream, peer, pending, shared.clone()));
    }
}

async fn handshake(stream: TcpStream, peer: SocketAddr, pending: Pending, shared: Arc<Shared>) {
    // Frames are small and few; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    match &shared.tls {
        None => http(stream, peer, pending, &shared).await,
        Some(acceptor) => {
            let limit = Duration::from_millis(shared.environment.limits.handshake_timeout_ms);
            if let Ok(Ok(stream)) = timeout(limit, acceptor.accept(stream)).await {
                http(stream, peer, pending, &shared).await;
            }
        }
    }
}

/// Serves requests until one becomes a WebSocket, which is passed on.
async fn http<S: Socket>(stream: S, peer: SocketAddr, pending: Pending, shared: &Shared) {
    let limits = &shared.environment.limits;
    let pending = Mutex::new(Some(pending));
    let upgraded: Mutex<Option<(OnUpgrade, ConnectInfo, bool)>> = Mutex::new(None);
    let service = service_fn(|mut request: Request<Incoming>| {
        let (upgraded, pending) = (&upgraded, &pending);
        async move {
            if !upgrade::is_upgrade(&request) {
                return Ok::<_, Infallible>(plain(request, shared.options.http.as_ref()).await);
            }
            let Options { origins, compression, .. } = &shared.options;
            Ok(match upgrade::answer(&request, origins.as_deref(), *compression) {
                Ok(response) => {
                    let info = upgrade::info(&request, peer);
                    let Some(info) = shared.identify(info, peer, &mut pending.lock()) else {
                        return Ok(text(StatusCode::TOO_MANY_REQUESTS, TOO_MANY));
                    };
                    let compresses =
                        response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS);
                    let upgrade = hyper::upgrade::on(&mut request);
                    *upgraded.lock() = Some((upgrade, info, compresses));
                    response.map(|()| Full::default())
                }
                Err((status, problem)) => text(status, problem),
            })
        }
    });
    let header_limit = Duration::from_millis(limits.handshake_timeout_ms);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_limit)
        .max_headers(shared.options.headers_max)
        .max_buf_size(shared.options.headers_bytes_max)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that never reads its page is let go of, too.
    if timeout(header_limit * HTTP_PHASE_FACTOR, connection).await.is_err() {
        return shared.environment.metrics.count_limit(Some(Limit::HandshakeTimeout));
    }
    let Some((upgrade, info, compresses)) = upgraded.into_inner() else { return };
    let Ok(upgraded) = upgrade.await else { return };
    let manners = Manners {
        message_bytes_max: limits.message_bytes_max,
        compresses,
        departs: shared.options.io_uring,
    };
    let (source, sink) = S::halves(upgraded, &manners);
    let connection = Connection { info, source, sink, pending: pending.into_inner() };
    let _ = shared.connections.send(connection).await;
}

/// A request that is not for WebSocket.
async fn plain(request: Request<Incoming>, handler: Option<&HttpHandler>) -> Response<Full<Bytes>> {
    let head = request.method() == Method::HEAD;
    if request.method() != Method::GET && !head {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
    }
    let answered = match handler {
        Some(handler) => handler(request.map(|_| ())).await,
        None => None,
    };
    match answered {
        Some(response) if head => response.map(|_| Full::default()),
        Some(response) => response.map(Full::new),
        None => {
            text(StatusCode::UPGRADE_REQUIRED, "this is a jetstream server; it speaks websocket\n")
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    if status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, http::HeaderValue::from_static("13"));
    }
    response
}

/// Serves plain HTTP only, for metrics and health. Ends when it is dropped.
pub(crate) async fn serve_http(listener: TcpListener, handler: HttpHandler, time_limit: Duration) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        if connections.len() >= HTTP_CONNECTIONS_MAX {
            continue;
        }
        let handler = handler.clone();
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| async {
                let response = plain(request, Some(&handler)).await;
                Ok::<_, Infallible>(match response.status() {
                    StatusCode::UPGRADE_REQUIRED => text(StatusCode::NOT_FOUND, "no such page\n"),
                    _ => response,
                })
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(time_limit)
                .serve_connection(TokioIo::new(stream), service);
            let _ = timeout(time_limit * HTTP_PHASE_FACTOR, connection).await;
        });
    }
}

/// The two kinds of stream that a connection can have.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin + Sized + 'static {
    /// The reading half and the writing half of an upgraded connection.
    fn halves(upgraded: Upgraded, manners: &Manners) -> Halves;
}

/// How a connection is read and written.
struct Manners {
    message_bytes_max: usize,
    /// Whether the client takes compressed frames.
    compresses: bool,
    /// Whether frames may leave together with those to others.
    departs: bool,
}

type Halves = (Box<dyn FrameSource>, Arc<dyn FrameSink>);

impl Socket for TcpStream {
    fn halves(upgraded: Upgraded, manners: &Manners) -> Halves {
        let Manners { message_bytes_max, compresses, .. } = *manners;
        let (stream, read) = parts::<Self>(upgraded);
        let sink = SocketSink::new(stream, compresses, manners.departs);
        let reading = SocketReader(sink.clone());
        let source =
            SocketSource::new(reading, sink.clone(), &read, (message_bytes_max, compresses));
        (Box::new(source), sink)
    }
}

impl Socket for TlsStream<TcpStream> {
    fn halves(upgraded: Upgraded, manners: &Manners) -> Halves {
        let Manners { message_bytes_max, compresses, .. } = *manners;
        let (stream, read) = parts::<Self>(upgraded);
        let (reading, writing) = tokio::io::split(stream);
        let sink = TaskSink::new(writing, compresses);
        let source =
            SocketSource::new(reading, sink.clone(), &read, (message_bytes_max, compresses));
        (Box::new(source), sink)
    }
}

/// The stream that hyper was given, and what it has read beyond the request.
fn parts<S: Socket>(upgraded: Upgraded) -> (S, Bytes) {
    let parts =
        upgraded.downcast::<TokioIo<S>>().expect("hyper gives back the stream it was given");
    (parts.io.into_inner(), parts.read_buf)
}

/// What a client is told whose address has as many connections as it may have.
const TOO_MANY: &str = "there are too many connections from this address\n";

/// How many upgraded connections wait for the server to take them.
const ACCEPTED_MAX: usize = 128;

/// How long accepting pauses after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many times the handshake's limit a connection may stay plain HTTP.
const HTTP_PHASE_FACTOR: u32 = 6;

/// The most connections of the listener for metrics and health.
const HTTP_CONNECTIONS_MAX: usize = 100;
