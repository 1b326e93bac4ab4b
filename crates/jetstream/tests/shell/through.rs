//! A service that has the say: it is asked before anything is committed, and gives what scopes begin with.

use std::path::Path;

use jetstream::config::{Config, Kept};
use jetstream::transport::memory::MemoryConnector;
use jetstream::{ConnectInfo, MemoryTransport, Metrics, ServerHandle};
use serde_json::{Value, json};

use crate::client::{Client, Line};
use crate::double::{Act, Double};

const ROOT: &str = "ca000000-0000-4000-8000-000000000001";
const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

const MODELS: &str = r#"
[models.Shape.properties]
x = "Number"
[models.Board.properties]
name = "String"
shapes = "[Shape]"
[scopes."boards/{id}"]
root = "Board"
[storage]
memory = true
control = "CONTROL"
"#;

const LOAD: &str = r#"
[scopes."boards/{id}".load.http]
url = "http://127.0.0.1:PORT/boards/{id}"
params = { id = "scope.params.id" }
retries = 1
retry_pause = "1ms"
failures_max = 1000
"#;

const WRITE: &str = r#"
[scopes."boards/{id}".write.http]
url = "http://127.0.0.1:PORT/write"
timeout = "5s"
retries = 1
retry_pause = "1ms"
failures_max = 1000
"#;

/// A server over a store, and the service that it asks.
struct World {
    service: Double,
    config: Config,
    kept: Kept,
    server: ServerHandle,
    connector: MemoryConnector,
}

impl World {
    async fn new(act: Act, config: &str) -> Self {
        let service = Double::new(act).await;
        let text = format!("{MODELS}{config}").replace("PORT", &service.port.to_string());
        let text = text.replace("CONTROL", "unused");
        let config = Config::parse("jetstream.toml", &text, Path::new(""), &[]).unwrap();
        let kept = config.open(Metrics::new()).await.unwrap().unwrap();
        let (server, connector) = serve(&config, &kept).await;
        Self { service, config, kept, server, connector }
    }

    /// Another server over the same store.
    async fn serve_again(&mut self) {
        self.kept.scopes.close().await;
        (self.server, self.connector) = serve(&self.config, &self.kept).await;
    }

    async fn client(&self) -> Client {
        let line = self.connector.connect(ConnectInfo::new("/")).await.unwrap();
        Client::join_v1(Line::Memory(line)).await
    }

    async fn member(&self) -> (Client, String) {
        let mut client = self.client().await;
        let state = client.state("boards/7").await;
        (client, state["rootUUID"].as_str().unwrap().to_owned())
    }
}

async fn serve(config: &Config, kept: &Kept) -> (ServerHandle, MemoryConnector) {
    let (transport, connector) = MemoryTransport::new();
    let server = config.server_over(kept).metrics(Metrics::new()).transport(transport);
    (server.start().await.unwrap(), connector)
}

fn state() -> Value {
    json!({"rootUUID": ROOT, "fragments": [
        {"type": "change", "uuid": ROOT, "clsName": "Board",
         "properties": {"name": "from elsewhere", "shapes": [SHAPE]}},
        {"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 3}},
    ]})
}

fn error(reply: &Value) -> &Value {
    &reply["fragmentReplies"][0]["error"]
}

#[tokio::test]
async fn a_scope_begins_with_what_the_service_has_and_is_not_asked_for_again() {
    let mut world = World::new(Act::Answer(200, state()), LOAD).await;
    let (mut ann, root) = world.member().await;
    assert_eq!(root, ROOT);
    let seen = world.service.seen();
    assert_eq!((&*seen[0].method, &*seen[0].path, seen.len()), ("GET", "/boards/7", 1));
    ann.change("Board", ROOT, json!({"name": "changed"})).await;
    ann.next().await;
    let state = world.client().await.state("boards/7").await;
    assert_eq!(state["fragments"][0]["properties"]["name"], "changed");
    assert_eq!(state["fragments"][1]["properties"]["x"], 3);
    // What is stored counts from then on.
    world.serve_again().await;
    let state = world.client().await.state("boards/7").await;
    assert_eq!(state["fragments"][0]["properties"]["name"], "changed");
    assert!(world.service.seen().is_empty());
}

#[tokio::test]
async fn a_scope_that_cannot_be_loaded_is_denied_and_nothing_is_kept_of_it() {
    let world = World::new(Act::HangUp, LOAD).await;
    let mut client = world.client().await;
    let mut strange = state();
    strange["fragments"][0]["clsName"] = "Shape".into();
    let refused = json!({"error": {"message": "not for you", "type": "private"}});
    for (act, kind, message) in [
        (Act::HangUp, "internal", "the scope cannot be loaded: the service cannot be reached"),
        (
            Act::Answer(503, json!({})),
            "internal",
            "cannot be loaded: the service answered with the status 503",
        ),
        (Act::Answer(404, json!({})), "", "No such scope"),
        (Act::Answer(403, refused), "private", "not for you"),
        (Act::Text(200, "{".to_owned()), "internal", "is no state of it"),
        (Act::Answer(200, json!({"fragments": []})), "internal", "is no state of it"),
        (Act::Answer(200, strange), "internal", "is no state of it"),
        (Act::Header(302, "location", "http://127.0.0.1:9/"), "internal", "the service failed"),
    ] {
        world.service.will(act);
        let reply = client.fetch("boards/7").await;
        let error = &reply["error"];
        assert_eq!(error["type"].as_str().unwrap_or_default(), kind, "{reply}");
        assert!(error["message"].as_str().unwrap().contains(message), "{reply}");
    }
    world.service.will(Act::Answer(200, state()));
    assert_eq!(client.state("boards/7").await["rootUUID"], ROOT);
}

#[tokio::test]
async fn who_waits_for_a_scope_to_be_loaded_delays_nobody_and_asks_once() {
    let world = World::new(Act::Answer(200, state()), LOAD).await;
    let (mut ann, _) = world.member().await;
    world.service.seen();
    world.service.will(Act::Hold);
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut client = world.client().await;
        client.send(json!({"type": "ScopeFetch", "name": "boards/8", "params": {}})).await;
        waiting.push(client);
    }
    world.service.asked().await;
    // Meanwhile everything else goes on.
    let index = ann.change("Board", ROOT, json!({"name": "meanwhile"})).await;
    assert_eq!(ann.next().await["replyTo"], index);
    let mut other = state();
    other["rootUUID"] = ROOT.replace("ca", "cb").into();
    other["fragments"][0]["uuid"] = other["rootUUID"].clone();
    world.service.will(Act::Answer(200, other));
    for client in &mut waiting {
        assert!(client.next().await["scopeIndex"].is_u64());
        assert_eq!(client.next().await["type"], "ScopeState");
    }
    assert_eq!(world.service.seen().len(), 1);
}

#[tokio::test]
async fn nothing_is_committed_that_the_service_has_not_taken() {
    let world = World::new(Act::Hold, WRITE).await;
    let ((mut ann, root), (mut bo, _)) = (world.member().await, world.member().await);
    ann.change("Board", &root, json!({"name": "asked"})).await;
    world.service.asked().await;
    let seen = world.service.seen().remove(0);
    assert_eq!((&seen.body["scope"], &seen.body["revision"]), (&json!("boards/7"), &json!(0)));
    assert_eq!(seen.body["fragments"][0]["properties"], json!({"name": "asked"}));
    let state = world.client().await.state("boards/7").await;
    assert_eq!(state["fragments"][0]["properties"]["name"], Value::Null);
    world
        .service
        .will(Act::Answer(200, json!({"fragments": [{"modifications": {"name": "Asked"}}]})));
    assert_eq!(ann.next().await["fragmentReplies"][0]["modifications"], json!({"name": "Asked"}));
    assert_eq!(bo.next().await["fragments"][0]["properties"], json!({"name": "Asked"}));
    for (act, kind, message) in [
        (
            Act::Answer(409, json!({"error": {"message": "locked", "type": "locked"}})),
            "locked",
            "locked",
        ),
        (Act::Answer(422, json!({})), "validation-failed", "does not accept"),
        (Act::HangUp, "procedure-failed", "cannot be reached"),
        (Act::Answer(500, json!({})), "procedure-failed", "status 500"),
    ] {
        world.service.will(act);
        ann.change("Board", &root, json!({"name": "refused"})).await;
        let reply = ann.next().await;
        assert_eq!(error(&reply)["type"], kind, "{reply}");
        assert!(error(&reply)["message"].as_str().unwrap().contains(message), "{reply}");
    }
    let state = world.client().await.state("boards/7").await;
    assert_eq!(state["fragments"][0]["properties"]["name"], "Asked");
}

#[tokio::test]
async fn others_who_touch_something_else_are_not_delayed() {
    let world = World::new(Act::Answer(200, json!({})), WRITE).await;
    let ((mut ann, root), (mut bo, _)) = (world.member().await, world.member().await);
    ann.send(json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [
        {"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 1}},
        {"type": "change", "uuid": root, "clsName": "Board",
         "collections": {"shapes": [{"insert": SHAPE, "after": null}]}},
    ]}))
    .await;
    ann.next().await;
    bo.next().await;
    world.service.hold_where("slow");
    ann.change("Board", &root, json!({"name": "slow"})).await;
    while !world.service.seen().iter().any(|seen| seen.body.to_string().contains("slow")) {
        tokio::task::yield_now().await;
    }
    for x in 0..20 {
        let index = bo.change("Shape", SHAPE, json!({"x": x})).await;
        assert_eq!(bo.next().await["replyTo"], index);
        assert_eq!(ann.next().await["fragments"][0]["properties"]["x"], x);
    }
    // The same property has to wait for its turn.
    bo.change("Board", &root, json!({"name": "later"})).await;
    world.service.let_go();
    assert_eq!(ann.next().await["fragmentReplies"], json!([{}]));
    assert_eq!(ann.next().await["fragments"][0]["properties"]["name"], "later");
}

#[test]
fn mistakes_in_load_and_write_are_found_at_the_start() {
    let parse = |keys: &str| {
        let text = format!(
            "[models.A.properties]\nn = \"Number\"\n[scopes.A]\nroot = \"A\"\n{keys}\n[storage]\nmemory = true\n"
        );
        let parsed = Config::parse("jetstream.toml", &text, Path::new(""), &[]);
        parsed.map_or_else(|mistakes| mistakes.to_string(), |_| String::new())
    };
    let http = "http = { url = \"http://127.0.0.1/\" }";
    assert_eq!(
        parse(&format!("load = {{ {http} }}\nwrite = {{ order = \"authors\", {http} }}")),
        ""
    );
    for (keys, expected) in [
        ("load = {}".to_owned(), "a service to load from needs the key \"http\""),
        ("write = {}".to_owned(), "a service that is written to needs the key \"http\""),
        (
            format!("initial = {{ n = 1 }}\nload = {{ {http} }}"),
            "a scope that is loaded has no \"initial\"",
        ),
        (
            format!("write = {{ order = \"mine\", {http} }}"),
            "no order in which changes are written",
        ),
        (
            "load = { http = { url = \"http://127.0.0.1/{n}\", params = { n = \"root.n\" } } }"
                .to_owned(),
            "no variable \"root\"",
        ),
    ] {
        let mistakes = parse(&keys);
        assert!(mistakes.contains(expected), "{keys}: {mistakes}");
    }
}
