//! A request that asks for WebSocket, and the answer (RFC 6455, section 4.2).

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tungstenite::handshake::derive_accept_key;

use super::deflate;
use crate::transport::ConnectInfo;
use crate::transport::info::decode_part;

/// Whether the request asks for WebSocket at all.
pub(super) fn is_upgrade<B>(request: &Request<B>) -> bool {
    has_token(request.headers(), header::UPGRADE, "websocket")
}

/// The 101 that accepts, or the response that says what is wrong with the request.
pub(super) fn answer<B>(
    request: &Request<B>,
    origins: Option<&[String]>,
    compression: bool,
) -> Result<Response<()>, (StatusCode, &'static str)> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "a websocket handshake is a GET\n"));
    }
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return Err((StatusCode::BAD_REQUEST, "the header `Connection: Upgrade` is missing\n"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err((StatusCode::UPGRADE_REQUIRED, "only websocket version 13 is spoken here\n"));
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| is_nonce(key)) else {
        return Err((StatusCode::BAD_REQUEST, "the header `Sec-WebSocket-Key` is no nonce\n"));
    };
    if !is_allowed(headers, origins) {
        return Err((StatusCode::FORBIDDEN, "this origin is not allowed here\n"));
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answers = response.headers_mut();
    answers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
    answers.insert(header::SEC_WEBSOCKET_ACCEPT, accept.expect("base64 is a proper header value"));
    if let Some(agreed) = deflate::agree(headers).filter(|_| compression) {
        answers.insert(header::SEC_WEBSOCKET_EXTENSIONS, agreed);
    }
    if let Some(protocol) = chosen_protocol(headers) {
        answers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

/// Sixteen bytes in base64: 22 digits and the padding.
fn is_nonce(key: &HeaderValue) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.as_bytes().strip_suffix(b"==").is_some_and(|key| key.len() == 22 && key.iter().all(digit))
}

/// What the application is told about the client.
pub(super) fn info<B>(request: &Request<B>, peer: SocketAddr) -> ConnectInfo {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut info = ConnectInfo::new(path).from_peer(peer);
    for (name, value) in request.headers().iter().filter(|(name, _)| *name != PROTOCOLS) {
        info = info.with_header(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    let protocols = offered(request.headers()).filter(|protocol| !protocol.starts_with(CREDENTIAL));
    let protocols: Vec<&str> = protocols.collect();
    if !protocols.is_empty() {
        info = info.with_header(PROTOCOLS.as_str(), protocols.join(", "));
    }
    match offered(request.headers()).find_map(|protocol| protocol.strip_prefix(CREDENTIAL)) {
        Some(credential) => info.with_credential(decode_part(credential)),
        None => info,
    }
}

/// The original server takes the first subprotocol that a client offers, whatever it is; a client that
/// offers one refuses a server that takes none. One that is a credential is never sent back.
fn chosen_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let first = offered(headers).find(|protocol| !protocol.starts_with(CREDENTIAL))?;
    HeaderValue::from_str(first).ok()
}

/// The subprotocols that the client offers, best first.
fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(PROTOCOLS).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|protocol| !protocol.is_empty())
}

const PROTOCOLS: header::HeaderName = header::SEC_WEBSOCKET_PROTOCOL;

/// What a subprotocol that is a credential begins with. Browsers can set no header but this one. Behind it
/// stands the credential, with percent signs for what a subprotocol's name cannot hold.
const CREDENTIAL: &str = "jetstream.authorization.";

fn is_allowed(headers: &HeaderMap, origins: Option<&[String]>) -> bool {
    let (Some(origins), Some(origin)) = (origins, headers.get(header::ORIGIN)) else { return true };
    origin
        .to_str()
        .is_ok_and(|origin| origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)))
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|candidate| candidate.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut HeaderMap)) -> Request<()> {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
        headers.insert("connection", HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        headers.insert("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        change(headers);
        request
    }

    #[test]
    fn the_answer_proves_that_the_key_was_read() {
        let response = answer(&request(|_| {}), None, true).unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        // The example of RFC 6455, section 1.3.
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(response.headers().get("sec-websocket-extensions").is_none());
    }

    #[test]
    fn compression_is_agreed_on_where_it_is_offered_and_wanted() {
        let offering = request(|headers| {
            let offer = HeaderValue::from_static("permessage-deflate; client_max_window_bits");
            headers.insert("sec-websocket-extensions", offer);
        });
        let agreed = |compression| {
            let response = answer(&offering, None, compression).unwrap();
            response.headers().contains_key("sec-websocket-extensions")
        };
        assert!(agreed(true) && !agreed(false));
    }

    #[test]
    fn what_is_wrong_with_a_handshake_is_told_by_its_status() {
        let status =
            |change: fn(&mut HeaderMap)| answer(&request(change), None, false).unwrap_err().0;
        assert_eq!(status(|h| drop(h.remove("connection"))), StatusCode::BAD_REQUEST);
        assert_eq!(status(|h| drop(h.remove("sec-websocket-key"))), StatusCode::BAD_REQUEST);
        for key in ["x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZ!=="] {
            let request = request(|h| drop(h.insert("sec-websocket-key", key.parse().unwrap())));
            assert_eq!(
                answer(&request, None, false).unwrap_err().0,
                StatusCode::BAD_REQUEST,
                "{key}"
            );
        }
        assert_eq!(
            status(|h| drop(h.insert("sec-websocket-version", HeaderValue::from_static("8")))),
            StatusCode::UPGRADE_REQUIRED
        );
    }

    #[test]
    fn only_allowed_origins_and_clients_without_one_are_let_in() {
        let allowed = ["https://example.org".to_owned()];
        let from = |origin: Option<&'static str>| {
            let request = request(|headers| {
                origin.map(|o| headers.insert("origin", HeaderValue::from_static(o)));
            });
            answer(&request, Some(&allowed), false).map(|_| ()).map_err(|(status, _)| status)
        };
        assert_eq!(from(None), Ok(()));
        assert_eq!(from(Some("https://Example.org")), Ok(()));
        assert_eq!(from(Some("https://example.org.evil.test")), Err(StatusCode::FORBIDDEN));
        assert_eq!(from(Some("null")), Err(StatusCode::FORBIDDEN));
    }

    fn offering(protocols: &'static str) -> Request<()> {
        request(|h| drop(h.insert("sec-websocket-protocol", HeaderValue::from_static(protocols))))
    }

    #[test]
    fn a_credential_among_the_subprotocols_is_taken_and_never_sent_back() {
        for (protocols, chosen, credential) in [
            ("jetstream, jetstream.authorization.a.b-c_d", Some("jetstream"), Some("a.b-c_d")),
            ("jetstream.authorization.abc,jetstream", Some("jetstream"), Some("abc")),
            ("jetstream.authorization.a%2Fb%2B+c%3D", None, Some("a/b++c=")),
            ("one, two", Some("one"), None),
            ("jetstream", Some("jetstream"), None),
        ] {
            let request = offering(protocols);
            let response = answer(&request, None, false).unwrap();
            let sent = response.headers().get("sec-websocket-protocol");
            assert_eq!(sent.map(|value| value.to_str().unwrap()), chosen, "{protocols}");
            let info = info(&request, "127.0.0.1:1".parse().unwrap());
            assert_eq!(info.credential(), credential, "{protocols}");
            let others = info.header("sec-websocket-protocol").unwrap_or_default();
            assert!(!others.contains("authorization"), "{others}");
        }
    }
}
