//! How sessions, scopes and servers end.

use std::sync::Arc;
use std::time::Duration;

use jetstream::storage::Guarded;
use jetstream::{ConnectInfo, MemoryStorage, Scope, WebSocket};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, Line};
use crate::world::{ROOT, World, graph};

#[tokio::test]
async fn a_shutdown_answers_what_was_asked_and_closes_with_1001() {
    let world = World::with(|builder| builder.transport(WebSocket::bind("127.0.0.1:0"))).await;
    let address = world.server.local_addr();
    let mut ann = Client::join(Line::dial(address, "/").await).await;
    ann.state("Canvas").await;
    let mut bo = world.member().await;
    // The change has reached the scope: bo has been told.
    ann.change("Canvas", ROOT, json!({"name": "last words"})).await;
    bo.next().await;
    let anns_end = async {
        assert_eq!(ann.next().await["type"], "ScopeSyncReply");
        ann.close().await.0
    };
    let (anns, bos, ()) = tokio::join!(anns_end, bo.close(), world.server.shutdown());
    assert_eq!((anns, bos.0), (1001, 1001));
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert!(world.connector.connect(ConnectInfo::new("/")).await.is_none());
    assert!(!world.server.health().await.ready);
    // The scope is the application's.
    assert!(world.canvas.read(|graph| graph.len()).await.is_ok());
    world.server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_delays_a_shutdown_no_longer_than_the_limit() {
    let world = World::with_limits(|limits| limits.shutdown_timeout_ms = 3_000).await;
    let mut ann = world.member().await;
    let _silent = world.member().await;
    for round in 0..100 {
        ann.change("Canvas", ROOT, json!({"name": round.to_string()})).await;
        ann.next().await;
    }
    let before = tokio::time::Instant::now();
    world.server.shutdown().await;
    assert!(before.elapsed() <= Duration::from_secs(6), "{:?}", before.elapsed());
}

#[tokio::test]
async fn run_ends_with_its_signal() {
    let (stop, signal) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(
        jetstream::Server::builder()
            .transport(WebSocket::bind("127.0.0.1:0"))
            .shutdown_on(async { drop(signal.await) })
            .run(),
    );
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_place_that_is_taken_is_an_error_that_names_it() {
    let world = World::with(|builder| builder.transport(WebSocket::bind("127.0.0.1:0"))).await;
    let taken = world.server.local_addr().to_string();
    let error =
        jetstream::Server::builder().transport(WebSocket::bind(&taken)).start().await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen at {taken}: ")), "{error}");
}

#[tokio::test]
async fn a_session_that_the_application_ends_is_told_why() {
    let world = World::new().await;
    let mut ann = world.member().await;
    let sessions = world.server.sessions();
    assert!(sessions.len() == 1 && sessions[0].connected);
    let id = sessions[0].info.id();
    assert!(world.server.end_session(id, "come back tomorrow").await);
    let (code, reason) = ann.close().await;
    assert_eq!(code, 4097);
    assert!(reason.contains("come back tomorrow"), "{reason}");
    while !world.server.sessions().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!world.server.end_session(id, "again").await);
}

#[tokio::test]
async fn changes_to_a_closed_scope_are_refused_and_the_session_goes_on() {
    let world = World::new().await;
    let mut ann = world.member().await;
    world.canvas.close().await;
    ann.change("Canvas", ROOT, json!({"name": "too late"})).await;
    let reply = ann.next().await;
    assert_eq!(reply["type"], "ScopeSyncReply");
    assert!(reply["fragmentReplies"][0]["error"]["message"].is_string(), "{reply}");
    let reply = ann.fetch("Canvas").await;
    assert!(reply["error"]["message"].as_str().unwrap().contains("closed"), "{reply}");
}

#[tokio::test]
async fn metrics_and_health_have_a_listener_of_their_own() {
    let world = World::with(|builder| builder.admin("127.0.0.1:0")).await;
    let _ann = world.member().await;
    let address = world.server.admin_addr().unwrap();
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let metrics = get("/metrics").await;
    assert!(metrics.contains("\njetstream_sessions 1\n"), "{metrics}");
    assert!(metrics.contains("\njetstream_sessions_created_total 1\n"), "{metrics}");
    assert!(get("/health/live").await.starts_with("HTTP/1.1 200 "));
    assert!(get("/health/ready").await.starts_with("HTTP/1.1 200 "));
    assert!(get("/else").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_does_not_answer_makes_the_server_unready() {
    // A store that never finds what it looks for.
    let storage = Guarded::new(MemoryStorage::new(), |_| Box::pin(std::future::pending()));
    let stuck = Scope::builder("Stuck", graph()).storage(Arc::new(storage)).build();
    let world = World::with(|builder| builder.on_fetch(move |fetch| fetch.accept(&stuck))).await;
    assert!(world.server.health().await.ready);
    let mut ann = world.client().await;
    assert_eq!(ann.fetch("Stuck").await["scopeIndex"], 0);
    let health = world.server.health().await;
    assert!(!health.ready && health.problem.contains("\"Stuck\""), "{health:?}");
}
