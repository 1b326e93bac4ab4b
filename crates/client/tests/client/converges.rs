//! Whatever several clients do at the same time, over connections that are cut at any moment: all of them
//! end in the server's state, and every edit has its outcome.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt;
use jetstream_client::Id;
use jetstream_client::core::ids::ObjectId;
use tokio::time::sleep;

use crate::world::{Client, Shape, World, shape};

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn edit(client: &Client, dice: &mut Dice, number: u64) -> Option<jetstream_client::Pending<()>> {
    let ids: Vec<ObjectId> = client
        .canvas
        .read(|canvas| canvas.shapes().iter().map(|shape| shape.id().object_id()).collect());
    let any = |dice: &mut Dice| -> Option<Id<Shape>> {
        let place = dice.below(ids.len().max(1) as u64) as usize;
        ids.get(place).copied().map(Id::new)
    };
    let (what, chosen, place) = (dice.below(6), any(dice), dice.below(8) as usize);
    let updated = client.canvas.update(|canvas| match (what, chosen) {
        (0 | 1, _) | (_, None) => {
            canvas.shapes_mut().insert(place, shape(number as f64));
        }
        (2, Some(id)) => {
            canvas.delete(id);
        }
        (3, Some(id)) => {
            canvas.find(id).unwrap().set_x(number as f64);
        }
        (4, Some(id)) => {
            canvas.find(id).unwrap().set_width(number as f64);
            canvas.set_name(number.to_string());
        }
        (_, Some(id)) => {
            canvas.shapes_mut().move_to(place, id);
        }
    });
    Some(updated.unwrap())
}

async fn run(seed: u64) {
    let world = World::new().await;
    let mut dice = Dice(seed);
    let clients = [world.join().await, world.join().await, world.join().await];
    let mut changes = clients[0].canvas.changes();
    let mut pending = Vec::new();
    for number in 0..150 {
        let client = &clients[dice.below(3) as usize];
        match dice.below(20) {
            0 => client.network.cut(),
            1 => client.network.go_down(),
            2 => client.network.come_up(),
            3 => client.network.lose_answers(),
            4 => {
                let sessions = world.server.sessions();
                let chosen = dice.below(sessions.len().max(1) as u64) as usize;
                if let Some(session) = sessions.get(chosen) {
                    world.server.end_session(session.info.id(), "forgotten").await;
                }
            }
            5..8 => sleep(Duration::from_millis(dice.below(400))).await,
            8..11 => tokio::task::yield_now().await,
            _ => pending.extend(edit(client, &mut dice, number)),
        }
    }
    for client in &clients {
        client.network.cut();
        client.network.come_up();
    }
    for client in &clients {
        world.converged(client).await;
        assert_eq!(client.session.pending(), 0, "seed {seed}");
    }
    // What the first was told of came to the same as what it shows.
    let shown: BTreeSet<Id<Shape>> =
        clients[0].canvas.read(|canvas| canvas.shapes().ids().collect());
    let mut told = BTreeSet::new();
    while let Some(changed) = changes.next().now_or_never().flatten() {
        changed.removed::<Shape>().for_each(|id| assert!(told.remove(&id), "seed {seed}: {id}"));
        changed.added::<Shape>().for_each(|id| assert!(told.insert(id), "seed {seed}: {id}"));
    }
    assert_eq!(told, shown, "seed {seed}");
    // Each has an outcome, good or bad.
    for pending in pending {
        let _ = pending.await;
    }
}

#[tokio::test(start_paused = true)]
async fn clients_end_in_the_servers_state_whatever_happens_to_their_connections() {
    for seed in 0..100 {
        run(seed).await;
    }
}
