//! The writing half of a plain connection: frames go straight from whoever has them to the socket.
//!
//! A scope's task writes to the sockets of all members itself, many of them in one call into the kernel; no
//! task per connection is woken. What a socket does not take at once is kept here, and what comes while a frame
//! is on its way with others. As long as something is kept everything else queues up behind it, so that frames
//! are never torn or swapped. The pongs and close frames of the reading half join the same queue.

use std::io::{self, IoSlice};
use std::iter::once;
use std::net::Shutdown;
use std::pin::Pin;
use std::slice::from_ref;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use jetstream_burst::{Taken, ToSend};
use parking_lot::Mutex;
use prefetch_index::prefetch_index;
use smallvec::SmallVec;
use socket2::SockRef;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::deflate::Packed;
use super::encode::{Header, close_frame};
use super::part::Part;
use super::waiting::Waiting;
use crate::transport::departure::Departing;
use crate::transport::{Departure, FramePart, FrameSink, Sent};

/// A connection over plain TCP: its writing half, and the socket that the reading half shares with it.
///
/// In one piece and in one line of the processor's caches: a change that goes to a thousand members looks at a
/// thousand of these, none of which is there.
#[repr(align(64))]
pub(super) struct SocketSink {
    outbound: Mutex<Outbound>,
    socket: TcpStream,
}

#[derive(Default)]
struct Outbound {
    /// Whether the client takes compressed frames. This and the next never change, and stand here because beside
    /// the lock there is no room in the line.
    compresses: bool,
    /// Whether frames may leave with others'.
    departs: bool,
    /// The connection is gone or closed by us. What the client still sends can be read.
    ended: bool,
    /// A close frame is sent or waits: nothing may follow it.
    closing: bool,
    /// A frame is on its way together with others: nothing is written before it has landed.
    departing: bool,
    /// What the socket did not take, or what came while a frame was on its way; mostly nothing.
    waiting: Option<Box<Waiting>>,
}

impl SocketSink {
    pub(super) fn new(socket: TcpStream, compresses: bool, departs: bool) -> Arc<Self> {
        let outbound = Outbound { compresses, departs, ..Outbound::default() };
        Arc::new(Self { outbound: outbound.into(), socket })
    }
}

impl FrameSink for SocketSink {
    fn send(&self, parts: &[FramePart<'_>]) -> Sent {
        // Compressing takes time, in which nobody is to wait for the lock.
        let is_packed = Packed::is_of(parts) && self.outbound.lock().compresses;
        let packed = if is_packed { Packed::of(parts) } else { None };
        let mut outbound = self.outbound.lock();
        if outbound.closing || outbound.ended {
            return Sent::Closed;
        }
        match &packed {
            Some(packed) => {
                outbound.write(&self.socket, packed.header().as_bytes(), packed.parts());
            }
            None => {
                let parts = parts.iter().map(|part| Part::from(*part));
                let header = Header::text(parts.clone().map(Part::byte_length).sum());
                outbound.write(&self.socket, header.as_bytes(), parts);
            }
        }
        outbound.state()
    }

    fn send_with(self: Arc<Self>, parts: &[FramePart<'_>], departure: &mut Departure) -> Sent {
        let bytes = parts.iter().map(|part| Part::from(*part).as_bytes());
        let length = bytes.clone().map(<[u8]>::len).sum();
        // A long frame is better not copied, and what is compressed has a way of its own.
        let mut outbound = self.outbound.lock();
        let is_packed = Packed::is_of(parts) && outbound.compresses;
        let may_depart = outbound.departs && length <= JOINED_BYTES_MAX && !is_packed;
        // Asked last: who does without io_uring is not to have any.
        if !may_depart || !departure.is_open() {
            drop(outbound);
            return self.send(parts);
        }
        let header = Header::text(length);
        if outbound.closing || outbound.ended {
            return Sent::Closed;
        }
        if outbound.waiting.is_some() || (outbound.departing && !departure.is_last(&*self)) {
            let parts = parts.iter().map(|part| Part::from(*part));
            outbound.write(&self.socket, header.as_bytes(), parts);
            return outbound.state();
        }
        outbound.departing = true;
        drop(outbound);
        departure.board(self, once(header.as_bytes()).chain(bytes));
        Sent::Room
    }

    fn prefetch(&self) {
        prefetch_index(from_ref(self), 0);
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.outbound.lock().poll_drain(&self.socket, context)
    }

    fn close(&self, code: u16, reason: &str) {
        let mut outbound = self.outbound.lock();
        if !outbound.closing {
            outbound.write(&self.socket, &close_frame(code, reason), std::iter::empty());
            outbound.closing = true;
            outbound.finish_when_drained(&self.socket);
        }
    }
}

impl Departing for SocketSink {
    fn to_send<'a>(&'a self, bytes: &'a [u8]) -> ToSend<'a> {
        ToSend::new(&self.socket, bytes)
    }

    fn landed(&self, bytes: &[u8], taken: Taken) -> Sent {
        let mut outbound = self.outbound.lock();
        let waker = outbound.land(&self.socket, bytes, taken);
        let state = outbound.state();
        drop(outbound);
        waker.into_iter().for_each(Waker::wake);
        state
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
        let mut outbound = self.outbound.lock();
        // After our close frame nothing may follow, and a pong to nobody is no loss.
        if outbound.closing || outbound.ended {
            return true;
        }
        let waiting = outbound.waiting.as_ref().map_or(0, |waiting| waiting.byte_length());
        if waiting + frames.len() > CONTROL_WAITING_BYTES_MAX {
            return false;
        }
        outbound.write(&self.socket, frames, std::iter::empty());
        true
    }

    fn finish(&self) {
        let mut outbound = self.outbound.lock();
        outbound.closing = true;
        outbound.finish_when_drained(&self.socket);
    }
}

impl Outbound {
    fn state(&self) -> Sent {
        match &self.waiting {
            _ if self.ended => Sent::Closed,
            None => Sent::Room,
            Some(_) => Sent::Full,
        }
    }

    /// Writes as much as the socket takes and keeps the rest.
    fn write<'a>(
        &mut self,
        socket: &TcpStream,
        head: &[u8],
        parts: impl Iterator<Item = Part<'a>> + Clone,
    ) {
        let length: usize = parts.clone().map(Part::byte_length).sum();
        let mut written = 0;
        if self.waiting.is_none() && !self.departing {
            let taken = if length <= JOINED_BYTES_MAX {
                self.write_joined(socket, head, parts.clone())
            } else {
                self.write_parts(socket, head, parts.clone())
            };
            match taken {
                Some(count) if count == head.len() + length => return,
                Some(count) => written = count,
                None => return,
            }
        }
        self.waiting.get_or_insert_default().keep(head, parts, written);
    }

    /// Writes a short frame in one piece. This is the way of almost every frame, and there a plain write
    /// costs the kernel less than a list of parts costs, by more than the copying.
    fn write_joined<'a>(
        &mut self,
        socket: &TcpStream,
        head: &[u8],
        parts: impl Iterator<Item = Part<'a>>,
    ) -> Option<usize> {
        let mut bytes: SmallVec<[u8; JOINED_BYTES_MAX + 16]> = SmallVec::from_slice(head);
        parts.for_each(|part| bytes.extend_from_slice(part.as_bytes()));
        // Past what the runtime knows of the socket: as long as nothing waits nobody needs to know whether it
        // is writable, and looking costs more than the call.
        self.taken(socket, || SockRef::from(socket).send(&bytes))
    }

    fn write_parts<'a>(
        &mut self,
        socket: &TcpStream,
        head: &[u8],
        parts: impl Iterator<Item = Part<'a>>,
    ) -> Option<usize> {
        let mut slices: SmallVec<[IoSlice<'_>; 16]> = SmallVec::new();
        slices.push(IoSlice::new(head));
        slices.extend(parts.map(|part| IoSlice::new(part.as_bytes())));
        let (mut rest, mut written) = (&mut slices[..], 0);
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(SLICES_MAX)];
            let count = self.taken(socket, || SockRef::from(socket).send_vectored(some))?;
            if count == 0 {
                break;
            }
            written += count;
            IoSlice::advance_slices(&mut rest, count);
        }
        Some(written)
    }

    /// How many bytes the socket took, 0 if it takes none now; `None`: the connection is gone.
    fn taken(
        &mut self,
        socket: &TcpStream,
        write: impl Fn() -> io::Result<usize>,
    ) -> Option<usize> {
        loop {
            match write() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                taken => return self.count(socket, taken),
            }
        }
    }

    /// What an answer of the socket's means.
    fn count(&mut self, socket: &TcpStream, taken: io::Result<usize>) -> Option<usize> {
        match taken {
            Ok(count) if count > 0 => Some(count),
            Err(error) if is_passing(&error) => Some(0),
            Ok(_) | Err(_) => {
                self.end(socket);
                None
            }
        }
    }

    /// A frame has landed, of which the socket took so much. Whoever waited for that is to be woken.
    ///
    /// What came meanwhile leaves now, as far as the socket takes it: those who sent it may be gone, as after the
    /// answer to a client's close.
    fn land(&mut self, socket: &TcpStream, bytes: &[u8], taken: Taken) -> Option<Waker> {
        self.departing = false;
        let waker = self.waiting.as_mut().and_then(|waiting| waiting.waker.take());
        let count = self.count(socket, taken);
        if let Some(count) = count
            && count < bytes.len()
        {
            self.waiting.get_or_insert_default().keep_first(&bytes[count..]);
        } else {
            while let Some(written) =
                self.write_waiting(socket, |slices| SockRef::from(socket).send_vectored(slices))
                && written > 0
            {}
        }
        self.finish_when_drained(socket);
        waker
    }

    /// Writes some of what waits. 0: the socket takes nothing now; `None`: nothing waits any more.
    fn write_waiting(
        &mut self,
        socket: &TcpStream,
        write: impl Fn(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> Option<usize> {
        let mut waiting = self.waiting.take()?;
        let slices = waiting.slices();
        let written = self.taken(socket, || write(&slices))?;
        drop(slices);
        waiting.advance(written);
        if !waiting.is_empty() {
            self.waiting = Some(waiting);
        }
        Some(written)
    }

    fn poll_drain(&mut self, socket: &TcpStream, context: &mut Context<'_>) -> Poll<()> {
        if self.departing
            && let Some(waiting) = &mut self.waiting
        {
            waiting.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        // By way of the runtime, which notes that the socket is full and wakes us when it is not.
        while let Some(written) =
            self.write_waiting(socket, |slices| socket.try_write_vectored(slices))
        {
            if written == 0 && ready!(socket.poll_write_ready(context)).is_err() {
                self.end(socket);
            }
        }
        self.finish_when_drained(socket);
        Poll::Ready(())
    }

    fn finish_when_drained(&mut self, socket: &TcpStream) {
        if self.closing && self.waiting.is_none() && !self.departing {
            self.end(socket);
        }
    }

    /// Nothing that waits will ever be sent, and the client is told that nothing more comes.
    fn end(&mut self, socket: &TcpStream) {
        self.waiting = None;
        if !std::mem::replace(&mut self.ended, true) {
            // Fails where the connection is gone, and then there is nobody to tell.
            let _ = SockRef::from(socket).shutdown(Shutdown::Write);
        }
    }
}

/// The reading half.
pub(super) struct SocketReader(pub(super) Arc<SocketSink>);

impl AsyncRead for SocketReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = &self.0.socket;
        loop {
            ready!(socket.poll_read_ready(context))?;
            let room = buffer.remaining();
            let mut read = None;
            let asked = socket.try_io(Interest::READABLE, || {
                let count =
                    io::Read::read(&mut &*SockRef::from(socket), buffer.initialize_unfilled())?;
                read = Some(count);
                // A socket that does not fill the buffer is empty: the runtime need not find that out by
                // asking once more.
                match 0 < count && count < room {
                    true => Err(io::ErrorKind::WouldBlock.into()),
                    false => Ok(()),
                }
            });
            match (read, asked) {
                (Some(count), _) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, Err(error)) => return Poll::Ready(Err(error)),
                (None, Ok(())) => return Poll::Ready(Ok(())),
            }
        }
    }
}

const _: () = assert!(size_of::<SocketSink>() == 64, "one line of the processor's caches");

/// Whether it is worth trying again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Frames up to this length are put together before they are written.
const JOINED_BYTES_MAX: usize = 2 << 10;

/// How many parts go into one write. The system refuses more than a thousand.
const SLICES_MAX: usize = 256;

/// How many bytes may wait when a pong is to join them. A client that pings without reading gets no
/// more pongs than this.
pub(super) const CONTROL_WAITING_BYTES_MAX: usize = 4 << 10;
