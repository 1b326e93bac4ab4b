//! A scope's graph is sound after every ChangeSet: one root, no orphan, parents and children agree; and it holds
//! what the oracle holds.

use super::Property;
use crate::event::Event;
use crate::oracle::Oracle;
use crate::world::{Host, Settings};
use jetstream_core::wire::message::Dialect;

#[derive(Debug)]
pub(super) struct Sound {
    oracles: Vec<Oracle>,
    objects_max: usize,
}

impl Sound {
    pub(super) fn new(hosts: &[Host], settings: &Settings) -> Self {
        let oracles = hosts.iter().map(|host| Oracle::of(host.scope.graph())).collect();
        Self { oracles, objects_max: settings.limits.scope_objects_max }
    }
}

impl Property for Sound {
    fn name(&self) -> &'static str {
        "a sound graph"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        let Event::Judged { scope, dialect, changes, graph, revision } = event else {
            return Ok(());
        };
        graph.check().map_err(|why| format!("scope-{scope} at {revision}: {why}"))?;
        let real = Oracle::of(graph);
        let oracle = &mut self.oracles[*scope];
        oracle.sync(changes, self.objects_max);
        // What a client below 1.0 sends may be read as something else than it says.
        if *dialect == Dialect::V1 && *oracle != real {
            return Err(format!(
                "scope-{scope} at {revision} is not what the oracle says: {changes:?}"
            ));
        }
        *oracle = real;
        Ok(())
    }
}
