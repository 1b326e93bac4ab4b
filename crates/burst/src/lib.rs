//! Sends to many sockets in one call into the kernel.
//!
//! A server that tells a hundred clients the same makes a hundred calls into the kernel, each with a way in and
//! a way out. On each way out the kernel may let one of the receivers in front, which then runs on the sender's
//! processor before the others have theirs. A [`Burst`] makes one call for all, by way of Linux's [io_uring].
//!
//! When [`Burst::send`] returns, the kernel has answered for every socket and knows no address of the caller's
//! any more. That is what makes the interface safe.
//!
//! [io_uring]: https://man7.org/linux/man-pages/man7/io_uring.7.html

use std::io;

use socket2::SockRef;

// The library under it knows the kernel's interface on these machines only; so does the manifest.
#[cfg_attr(
    not(all(
        target_os = "linux",
        any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "riscv64",
            target_arch = "loongarch64",
            target_arch = "powerpc64"
        )
    )),
    path = "no_ring.rs"
)]
mod ring;

use ring::{FLAGS, Ring};

/// What sends go to the kernel through. For one thread one is enough; it takes a file descriptor and some 20 kB.
#[derive(Debug)]
pub struct Burst {
    ring: Option<Ring>,
}

/// Bytes for a socket.
#[derive(Debug)]
pub struct ToSend<'a> {
    socket: SockRef<'a>,
    bytes: &'a [u8],
}

/// What became of a send: how many bytes the socket took.
///
/// As for a non-blocking `send(2)`: fewer bytes than asked for if there was no room for all, `WouldBlock` if there
/// was none, `BrokenPipe` or `ConnectionReset` (without a signal) if the other side is gone.
pub type Taken = io::Result<usize>;

/// How many sends go to the kernel in one call.
///
/// It works on them one after the other, so this also bounds how long the calling thread is away: at some 5 µs
/// each, less than a millisecond.
pub const SENDS_PER_CALL: usize = 128;

/// Fewer are no quicker through the ring than in calls of their own.
const RING_SENDS_MIN: usize = 2;

impl<'a> ToSend<'a> {
    /// These bytes for this socket, which has to be a non-blocking one.
    pub fn new<S>(socket: &'a S, bytes: &'a [u8]) -> Self
    where
        SockRef<'a>: From<&'a S>,
    {
        Self { socket: socket.into(), bytes }
    }

    /// Sends in a call of its own.
    fn alone(&self) -> Taken {
        loop {
            match self.socket.send_with_flags(self.bytes, FLAGS) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                taken => return taken,
            }
        }
    }
}

impl Burst {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// If the system has no io_uring or an old one (before Linux 5.18), does not let this process use it (many
    /// containers do not), or has no memory or file descriptor for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self { ring: Some(Ring::new()?) })
    }

    /// Sends each socket its bytes, in the order of `sends`, and appends what became of each to `taken`. Waits
    /// for no socket.
    ///
    /// Of two sends to the same socket the first goes first; but if it is not taken whole, the second may be.
    ///
    /// Should the kernel stop taking sends in this way (it has no memory for them, say), the rest goes in calls
    /// of its own, now and later: see [`is_plain`](Self::is_plain).
    pub fn send<'a>(
        &mut self,
        mut sends: impl ExactSizeIterator<Item = ToSend<'a>> + Clone,
        taken: &mut Vec<Taken>,
    ) {
        while sends.len() > 0 {
            let chunk = sends.clone().take(SENDS_PER_CALL);
            let first = taken.len();
            // Taken out: a ring that this thread has panicked over is not used again.
            if sends.len() >= RING_SENDS_MIN
                && let Some(mut ring) = self.ring.take()
                && ring.send(chunk.clone(), taken)
            {
                self.ring = Some(ring);
            }
            let went = taken.len() - first;
            taken.extend(chunk.skip(went).map(|send| send.alone()));
            sends.by_ref().take(SENDS_PER_CALL).for_each(drop);
        }
    }

    /// Whether each send has become a call of its own.
    pub fn is_plain(&self) -> bool {
        self.ring.is_none()
    }
}
