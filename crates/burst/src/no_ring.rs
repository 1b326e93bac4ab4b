//! Where there is no io_uring.

use std::convert::Infallible;
use std::io;

use crate::{Taken, ToSend};

/// None: the sockets are non-blocking ones.
pub(super) const FLAGS: i32 = 0;

/// Never there.
#[derive(Debug)]
pub(super) struct Ring(Infallible);

impl Ring {
    pub(super) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn send<'a>(
        &mut self,
        _: impl Iterator<Item = ToSend<'a>>,
        _: &mut Vec<Taken>,
    ) -> bool {
        match self.0 {}
    }
}
