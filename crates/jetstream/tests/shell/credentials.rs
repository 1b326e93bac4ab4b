//! Where it is found out who clients are: keys that are rotated, and a service in every state of health.

use std::path::Path;
use std::time::Duration;

use jetstream::config::Config;
use jetstream::core::scope::Claims;
use jetstream::transport::memory::MemoryConnector;
use jetstream::{ConnectInfo, MemoryTransport, Metrics, Server, ServerHandle};
use jsonwebtoken::{Algorithm, get_current_timestamp};
use serde_json::{Value, json};

use crate::client::{Client, Line};
use crate::double::{Act, Double};
use crate::signer::{Signer, set};

/// A server that asks somewhere else who its clients are.
struct World {
    server: ServerHandle,
    connector: MemoryConnector,
}

impl World {
    async fn new(authentication: &str, folder: &Path) -> Self {
        let text = format!("[authentication]\n{authentication}");
        let config = Config::parse("jetstream.toml", &text, folder, &[]);
        let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let (transport, connector) = MemoryTransport::new();
        let server = config.server().transport(transport).metrics(Metrics::new());
        Self { server: server.start().await.unwrap(), connector }
    }

    /// A service that is asked with these options.
    async fn asking(service: &Double, options: &str) -> Self {
        let port = service.port;
        let url = format!("url = 'http://127.0.0.1:{port}/check?x=1'");
        Self::new(&format!("http = {{ {url}, {options} }}"), Path::new("")).await
    }

    /// What a client is answered that shows this.
    async fn shows(&self, info: ConnectInfo, params: Value) -> Value {
        let line = self.connector.connect(info).await.unwrap();
        Client::new(Line::Memory(line)).create(params).await
    }

    async fn shows_token(&self, token: &str) -> Value {
        self.shows(ConnectInfo::new("/"), json!({ "token": token })).await
    }

    /// Whether this token gets its owner in.
    async fn takes(&self, token: &str) -> bool {
        self.shows_token(token).await["sessionToken"].is_string()
    }

    /// Who came last.
    fn newest(&self) -> Claims {
        self.server.sessions().last().expect("somebody is here").info.claims().as_ref().clone()
    }
}

/// The type of a refusal.
fn refusal(reply: &Value) -> &str {
    reply["error"]["type"].as_str().unwrap_or_else(|| panic!("{reply}"))
}

fn ann() -> Value {
    json!({"sub": "ann", "exp": get_current_timestamp() + 10_000})
}

/// Time goes by for everything but the network.
async fn passes(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn keys_from_an_address_are_rotated_and_stay_when_nobody_answers() {
    let signers = ["old", "new", "newest"].map(|id| Signer::new(Algorithm::EdDSA, id));
    let [old, new, newest] = signers.each_ref().map(|signer| signer.token(&ann()));
    let issuer = Double::new(Act::Answer(200, set(&signers[..1]))).await;
    let keys = format!("jwt = {{ keys = 'http://127.0.0.1:{}/jwks' }}", issuer.port);
    let world = World::new(&keys, Path::new("")).await;
    assert!(world.takes(&old).await);
    assert_eq!(world.newest().entries()["user"], "ann");
    assert_eq!(issuer.seen().len(), 1);

    // A token that names an unknown key has the keys fetched, but not again and again.
    issuer.will(Act::Answer(200, set(&signers[..2])));
    for _ in 0..5 {
        assert_eq!(refusal(&world.shows_token(&new).await), "unauthorized");
    }
    assert_eq!(issuer.seen().len(), 0);
    passes(10).await;
    assert!(world.takes(&new).await && world.takes(&old).await);
    assert_eq!(issuer.seen().len(), 1);

    // Nobody answers: nobody can say whether there is such a key, and those from before stay.
    issuer.will(Act::HangUp);
    passes(10).await;
    assert_eq!(refusal(&world.shows_token(&newest).await), "internal");
    assert!(world.takes(&new).await);
    for lie in [
        Act::Answer(200, json!({"keys": []})),
        Act::Text(200, "<html>".to_owned()),
        Act::Answer(404, set(&signers)),
        Act::Header(302, "location", "http://127.0.0.1:9/"),
    ] {
        issuer.will(lie);
        passes(10).await;
        assert_eq!(refusal(&world.shows_token(&newest).await), "internal");
        assert!(world.takes(&old).await);
    }

    // A key that is withdrawn is noticed without being asked for.
    issuer.will(Act::Answer(200, set(&signers[1..])));
    passes(300).await;
    while world.takes(&old).await {}
    assert!(world.takes(&newest).await && world.takes(&new).await);
    assert!(!world.takes("x").await);
}

#[tokio::test]
async fn a_server_whose_issuer_is_away_starts_and_is_not_ready() {
    let signer = Signer::new(Algorithm::RS256, "a");
    let issuer = Double::new(Act::HangUp).await;
    let keys =
        format!("jwt = {{ keys = 'http://127.0.0.1:{}/jwks', anonymous = true }}", issuer.port);
    let world = World::new(&keys, Path::new("")).await;
    assert_eq!(refusal(&world.shows_token(&signer.token(&ann())).await), "internal");
    let health = world.server.health().await;
    assert!(!health.ready && health.problem.contains("keys"), "{health:?}");
    let nobody = world.shows(ConnectInfo::new("/"), json!({})).await;
    assert!(nobody["sessionToken"].is_string(), "{nobody}");

    issuer.will(Act::Answer(200, set([&signer])));
    passes(60).await;
    while !world.server.health().await.ready {
        tokio::task::yield_now().await;
    }
    assert!(world.takes(&signer.token(&ann())).await);
}

#[tokio::test]
async fn a_file_of_keys_is_read_again_when_it_changes() {
    let signers = ["old", "new"].map(|id| Signer::new(Algorithm::ES256, id));
    let [old, new] = signers.each_ref().map(|signer| signer.token(&ann()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, set(&signers[..1]).to_string()).unwrap();
    let world = World::new("jwt = { keys = 'jwks.json' }", folder.path()).await;
    assert!(world.takes(&old).await && !world.takes(&new).await);

    std::fs::write(&path, set(&signers).to_string()).unwrap();
    passes(1).await;
    assert!(world.takes(&new).await && world.takes(&old).await);
    // Half of a file, and then none: what was read before stays.
    std::fs::write(&path, "{\"keys\": [").unwrap();
    passes(5).await;
    assert!(world.takes(&new).await);
    std::fs::remove_file(&path).unwrap();
    passes(5).await;
    assert!(world.takes(&new).await);
    std::fs::write(&path, set(&signers[1..]).to_string()).unwrap();
    while world.takes(&old).await {
        passes(5).await;
    }
    assert!(world.takes(&new).await);
}

#[tokio::test]
async fn a_service_says_who_it_is_and_for_how_long() {
    let at = get_current_timestamp() + 1_000;
    let answer = json!({"claims": {"sub": "ann", "roles": ["editor"]}, "expiresAt": at, "more": 1});
    let service = Double::new(Act::Answer(200, answer)).await;
    let world = World::asking(&service, "timeout = '9s'").await;
    let info = ConnectInfo::new("/canvas?x=1")
        .with_header("authorization", "Bearer s3cret")
        .with_header("origin", "https://example.org")
        .from_peer("203.0.113.7:5000".parse().unwrap());
    let reply = world.shows(info, json!({"room": 7, "token": "other"})).await;
    assert!(reply["sessionToken"].is_string(), "{reply}");
    let claims = world.newest();
    assert_eq!(claims.entries()["user"], "ann");
    assert_eq!(claims.entries()["roles"], json!(["editor"]));
    let [seen] = &service.seen()[..] else { panic!("one question") };
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/check?x=1"));
    assert_eq!(
        seen.body,
        json!({"occasion": "begin", "credential": "s3cret", "params": {"room": 7}, "version": "0.1.0",
               "address": "203.0.113.7", "path": "/canvas", "origin": "https://example.org"})
    );
    // What was shown is kept nowhere.
    let kept = world.server.sessions().pop().unwrap().info;
    assert_eq!(kept.connection().header("authorization"), None);
    assert_eq!(Value::Object(kept.params().clone()), json!({"room": 7}));
    assert_eq!(kept.connection().header("origin"), Some("https://example.org"));
}

#[tokio::test]
async fn a_refusal_of_a_service_reaches_the_user_in_its_words() {
    let service = Double::new(Act::Hold).await;
    let world = World::asking(&service, "timeout = '9s'").await;
    let long = "x".repeat(2_000);
    let past = get_current_timestamp() - 1;
    for (act, code, message) in [
        (Act::Answer(401, json!({})), "unauthorized", "the credential was refused"),
        (Act::Text(403, "no".to_owned()), "unauthorized", "the credential was refused"),
        (
            Act::Answer(403, json!({"error": {"message": "pay first", "type": "unpaid"}})),
            "unpaid",
            "pay first",
        ),
        (
            Act::Answer(200, json!({"claims": {"sub": "x"}, "error": {"message": "banned"}})),
            "unauthorized",
            "banned",
        ),
        (
            Act::Answer(400, json!({"error": {"message": long, "type": "internal"}})),
            "unauthorized",
            "the credential was refused",
        ),
        (
            Act::Answer(200, json!({"claims": {"sub": "x"}, "expiresAt": past})),
            "unauthorized",
            "the credential has expired",
        ),
    ] {
        service.will(act);
        let reply = world.shows_token("t").await;
        assert_eq!((refusal(&reply), reply["error"]["message"].as_str()), (code, Some(message)));
    }
    assert!(world.server.sessions().is_empty());
}

#[tokio::test]
async fn nobody_is_asked_about_who_shows_nothing() {
    let service = Double::new(Act::Answer(200, json!({"claims": {"sub": "x"}}))).await;
    let closed = World::asking(&service, "timeout = '9s'").await;
    let nothing = || (ConnectInfo::new("/?x-jetstream-authorization="), json!({"token": ""}));
    let (info, _) = nothing();
    assert_eq!(refusal(&closed.shows(info, json!({})).await), "unauthorized");
    let open = World::asking(&service, "anonymous = true").await;
    let (info, _) = nothing();
    assert!(open.shows(info, json!({})).await["sessionToken"].is_string());
    assert!(open.newest().is_anonymous());
    assert!(service.seen().is_empty());
    let long = "x".repeat(20_000);
    assert_eq!(refusal(&open.shows_token(&long).await), "unauthorized");
    assert!(service.seen().is_empty());
}

#[tokio::test]
async fn a_service_that_lies_lets_nobody_in() {
    let service = Double::new(Act::Hold).await;
    let world = World::asking(&service, "failures_max = 1000, retries = 1, retry_pause = 1").await;
    for act in [
        Act::Text(200, "<html>welcome</html>".to_owned()),
        Act::Text(200, String::new()),
        Act::Text(200, "{\"claims\": {".to_owned()),
        Act::Answer(200, json!({})),
        Act::Answer(200, json!([])),
        Act::Answer(200, json!(true)),
        Act::Answer(200, json!({"claims": "ann"})),
        Act::Answer(200, json!({"claims": null})),
        Act::Answer(200, json!({"claims": {"sub": "a"}, "expiresAt": "tomorrow"})),
        Act::Answer(200, json!({"claims": {"sub": "a"}, "expiresAt": -5})),
        Act::Answer(200, json!({"claims": {"sub": "a"}, "expiresAt": 1e300})),
        Act::Text(200, format!("{{\"claims\": {{\"sub\": \"{}\"}}}}", "x".repeat(70_000))),
        Act::Answer(302, json!({"claims": {"sub": "a"}})),
        Act::Header(302, "location", "http://127.0.0.1:9/"),
        Act::Answer(404, json!({"claims": {"sub": "a"}})),
        Act::Answer(500, json!({"claims": {"sub": "a"}})),
    ] {
        service.will(act);
        let reply = world.shows_token("t").await;
        assert_eq!(refusal(&reply), "internal", "{reply}");
        assert!(!reply.to_string().contains("127.0.0.1"), "{reply}");
    }
    assert!(world.server.sessions().is_empty());
    service.will(Act::Answer(201, json!({"claims": {}, "expiresAt": null})));
    assert!(world.takes("t").await, "and one that says who it is, lets in, if only as nobody");
}

#[tokio::test]
async fn a_service_that_is_dead_denies_at_once_until_it_comes_back() {
    let service = Double::new(Act::HangUp).await;
    let options = "failures_max = 2, retries = 1, retry_pause = 1, pause = '1h'";
    let world = World::asking(&service, options).await;
    assert_eq!(refusal(&world.shows_token("t").await), "internal");
    assert_eq!(service.seen().len(), 2, "it was asked again");
    service.will(Act::Answer(200, json!({"claims": {"sub": "ann"}})));
    assert_eq!(refusal(&world.shows_token("t").await), "internal");
    assert_eq!(service.seen().len(), 0, "it is left alone");
    passes(3_600).await;
    assert!(world.takes("t").await);
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn a_client_waits_no_longer_than_for_any_session_while_a_service_thinks() {
    let service = Double::new(Act::Hold).await;
    let text = format!(
        "limits.establish_timeout_ms = 100\n[authentication]\nhttp = {{ url = 'http://127.0.0.1:{}', \
         timeout = '1h' }}",
        service.port
    );
    let config = Config::parse("jetstream.toml", &text, Path::new(""), &[]).unwrap();
    let (transport, connector) = MemoryTransport::new();
    let server = config.server().transport(transport).metrics(Metrics::new());
    let _server = server.start().await.unwrap();
    let line = connector.connect(ConnectInfo::new("/")).await.unwrap();
    let mut client = Client::new(Line::Memory(line));
    let create =
        json!({"type": "SessionCreate", "index": 0, "params": {"token": "t"}, "version": "1.0.0"});
    client.text(create.to_string()).await;
    let (code, reason) = client.close().await;
    assert!(code == 4096 && reason.contains("session-establish-timedout"), "{code} {reason}");
}

#[tokio::test]
async fn an_authenticator_that_panics_lets_nobody_in() {
    use jetstream::authentication::{ByFunction, Identity};

    let (transport, connector) = MemoryTransport::new();
    let ask = |_| async { if true { panic!("as asked") } else { Ok(Identity::default()) } };
    let server = Server::builder()
        .transport(transport)
        .metrics(Metrics::new())
        .authenticator(ByFunction(ask))
        .start();
    let world = World { server: server.await.unwrap(), connector };
    assert_eq!(refusal(&world.shows_token("t").await), "internal");
    assert_eq!(world.server.metrics().handler_panics.get(), 1);
}
