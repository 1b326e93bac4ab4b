//! Connections of clients that know when the server is there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jetstream_client::{BoxFuture, Introduction, Link, Transport, WebSocket};
use tokio::sync::watch;

/// A WebSocket that is not tried while the server is known to be away: the growing waits of a client who
/// tries in vain would only make the rounds longer.
pub(crate) struct Patient {
    socket: WebSocket,
    up: watch::Receiver<bool>,
    /// How often a session was begun anew.
    begun: Arc<AtomicUsize>,
}

impl Patient {
    pub(crate) fn new(url: &str, up: watch::Receiver<bool>) -> (Self, Arc<AtomicUsize>) {
        let begun = Arc::new(AtomicUsize::new(0));
        (Self { socket: WebSocket::new(url).unwrap(), up, begun: begun.clone() }, begun)
    }
}

impl Transport for Patient {
    fn connect<'a>(
        &'a mut self,
        introduction: Introduction<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Link>>> {
        if introduction.token.is_none() {
            self.begun.fetch_add(1, Ordering::Relaxed);
        }
        Box::pin(async move {
            let gone = |_| io::Error::other("the campaign is over");
            self.up.wait_for(|up| *up).await.map_err(gone)?;
            self.socket.connect(introduction).await
        })
    }
}
