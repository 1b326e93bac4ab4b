//! How a scenario's clients reach the server: the one seam between the player and a transport.

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::scenario::Connect;

/// Something that reached a client.
#[derive(Debug, Clone)]
pub enum Event {
    /// One message; a frame that holds an array is as many events.
    Message { value: Value, in_array: bool },
    /// The server closed the connection. A code of 1006 stands for "without a close frame".
    Closed { code: u16, reason: String },
}

impl Event {
    /// The events of one frame.
    pub fn of_frame(text: &str) -> Vec<Self> {
        match serde_json::from_str(text) {
            Ok(Value::Array(messages)) => {
                let in_array = |value| Self::Message { value, in_array: true };
                messages.into_iter().map(in_array).collect()
            }
            Ok(value) => vec![Self::Message { value, in_array: false }],
            Err(error) => vec![Self::Message {
                value: json!({ "unreadable": text, "because": error.to_string() }),
                in_array: false,
            }],
        }
    }

    /// The event as scenarios write it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Message { value, .. } => value.clone(),
            Self::Closed { code, reason } => {
                let reason = serde_json::from_str(reason)
                    .ok()
                    .filter(Value::is_object)
                    .unwrap_or_else(|| Value::String(reason.clone()));
                json!({ "close": { "code": code, "reason": reason } })
            }
        }
    }
}

/// Something that a client writes.
#[derive(Debug, Clone)]
pub enum Outgoing {
    Text(String),
    Binary(Vec<u8>),
    Close(Option<(u16, String)>),
    /// Bytes straight to the socket.
    Raw(Vec<u8>),
}

/// Where the events of one client go.
#[derive(Debug, Clone)]
pub struct Inbox {
    pub client: String,
    pub events: UnboundedSender<(String, Event)>,
}

impl Inbox {
    /// Hands an event to the player. After the scenario's end nobody listens, which is fine.
    pub fn put(&self, event: Event) {
        let _ = self.events.send((self.client.clone(), event));
    }
}

/// A client's end of a connection.
pub trait Peer: Sized {
    /// Writes everything at once, so that the server may find it in one read. A connection that the
    /// server has closed swallows it.
    async fn write(&mut self, outgoing: Vec<Outgoing>);

    /// Drops the connection without a word.
    async fn terminate(self);
}

/// A way to reach the server under test.
pub trait Network {
    /// A connection over it.
    type Peer: Peer;

    /// Opens a connection whose events go into the inbox.
    async fn connect(&self, options: &Connect, inbox: Inbox) -> Result<Self::Peer, String>;

    /// How long to look for events that should not come, in milliseconds, where a stray event would
    /// also be noticed by the next step.
    fn short_quiet_ms(&self) -> u64;
}
