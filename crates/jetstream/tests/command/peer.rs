//! A client of the command's sockets: WebSocket with a few words of the protocol, and plain HTTP.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::process::PATIENCE;

/// A client in the manner of the original: version below 1.0, one session.
pub(crate) struct Peer {
    socket: WebSocket<TcpStream>,
    waiting: VecDeque<Value>,
    index: u64,
    /// The highest index that came.
    received: u64,
    /// Everything numbered, to be sent again when the server asks for it.
    sent: Vec<Value>,
    token: String,
}

impl Peer {
    pub(crate) fn connect(address: &str) -> Self {
        Self::connect_with(address, json!({}))
    }

    pub(crate) fn connect_with(address: &str, params: Value) -> Self {
        let socket = open(address, "/");
        let (waiting, sent) = (VecDeque::new(), Vec::new());
        let mut peer = Self { socket, waiting, index: 0, received: 0, sent, token: String::new() };
        peer.send(
            json!({"type": "SessionCreate", "index": 0, "params": params, "version": "0.2.0"}),
        );
        let reply = peer.next();
        peer.token = reply["sessionToken"].as_str().expect("a token").to_owned();
        peer
    }

    /// The same session again, over a new connection.
    pub(crate) fn resume(&mut self, address: &str) {
        self.socket = open(address, &format!("/?x-jetstream-sessiontoken={}", self.token));
        self.waiting.clear();
        self.send(json!({"type": "Ping", "index": 0, "ack": self.received, "resendMissing": true}));
    }

    /// The server does not know the session any more.
    pub(crate) fn resume_denied(&mut self, address: &str) {
        let mut socket = open(address, &format!("/?x-jetstream-sessiontoken={}", self.token));
        match socket.read().unwrap() {
            Message::Close(frame) => assert_eq!(u16::from(frame.unwrap().code), 4096),
            other => panic!("{other}"),
        }
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Fetches a scope; its state.
    pub(crate) fn fetch(&mut self, name: &str) -> Value {
        let reply = self.ask(json!({"type": "ScopeFetch", "name": name, "params": {}}));
        assert!(reply["scopeIndex"].is_u64(), "{reply}");
        self.next()
    }

    /// Why a fetch is denied.
    pub(crate) fn fetch_denied(&mut self, name: &str) -> Value {
        self.ask(json!({"type": "ScopeFetch", "name": name, "params": {}}))["error"].clone()
    }

    /// Sends fragments to the session's first scope; the replies.
    pub(crate) fn sync(&mut self, fragments: Value, procedure: Option<&str>) -> Value {
        let mut message = json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": fragments});
        if let Some(procedure) = procedure {
            message["atomic"] = true.into();
            message["procedure"] = procedure.into();
        }
        self.ask(message)["fragmentReplies"].clone()
    }

    /// Sends fragments to the session's first scope, and waits for nothing.
    pub(crate) fn say_sync(&mut self, fragments: Value) {
        self.say(json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": fragments}));
    }

    /// The reply to the last message, whatever else comes before it.
    pub(crate) fn reply(&mut self) -> Value {
        loop {
            let message = self.next();
            if message["replyTo"] == self.index {
                return message;
            }
        }
    }

    fn say(&mut self, mut message: Value) {
        self.index += 1;
        message["index"] = self.index.into();
        self.sent.push(message.clone());
        self.send(message);
    }

    fn ask(&mut self, message: Value) -> Value {
        self.say(message);
        loop {
            let message = self.next();
            if message["replyTo"] == self.index {
                return message;
            }
            // What was sent before a restart is answered again.
            if message["replyTo"].as_u64() < Some(self.index) && message["replyTo"].is_u64() {
                continue;
            }
            // Such as what repairs this client after a refusal.
            assert_eq!(message["type"], "ScopeSync", "{message}");
        }
    }

    fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).unwrap();
    }

    /// The next message that is no Ping.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            while let Some(message) = self.waiting.pop_front() {
                if message["type"] == "Ping" {
                    self.send_again(&message);
                } else {
                    let index = message["index"].as_u64().unwrap();
                    assert!(index <= self.received + 1, "a gap after {}: {message}", self.received);
                    self.received = self.received.max(index);
                    return message;
                }
            }
            let frame = self.socket.read().unwrap();
            let Message::Text(text) = frame else { continue };
            match serde_json::from_str(&text).unwrap() {
                Value::Array(messages) => self.waiting.extend(messages),
                message => self.waiting.push_back(message),
            }
        }
    }

    fn send_again(&mut self, ping: &Value) {
        if ping["resendMissing"] == true {
            let is_missing = |message: &&Value| message["index"].as_u64() > ping["ack"].as_u64();
            for message in self.sent.iter().filter(is_missing).cloned().collect::<Vec<_>>() {
                self.send(message);
            }
        }
    }

    /// The code with which the server closes.
    pub(crate) fn close_code(mut self) -> u16 {
        loop {
            match self.socket.read().unwrap() {
                Message::Close(frame) => return frame.unwrap().code.into(),
                _ => continue,
            }
        }
    }
}

fn open(address: &str, path: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    tungstenite::client(format!("ws://{address}{path}"), stream).unwrap().0
}

/// The status and the body of a page.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    get_with(address, path, &format!("Host: {address}\r\n"))
}

/// The same, asked for with these headers.
pub(crate) fn get_with(address: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
