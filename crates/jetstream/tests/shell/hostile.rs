//! Clients that do not behave.

use jetstream::core::limits::Limits;
use jetstream::{ConnectInfo, WebSocket};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{Client, Line};
use crate::world::{ROOT, World};

#[tokio::test]
async fn first_messages_that_are_none_close_with_4096() {
    let world = World::new().await;
    let deep = "[".repeat(20_000);
    let no_version = r#"{"type":"SessionCreate","index":0}"#;
    for text in ["", "hello", "null", "5", "{}", "[]", &deep, no_version] {
        let mut stranger = world.stranger().await;
        stranger.text(text.to_owned()).await;
        assert_eq!(stranger.close().await.0, 4096, "{text:.40}");
    }
    world.client().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed_in_time() {
    let world = World::new().await;
    let before = tokio::time::Instant::now();
    let mut silent = world.stranger().await;
    let (code, reason) = silent.close().await;
    assert_eq!(code, 4096);
    assert!(reason.contains("session-establish-timedout"), "{reason}");
    assert_eq!(before.elapsed().as_secs(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_thousand_silent_connections_disturb_nobody() {
    // As if they came from as many addresses.
    let limits = Limits {
        address_connections_pending_max: usize::MAX,
        address_connections_per_second_max: usize::MAX,
        ..Limits::default()
    };
    let socket = WebSocket::bind("127.0.0.1:0");
    let world = World::with(|builder| builder.transport(socket).limits(limits)).await;
    let address = world.server.local_addr();
    let (mut ann, mut bo) = (world.member().await, world.member().await);
    let mut silent = Vec::new();
    for round in 0..2_000 {
        // Some say not even what they want, some half of it.
        let mut stream = TcpStream::connect(address).await.unwrap();
        if round % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
        }
        silent.push(stream);
    }
    let mut cy = Client::join(Line::dial(address, "/").await).await;
    cy.state("Canvas").await;
    ann.change("Canvas", ROOT, json!({"name": "as always"})).await;
    assert_eq!(bo.next().await["type"], "ScopeSync");
    assert_eq!(cy.next().await["type"], "ScopeSync");
}

#[tokio::test]
async fn connections_past_the_bound_are_refused_until_one_has_its_session() {
    let world = World::with_limits(|limits| limits.connections_pending_max = 2).await;
    let mut first = world.stranger().await;
    let _second = world.stranger().await;
    let mut third = world.stranger().await;
    assert_eq!(third.close().await.0, 1006);
    assert!(first.create(json!({})).await["sessionToken"].is_string());
    world.client().await;
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_the_connection_and_not_the_session() {
    let world = World::with_limits(|limits| limits.message_bytes_max = 10_000).await;
    let mut ann = world.member().await;
    let mut bo = world.member().await;
    ann.text("x".repeat(10_001)).await;
    assert_eq!(ann.close().await.0, 1009);
    let line = world.line_of(&ann.token).await;
    let mut ann = ann.resume(line).await;
    ann.change("Canvas", ROOT, json!({"name": "still me"})).await;
    assert_eq!(ann.next().await["type"], "ScopeSyncReply");
    assert_eq!(bo.next().await["type"], "ScopeSync");
}

#[tokio::test]
async fn a_client_that_goes_right_after_asking_harms_nobody() {
    let world = World::new().await;
    for _ in 0..20 {
        let mut hasty = Client::new(world.line(ConnectInfo::new("/")).await);
        let create = json!({"type": "SessionCreate", "index": 0, "version": "0.1.0"});
        hasty.text(create.to_string()).await;
    }
    world.member().await;
}
