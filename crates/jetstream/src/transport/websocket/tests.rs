//! The contract over plain TCP and over TLS, and what is particular to WebSocket.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::outbound::{ControlSink, SocketSink};
use super::*;
use crate::core::limits::Limits;
use crate::metrics::Metrics;
use crate::transport::contract::{Client, Connect, Harness};
use crate::transport::memory::FromServer;
use crate::transport::{
    Connection, Departure, Entrance, FramePart, FrameSink, Proxies, Received, Sent,
};

mod compression;

struct Plain;
struct Encrypted;

impl Harness for Plain {
    fn open(
        &self,
        environment: Environment,
    ) -> BoxFuture<'static, (Box<dyn Listener>, Box<dyn Connect>)> {
        open(WebSocket::bind("127.0.0.1:0"), None, environment)
    }
}

impl Harness for Encrypted {
    fn open(
        &self,
        environment: Environment,
    ) -> BoxFuture<'static, (Box<dyn Listener>, Box<dyn Connect>)> {
        let transport = WebSocket::bind("127.0.0.1:0").tls(CERTIFICATE, KEY);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(CERTIFICATE).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        open(transport, Some(TlsConnector::from(Arc::new(config))), environment)
    }
}

fn open(
    transport: WebSocket,
    tls: Option<TlsConnector>,
    environment: Environment,
) -> BoxFuture<'static, (Box<dyn Listener>, Box<dyn Connect>)> {
    Box::pin(async {
        let listener = Box::new(transport).listen(environment).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, Box::new(Dial { address, tls }) as Box<dyn Connect>)
    })
}

struct Dial {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Connect for Dial {
    fn connect(
        &self,
        path: &str,
        (name, value): (&str, &str),
    ) -> BoxFuture<'static, Option<Box<dyn Client>>> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        let (address, tls) = (self.address, self.tls.clone());
        Box::pin(async move {
            let stream = TcpStream::connect(address).await.ok()?;
            match tls {
                None => Some(Box::new(client_async(request, stream).await.ok()?.0) as _),
                Some(tls) => {
                    let name = ServerName::from(address.ip());
                    let stream = tls.connect(name, stream).await.ok()?;
                    Some(Box::new(client_async(request, stream).await.ok()?.0) as _)
                }
            }
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Client for WebSocketStream<S> {
    fn send(&mut self, text: String) -> BoxFuture<'_, ()> {
        Box::pin(async { SinkExt::send(self, Message::text(text)).await.unwrap() })
    }

    fn recv(&mut self) -> BoxFuture<'_, Option<FromServer>> {
        Box::pin(async {
            match self.next().await? {
                Ok(Message::Close(close)) => close.map(|close| FromServer::Closed {
                    code: close.code.into(),
                    reason: close.reason.to_string(),
                }),
                Ok(message) => Some(FromServer::Frame(message.into_text().unwrap().to_string())),
                Err(_) => None,
            }
        })
    }
}

mod plain {
    crate::transport_contract!(super::Plain);
}

mod encrypted {
    crate::transport_contract!(super::Encrypted);
}

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/cert.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/key.pem");

/// A listener with these options, and its environment.
async fn listen(
    transport: WebSocket,
    change: impl FnOnce(&mut Limits),
) -> (Box<dyn Listener>, SocketAddr) {
    let mut limits = Limits::default();
    change(&mut limits);
    let (limits, metrics) = (Arc::new(limits), Metrics::new());
    let entrance = Entrance::new(limits.clone(), metrics.clone(), Proxies::default());
    let environment = Environment { limits, metrics, entrance: Arc::new(entrance) };
    let listener = Box::new(transport).listen(environment).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn local() -> WebSocket {
    WebSocket::bind("127.0.0.1:0")
}

/// An upgraded connection whose client's end is the bare stream.
async fn raw(listener: &mut Box<dyn Listener>, address: SocketAddr) -> (TcpStream, Connection) {
    raw_after(listener, address, HANDSHAKE).await
}

async fn raw_after(
    listener: &mut Box<dyn Listener>,
    address: SocketAddr,
    handshake: &str,
) -> (TcpStream, Connection) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let connection = listener.accept().await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    (stream, connection)
}

/// What comes back over a connection on which a request is written, to its end.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A frame as clients send it: masked, here with zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// Sends bytes and says with which code the server closes.
async fn code_for(bytes: &[u8]) -> u16 {
    code_after(local(), HANDSHAKE, bytes).await
}

async fn code_after(transport: WebSocket, handshake: &str, bytes: &[u8]) -> u16 {
    let (mut listener, address) = listen(transport, |_| {}).await;
    let (mut stream, mut connection) = raw_after(&mut listener, address, handshake).await;
    stream.write_all(bytes).await.unwrap();
    let received = poll_fn(|context| connection.source.poll_frame(context)).await;
    assert!(matches!(received, Received::Ended), "{received:?}");
    let frame = [stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()];
    assert_eq!(frame[0], 0x88, "a close frame");
    stream.read_u16().await.unwrap()
}

#[tokio::test]
async fn what_breaks_the_rules_of_websocket_is_closed_with_the_code_for_it() {
    assert_eq!(code_for(&masked(0x83, b"reserved opcode")).await, 1002);
    assert_eq!(code_for(&masked(0xc1, b"reserved bit")).await, 1002);
    assert_eq!(code_for(&masked(0x80, b"continues nothing")).await, 1002);
    assert_eq!(code_for(&[0x81, 2, b'n', b'o']).await, 1002, "not masked");
    assert_eq!(code_for(&masked(0x81, b"\xff\xfe")).await, 1007);
    assert_eq!(code_for(&masked(0x82, b"\xff\xfe")).await, 1007);
    let hundred_megabytes = [0x81, 0xff, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, b'x'];
    assert_eq!(code_for(&hundred_megabytes).await, 1009);
}

#[tokio::test]
async fn binary_frames_and_fragmented_ones_are_read_like_text() {
    let (mut listener, address) = listen(local(), |_| {}).await;
    let (mut stream, mut connection) = raw(&mut listener, address).await;
    let bytes = [
        masked(0x82, "é".as_bytes()),
        masked(0x01, b"one "),
        masked(0x89, b"ping between"),
        masked(0x80, b"text"),
    ];
    stream.write_all(&bytes.concat()).await.unwrap();
    let received = poll_fn(|context| connection.source.poll_frame(context)).await;
    assert!(matches!(received, Received::Frame(text) if &*text == "é"));
    let received = poll_fn(|context| connection.source.poll_frame(context)).await;
    assert!(matches!(received, Received::Overhead(12)), "a ping is no frame, but it counts");
    let received = poll_fn(|context| connection.source.poll_frame(context)).await;
    assert!(matches!(received, Received::Frame(text) if &*text == "one text"));
    let mut pong = [0; 14];
    stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong[..], b"\x8a\x0cping between");
}

#[tokio::test]
async fn a_text_in_many_tiny_pieces_is_told_by_what_it_took_and_one_without_end_is_refused() {
    let (mut listener, address) = listen(local(), |limits| limits.message_bytes_max = 1_000).await;
    let (mut stream, mut connection) = raw(&mut listener, address).await;
    let nothing = masked(0x00, b"");
    let mut pieces = masked(0x01, b"a");
    (0..11_100).for_each(|_| pieces.extend(&nothing));
    pieces.extend(masked(0x80, b"b"));
    let (sent, received) = tokio::join!(stream.write_all(&pieces), async {
        poll_fn(|context| connection.source.poll_frame(context)).await
    });
    sent.unwrap();
    assert!(matches!(received, Received::Frame(text) if &*text == "ab"));
    let received = poll_fn(|context| connection.source.poll_frame(context)).await;
    assert!(matches!(received, Received::Overhead(bytes) if bytes > 64 << 10), "{received:?}");

    let endless = [masked(0x01, b"a"), nothing.repeat(50_000)].concat();
    // Nobody reads the rest.
    let sending = tokio::spawn(async move { stream.write_all(&endless).await });
    let received = poll_fn(|context| connection.source.poll_frame(context)).await;
    assert!(matches!(received, Received::Ended), "{received:?}");
    sending.abort();
}

#[tokio::test]
async fn what_comes_in_one_packet_with_the_handshake_is_not_lost() {
    let (mut listener, address) = listen(local(), |_| {}).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let together = [HANDSHAKE.as_bytes(), &masked(0x81, b"in a hurry"), &masked(0x81, b"too")];
    stream.write_all(&together.concat()).await.unwrap();
    let mut connection = listener.accept().await.unwrap();
    for expected in ["in a hurry", "too"] {
        let received = poll_fn(|context| connection.source.poll_frame(context)).await;
        assert!(matches!(received, Received::Frame(text) if &*text == expected));
    }
}

#[tokio::test]
async fn a_client_that_closes_gets_its_close_back_and_then_the_end() {
    let (mut listener, address) = listen(local(), |_| {}).await;
    let (mut stream, mut connection) = raw(&mut listener, address).await;
    stream.write_all(&masked(0x88, b"\x03\xe8bye")).await.unwrap();
    let received = poll_fn(|context| connection.source.poll_frame(context)).await;
    assert!(matches!(received, Received::Ended));
    // The connection still lives here: its end is not what ends the stream.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(&rest[..4], b"\x88\x05\x03\xe8");
    drop(connection);
}

#[tokio::test]
async fn the_first_subprotocol_that_is_offered_is_taken() {
    let (_listener, address) = listen(local(), |_| {}).await;
    let request = HANDSHAKE.replace("Host:", "Sec-WebSocket-Protocol: one, two\r\nHost:");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("\r\nsec-websocket-protocol: one\r\n"), "{answer}");
}

#[tokio::test]
async fn pages_come_from_the_handler_and_everything_else_is_told_what_is_spoken_here() {
    let transport = local().http(|request| async move {
        (request.uri().path() == "/page").then(|| http::Response::new(Bytes::from("a page")))
    });
    let (_listener, address) = listen(transport, |_| {}).await;
    let get = |what: &str| format!("{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let page = exchange(address, &get("GET /page")).await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("a page"), "{page}");
    assert!(exchange(address, &get("GET /")).await.starts_with("HTTP/1.1 426 "));
    assert!(exchange(address, &get("POST /page")).await.starts_with("HTTP/1.1 405 "));
    assert!(exchange(address, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn too_many_headers_and_foreign_origins_are_refused() {
    let transport = local().headers_max(10, 0).allow_origins(["https://example.org"]);
    let (_listener, address) = listen(transport, |_| {}).await;
    let with = |more: &str| HANDSHAKE.replace("Host:", &format!("{more}Host:"));
    let answer = exchange(address, &with(&"X-More: 1\r\n".repeat(10))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let answer = exchange(address, &with(&format!("X-More: {}\r\n", "y".repeat(10_000)))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let foreign = "Origin: https://evil.test\r\nConnection: close\r\n";
    let answer = exchange(address, &with(foreign)).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn half_a_handshake_is_dropped_and_gives_its_place_back() {
    let (mut listener, address) = listen(local(), |limits| {
        limits.handshake_timeout_ms = 50;
        limits.connections_pending_max = 1;
    })
    .await;
    for half in ["", "GET / HTTP/1.1\r\nHost: loc", "GET / HTTP/1.1\r\n"] {
        // Ends only because the server drops it.
        exchange(address, half).await;
    }
    raw(&mut listener, address).await;
}

#[tokio::test]
async fn who_is_aboard_is_not_cut_off_by_the_end_and_pongs_come_behind() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut client, _) = listener.accept().await.unwrap();
    let sink = SocketSink::new(stream, false, true);
    let mut departure = Departure::default();
    let send = |departure: &mut Departure, text| {
        let sent = sink.clone().send_with(&[FramePart::Copied(text)], departure);
        departure.leave(|_| panic!("there is room"));
        sent
    };
    assert_eq!(send(&mut departure, "first"), Sent::Room);

    for text in ["sec", "ond"] {
        let sent = sink.clone().send_with(&[FramePart::Copied(text)], &mut departure);
        assert_eq!(sent, Sent::Room, "the last one aboard may add to it");
    }
    assert!(sink.send_control(b"\x8a\x00"));
    departure.leave(|_| panic!("there is room for the pong behind it, too"));

    sink.clone().send_with(&[FramePart::Copied("third")], &mut departure);
    sink.finish();
    departure.leave(|_| {});
    let mut read = Vec::new();
    client.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"\x81\x05first\x81\x03sec\x81\x03ond\x8a\x00\x81\x05third");
    assert_eq!(send(&mut departure, "late"), Sent::Closed);
}

#[tokio::test]
async fn who_is_aboard_already_gets_more_only_as_the_last_one_and_nothing_that_is_compressed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut sides = Vec::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(address).await.unwrap();
        sides.push((SocketSink::new(stream, true, true), listener.accept().await.unwrap().0));
    }
    let (mut departure, state) = (Departure::default(), "a state".into());
    let mut send = |side: usize, part| sides[side].0.clone().send_with(&[part], &mut departure);
    assert_eq!(send(0, FramePart::Copied("one")), Sent::Room);
    assert_eq!(send(1, FramePart::Piece(&state)), Sent::Room);
    assert_eq!(send(1, FramePart::Copied("two")), Sent::Room);
    // Were what is aboard not taken whole, this would stand in the middle of it.
    let third = send(0, FramePart::Copied("three"));
    assert_eq!(third == Sent::Full, departure.is_open());
    departure.leave(|_| panic!("there is room for all"));
    for (sink, _) in &sides {
        sink.finish();
    }
    let mut read = [Vec::new(), Vec::new()];
    for (read, (_, client)) in read.iter_mut().zip(&mut sides) {
        client.read_to_end(read).await.unwrap();
    }
    assert_eq!(read[0], b"\x81\x03one\x81\x05three");
    assert_eq!(read[1][0], 0xc1, "the state is compressed");
    assert!(read[1].ends_with(b"\x81\x03two"));
}

#[tokio::test]
async fn a_client_that_closes_while_a_frame_is_aboard_gets_both_the_frame_and_the_answer() {
    let (mut listener, address) = listen(local(), |_| {}).await;
    let (mut client, mut connection) = raw(&mut listener, address).await;
    let mut departure = Departure::default();
    connection.sink.clone().send_with(&[FramePart::Copied("last")], &mut departure);
    client.write_all(&masked(0x88, &[0x03, 0xe8])).await.unwrap();
    assert!(matches!(poll_fn(|c| connection.source.poll_frame(c)).await, Received::Ended));
    // Nobody is left who would write what waits.
    drop(connection);
    departure.leave(|_| {});
    let mut read = Vec::new();
    client.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"\x81\x04last\x88\x02\x03\xe8");
}

#[tokio::test]
async fn who_is_to_do_without_io_uring_does() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut client, _) = listener.accept().await.unwrap();
    let sink = SocketSink::new(stream, false, false);
    let mut departure = Departure::default();
    assert_eq!(sink.send_with(&[FramePart::Copied("alone")], &mut departure), Sent::Room);
    assert!(departure.is_untouched(), "it would have asked the kernel");
    let mut read = [0; 7];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"\x81\x05alone");
}
