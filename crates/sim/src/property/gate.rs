//! Nobody is told of a commit before it is durable.

use jetstream_core::ids::Revision;

use super::Property;
use crate::event::Event;
use crate::world::Host;

#[derive(Debug)]
pub(super) struct Gate {
    durable: Vec<Revision>,
}

impl Gate {
    pub(super) fn new(hosts: &[Host]) -> Self {
        Self { durable: hosts.iter().map(|host| host.durable_revision()).collect() }
    }
}

impl Property for Gate {
    fn name(&self) -> &'static str {
        "durable before told"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Persisted { scope, revision } => self.durable[*scope] = *revision,
            Event::Told(told) if told.revision > self.durable[told.scope] => {
                return Err(format!(
                    "session {} hears of {} of scope-{}, of which {} is durable",
                    told.session, told.revision, told.scope, self.durable[told.scope]
                ));
            }
            _ => {}
        }
        Ok(())
    }
}
