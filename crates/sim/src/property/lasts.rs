//! A session lasts until its client ends it or is silent for too long. Connections that break are no reason, and
//! nothing in the traffic between two peers that follow the protocol is.

use std::collections::BTreeSet;

use jetstream_core::ids::SessionId;

use super::Property;
use crate::event::{Event, Request};
use crate::world::Settings;

#[derive(Debug)]
pub(super) struct Lasts {
    timeout_ms: u64,
    /// What cannot be read a second time is a reason.
    spoils: bool,
    /// A client that never acknowledges is a reason, where little may be kept for it.
    lossless: bool,
    closed: BTreeSet<SessionId>,
}

impl Lasts {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            timeout_ms: settings.limits.session_timeout_ms,
            spoils: settings.spoils,
            lossless: settings.is_lossless(),
            closed: BTreeSet::new(),
        }
    }
}

impl Property for Lasts {
    fn name(&self) -> &'static str {
        "a session lasts"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Asked { session, request: Request::Close, .. } => {
                self.closed.insert(*session);
            }
            Event::SessionEnded { session, silent_ms } => {
                let reason = self.closed.contains(session)
                    || *silent_ms >= self.timeout_ms
                    || self.spoils
                    || !self.lossless;
                if !reason {
                    return Err(format!("session {session} ends after {silent_ms} ms of silence"));
                }
            }
            Event::Hurried { session, sent_away: true, .. } => {
                self.closed.insert(*session);
            }
            Event::GaveUp { session } if !self.spoils => {
                return Err(format!("the client of session {session} gives up"));
            }
            _ => {}
        }
        Ok(())
    }
}
