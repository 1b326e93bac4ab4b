//! Attacks on access rules over a socket, by programs that speak the protocol as they like.

use jetstream::SessionStatus;
use jetstream::core::ids::SessionId;
use serde_json::{Value, json};

use crate::access::{MESSAGE, World, flag, identity, post};
use crate::client::{Client, Line};

const VERSIONS: [&str; 2] = ["0.1.0", "1.0.0"];
const NOBODYS: &str = "ae000000-0000-4000-8000-00000000dead";

/// A chat in which a moderator has hidden a message; `bo` has never seen it.
async fn hidden(version: &'static str) -> (World, Client, Client) {
    let world = World::new().await;
    let mut moderator = world.dial(version, json!({"user": "mo", "roles": ["moderator"]})).await;
    let room = moderator.state("ChatRoom").await;
    moderator.send(post(&room, "mo")).await;
    moderator.next().await;
    moderator.send(flag(true)).await;
    moderator.next().await;
    let mut bo = world.dial(version, json!({"user": "bo"})).await;
    assert!(!bo.state("ChatRoom").await.to_string().contains(MESSAGE));
    (world, moderator, bo)
}

fn session_of(world: &World, user: &str) -> SessionId {
    let sessions = world.server.sessions();
    let mut of = sessions.iter().filter(|s| s.info.claims().entries()["user"] == user);
    of.next().expect("it is there").info.id()
}

fn sync(fragments: Value) -> Value {
    json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": fragments})
}

/// Everything up to the answer to a change that is sent behind it, on the same way.
async fn all_told(client: &mut Client) -> Vec<Value> {
    let nothing = json!([{"type": "change", "uuid": NOBODYS, "clsName": "Message"}]);
    let marker = client.send(sync(nothing)).await;
    let mut told = Vec::new();
    loop {
        let message = client.next().await;
        if message["replyTo"] == json!(marker) {
            return told;
        }
        told.push(message);
    }
}

#[tokio::test]
async fn a_hidden_message_is_answered_byte_by_byte_as_one_that_nobody_has() {
    for version in VERSIONS {
        let (_world, _moderator, mut bo) = hidden(version).await;
        let room = bo.state("ChatRoom").await["rootUUID"].clone();
        for attack in ["change", "remove", "movechange", "reference"] {
            let mut answers = Vec::new();
            for target in [MESSAGE, NOBODYS] {
                let fragment = match attack {
                    "reference" => json!({"type": "change", "uuid": room, "clsName": "ChatRoom",
                                          "properties": {"messages": [target]}}),
                    kind => json!({"type": kind, "uuid": target, "clsName": "Message",
                                   "properties": {"text": "x"}}),
                };
                bo.send(sync(json!([fragment]))).await;
                let told = all_told(&mut bo).await;
                assert_eq!(told.len(), 1, "an answer and nothing else: {told:?}");
                answers.push(told[0]["fragmentReplies"].to_string().replace(target, "that"));
            }
            assert_eq!(answers[0], answers[1], "{attack} by {version}");
            assert!(answers[0].contains("error"), "{answers:?}");
        }
    }
}

#[tokio::test]
async fn a_scope_that_is_fetched_twice_hides_alike_and_loses_both_when_rights_end() {
    for version in VERSIONS {
        let (world, _moderator, mut bo) = hidden(version).await;
        let more = json!({"user": "bo", "roles": ["moderator"]});
        let session = session_of(&world, "bo");
        assert!(!bo.state("ChatRoom").await.to_string().contains(MESSAGE));
        assert!(world.server.renew_session(session, identity(&more)).await);
        // To a client below 1.0 the second fetch is the first again.
        let fetched = if version == "1.0.0" { 2 } else { 1 };
        for _ in 0..fetched {
            let entered = bo.next().await;
            assert!(entered.to_string().contains("hello"), "{entered}");
        }
        assert!(world.server.renew_session(session, identity(&json!({"user": "bo"}))).await);
        for _ in 0..fetched {
            let left = bo.next().await;
            assert!(!left.to_string().contains("hello"), "{left}");
        }
        assert_eq!(all_told(&mut bo).await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn who_leaves_a_scope_and_fetches_it_again_gets_no_more_than_its_rights_then() {
    let (world, _moderator, mut bo) = hidden("1.0.0").await;
    let session = session_of(&world, "bo");
    let more = json!({"user": "bo", "roles": ["moderator"]});
    assert!(world.server.renew_session(session, identity(&more)).await);
    assert!(bo.next().await.to_string().contains("hello"));
    bo.send(json!({"type": "ScopeUnfetch", "scopeIndex": 0})).await;
    // Its answer shows that the session has read what came before.
    assert!(bo.fetch("no such scope").await["error"].is_object());
    assert!(world.server.renew_session(session, identity(&json!({"user": "bo"}))).await);
    let state = bo.state("ChatRoom").await;
    assert!(!state.to_string().contains(MESSAGE), "{state}");
}

#[tokio::test]
async fn what_was_hidden_while_a_client_was_away_does_not_come_with_its_resume() {
    for version in VERSIONS {
        let world = World::new().await;
        let mut moderator = world.client(json!({"user": "mo", "roles": ["moderator"]})).await;
        let room = moderator.state("ChatRoom").await;
        let mut bo = world.dial(version, json!({"user": "bo"})).await;
        bo.state("ChatRoom").await;
        let (token, received) = (bo.token.clone(), bo.received);
        drop(bo);
        // A session without a connection: what comes now has to wait.
        let session = session_of(&world, "bo");
        let is_there = |s: &SessionStatus| s.info.id() == session && s.connected;
        while world.server.sessions().iter().any(is_there) {
            tokio::task::yield_now().await;
        }
        moderator.send(post(&room, "mo")).await;
        moderator.next().await;
        moderator.send(flag(true)).await;
        moderator.next().await;
        let path = format!("/?x-jetstream-sessiontoken={token}");
        let line = Line::dial(world.server.local_addr(), &path).await;
        let mut bo = Client::speaking(line, version);
        bo.received = received;
        bo.ping().await;
        let mut told = String::new();
        loop {
            let message = bo.any().await;
            told += &message.to_string();
            if message["type"] == "ScopeState" || told.contains("hello") {
                break;
            }
        }
        assert!(!told.contains("hello") && !told.contains(MESSAGE), "{version}: {told}");
    }
}

#[tokio::test]
async fn a_second_session_of_the_same_user_has_the_rights_of_its_own_claims() {
    let (world, _moderator, mut bo) = hidden("1.0.0").await;
    let mut other = world.dial("1.0.0", json!({"user": "bo", "roles": ["moderator"]})).await;
    assert!(other.state("ChatRoom").await.to_string().contains("hello"));
    let report = json!([{"type": "change", "uuid": MESSAGE, "clsName": "Message",
                         "properties": {"flagged": true}}]);
    other.send(sync(report)).await;
    assert_eq!(other.next().await["fragmentReplies"], json!([{}]));
    assert_eq!(all_told(&mut bo).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_id_that_is_taken_is_all_that_adding_it_tells() {
    for version in VERSIONS {
        let (_world, _moderator, mut bo) = hidden(version).await;
        let room = bo.state("ChatRoom").await;
        let mut message = post(&room, "bo");
        message["fragments"][0]["properties"].as_object_mut().unwrap().remove("report");
        bo.send(message).await;
        let told = all_told(&mut bo).await;
        let text = told[0].to_string();
        assert!(text.contains("cannot be added") && !text.contains("hello"), "{text}");
        assert!(!text.contains("already") && !text.contains("mo"), "{text}");
    }
}
