//! Seeing and ending sessions.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::http::{Ask, get, post};
use super::websocket::{self, CLOSE, Handshake, Opened};
use super::world::*;

/// A client with a session. With a credential it is somebody.
async fn client(world: &World) -> Opened {
    let address = world.server.local_addr().to_string();
    let mut opened = websocket::open(&address, &Handshake::default()).await.unwrap();
    let create = json!([{"type": "SessionCreate", "index": 0, "version": "1.0.0", "params": {}}]);
    let frame = websocket::frame(websocket::TEXT, create.to_string().as_bytes());
    opened.writer.write_all(&frame).await.unwrap();
    let reply = opened.reader.next().await.unwrap();
    assert!(String::from_utf8_lossy(&reply.payload).contains("sessionToken"));
    opened
}

/// Waits until the server closes the connection, and tells with which code.
async fn closed(client: &mut Opened) -> u16 {
    loop {
        let frame = client.reader.next().await.unwrap();
        if frame.opcode == CLOSE {
            return websocket::close_reason(&frame.payload).0;
        }
    }
}

fn sessions(page: &Value) -> Vec<u64> {
    let sessions = page["sessions"].as_array().unwrap().iter();
    sessions.map(|session| session["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn sessions_are_told_page_by_page_and_can_be_ended() {
    let world = World::new().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(client(&world).await);
    }
    let page =
        async |query: &str| world.done(&get(&format!("/v1/sessions{query}")).bearer(ADMIN)).await;
    let all = page("").await;
    assert_eq!((sessions(&all).len(), &all["next"]), (5, &json!(null)));
    let session = &all["sessions"][0];
    assert_eq!((&session["connected"], &session["version"]), (&json!(true), &json!("1.0.0")));
    assert_eq!(session["claims"], json!({}));
    let mut found = Vec::new();
    let mut next = "?limit=2".to_owned();
    loop {
        let page = page(&next).await;
        found.extend(sessions(&page));
        let Some(last) = page["next"].as_u64() else { break };
        next = format!("?limit=2&after={last}");
    }
    assert_eq!(found, sessions(&all));
    for wrong in ["?limit=0", "?limit=1001", "?after=x"] {
        let ask = get(&format!("/v1/sessions{wrong}")).bearer(ADMIN);
        assert_eq!(world.ask(&ask).await.status, 400, "{wrong}");
    }
    let end = |id: u64| {
        Ask { method: "DELETE".into(), ..get(&format!("/v1/sessions/{id}")) }.bearer(ADMIN)
    };
    for id in found {
        assert_eq!(world.ask(&end(id)).await.status, 204);
    }
    for client in &mut clients {
        assert_eq!(closed(client).await, 4097);
    }
    assert_eq!(world.ask(&end(7)).await.problem(), (404, "not-found".to_owned()));
}

#[tokio::test]
async fn a_session_that_has_not_come_back_can_be_ended_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[storage]\npath = 'data'\n");
    let world = World::of(&config).await;
    let _client = client(&world).await;
    let page = world.done(&get("/v1/sessions").bearer(ADMIN)).await;
    let path = format!("/v1/sessions/{}", sessions(&page)[0]);
    world.server.shutdown().await;
    drop(world);
    let world = World::of(&config).await;
    let end = Ask { method: "DELETE".into(), ..get(&path) }.bearer(ADMIN);
    assert_eq!(world.ask(&end).await.status, 204);
    assert_eq!(world.ask(&end).await.status, 404);
}

#[tokio::test]
async fn nobody_is_revoked_who_has_not_all_of_the_claims() {
    let world = World::new().await;
    let _client = client(&world).await;
    let revoke = |body: &Value| post("/v1/sessions/revoke", body).bearer(ADMIN);
    let none = world.done(&revoke(&json!({"claims": {"user": "ann"}}))).await;
    assert_eq!(none, json!({"ended": 0}));
    for wrong in [json!({}), json!({"claims": {}}), json!({"claims": {"a": 1}, "b": 1})] {
        assert_eq!(world.ask(&revoke(&wrong)).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn everybody_with_such_claims_is_revoked_and_nobody_else() {
    let scopes = jetstream::Scopes::builder().build().unwrap();
    let token = jetstream::ApiToken::new("operator", jetstream::Secret::new(ADMIN));
    let api = jetstream::Api::new(scopes, "127.0.0.1:0").token(token.role(jetstream::Role::Admin));
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let server = jetstream::Server::builder()
        .transport(jetstream::WebSocket::bind("127.0.0.1:0"))
        .metrics(jetstream::Metrics::new())
        .on_session(move |session| {
            let turn = turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let user = if turn.is_multiple_of(2) { "ann" } else { "bo" };
            let claims = json!({"user": user, "turn": turn});
            let Value::Object(claims) = claims else { unreachable!("it is one") };
            session.accept_as(jetstream::core::scope::Claims::new(claims))
        })
        .api(api);
    let world = World { server: server.start().await.unwrap(), kept: None };
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(client(&world).await);
    }
    let revoke =
        |claims: Value| post("/v1/sessions/revoke", &json!({"claims": claims})).bearer(ADMIN);
    let one = world.done(&revoke(json!({"user": "ann", "turn": 2}))).await;
    assert_eq!((one, closed(&mut clients[2]).await), (json!({"ended": 1}), 4097));
    world.done(&revoke(json!({"user": "ann"}))).await;
    assert_eq!(closed(&mut clients[0]).await, 4097);
    let others = loop {
        let page = world.done(&get("/v1/sessions").bearer(ADMIN)).await;
        if sessions(&page).len() == 2 {
            break page;
        }
        tokio::task::yield_now().await;
    };
    for session in others["sessions"].as_array().unwrap() {
        assert_eq!(session["claims"]["user"], "bo");
    }
}
