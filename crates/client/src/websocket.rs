//! Connections over WebSocket, plain or over TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::Sink;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::link::{BoxFuture, Introduction, Link, Received, Transport};

/// Reaches a server over WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    #[cfg(feature = "tls")]
    tls: Option<std::sync::Arc<tokio_rustls::rustls::ClientConfig>>,
}

/// Why an address is none that a client can connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL.
    #[error("{0:?} is no url")]
    NotAUrl(String),
    /// Its scheme is not one of ours.
    #[error("{0:?} does not begin with ws:// or wss://")]
    Scheme(String),
    /// It asks for TLS, and this program was built without.
    #[error("{0:?} needs the feature \"tls\" of jetstream-client")]
    NoTls(String),
    /// A header that cannot be one.
    #[error("{0:?} is no header")]
    Header(String),
}

impl WebSocket {
    /// Reaches the server at this `ws://` or `wss://` URL.
    ///
    /// # Errors
    ///
    /// If it is no such URL.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let uri: Uri = url.parse().map_err(|_| UrlError::NotAUrl(url.to_owned()))?;
        match uri.scheme_str() {
            _ if uri.host().is_none() => return Err(UrlError::NotAUrl(url.to_owned())),
            Some("ws") => {}
            Some("wss") if cfg!(feature = "tls") => {}
            Some("wss") => return Err(UrlError::NoTls(url.to_owned())),
            _ => return Err(UrlError::Scheme(url.to_owned())),
        }
        Ok(Self {
            uri,
            headers: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// Sends a header with every connection, `authorization` for example.
    ///
    /// # Errors
    ///
    /// If it cannot be one.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, UrlError> {
        let no_header = || UrlError::Header(name.to_owned());
        let value = HeaderValue::from_str(value).map_err(|_| no_header())?;
        self.headers.push((name.parse().map_err(|_| no_header())?, value));
        Ok(self)
    }

    /// How servers prove who they are. If it is not said, by the authorities that browsers trust.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: std::sync::Arc<tokio_rustls::rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    async fn open(&self, introduction: Introduction<'_>) -> io::Result<Box<dyn Link>> {
        let secure = self.uri.scheme_str() == Some("wss");
        let host = self.uri.host().expect("compared when the url was read");
        // An IPv6 address stands in brackets there.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let request = self.request(introduction)?;
        if !secure {
            return shake_hands(request, stream).await;
        }
        #[cfg(feature = "tls")]
        {
            use tokio_rustls::TlsConnector;
            use tokio_rustls::rustls::pki_types::ServerName;

            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            let config = self.tls.clone().unwrap_or_else(trust_as_browsers_do);
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            shake_hands(request, stream).await
        }
        #[cfg(not(feature = "tls"))]
        unreachable!("such a url is refused without tls")
    }

    fn request(&self, introduction: Introduction<'_>) -> io::Result<Request<()>> {
        let mut request = self.uri.clone().into_client_request().map_err(io::Error::other)?;
        let headers = request.headers_mut();
        headers.extend(self.headers.iter().cloned());
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(io::Error::other)?;
            value.set_sensitive(true);
            io::Result::Ok(value)
        };
        if let Some(token) = introduction.token {
            headers.insert("x-jetstream-sessiontoken", secret(token)?);
        }
        if let Some(credential) = introduction.credential {
            headers.insert(AUTHORIZATION, secret(&format!("Bearer {credential}"))?);
        }
        Ok(request)
    }
}

impl Transport for WebSocket {
    fn connect<'a>(
        &'a mut self,
        introduction: Introduction<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Link>>> {
        Box::pin(self.open(introduction))
    }
}

#[cfg(feature = "tls")]
fn trust_as_browsers_do() -> std::sync::Arc<tokio_rustls::rustls::ClientConfig> {
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for the usual versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.into()
}

async fn shake_hands<S>(request: Request<()>, stream: S) -> io::Result<Box<dyn Link>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // A scope's state comes as one message, and a client trusts its server.
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(Box::new(WebSocketLink { socket, broken: false })),
        Err(Error::Http(response)) => {
            Err(io::Error::other(format!("the server answered {}", response.status())))
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

/// One WebSocket.
struct WebSocketLink<S> {
    socket: WebSocketStream<S>,
    /// Writing has failed; reading will tell.
    broken: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Link for WebSocketLink<S> {
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        loop {
            let message = match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(message))) => message,
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Received::Lost),
            };
            return Poll::Ready(match message {
                Message::Text(text) => Received::Frame(text.to_string()),
                Message::Binary(bytes) => match String::from_utf8(bytes.into()) {
                    Ok(text) => Received::Frame(text),
                    Err(_) => Received::Lost,
                },
                Message::Close(Some(close)) => {
                    Received::Closed { code: close.code.into(), reason: close.reason.to_string() }
                }
                Message::Close(None) => Received::Lost,
                // Answered below us.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            });
        }
    }

    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let ready = Pin::new(&mut self.socket).poll_ready(context);
        ready.map(|ready| self.broken |= ready.is_err())
    }

    fn send(&mut self, text: String) {
        if !self.broken {
            self.broken = Pin::new(&mut self.socket).start_send(Message::text(text)).is_err();
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.broken {
            return Poll::Ready(());
        }
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        flushed.map(|flushed| self.broken |= flushed.is_err())
    }
}

/// The longest message that is read, in bytes. A longer one ends the connection.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        let scheme = |url: &str| Err(UrlError::Scheme(url.to_owned()));
        for (url, expected) in [
            ("ws://localhost:3000", Ok(())),
            ("ws://[::1]:3000/path?x=1", Ok(())),
            ("wss://example.com", Ok(())),
            ("http://localhost", scheme("http://localhost")),
            ("localhost", Err(UrlError::Scheme("localhost".into()))),
            ("", Err(UrlError::NotAUrl(String::new()))),
        ] {
            assert_eq!(WebSocket::new(url).map(|_| ()), expected, "{url}");
        }
    }

    #[test]
    fn a_credential_stands_in_a_header_and_in_no_url() {
        let server = WebSocket::new("ws://localhost:3000/path?x=1").unwrap();
        let introduction = Introduction { token: Some("t"), credential: Some("secret") };
        let request = server.request(introduction).unwrap();
        let header = &request.headers()[AUTHORIZATION];
        assert!(header == "Bearer secret" && header.is_sensitive());
        assert_eq!(request.uri(), "ws://localhost:3000/path?x=1");
        assert!(!format!("{introduction:?}").contains("secret"));
        let broken = Introduction { credential: Some("line\nline"), ..Introduction::default() };
        assert!(server.request(broken).is_err());
    }
}
