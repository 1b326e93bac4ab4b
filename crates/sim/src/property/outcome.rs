//! Every edit has one outcome: it is answered, or its session is lost with it.

use std::collections::BTreeMap;

use jetstream_core::ids::{MessageIndex, SessionId};

use super::Property;
use crate::event::Event;
use crate::world::World;

#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// How often each edit was settled.
    edits: BTreeMap<(SessionId, MessageIndex), u32>,
}

impl Property for Outcome {
    fn name(&self) -> &'static str {
        "one outcome"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Edited { session, message } => {
                self.edits.insert((*session, *message), 0);
                Ok(())
            }
            Event::Settled { session, message, .. } => {
                match self.edits.get_mut(&(*session, *message)) {
                    Some(0) => {
                        self.edits.insert((*session, *message), 1);
                        Ok(())
                    }
                    Some(_) => Err(format!("edit {message} of session {session} is settled twice")),
                    None => Err(format!("edit {message} of session {session} was never made")),
                }
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, world: &World) -> Result<(), String> {
        let deserted: Vec<SessionId> = world
            .clients()
            .iter()
            .filter(|client| client.has_deserted())
            .filter_map(|client| client.session())
            .collect();
        let open = self
            .edits
            .iter()
            .find(|((session, _), outcomes)| **outcomes == 0 && !deserted.contains(session));
        match open {
            Some(((session, message), _)) => {
                Err(format!("edit {message} of session {session} has no outcome"))
            }
            None => Ok(()),
        }
    }
}
