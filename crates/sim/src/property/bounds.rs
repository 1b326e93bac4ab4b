//! What is kept for a client is bounded, and nothing is kept for those who are gone.

use super::Property;
use crate::event::Event;
use crate::world::{Settings, World};

#[derive(Debug)]
pub(super) struct Bounds {
    backlog_bytes_hard_max: usize,
}

impl Bounds {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { backlog_bytes_hard_max: settings.limits.backlog_bytes_hard_max }
    }
}

impl Property for Bounds {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        let Event::Backlog { session, bytes, longest_state } = event else { return Ok(()) };
        // However long a state is, there is no other way to give it to a client.
        let max = self.backlog_bytes_hard_max + longest_state + 256;
        match *bytes <= max {
            true => Ok(()),
            false => Err(format!("{bytes} bytes are kept for session {session}, {max} at most")),
        }
    }

    fn finish(&mut self, world: &World) -> Result<(), String> {
        let members: usize = world.hosts().iter().map(|host| host.scope.member_count()).sum();
        let expected: usize = world.hosts().iter().map(|host| host.addresses.len()).sum();
        if members != expected {
            return Err(format!("scopes have {members} members, and {expected} should be there"));
        }
        let open = world.hosts().iter().find(|host| !host.judged.is_empty());
        match open {
            Some(host) => Err(format!("{} has not answered {:?}", host.name, host.judged)),
            None => Ok(()),
        }
    }
}
