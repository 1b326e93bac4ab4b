//! Sessions outlive their connections.

use jetstream::{ConnectInfo, WebSocket};
use serde_json::json;

use crate::client::{Client, Line};
use crate::world::{ROOT, World};

#[tokio::test]
async fn what_was_missed_comes_with_the_resume() {
    let world = World::with(|builder| builder.transport(WebSocket::bind("127.0.0.1:0"))).await;
    let address = world.server.local_addr();
    let mut ann = world.member().await;
    let mut bo = Client::join(Line::dial(address, "/").await).await;
    bo.state("Canvas").await;
    let (token, received) = (bo.token.clone(), bo.received);
    drop(bo);
    for name in ["one", "two"] {
        ann.change("Canvas", ROOT, json!({"name": name})).await;
        ann.next().await;
    }
    let mut bo =
        Client::new(Line::dial(address, &format!("/?x-jetstream-sessiontoken={token}")).await);
    bo.received = received;
    bo.ping().await;
    let pong = bo.any().await;
    assert_eq!((&pong["type"], &pong["ack"]), (&json!("Ping"), &json!(1)));
    for (name, index) in [("one", 3), ("two", 4)] {
        let told = bo.next().await;
        assert_eq!(
            (told["fragments"][0]["properties"]["name"].as_str(), &told["index"]),
            (Some(name), &json!(index))
        );
    }
    assert_eq!(world.server.metrics().sessions_resumed.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_newer_connection_takes_over_and_the_older_one_is_told() {
    let world = World::new().await;
    let (mut ann, mut bo) = (world.member().await, world.member().await);
    let mut newer = Client::new(world.line_of(&ann.token).await);
    newer.received = ann.received;
    assert_eq!(ann.close().await.0, 1000);
    drop(ann);
    // Without a word from the newer connection: news go to it.
    bo.change("Canvas", ROOT, json!({"name": "new"})).await;
    assert_eq!(newer.next().await["fragments"][0]["properties"]["name"], "new");
}

#[tokio::test]
async fn a_token_that_nobody_has_is_refused() {
    let world = World::new().await;
    for token in ["guess", "constructor", "\u{0}", &"x".repeat(10_000)] {
        let mut stranger = Client::new(world.line_of(token).await);
        let (code, reason) = stranger.close().await;
        assert_eq!(code, 4096);
        assert!(reason.contains("session-token-unrecognized"), "{reason}");
    }
}

#[tokio::test]
async fn an_empty_token_is_none() {
    let world = World::new().await;
    Client::join(world.line(ConnectInfo::new("/?x-jetstream-sessiontoken=")).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_silent_for_too_long_expires() {
    let world = World::with_limits(|limits| limits.session_timeout_ms = 30_000).await;
    let mut ann = world.member().await;
    let (code, reason) = ann.close().await;
    assert_eq!(code, 4097, "{reason}");
    let mut again = Client::new(world.line_of(&ann.token).await);
    assert_eq!(again.close().await.0, 4096);
    assert!(world.server.sessions().is_empty());
    world.canvas.read(|_| ()).await.unwrap();
    assert_eq!(world.canvas.member_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_server_pings_by_itself() {
    let world = World::new().await;
    let mut ann = world.member().await;
    let ping = ann.any().await;
    assert_eq!(ping, json!({"type": "Ping", "index": 0, "ack": 1, "resendMissing": false}));
}
