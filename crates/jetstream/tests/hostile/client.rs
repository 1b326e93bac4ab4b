//! A client that knows just enough of the protocol to work, and to work against it.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::websocket::{self, Frame, Handshake, Opened, Reader};

/// Longer than anything takes that works; what does not come in this time does not come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The scope that everything happens in, its root and one of its shapes.
pub const SCOPE: &str = "Canvas";
pub const ROOT: &str = "ca000000-0000-4000-8000-000000000001";
pub const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

/// One connection.
#[derive(Debug)]
pub struct Client {
    reader: Reader,
    writer: OwnedWriteHalf,
    next_index: u64,
    waiting: std::collections::VecDeque<Value>,
    pub token: String,
}

impl Client {
    /// A WebSocket connection and nothing more.
    pub async fn open(address: &str, path: &str) -> io::Result<Self> {
        Self::shake_hands(address, Handshake { path: path.to_owned(), ..Handshake::default() })
            .await
    }

    /// The same, where a proxy says that the client is somewhere else.
    pub async fn open_from(address: &str, client: &str) -> io::Result<Self> {
        let headers = vec![("X-Forwarded-For".to_owned(), client.to_owned())];
        Self::shake_hands(address, Handshake { headers, ..Handshake::default() }).await
    }

    async fn shake_hands(address: &str, handshake: Handshake) -> io::Result<Self> {
        let Opened { reader, writer, .. } = websocket::open(address, &handshake).await?;
        let waiting = std::collections::VecDeque::new();
        Ok(Self { reader, writer, next_index: 1, waiting, token: String::new() })
    }

    /// A client with a session.
    pub async fn establish(address: &str) -> Self {
        Self::establish_as(address, "0.1.0").await
    }

    /// The same, of this version.
    pub async fn establish_as(address: &str, version: &str) -> Self {
        let client = Self::open(address, "/").await.expect("the server accepts");
        client.create(version).await.expect("a session")
    }

    /// The same, where a proxy says that the client is somewhere else; or why there is no session.
    pub async fn establish_from(address: &str, client: &str) -> Result<Self, Value> {
        let client = Self::open_from(address, client).await.expect("the server accepts");
        client.create("0.1.0").await
    }

    async fn create(mut self, version: &str) -> Result<Self, Value> {
        let hello =
            json!({ "type": "SessionCreate", "index": 0, "params": {}, "version": version });
        self.send(&hello).await;
        let mut reply = self.receive().await;
        let Some(token) = reply["sessionToken"].as_str() else { return Err(reply["error"].take()) };
        self.token = token.to_owned();
        Ok(self)
    }

    /// A client that has fetched the scope; its index there is 0.
    pub async fn join(address: &str) -> Self {
        let mut client = Self::establish(address).await;
        let index = client.index();
        client
            .send(&json!({ "type": "ScopeFetch", "index": index, "name": SCOPE, "params": {} }))
            .await;
        assert_eq!(client.receive().await["scopeIndex"], 0);
        assert_eq!(client.receive().await["type"], "ScopeState");
        client
    }

    /// The next index of the session's numbering.
    pub fn index(&mut self) -> u64 {
        self.next_index += 1;
        self.next_index - 1
    }

    pub async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_bytes(&websocket::frame(websocket::TEXT, text.as_bytes())).await;
    }

    /// Writes bytes as they are. That the server has closed the connection is no failure here: its
    /// reason is still to be read.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.writer.write_all(bytes)).await.expect("the server reads");
    }

    /// A change of one property of the shape; returns the index of the message.
    pub async fn change(&mut self, property: &str, value: &Value) -> u64 {
        let index = self.index();
        self.send(&change(index, property, value)).await;
        index
    }

    /// The next message but for Pings. Panics where the server closes instead.
    pub async fn receive(&mut self) -> Value {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                if message["type"] != "Ping" {
                    return message;
                }
                continue;
            }
            let frame = self.frame().await.expect("the connection holds");
            assert_eq!(
                frame.opcode,
                websocket::TEXT,
                "{}",
                String::from_utf8_lossy(&frame.payload)
            );
            let messages = serde_json::from_slice(&frame.payload).expect("the server sends JSON");
            match messages {
                Value::Array(messages) => self.waiting.extend(messages),
                message => self.waiting.push_back(message),
            }
        }
    }

    /// The reply to one of our messages, past what others change meanwhile.
    pub async fn reply(&mut self, to: u64) -> Value {
        loop {
            let message = self.receive().await;
            if message.get("replyTo").is_some() {
                assert_eq!(message["replyTo"], to, "replies come in order");
                return message;
            }
        }
    }

    /// The code and the reason with which the server closes; 1006 if it just goes away.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.frame().await {
                Ok(Frame { opcode: websocket::CLOSE, payload, .. }) => {
                    return websocket::close_reason(&payload);
                }
                Ok(_) => {}
                Err(error) => return (1006, error.to_string()),
            }
        }
    }

    /// Sends bytes as fast as the server takes them, and reads what comes.
    pub fn flood(self, bytes: Vec<u8>) -> JoinHandle<()> {
        let (mut reader, mut writer) = self.into_reader();
        tokio::spawn(async move {
            let sending = writer.write_all(&bytes);
            let reading = async { while reader.next().await.is_ok() {} };
            let _ = tokio::join!(sending, reading);
        })
    }

    /// How the server closes while it is sent these bytes.
    pub async fn closed_during(self, bytes: Vec<u8>) -> (u16, String) {
        let (mut reader, mut writer) = self.into_reader();
        let sending = tokio::spawn(async move {
            let _ = writer.write_all(&bytes).await;
            // The connection stands until the server has closed it.
            std::future::pending::<()>().await;
        });
        let closed = loop {
            match timeout(PATIENCE, reader.next()).await.expect("the server closes in time") {
                Ok(Frame { opcode: websocket::CLOSE, payload, .. }) => {
                    break websocket::close_reason(&payload);
                }
                Ok(_) => {}
                Err(error) => break (1006, error.to_string()),
            }
        };
        sending.abort();
        closed
    }

    /// Ends the connection without a word, and reads on what the server still sends.
    pub fn into_reader(self) -> (Reader, OwnedWriteHalf) {
        (self.reader, self.writer)
    }

    async fn frame(&mut self) -> io::Result<Frame> {
        timeout(PATIENCE, self.reader.next()).await.expect("the server answers in time")
    }
}

/// A ScopeSync that changes one property of the shape.
pub fn change(index: u64, property: &str, value: &Value) -> Value {
    json!({
        "type": "ScopeSync", "index": index, "scopeIndex": 0,
        "fragments": [{
            "type": "change", "uuid": SHAPE, "clsName": "Shape", "properties": { property: value },
        }],
    })
}
