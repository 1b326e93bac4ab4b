//! A server with rules: who comes in, who sees what, and what happens when that changes.

use jetstream::authentication::Identity;
use jetstream::core::scope::Claims;
use jetstream::{ConnectInfo, MemoryTransport, Metrics, Server, ServerHandle, WebSocket};
use serde_json::{Value, json};

use crate::client::{Client, Line};

const DEMO: &str = include_str!("../../../../demos/chat-roles/jetstream.toml");

/// The chat with roles of the demos.
fn chat() -> jetstream::config::Config {
    // Tokens are another story; here the session says who it is.
    let text: String =
        DEMO.lines().filter(|line| !line.starts_with("jwt")).collect::<Vec<_>>().join("\n");
    let text = text.replace("[authentication]", "");
    jetstream::config::Config::parse("chat", &text, std::path::Path::new("."), &[])
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn the_guide_shows_the_chat_of_the_demos() {
    let page = include_str!("../../../../docs/guide/access.md");
    let (_, rest) =
        page.split_once("```toml title=\"chat with roles\"\n").expect("the guide's example");
    let (shown, _) = rest.split_once("\n```").expect("the end of the example");
    let (_, demo) = DEMO.split_once("\n\n").expect("a line about the file");
    assert_eq!(shown, demo.trim_end());
}

pub(crate) struct World {
    pub(crate) server: ServerHandle,
    connector: jetstream::transport::memory::MemoryConnector,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (transport, connector) = MemoryTransport::new();
        let metrics = Metrics::new();
        let builder = Server::builder()
            .transport(transport)
            .transport(WebSocket::bind("127.0.0.1:0"))
            .metrics(metrics.clone())
            .scopes(chat().scopes(metrics))
            .on_session(|session| {
                let claims = session.params().get("claims").and_then(Value::as_object).cloned();
                session.accept_as(Claims::new(claims.unwrap_or_default()))
            });
        Self { server: builder.start().await.unwrap(), connector }
    }

    /// A client over a socket.
    pub(crate) async fn dial(&self, version: &'static str, claims: Value) -> Client {
        let line = Line::dial(self.server.local_addr(), "/").await;
        let mut client = Client::speaking(line, version);
        let reply = client.create(json!({ "claims": claims })).await;
        client.token = reply["sessionToken"].as_str().unwrap_or_else(|| panic!("{reply}")).into();
        client
    }

    pub(crate) async fn client(&self, claims: Value) -> Client {
        let line = self.connector.connect(ConnectInfo::new("/")).await.unwrap();
        let mut client = Client::new(Line::Memory(line));
        let reply = client.create(json!({ "claims": claims })).await;
        assert!(reply["sessionToken"].is_string(), "{reply}");
        client
    }
}

pub(crate) fn identity(claims: &Value) -> Identity {
    let claims = Claims::new(claims.as_object().cloned().unwrap());
    Identity { claims, expires_at: None }
}

pub(crate) const MESSAGE: &str = "ae000000-0000-4000-8000-000000000007";

pub(crate) fn post(room: &Value, author: &str) -> Value {
    let message = json!({"author": author, "text": "hello", "report": "for moderators"});
    let add = json!({"type": "add", "uuid": MESSAGE, "clsName": "Message", "properties": message});
    let attach = json!({"type": "change", "uuid": room["rootUUID"], "clsName": "ChatRoom",
                        "properties": {"messages": [MESSAGE]}});
    json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [add, attach]})
}

pub(crate) fn flag(flagged: bool) -> Value {
    let change = json!({"type": "change", "uuid": MESSAGE, "clsName": "Message",
                        "properties": {"flagged": flagged}});
    json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [change]})
}

#[tokio::test]
async fn the_chat_shows_each_role_what_it_may_see() {
    let world = World::new().await;
    let mut stranger = world.client(json!({})).await;
    let reply = stranger.fetch("ChatRoom").await;
    assert_eq!(reply["error"]["type"], "unauthorized", "{reply}");
    let mut ann = world.client(json!({"user": "ann"})).await;
    let mut bo = world.client(json!({"user": "bo"})).await;
    let mut moderator = world.client(json!({"user": "mo", "roles": ["moderator"]})).await;
    let room = ann.state("ChatRoom").await;
    bo.state("ChatRoom").await;
    moderator.state("ChatRoom").await;

    bo.send(post(&room, "ann")).await;
    let refused = bo.next().await;
    let error = &refused["fragmentReplies"][0]["error"];
    assert_eq!(error["type"], "forbidden", "nobody speaks for another: {refused}");

    let mut message = post(&room, "ann");
    message["fragments"][0]["properties"].as_object_mut().unwrap().remove("report");
    ann.send(message).await;
    let accepted = ann.next().await;
    assert_eq!(accepted["fragmentReplies"], json!([{}, {}]), "{accepted}");
    assert!(bo.next().await.to_string().contains("hello"));
    assert!(moderator.next().await.to_string().contains("hello"));

    moderator.send(flag(true)).await;
    assert_eq!(moderator.next().await["fragmentReplies"], json!([{}]));
    for member in [&mut ann, &mut bo] {
        let left = member.next().await;
        assert!(!left.to_string().contains("hello"), "{left}");
        assert_eq!(left["fragments"][0]["properties"]["messages"], json!([]), "{left}");
    }
    let mut cy = world.client(json!({"user": "cy"})).await;
    assert!(!cy.state("ChatRoom").await.to_string().contains(MESSAGE));
}

#[tokio::test]
async fn rights_change_while_the_session_lives_and_end_with_it() {
    let world = World::new().await;
    let mut moderator = world.client(json!({"user": "mo", "roles": ["moderator"]})).await;
    let room = moderator.state("ChatRoom").await;
    moderator.send(post(&room, "mo")).await;
    moderator.next().await;
    moderator.send(flag(true)).await;
    moderator.next().await;
    let mut bo = world.client(json!({"user": "bo"})).await;
    assert!(!bo.state("ChatRoom").await.to_string().contains("hello"));

    let session = world.server.sessions()[1].info.id();
    let moderator = json!({"user": "bo", "roles": ["moderator"]});
    assert!(world.server.renew_session(session, identity(&moderator)).await);
    let entered = bo.next().await;
    assert_eq!(entered["fragments"][0]["type"], "add");
    assert!(entered.to_string().contains("for moderators"), "{entered}");
    assert!(world.server.renew_session(session, identity(&json!({"user": "bo"}))).await);
    let left = bo.next().await;
    assert!(!left.to_string().contains("hello"), "{left}");

    let revoked = world.server.revoke(|claims| claims.entries()["user"] == "bo").await;
    assert_eq!(revoked, 1);
    let (code, reason) = bo.close().await;
    assert!(code == 4097 && reason.contains("revoked"), "{code} {reason}");
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_what_its_client_showed_is_no_longer_good() {
    let (transport, connector) = MemoryTransport::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let server = Server::builder()
        .transport(transport)
        .metrics(Metrics::new())
        .on_session(move |session| session.accept().until(now + 30))
        .start()
        .await
        .unwrap();
    let line = connector.connect(ConnectInfo::new("/")).await.unwrap();
    let mut ann = Client::join(Line::Memory(line)).await;
    let (code, reason) = ann.close().await;
    assert!(code == 4097 && reason.contains("expired"), "{code} {reason}");
    drop(server);
}
