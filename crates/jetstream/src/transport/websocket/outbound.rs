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
use super::waiting::Waiting;
use crate::transport::{FramePart, FrameSink, Sent};

/// The writing half of a connection over plain TCP.
pub(super) struct SocketSink(Mutex<Outbound>);

struct Outbound {
    /// `None` once the connection is gone or closed by us. Dropping this half tells the client that
    /// nothing more will come, while what it still sends can be read.
    socket: Option<OwnedWriteHalf>,
    /// What the socket did not take.
    waiting: Waiting,
    /// A close frame is sent or waits: nothing may follow it.
    closing: bool,
}

impl SocketSink {
    pub(super) fn new(socket: OwnedWriteHalf) -> Arc<Self> {
        let (socket, waiting) = (Some(socket), Waiting::default());
        Arc::new(Self(Mutex::new(Outbound { socket, waiting, closing: false })))
    }
}

impl FrameSink for SocketSink {
    fn send(&self, parts: &[FramePart<'_>]) -> Sent {
        let mut outbound = self.0.lock();
        if outbound.closing || outbound.socket.is_none() {
            return Sent::Closed;
        }
        let header = Header::text(parts.iter().map(|part| part.as_str().len()).sum());
        outbound.write(header.as_bytes(), parts);
        outbound.state()
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.lock().poll_drain(context)
    }

    fn close(&self, code: u16, reason: &str) {
        let mut outbound = self.0.lock();
        if !outbound.closing {
            outbound.write(&close_frame(code, reason), &[]);
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
        if outbound.waiting.byte_length() + frames.len() > CONTROL_WAITING_BYTES_MAX {
            return false;
        }
        outbound.write(frames, &[]);
        true
    }

    fn finish(&self) {
        let mut outbound = self.0.lock();
        outbound.closing = true;
        outbound.finish_when_drained();
    }
}

impl Outbound {
    fn state(&self) -> Sent {
        match &self.socket {
            None => Sent::Closed,
            Some(_) if self.waiting.is_empty() => Sent::Room,
            Some(_) => Sent::Full,
        }
    }

    /// Writes as much as the socket takes and keeps the rest.
    fn write(&mut self, head: &[u8], parts: &[FramePart<'_>]) {
        let mut written = 0;
        if self.waiting.is_empty() {
            let length: usize = parts.iter().map(|part| part.as_str().len()).sum();
            let taken = if length <= JOINED_BYTES_MAX {
                self.write_joined(head, parts)
            } else {
                self.write_parts(head, parts)
            };
            match taken {
                Some(count) => written = count,
                None => return,
            }
        }
        self.waiting.keep(head, parts, written);
    }

    /// Writes a short frame in one piece. This is the way of almost every frame, and there a plain write
    /// costs the kernel less than a list of parts costs, by more than the copying.
    fn write_joined(&mut self, head: &[u8], parts: &[FramePart<'_>]) -> Option<usize> {
        let mut bytes: SmallVec<[u8; JOINED_BYTES_MAX + 16]> = SmallVec::from_slice(head);
        parts.iter().for_each(|part| bytes.extend_from_slice(part.as_str().as_bytes()));
        self.try_write(|socket| socket.try_write(&bytes))
    }

    fn write_parts(&mut self, head: &[u8], parts: &[FramePart<'_>]) -> Option<usize> {
        let mut slices: SmallVec<[IoSlice<'_>; 16]> = SmallVec::new();
        slices.push(IoSlice::new(head));
        slices.extend(parts.iter().map(|part| IoSlice::new(part.as_str().as_bytes())));
        let (mut rest, mut written) = (&mut slices[..], 0);
        while !rest.is_empty() {
            let count = self.try_write(|socket| socket.try_write_vectored(rest))?;
            if count == 0 {
                break;
            }
            written += count;
            IoSlice::advance_slices(&mut rest, count);
        }
        Some(written)
    }

    /// How many bytes the socket took, 0 if it takes none now; `None`: the connection is gone.
    fn try_write(&mut self, write: impl Fn(&OwnedWriteHalf) -> io::Result<usize>) -> Option<usize> {
        loop {
            match write(self.socket.as_ref()?) {
                Ok(count) if count > 0 => return Some(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.abandon();
                    return None;
                }
            }
        }
    }

    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            let slices = waiting.slices();
            let written = self.try_write(|socket| socket.try_write_vectored(&slices));
            drop(slices);
            let Some(written) = written else { break };
            self.waiting = waiting;
            self.waiting.advance(written);
            if written == 0
                && let Some(socket) = &self.socket
            {
                match socket.as_ref().poll_write_ready(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => self.abandon(),
                }
            }
        }
        self.finish_when_drained();
        Poll::Ready(())
    }

    fn finish_when_drained(&mut self) {
        if self.closing && self.waiting.is_empty() {
            self.socket = None;
        }
    }

    /// The connection is gone: nothing that waits will ever be sent.
    fn abandon(&mut self) {
        self.socket = None;
        self.waiting = Waiting::default();
    }
}

/// Frames up to this length are put together before they are written.
const JOINED_BYTES_MAX: usize = 2 << 10;

/// How many bytes may wait when a pong is to join them. A client that pings without reading gets no
/// more pongs than this.
pub(super) const CONTROL_WAITING_BYTES_MAX: usize = 4 << 10;
