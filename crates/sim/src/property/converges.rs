//! When the world is at rest, everybody has what the server has.

use jetstream_core::scope::encode_state;

use super::Property;
use crate::event::Event;
use crate::oracle::Oracle;
use crate::world::{Client, Content, World};

#[derive(Debug)]
pub(super) struct Converges;

impl Property for Converges {
    fn name(&self) -> &'static str {
        "everybody has the server's state"
    }

    fn observe(&mut self, _: &Event<'_>) -> Result<(), String> {
        Ok(())
    }

    fn finish(&mut self, world: &World) -> Result<(), String> {
        let clients = world.clients().iter().filter(|client| !client.has_deserted());
        clients.into_iter().try_for_each(|client| {
            check(client, world).map_err(|why| format!("{}: {why}", client.name()))
        })
    }
}

fn check(client: &Client, world: &World) -> Result<(), String> {
    for (index, copy) in client.copies() {
        let graph = world.hosts()[copy.scope].scope.graph();
        match &copy.content {
            Content::Awaited => return Err(format!("scope {index} never came")),
            Content::Replica(replica) => {
                if replica.pending().len() > 0 {
                    return Err(format!("an edit of scope {index} is still pending"));
                }
                let (ours, theirs) = (encode_state(replica.confirmed()), encode_state(graph));
                if ours != theirs {
                    return Err(format!("scope {index} is\n{ours}\nand not\n{theirs}"));
                }
            }
            Content::Double(double) => {
                if let Some(difference) = double.difference(graph) {
                    return Err(format!("scope {index} is\n{difference}"));
                }
            }
            // Those who edit and speak a dialect below 1.0 rely on repairs.
            Content::Watched(_) if !client.manner().polite => {}
            Content::Watched(watched) => {
                let theirs = Oracle::of(graph);
                if watched.objects() != theirs.objects() {
                    return Err(format!("scope {index} is\n{watched:?}\nand not\n{theirs:?}"));
                }
            }
        }
    }
    Ok(())
}
