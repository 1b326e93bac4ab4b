//! Clients in the same scope stay in sync.

use jetstream::{ConnectInfo, WebSocket};
use serde_json::json;

use crate::client::{Client, Line};
use crate::world::{ROOT, World, rename};

#[tokio::test]
async fn two_clients_sync_over_memory() {
    let world = World::new().await;
    two_clients_sync(
        world.line(ConnectInfo::new("/")).await,
        world.line(ConnectInfo::new("/")).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clients_sync_over_websocket() {
    let world = World::with(|builder| builder.transport(WebSocket::bind("127.0.0.1:0"))).await;
    let address = world.server.local_addr();
    two_clients_sync(Line::dial(address, "/").await, Line::dial(address, "/any/path").await).await;
}

async fn two_clients_sync(one: Line, other: Line) {
    let (mut ann, mut bo) = (Client::join(one).await, Client::join(other).await);
    assert_ne!(ann.token, bo.token);
    let state = ann.state("Canvas").await;
    assert_eq!((&state["scopeIndex"], &state["rootUUID"]), (&json!(0), &json!(ROOT)));
    bo.state("Canvas").await;
    let sent = ann.change("Canvas", ROOT, json!({"name": "ours"})).await;
    let reply = ann.next().await;
    assert_eq!(
        reply,
        json!({"type": "ScopeSyncReply", "index": 3, "replyTo": sent, "fragmentReplies": [{}]})
    );
    let told = bo.next().await;
    assert_eq!((&told["type"], &told["index"]), (&json!("ScopeSync"), &json!(3)));
    assert_eq!(told["fragments"][0]["properties"], json!({"name": "ours"}));
}

#[tokio::test]
async fn the_application_changes_and_reads_along() {
    let world = World::new().await;
    let mut ann = world.member().await;
    let mut changes = world.canvas.changes();
    let (updated, before) =
        world.canvas.update_with(|graph| (rename(graph, "theirs"), graph.len())).await.unwrap();
    assert_eq!((updated.accepted().unwrap().0, before), (1, 1));
    assert_eq!(ann.next().await["fragments"][0]["properties"], json!({"name": "theirs"}));
    ann.change("Canvas", ROOT, json!({"name": "ours"})).await;
    for revision in 1..=2 {
        assert_eq!(changes.next().await.unwrap().unwrap().revision.0, revision);
    }
    assert_eq!(world.canvas.revision().0, 2);
}

#[tokio::test]
async fn messages_that_come_with_the_session_create_are_not_lost() {
    let world = World::new().await;
    let mut ann = world.stranger().await;
    let together = json!([
        {"type": "SessionCreate", "index": 0, "params": {}, "version": "0.1.0"},
        {"type": "ScopeFetch", "index": 1, "name": "Canvas", "params": {}},
    ]);
    ann.text(together.to_string()).await;
    assert!(ann.next().await["sessionToken"].is_string());
    assert_eq!(ann.next().await["type"], "ScopeFetchReply");
    assert_eq!(ann.next().await["type"], "ScopeState");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_change_is_told_to_every_other_member_once_and_in_order() {
    let world = World::new().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        // Of version 1.0: others are also told what may have crossed their own changes.
        let mut client = Client::join_v1(world.line(ConnectInfo::new("/")).await).await;
        client.state("Canvas").await;
        clients.push(client);
    }
    for round in 0..60 {
        let author = round % clients.len();
        clients[author].change("Canvas", ROOT, json!({"name": round.to_string()})).await;
        for (place, client) in clients.iter_mut().enumerate() {
            let message = client.next().await;
            if place == author {
                assert_eq!(message["type"], "ScopeSyncReply");
            } else {
                assert_eq!(message["fragments"][0]["properties"]["name"], round.to_string());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_scope_is_served_by_several_servers() {
    let (one, other) = (World::new().await, World::new().await);
    let shared = one.canvas.clone();
    let third = World::with(|builder| builder.on_fetch(move |fetch| fetch.accept(&shared))).await;
    let (mut ann, mut bo, mut cy) =
        (one.member().await, third.member().await, other.member().await);
    ann.change("Canvas", ROOT, json!({"name": "here and there"})).await;
    assert_eq!(bo.next().await["type"], "ScopeSync");
    cy.change("Canvas", ROOT, json!({"name": "elsewhere"})).await;
    assert_eq!(cy.next().await["type"], "ScopeSyncReply");
    one.server.shutdown().await;
    bo.change("Canvas", ROOT, json!({"name": "still here"})).await;
    assert_eq!(bo.next().await["type"], "ScopeSyncReply");
}
