//! The writing half of a plain connection: frames go straight from whoever has them to the socket.
//!
//! A scope's task writes to the sockets of all members itself; no task per connection is woken and no
//! frame is copied. Only what a socket does not take at once is kept here, and as long as something is
//! kept everything else queues up behind it, so that frames are never torn or swapped. The pongs and
//! close frames of the reading half join the same queue.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::net::tcp::OwnedWriteHalf;

use super::encode::{Header, close_frame};
use crate::transport::{FrameSink, Sent};

/// The writing half of a connection over plain TCP.
pub(super) struct SocketSink(Mutex<Outbound>);

struct Outbound {
    /// `None` once the connection is gone or closed by us. Dropping this half tells the client that
    /// nothing more will come, while what it still sends can be read.
    socket: Option<OwnedWriteHalf>,
    /// What the socket did not take, from `waiting_start` on.
    waiting: Vec<u8>,
    waiting_start: usize,
    /// A close frame is sent or waits: nothing may follow it.
    closing: bool,
}

impl SocketSink {
    pub(super) fn new(socket: OwnedWriteHalf) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Outbound {
            socket: Some(socket),
            waiting: Vec::new(),
            waiting_start: 0,
            closing: false,
        })))
    }
}

impl FrameSink for SocketSink {
    fn send(&self, parts: &[&str]) -> Sent {
        let mut outbound = self.0.lock();
        if outbound.closing || outbound.socket.is_none() {
            return Sent::Closed;
        }
        let header = Header::text(parts.iter().map(|part| part.len()).sum());
        let mut slices: SmallVec<[IoSlice<'_>; 16]> = SmallVec::new();
        slices.push(IoSlice::new(header.as_bytes()));
        slices.extend(parts.iter().map(|part| IoSlice::new(part.as_bytes())));
        outbound.write(&mut slices);
        outbound.state()
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.lock().poll_drain(context)
    }

    fn close(&self, code: u16, reason: &str) {
        let mut outbound = self.0.lock();
        if !outbound.closing {
            outbound.write(&mut [IoSlice::new(&close_frame(code, reason))]);
            outbound.closing = true;
            outbound.finish_when_drained();
        }
    }
}

/// What the reading half needs of a connection's writing half, plain or TLS.
pub(super) trait ControlSink: FrameSink {
    /// Sends whole control frames that the reading half has made. False: there is no room now.
    fn send_control(&self, frames: &[u8]) -> bool;

    /// Ends the writing half after what waits: the client has closed, and has its echo.
    fn finish(&self);
}

impl ControlSink for SocketSink {
    fn send_control(&self, frames: &[u8]) -> bool {
        let mut outbound = self.0.lock();
        // After our close frame nothing may follow, and a pong to nobody is no loss.
        if outbound.closing || outbound.socket.is_none() {
            return true;
        }
        if outbound.waiting_length() + frames.len() > CONTROL_WAITING_BYTES_MAX {
            return false;
        }
        outbound.write(&mut [IoSlice::new(frames)]);
        true
    }

    fn finish(&self) {
        let mut outbound = self.0.lock();
        outbound.closing = true;
        outbound.finish_when_drained();
    }
}

impl Outbound {
    fn waiting_length(&self) -> usize {
        self.waiting.len() - self.waiting_start
    }

    fn state(&self) -> Sent {
        match (&self.socket, self.waiting_length()) {
            (None, _) => Sent::Closed,
            (Some(_), 0) => Sent::Room,
            (Some(_), _) => Sent::Full,
        }
    }

    /// Writes as much as the socket takes and keeps the rest.
    fn write(&mut self, mut slices: &mut [IoSlice<'_>]) {
        while self.waiting_length() == 0 && !slices.is_empty() {
            let Some(socket) = &self.socket else { return };
            match socket.try_write_vectored(slices) {
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.abandon(),
            }
        }
        for slice in slices {
            self.waiting.extend_from_slice(slice);
        }
    }

    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.waiting_length() > 0 {
            let Some(socket) = &self.socket else { break };
            match socket.try_write(&self.waiting[self.waiting_start..]) {
                Ok(written) => self.waiting_start += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match socket.as_ref().poll_write_ready(context) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => self.abandon(),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.abandon(),
            }
        }
        self.waiting = Vec::new();
        self.waiting_start = 0;
        self.finish_when_drained();
        Poll::Ready(())
    }

    fn finish_when_drained(&mut self) {
        if self.closing && self.waiting_length() == 0 {
            self.socket = None;
        }
    }

    /// The connection is gone: nothing that waits will ever be sent.
    fn abandon(&mut self) {
        self.socket = None;
        self.waiting = Vec::new();
        self.waiting_start = 0;
    }
}

/// How many bytes may wait when a pong is to join them. A client that pings without reading gets no
/// more pongs than this.
pub(super) const CONTROL_WAITING_BYTES_MAX: usize = 4 << 10;
