//! How fast a client may go, and what becomes of one that goes faster.
//!
//! First nothing more is read from it, so that its network slows it down. What it has put into one frame is
//! beyond that: from a second bound on it is refused, in its place and like everything else that is
//! refused. Who goes on, is denied its session.

use std::sync::Arc;

use crate::limits::{Limit, Limits};
use crate::model::{ChangeSet, ErrorCode, Rejection};
use crate::rate::{SharedMeter, Standing};
use crate::session::Output;

use super::ServerSession;

impl ServerSession {
    /// The same session, whose rates are those of its principal, too.
    #[must_use]
    pub fn sharing(mut self, meter: Arc<SharedMeter>) -> Self {
        self.meter.share(meter);
        self
    }

    /// Whether the client has to wait.
    pub(super) fn is_slowed(&self) -> bool {
        self.meter.standing() > Standing::Free
    }

    /// The client has sent so much. If that was far too much, the session is over.
    pub(super) fn sent(&mut self, messages: usize, bytes: usize, out: &mut Vec<Output>) {
        let Some(limit) = self.meter.sent(messages, bytes, &self.limits, self.now) else { return };
        out.push(Output::Limited(limit));
        if self.meter.standing() == Standing::Closed {
            let message = refusal(limit, &self.limits).message;
            self.deny(ErrorCode::RateLimited, message, out);
        }
    }

    /// The client will be sent so much that it asked for.
    pub(super) fn asked_for(&mut self, bytes: usize) {
        self.met = self.meter.asked(bytes, &self.limits, self.now).or(self.met);
    }

    /// What the client has met, if so much that it is refused.
    pub(super) fn refused_for(&self) -> Option<Limit> {
        let is_refused = self.meter.standing() >= Standing::Refused;
        is_refused.then(|| self.meter.limit(&self.limits, self.now))
    }
}

/// A ChangeSet of which nothing is applied.
pub(super) fn refused(fragments: usize, atomic: bool, limit: Limit, limits: &Limits) -> ChangeSet {
    let refusal = refusal(limit, limits);
    ChangeSet { fragments: vec![Err(refusal); fragments], atomic, ..ChangeSet::default() }
}

pub(super) fn refusal(limit: Limit, limits: &Limits) -> Rejection {
    let (max, whose) = match limit {
        Limit::SessionMessagesPerSecond => {
            (limits.session_messages_per_second_max, "messages of a session")
        }
        Limit::SessionBytesPerSecond => (limits.session_bytes_per_second_max, "bytes of a session"),
        Limit::PrincipalMessagesPerSecond => {
            (limits.principal_messages_per_second_max, "messages of all your sessions")
        }
        _ => (limits.principal_bytes_per_second_max, "bytes of all your sessions"),
    };
    Rejection::too_fast(limit, format!("more than {max} {whose} in a second"))
}
