//! Who goes too fast is slowed, and only what is beyond that is refused: no frame is read from a client that
//! is ahead of its burst, none is refused that is not twice as far ahead, none sent away that is not four
//! times. Who waits is read from again.

use std::collections::BTreeMap;

use jetstream_core::ids::SessionId;
use jetstream_core::session::ServerSession;
use jetstream_core::time::Millis;

use super::Property;
use crate::event::Event;
use crate::world::{Settings, World};

/// Counts as one would with a tally on paper: so many messages ahead, and less of them as time goes by.
#[derive(Debug)]
pub(super) struct Paced {
    per_second: f64,
    burst: f64,
    burst_ms: u64,
    sessions: BTreeMap<SessionId, Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    ahead: f64,
    at: Millis,
    /// How many messages were twice as far ahead as may be, and are not refused yet.
    beyond: f64,
}

impl Paced {
    pub(super) fn new(settings: &Settings) -> Self {
        let per_second = settings.limits.session_messages_per_second_max as f64;
        let burst_ms = settings.limits.rate_burst_ms;
        let burst = per_second * burst_ms as f64 / 1_000.0;
        Self { per_second, burst, burst_ms, sessions: BTreeMap::new() }
    }

    fn tally(&mut self, session: SessionId) -> &mut Tally {
        self.sessions.entry(session).or_default()
    }

    /// How far ahead a session is, in messages.
    fn ahead(&mut self, session: SessionId, at: Millis) -> &mut f64 {
        let per_second = self.per_second;
        let tally = self.tally(session);
        let paid = at.since(tally.at) as f64 * per_second / 1_000.0;
        tally.ahead = (tally.ahead - paid).max(0.0);
        tally.at = at;
        &mut tally.ahead
    }
}

impl Property for Paced {
    fn name(&self) -> &'static str {
        "at their pace"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        // Moments are whole milliseconds, and numbers are doubles.
        let nearly = 0.01;
        match event {
            Event::Read { session, messages, at } => {
                let burst = self.burst;
                let ahead = self.ahead(*session, *at);
                if *ahead > burst + nearly {
                    return Err(format!("session {session} is read from, {ahead} messages ahead"));
                }
                let messages = (*messages).max(1) as f64;
                *ahead += messages;
                let beyond = (*ahead - 2.0 * burst).clamp(0.0, messages);
                self.tally(*session).beyond += (beyond + nearly).ceil();
            }
            Event::Hurried { session, sent_away: true, at } => {
                let bound = self.burst * 4.0;
                let ahead = *self.ahead(*session, *at);
                if ahead <= bound - nearly {
                    return Err(format!("session {session} is sent away, {ahead} messages ahead"));
                }
            }
            // What is refused may have waited for something before it, and meanwhile it was paid for.
            Event::Hurried { session, .. } => {
                let tally = self.tally(*session);
                tally.beyond -= 1.0;
                if tally.beyond < 0.0 {
                    return Err(format!("more of session {session} is refused than was beyond"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, world: &World) -> Result<(), String> {
        // Nobody is further ahead than four bursts, of which one is free.
        let until = world.now().plus(self.burst_ms.saturating_mul(3).saturating_add(1));
        let is_stuck = |session: &&ServerSession| {
            !session.wants_frames() && session.deadline().is_none_or(|deadline| deadline > until)
        };
        let stuck = world.sessions().find(is_stuck);
        stuck.map_or(Ok(()), |session| Err(format!("{} is never read from again", session.id())))
    }
}
