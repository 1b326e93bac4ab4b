//! A client that speaks JSON by hand, over memory or over a real WebSocket.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use jetstream::transport::memory::{FromServer, MemoryClient};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// One end of a connection.
pub(crate) enum Line {
    Memory(MemoryClient),
    Socket(Box<WebSocketStream<TcpStream>>),
    /// Closed by the server, and then by the client.
    Gone,
}

impl Line {
    /// Connects to a port.
    pub(crate) async fn dial(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}{path}");
        Self::Socket(Box::new(client_async(url, stream).await.unwrap().0))
    }

    /// The same, and offers subprotocols; which one the server chose.
    pub(crate) async fn offering(
        address: SocketAddr,
        path: &str,
        protocols: &str,
    ) -> (Self, Option<String>) {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
        let (socket, response) = client_async(request, stream).await.unwrap();
        let chosen = response.headers().get("sec-websocket-protocol");
        let chosen = chosen.map(|chosen| chosen.to_str().unwrap().to_owned());
        (Self::Socket(Box::new(socket)), chosen)
    }

    async fn send(&mut self, text: String) {
        match self {
            // A connection that the server has closed takes nothing more; the test sees the close.
            Self::Memory(client) => drop(client.send(text).await),
            Self::Socket(socket) => drop(socket.send(Message::text(text)).await),
            Self::Gone => {}
        }
    }

    async fn recv(&mut self) -> Option<FromServer> {
        match self {
            Self::Memory(client) => client.recv().await,
            Self::Gone => None,
            Self::Socket(socket) => match socket.next().await?.ok()? {
                Message::Close(close) => close.map(|close| FromServer::Closed {
                    code: close.code.into(),
                    reason: close.reason.to_string(),
                }),
                message => Some(FromServer::Frame(message.into_text().unwrap().to_string())),
            },
        }
    }
}

/// A client of the original's kind, which counts its messages.
pub(crate) struct Client {
    line: Line,
    /// Messages that came in a frame with others.
    waiting: VecDeque<Value>,
    index: u64,
    version: &'static str,
    pub(crate) token: String,
    /// The highest index that was received.
    pub(crate) received: u64,
}

impl Client {
    /// A client without a session.
    pub(crate) fn new(line: Line) -> Self {
        let (waiting, token) = (VecDeque::new(), String::new());
        Self { line, waiting, index: 0, version: "0.1.0", token, received: 0 }
    }

    /// The same client, of version 1.0.
    pub(crate) fn of_v1(mut self) -> Self {
        self.version = "1.0.0";
        self
    }

    /// A client without a session that will say it is of this version.
    pub(crate) fn speaking(line: Line, version: &'static str) -> Self {
        Self { version, ..Self::new(line) }
    }

    /// A client with a session of its own.
    pub(crate) async fn join(line: Line) -> Self {
        Self::new(line).joined().await
    }

    /// The same for a client of version 1.0.
    pub(crate) async fn join_v1(line: Line) -> Self {
        Self::new(line).of_v1().joined().await
    }

    async fn joined(self) -> Self {
        let mut client = self;
        let reply = client.create(json!({})).await;
        client.token = reply["sessionToken"].as_str().unwrap_or_else(|| panic!("{reply}")).into();
        client
    }

    /// Asks for a session.
    pub(crate) async fn create(&mut self, params: Value) -> Value {
        let create =
            json!({"type": "SessionCreate", "index": 0, "params": params, "version": self.version});
        self.text(create.to_string()).await;
        self.next().await
    }

    /// The same client over another connection; it says what it has.
    pub(crate) async fn resume(mut self, line: Line) -> Self {
        self.line = line;
        self.waiting.clear();
        self.ping().await;
        self
    }

    /// Asks for everything that is missing.
    pub(crate) async fn ping(&mut self) {
        let ping = json!({"type": "Ping", "index": 0, "ack": self.received, "resendMissing": true});
        self.text(ping.to_string()).await;
    }

    /// Sends a message with the next index, which is returned.
    pub(crate) async fn send(&mut self, mut message: Value) -> u64 {
        self.index += 1;
        message["index"] = self.index.into();
        self.text(message.to_string()).await;
        self.index
    }

    /// Sends a frame as it is.
    pub(crate) async fn text(&mut self, text: String) {
        self.line.send(text).await;
    }

    /// Fetches a scope: the reply.
    pub(crate) async fn fetch(&mut self, name: &str) -> Value {
        self.send(json!({"type": "ScopeFetch", "name": name, "params": {}})).await;
        self.next().await
    }

    /// Fetches a scope that is given: its state.
    pub(crate) async fn state(&mut self, name: &str) -> Value {
        let reply = self.fetch(name).await;
        assert!(reply["scopeIndex"].is_u64(), "{reply}");
        let state = self.next().await;
        assert_eq!(state["type"], "ScopeState");
        state
    }

    /// Sets properties of an object of the scope with index 0.
    pub(crate) async fn change(&mut self, class: &str, uuid: &str, properties: Value) -> u64 {
        let fragment =
            json!({"type": "change", "uuid": uuid, "clsName": class, "properties": properties});
        self.send(json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [fragment]})).await
    }

    /// The next message other than a Ping.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let message = self.any().await;
            if message["type"] != "Ping" {
                return message;
            }
        }
    }

    /// The next message.
    pub(crate) async fn any(&mut self) -> Value {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                self.received = self.received.max(message["index"].as_u64().unwrap_or(0));
                return message;
            }
            match self.line.recv().await {
                Some(FromServer::Frame(text)) => match serde_json::from_str(&text).unwrap() {
                    Value::Array(messages) => self.waiting.extend(messages),
                    message => self.waiting.push_back(message),
                },
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    /// Reads up to the close, and goes.
    pub(crate) async fn close(&mut self) -> (u16, String) {
        let mut line = std::mem::replace(&mut self.line, Line::Gone);
        loop {
            match line.recv().await {
                Some(FromServer::Frame(_)) => {}
                Some(FromServer::Closed { code, reason }) => return (code, reason),
                None => return (1006, String::new()),
            }
        }
    }
}
