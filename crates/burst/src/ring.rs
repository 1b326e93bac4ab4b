//! The ring: sends go into a queue that the kernel shares, and come out of another one as completed.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, types};

use crate::{SENDS_PER_CALL, Taken, ToSend};

/// A send waits for no room, and whoever is gone is told of by the answer, not by a signal.
pub(super) const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

pub(super) struct Ring(IoUring);

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ring").field(&self.0.as_raw_fd()).finish()
    }
}

impl Ring {
    pub(super) fn new() -> io::Result<Self> {
        // Without it the kernel would stop at the first send that fails at once.
        Ok(Self(IoUring::builder().setup_submit_all().build(SENDS_PER_CALL as u32)?))
    }

    /// Sends up to [`SENDS_PER_CALL`], and appends what became of each of the first, as many as went. If those are
    /// not all, the answer is false, and the ring must not be used again.
    pub(super) fn send<'a>(
        &mut self,
        sends: impl Iterator<Item = ToSend<'a>>,
        taken: &mut Vec<Taken>,
    ) -> bool {
        let first = taken.len();
        for send in sends {
            let length = send.bytes.len().try_into().unwrap_or(u32::MAX);
            let socket = types::Fd(send.socket.as_raw_fd());
            let entry = opcode::Send::new(socket, send.bytes.as_ptr(), length)
                .flags(FLAGS)
                .build()
                .user_data(taken.len() as u64);
            // SAFETY: bytes and socket are borrowed for longer than this function takes. When it returns, each
            // entry is either completed or was not submitted, and then the ring is never entered again.
            let pushed = unsafe { self.0.submission().push(&entry) };
            pushed.expect("the queue has room for a chunk, and was empty");
            taken.push(Err(ErrorKind::WouldBlock.into()));
        }
        let mut open = taken.len() - first;
        while open > 0 {
            // This waits for nothing: a send that may not wait is completed once it is submitted.
            let submitted = self.0.submit_and_wait(open);
            for completion in self.0.completion() {
                taken[completion.user_data() as usize] = match completion.result() {
                    error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
                    count => Ok(count as usize),
                };
                open -= 1;
            }
            let refused = submitted.is_err_and(|error| error.kind() != ErrorKind::Interrupted);
            if refused && open == self.0.submission().len() {
                // The kernel takes them in order, so those that it has not taken are the last ones.
                taken.truncate(taken.len() - open);
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::Burst;

    /// Puts a file in the place of the ring, which the kernel then does not know as one.
    fn wreck(ring: &Ring) {
        let null = File::open("/dev/null").unwrap();
        // SAFETY: the ring's descriptor stays open, and what the ring shares with the kernel stays mapped.
        assert!(unsafe { libc::dup2(null.as_raw_fd(), ring.0.as_raw_fd()) } >= 0);
    }

    #[test]
    fn what_the_ring_does_not_take_goes_without_it() {
        // Where there are no rings there is nothing that could be wrong with them.
        let Ok(mut ring) = Ring::new() else { return };
        let pairs: Vec<_> = (0..3).map(|_| UnixStream::pair().unwrap()).collect();
        let sends = || pairs.iter().map(|(here, _)| ToSend::new(here, b"hello"));
        wreck(&ring);
        let mut taken = Vec::new();
        assert!(!ring.send(sends(), &mut taken));
        assert!(taken.is_empty());

        let ring = Ring::new().unwrap();
        wreck(&ring);
        let mut burst = Burst { ring: Some(ring) };
        for round in 1..=2 {
            taken.clear();
            burst.send(sends(), &mut taken);
            assert_eq!(taken.len(), pairs.len());
            assert!(taken.iter().all(|taken| matches!(taken, Ok(5))), "{taken:?} in {round}");
            assert!(burst.is_plain());
        }
        for (_, there) in &pairs {
            let mut read = [0; 10];
            (&mut &*there).read_exact(&mut read).unwrap();
            assert_eq!(&read, b"hellohello");
            there.set_nonblocking(true).unwrap();
            assert_eq!((&mut &*there).read(&mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    }
}
