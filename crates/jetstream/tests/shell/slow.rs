//! Clients that read slowly, or not at all.

use serde_json::json;

use crate::client::Client;
use crate::world::{ROOT, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_does_not_read_is_bounded_and_catches_up_and_nobody_notices() {
    let bound = 200_000;
    let world = World::with_limits(|limits| limits.backlog_bytes_max = bound).await;
    let (mut ann, mut bo) = (world.member().await, world.member().await);
    let long = "z".repeat(10_000);
    for round in 0..200 {
        let name = format!("{round}{long}");
        ann.change("Canvas", ROOT, json!({ "name": name })).await;
        assert_eq!(ann.next().await["type"], "ScopeSyncReply");
        ann.ping().await;
    }
    // What is kept for bo: what waits in the connection is bounded, too.
    let kept = world.server.sessions().iter().map(|session| session.backlog_bytes).max();
    assert!(kept.unwrap() <= 2 * bound, "{kept:?}");
    let mut last = None;
    while last != Some(format!("199{long}")) {
        let message = bo.next().await;
        last = message["fragments"][0]["properties"]["name"].as_str().map(str::to_owned);
        bo.ping().await;
    }
    ann.change("Canvas", ROOT, json!({"name": "caught up"})).await;
    loop {
        let message = bo.next().await;
        if message["fragments"][0]["properties"]["name"] == "caught up" {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scope_that_is_busy_makes_its_members_wait_and_loses_nothing() {
    let world = World::with_limits(|limits| limits.mailbox_requests_max = 2).await;
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..5 {
        clients.push(world.member().await);
    }
    // Everybody sends at once, without reading what the others did.
    let mut tasks = Vec::new();
    for (place, mut client) in clients.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            let (mut replies, mut told) = (0, 0);
            for round in 0..100 {
                let name = format!("{place} {round}");
                client.change("Canvas", ROOT, json!({ "name": name })).await;
                while replies <= round {
                    match client.next().await["type"].as_str() {
                        Some("ScopeSyncReply") => replies += 1,
                        _ => told += 1,
                    }
                }
            }
            (client, told)
        }));
    }
    for task in tasks {
        let (mut client, mut told) = task.await.unwrap();
        while told < 400 {
            assert_eq!(client.next().await["type"], "ScopeSync");
            told += 1;
        }
    }
    assert_eq!(world.canvas.revision().0, 500);
}

#[tokio::test]
async fn reading_goes_on_as_soon_as_a_scope_has_answered() {
    let world = World::with_limits(|limits| {
        limits.inbox_messages_max = 2;
        // Nothing else wakes the session.
        limits.ping_interval_ms = 3_600_000;
        limits.session_timeout_ms = 7_200_000;
    })
    .await;
    let mut ann = world.member().await;
    for turn in 0..20 {
        ann.change("Canvas", ROOT, json!({"name": turn.to_string()})).await;
    }
    for _ in 0..20 {
        assert_eq!(ann.next().await["type"], "ScopeSyncReply");
    }
}
