//! Connections inside the process: a server without a socket.
//!
//! For tests, which need neither ports nor time, and for an application that is its own client.
//!
//! ```
//! # async fn example() -> std::io::Result<()> {
//! use jetstream::{ConnectInfo, MemoryTransport, Server};
//!
//! let (transport, connector) = MemoryTransport::new();
//! let server = Server::builder().transport(transport).start().await?;
//! let mut client = connector.connect(ConnectInfo::new("/")).await.expect("the server runs");
//! client.send(r#"{"type":"SessionCreate","index":0,"version":"1.0.0"}"#).await;
//! println!("{:?}", client.recv().await);
//! server.shutdown().await;
//! # Ok(()) }
//! ```

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{
    ConnectInfo, Connection, Environment, FramePart, FrameSink, FrameSource, FrameText, Listener,
    Received, Sent, Transport,
};
use crate::future::BoxFuture;

/// Accepts connections that a [`MemoryConnector`] makes.
#[derive(Debug)]
pub struct MemoryTransport {
    connections: mpsc::Receiver<Knock>,
}

/// Makes connections to the server that has the other half. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryConnector {
    connections: mpsc::Sender<Knock>,
}

/// What goes from a connector to its transport: the server's ends of a new connection.
type Knock = (ConnectInfo, mpsc::Receiver<String>, Arc<ToClient>);

/// The client's end of a connection. Dropped, the connection is gone.
#[derive(Debug)]
pub struct MemoryClient {
    to_server: mpsc::Sender<String>,
    to_client: Arc<ToClient>,
}

/// What a [`MemoryClient`] receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromServer {
    /// A frame.
    Frame(String),
    /// The server has closed the connection; nothing comes after it.
    Closed {
        /// The close code, with the meaning that it has in WebSocket.
        code: u16,
        /// What was said with it.
        reason: String,
    },
}

impl MemoryTransport {
    /// A transport and the connector that belongs to it.
    pub fn new() -> (Self, MemoryConnector) {
        let (sender, receiver) = mpsc::channel(KNOCKS_MAX);
        (Self { connections: receiver }, MemoryConnector { connections: sender })
    }
}

impl MemoryConnector {
    /// Connects. `None` if the server has stopped accepting.
    pub async fn connect(&self, info: ConnectInfo) -> Option<MemoryClient> {
        let (to_server, from_client) = mpsc::channel(FRAMES_WAITING_MAX);
        let to_client = Arc::new(ToClient::default());
        self.connections.send((info, from_client, to_client.clone())).await.ok()?;
        Some(MemoryClient { to_server, to_client })
    }
}

impl MemoryClient {
    /// Sends a frame; waits while the server reads none. False if the connection is gone.
    pub async fn send(&self, text: impl Into<String>) -> bool {
        self.to_server.send(text.into()).await.is_ok()
    }

    /// The next frame, or the close; `None` when the connection is gone.
    pub async fn recv(&mut self) -> Option<FromServer> {
        poll_fn(|context| self.to_client.poll_take(context)).await
    }
}

impl Drop for MemoryClient {
    fn drop(&mut self) {
        self.to_client.with(|state| state.client_gone = true);
    }
}

impl Transport for MemoryTransport {
    fn listen(
        self: Box<Self>,
        environment: Environment,
    ) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let listener = MemoryListener { connections: self.connections, environment };
        Box::pin(async { Ok(Box::new(listener) as Box<dyn Listener>) })
    }
}

struct MemoryListener {
    connections: mpsc::Receiver<Knock>,
    environment: Environment,
}

impl Listener for MemoryListener {
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn accept(&mut self) -> BoxFuture<'_, Option<Connection>> {
        Box::pin(async {
            loop {
                let (info, frames, to_client) = self.connections.recv().await?;
                let sink = Arc::new(MemorySink(to_client));
                // Without a permit the sink is dropped here, and the client sees a lost connection.
                let peer = info.peer().map(|peer| peer.ip());
                let Some(permit) = self.environment.entrance.enter(peer) else { continue };
                let source = MemorySource {
                    frames,
                    sink: sink.clone(),
                    message_bytes_max: self.environment.limits.message_bytes_max,
                };
                let pending = Some(permit);
                return Some(Connection { info, source: Box::new(source), sink, pending });
            }
        })
    }
}

struct MemorySource {
    frames: mpsc::Receiver<String>,
    sink: Arc<MemorySink>,
    message_bytes_max: usize,
}

impl FrameSource for MemorySource {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        match self.frames.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Received::Ended),
            Poll::Ready(Some(text)) if text.len() > self.message_bytes_max => {
                self.sink.close(1009, "the frame is too long");
                Poll::Ready(Received::Ended)
            }
            Poll::Ready(Some(text)) => Poll::Ready(Received::Frame(FrameText::from(text))),
        }
    }

    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<()> {
        // What was sent stays readable without the server's ends.
        Poll::Ready(())
    }
}

struct MemorySink(Arc<ToClient>);

impl FrameSink for MemorySink {
    fn send(&self, parts: &[FramePart<'_>]) -> Sent {
        self.0.with(|state| {
            if state.client_gone || state.close.is_some() {
                return Sent::Closed;
            }
            state.frames.push_back(parts.iter().map(|part| part.as_str()).collect());
            if state.is_full() { Sent::Full } else { Sent::Room }
        })
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.0.lock();
        if state.client_gone || state.close.is_some() || !state.is_full() {
            return Poll::Ready(());
        }
        state.server = Some(context.waker().clone());
        Poll::Pending
    }

    fn close(&self, code: u16, reason: &str) {
        self.0.with(|state| {
            state.close.get_or_insert_with(|| (code, reason.to_owned()));
        });
    }
}

impl Drop for MemorySink {
    fn drop(&mut self) {
        self.0.with(|state| state.server_gone = true);
    }
}

/// The way from the server to a client.
#[derive(Debug, Default)]
struct ToClient(Mutex<ToClientState>);

#[derive(Debug, Default)]
struct ToClientState {
    frames: VecDeque<String>,
    close: Option<(u16, String)>,
    client_gone: bool,
    server_gone: bool,
    /// The client, while it waits for a frame.
    client: Option<Waker>,
    /// The server, while it waits for room.
    server: Option<Waker>,
}

impl ToClientState {
    fn is_full(&self) -> bool {
        self.frames.len() >= FRAMES_WAITING_MAX
    }
}

impl ToClient {
    /// Changes the state and wakes whoever waits, outside the lock.
    fn with<T>(&self, change: impl FnOnce(&mut ToClientState) -> T) -> T {
        let mut state = self.0.lock();
        let result = change(&mut state);
        let wakers = [state.client.take(), state.server.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }

    fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<FromServer>> {
        let mut state = self.0.lock();
        if let Some(text) = state.frames.pop_front() {
            let server = state.server.take();
            drop(state);
            server.into_iter().for_each(Waker::wake);
            return Poll::Ready(Some(FromServer::Frame(text)));
        }
        if let Some((code, reason)) = state.close.clone() {
            // Said once; after it the connection is simply gone.
            if !std::mem::replace(&mut state.client_gone, true) {
                return Poll::Ready(Some(FromServer::Closed { code, reason }));
            }
        }
        if state.server_gone || state.client_gone {
            return Poll::Ready(None);
        }
        state.client = Some(context.waker().clone());
        Poll::Pending
    }
}

/// How many frames wait on each side of a connection before it is full.
const FRAMES_WAITING_MAX: usize = 16;

/// How many connections wait to be accepted before [`MemoryConnector::connect`] waits.
const KNOCKS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::contract::{Client, Connect, Harness};

    struct Memory;

    impl Harness for Memory {
        fn open(
            &self,
            environment: Environment,
        ) -> BoxFuture<'static, (Box<dyn Listener>, Box<dyn Connect>)> {
            Box::pin(async {
                let (transport, connector) = MemoryTransport::new();
                let listener = Box::new(transport).listen(environment).await.unwrap();
                (listener, Box::new(connector) as Box<dyn Connect>)
            })
        }
    }

    impl Connect for MemoryConnector {
        fn connect(
            &self,
            path: &str,
            header: (&str, &str),
        ) -> BoxFuture<'static, Option<Box<dyn Client>>> {
            let info = ConnectInfo::new(path).with_header(header.0, header.1);
            let connector = self.clone();
            Box::pin(async move {
                let client = MemoryConnector::connect(&connector, info).await?;
                Some(Box::new(client) as Box<dyn Client>)
            })
        }
    }

    impl Client for MemoryClient {
        fn send(&mut self, text: String) -> BoxFuture<'_, ()> {
            Box::pin(async { assert!(Self::send(self, text).await) })
        }

        fn recv(&mut self) -> BoxFuture<'_, Option<FromServer>> {
            Box::pin(Self::recv(self))
        }
    }

    crate::transport_contract!(Memory);
}
