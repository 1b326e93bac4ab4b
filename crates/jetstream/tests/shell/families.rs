//! Scopes that are made at the first fetch.

use std::sync::Arc;

use jetstream::core::limits::Limits;
use jetstream::{MemoryStorage, Scopes};
use serde_json::json;

use crate::world::{ROOT, World, graph};

#[tokio::test(start_paused = true)]
async fn a_board_is_made_when_it_is_fetched_and_kept_while_somebody_is_there() {
    let limits = Arc::new(Limits { scope_idle_ms: 1_000, ..Limits::default() });
    let scopes = Scopes::builder()
        .limits(limits.clone())
        .storage(MemoryStorage::new())
        .scope("boards/{id}", |_| Ok(graph()))
        .build()
        .unwrap();
    let given = scopes.clone();
    let world = World::with(|builder| builder.scopes(given).limits(limits)).await;
    let (mut ann, mut bo) = (world.client().await, world.client().await);
    assert!(scopes.list().is_empty());
    ann.state("boards/7").await;
    bo.state("boards/7").await;
    ann.change("Canvas", ROOT, json!({"name": "kept"})).await;
    assert_eq!(bo.next().await["type"], "ScopeSync");
    assert_eq!(bo.fetch("tables/7").await["error"]["message"], "No such scope");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(scopes.list().len(), 1);
    for session in world.server.sessions() {
        world.server.end_session(session.info.id(), "over").await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(scopes.list().is_empty());
    let mut cy = world.client().await;
    let state = cy.state("boards/7").await;
    assert_eq!(state["fragments"][0]["properties"]["name"], "kept");
}
