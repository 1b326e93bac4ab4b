//! How a client reaches its server: the seam between sessions and connections.
//!
//! A [`Transport`] makes connections, each a [`Link`] that carries frames both ways. A frame is a text;
//! what it means is nobody's business here.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future behind a pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to reach one server.
pub trait Transport: Send + 'static {
    /// Makes a connection that says who it is.
    ///
    /// May be dropped before it is ready; then there is no connection.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached. It is tried again later.
    fn connect<'a>(
        &'a mut self,
        introduction: Introduction<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Link>>>;
}

/// What a connection says before anything else. Secrets.
#[derive(Clone, Copy, Default)]
pub struct Introduction<'a> {
    /// The token of the session that it resumes; `None`: it will create one.
    pub token: Option<&'a str>,
    /// What says who the client is, if it was given something.
    pub credential: Option<&'a str>,
}

/// Shows no secret.
impl std::fmt::Debug for Introduction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introduction")
            .field("resumes", &self.token.is_some())
            .field("shows_credential", &self.credential.is_some())
            .finish()
    }
}

/// One connection. Dropped, it is gone.
///
/// - Frames arrive whole, in the order in which they were sent, each at most once, in both directions.
/// - All functions are called by one task, which every `Pending` has to wake.
pub trait Link: Send {
    /// What comes from the server next. After [`Received::Closed`] and [`Received::Lost`] it is not called
    /// again.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received>;

    /// Ready when there is room for a frame. Also when the connection is gone: `poll_receive` will say so,
    /// and what is sent then is lost.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Sends a frame. Only called when there is room.
    fn send(&mut self, text: String);

    /// Sends on what is kept here. Ready when nothing is left.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

/// What a [`Link`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A whole frame.
    Frame(String),
    /// The server has closed the connection.
    Closed {
        /// The close code, with the meaning that it has in WebSocket.
        code: u16,
        /// What was said with it.
        reason: String,
    },
    /// The connection is gone without a word.
    Lost,
}
