//! What a session takes up beside itself: its places among those of its principal and of its address.

use jetstream_core::model::Rejection;
use jetstream_core::session::ServerSession;

use super::Shared;
use super::principal::Membership;
use super::request::SessionInfo;
use crate::clock;
use crate::transport::Seat;

/// A session's places; given back when they are dropped.
#[derive(Default)]
pub(super) struct Seats {
    principal: Option<Membership>,
    #[expect(dead_code, reason = "held, and given back when it is dropped")]
    address: Option<Seat>,
}

impl Seats {
    /// For a session that begins.
    ///
    /// # Errors
    ///
    /// That there are as many as there may be.
    pub(super) fn take(server: &Shared, info: &SessionInfo) -> Result<Self, Rejection> {
        let now = clock::now().mono;
        let principal = server.principals.admit(&info.claims(), &server.limits, now)?;
        let address = info.connection().address();
        let address = address.map(|address| server.entrance.seat(address)).transpose()?;
        Ok(Self { principal, address })
    }

    /// For a session that was there before: it is counted and never refused.
    pub(super) fn keep(server: &Shared, info: &SessionInfo) -> Self {
        let principal = server.principals.join(&info.claims(), clock::now().mono);
        let address = info.connection().address();
        Self { principal, address: address.and_then(|here| server.entrance.keep_seat(here)) }
    }

    /// The session's machine, with what it counts together with others.
    pub(super) fn share(&self, machine: ServerSession) -> ServerSession {
        match &self.principal {
            Some(principal) => machine.sharing(principal.meter()),
            None => machine,
        }
    }
}
