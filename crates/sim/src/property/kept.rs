//! What somebody added and the server accepted stays until somebody takes it out.

use std::collections::BTreeSet;

use jetstream_core::ids::ObjectId;

use super::Property;
use crate::event::Event;
use crate::world::World;

#[derive(Debug)]
pub(super) struct Kept;

impl Property for Kept {
    fn name(&self) -> &'static str {
        "nothing that was added is lost"
    }

    fn observe(&mut self, _: &Event<'_>) -> Result<(), String> {
        Ok(())
    }

    fn finish(&mut self, world: &World) -> Result<(), String> {
        // Only where everybody edits as people do is anything known of what they meant to take out.
        let editors = || world.clients().iter().filter(|client| client.manner().edits_together);
        let taken_out: BTreeSet<ObjectId> =
            editors().flat_map(|client| client.taken_out()).copied().collect();
        let graph = world.hosts()[0].scope.graph();
        let lost = editors().find_map(|client| {
            let lost = client
                .accepted()
                .iter()
                .find(|id| graph.object(**id).is_none() && !taken_out.contains(*id));
            lost.map(|id| format!("{id}, which {} added", client.name()))
        });
        lost.map_or(Ok(()), Err)
    }
}
