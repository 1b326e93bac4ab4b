//! How clients reach a server: the seam between connections and sessions.
//!
//! A [`Transport`] accepts [`Connection`]s. A connection is what the client said when it connected
//! ([`ConnectInfo`]), a stream of frames from the client ([`FrameSource`]) and a sink of frames to it
//! ([`FrameSink`]). A frame is a text; what it means is nobody's business here, and nothing above this
//! module knows of WebSocket.
//!
//! - [`websocket`]: WebSocket over TCP or TLS, what browsers speak.
//! - [`memory`]: connections inside the process, for tests and for embedding.
//! - `contract` (feature `contract`): the sentences below as a suite that every implementation passes.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod memory;
pub mod websocket;

mod departure;
mod entrance;
mod info;
pub(crate) mod local;
mod proxies;

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};

use tungstenite::Utf8Bytes;

use crate::future::BoxFuture;
use crate::metrics::Metrics;
use jetstream_core::limits::Limits;

pub use departure::Departure;
pub(crate) use entrance::Seat;
pub use entrance::{Entrance, Pending};
pub use info::ConnectInfo;
pub use jetstream_core::session::FramePart;
pub use memory::MemoryTransport;
pub use proxies::{Network, NoNetwork, Proxies};
pub use websocket::WebSocket;

/// A way for clients to reach the server.
pub trait Transport: Send + 'static {
    /// Takes the transport's place (binds its port, say) and begins to accept.
    ///
    /// # Errors
    ///
    /// If the place cannot be taken.
    fn listen(
        self: Box<Self>,
        environment: Environment,
    ) -> BoxFuture<'static, io::Result<Box<dyn Listener>>>;
}

/// What a transport is given by the server that it works for.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The bounds that it must hold.
    pub limits: Arc<Limits>,
    /// Where it counts.
    pub metrics: Metrics,
    /// Lets connections in. A transport asks it for a place before it spends anything on a connection, and
    /// passes that on in [`Connection::pending`]. When there is none, the connection is closed at once.
    pub entrance: Arc<Entrance>,
}

/// A transport in its place. Dropped, it accepts no more; connections it has handed out live on.
pub trait Listener: Send {
    /// The address that was taken, if the transport has such a thing.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// The next connection; `None` when there will be no more. May be dropped before it is ready
    /// without losing a connection.
    fn accept(&mut self) -> BoxFuture<'_, Option<Connection>>;
}

/// A client that has connected.
pub struct Connection {
    /// What it said.
    pub info: ConnectInfo,
    /// What comes from it.
    pub source: Box<dyn FrameSource>,
    /// What goes to it.
    pub sink: Arc<dyn FrameSink>,
    /// Its place among the connections without a session; given back when it has one.
    pub pending: Option<Pending>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("info", &self.info).finish_non_exhaustive()
    }
}

/// The frames that a client sends.
///
/// - They come whole, in the order in which they were sent, each once.
/// - None is longer than `limits.message_bytes_max`.
/// - What breaks the transport's own rules (a frame that is too long or no UTF-8) closes the connection
///   with the transport's code for it and is then [`Received::Ended`].
pub trait FrameSource: Send {
    /// The next frame. After `Ended` it is not called again.
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Received>;

    /// Ready once the client is gone; what it still sends is thrown away.
    ///
    /// Called instead of [`poll_frame`](Self::poll_frame) after the server has closed the connection, so
    /// that the client has the time to read why.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

/// What a [`FrameSource`] gives.
#[derive(Debug)]
pub enum Received {
    /// A whole frame.
    Frame(FrameText),
    /// Something that is no frame but was work, so many bytes: the transport's own signs of life, or what
    /// was beside the text of frames. It counts against the client's rate.
    Overhead(usize),
    /// There will be no more.
    Ended,
}

/// Where frames to a client go.
///
/// - Frames arrive whole, in the order in which they were sent, each at most once.
/// - A sink never blocks and never waits: what the client does not take at once is kept, the answer is
///   [`Sent::Full`], and the caller sends nothing more before [`poll_writable`](Self::poll_writable).
/// - What was sent before a close arrives before it.
pub trait FrameSink: Send + Sync {
    /// Sends one frame, whose text is given in parts so that shared ones need not be copied, not even
    /// to be kept.
    fn send(&self, parts: &[FramePart<'_>]) -> Sent;

    /// Sends one frame like [`send`](Self::send), but may leave it to the departure, in which frames to other
    /// connections leave at the same time. It leaves soon, without anybody waiting for anything before.
    ///
    /// A frame put aboard counts as sent: what is sent after it arrives after it.
    fn send_with(self: Arc<Self>, parts: &[FramePart<'_>], _departure: &mut Departure) -> Sent {
        self.send(parts)
    }

    /// Has what [`send`](Self::send) looks at fetched from memory: a hint before much else is done, for sinks
    /// of which there are many. Does nothing, unless a sink has something to do here.
    fn prefetch(&self) {}

    /// Ready when there is room for another frame, and also when the connection is gone. Writes what is
    /// kept. Only one task at a time may wait.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()>;

    /// Closes the connection after what was sent, with a code and a reason of at most 123 bytes. Only
    /// the first call counts.
    fn close(&self, code: u16, reason: &str);
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way, and there is room for another.
    Room,
    /// It is kept and will be on its way, but there is no room for another.
    Full,
    /// The connection is gone or closing; the frame is not sent.
    Closed,
}

/// The text of a frame that arrived. Cheap to pass on.
#[derive(Debug, Clone)]
pub struct FrameText(Utf8Bytes);

impl Deref for FrameText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for FrameText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for FrameText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<Utf8Bytes> for FrameText {
    fn from(text: Utf8Bytes) -> Self {
        Self(text)
    }
}
