//! Procedures and validation over HTTP: a real service, in every state of health.

use std::path::Path;

use jetstream::config::Config;
use jetstream::core::scope::Claims;
use jetstream::core::wire::update::Update;
use jetstream::transport::memory::MemoryConnector;
use jetstream::{ConnectInfo, MemoryTransport, Metrics, Scopes, Server, ServerHandle};
use serde_json::{Value, json};

use crate::client::{Client, Line};
use crate::double::{Act, Double};

/// A server with the configuration that a service belongs to.
struct World {
    service: Double,
    connector: MemoryConnector,
    scopes: Scopes,
    _server: ServerHandle,
}

const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

const MODELS: &str = r#"
[models.Shape.properties]
x = "Number"
label = "String"
[models.Canvas.properties]
name = "String"
shapes = "[Shape]"
[scopes.Canvas]
root = "Canvas"
initial = { name = "a/b c" }
"#;

const PROCEDURE: &str = r#"
[procedures."Canvas.addShape"]
constraints = [
  { type = "add", model = "Shape", properties = { x = "new" }, additional = true },
  { type = "change", model = "Canvas", properties = { shapes = "insert" } },
]
[procedures."Canvas.addShape".http]
method = "PUT"
url = "http://127.0.0.1:PORT/canvas/{canvas}/shapes?named={name}"
params = { canvas = "root.uuid", name = "root.name" }
headers = { x-scope = "scope.name", x-user = "session.user" }
body = { id = "incoming.Shape.add.uuid", at = ["incoming.Shape.add.properties.x + 0.5", 7], wide = true }
success = [200, 201]
timeout = "5s"
retries = 1
retry_pause = "1ms"
failures_max = 2
pause = "40ms"
"#;

const VALIDATION: &str = r#"
[scopes.Canvas.validate]
http = { url = "http://127.0.0.1:PORT/validate", timeout = "5s" }
"#;

impl World {
    async fn new(service: Double, config: &str) -> Self {
        let text = format!("{MODELS}{config}").replace("PORT", &service.port.to_string());
        let config = Config::parse("jetstream.toml", &text, Path::new(""), &[]).unwrap();
        let (transport, connector) = MemoryTransport::new();
        let metrics = Metrics::new();
        let server = Server::builder().transport(transport).metrics(metrics.clone());
        let scopes = config.scopes(metrics);
        let claims = json!({"user": "ann", "roles": ["editor"]});
        let server = server.scopes(scopes.clone()).on_session(move |session| {
            session.accept_as(Claims::new(claims.as_object().unwrap().clone()))
        });
        let server = server.start().await.unwrap();
        Self { service, connector, scopes, _server: server }
    }

    /// A client with the canvas, and the root's uuid.
    async fn member(&self) -> (Client, String) {
        let line = self.connector.connect(ConnectInfo::new("/")).await.unwrap();
        let mut client = Client::join_v1(Line::Memory(line)).await;
        let state = client.state("Canvas").await;
        (client, state["rootUUID"].as_str().unwrap().to_owned())
    }
}

/// A call that adds a shape.
fn add_shape(root: &str, uuid: &str) -> Value {
    let mut call = adding(root, uuid);
    call["atomic"] = true.into();
    call["procedure"] = "Canvas.addShape".into();
    call
}

fn adding(root: &str, uuid: &str) -> Value {
    json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [
        {"type": "add", "uuid": uuid, "clsName": "Shape", "properties": {"x": 2}},
        {"type": "change", "uuid": root, "clsName": "Canvas",
         "collections": {"shapes": [{"insert": uuid, "after": null}]}},
    ]})
}

/// The error's type of each fragment.
fn errors(reply: &Value) -> Vec<&str> {
    let replies = reply["fragmentReplies"].as_array().unwrap_or_else(|| panic!("{reply}"));
    replies.iter().map(|reply| reply["error"]["type"].as_str().unwrap_or_default()).collect()
}

const FAILED: [&str; 2] = ["procedure-failed", "procedure-failed"];

#[tokio::test]
async fn a_service_is_told_what_the_configuration_says_and_its_word_counts() {
    let world = World::new(Double::new(Act::Answer(201, json!({"id": 1}))).await, PROCEDURE).await;
    let ((mut ann, root), (mut bo, _)) = (world.member().await, world.member().await);
    ann.send(add_shape(&root, SHAPE)).await;
    assert_eq!(errors(&ann.next().await), ["", ""]);
    assert_eq!(bo.next().await["fragments"][0]["uuid"], SHAPE);
    let [seen] = &world.service.seen()[..] else { panic!("one request") };
    assert_eq!(seen.method, "PUT");
    assert_eq!(seen.path, format!("/canvas/{root}/shapes?named=a%2Fb%20c"));
    assert_eq!(seen.body, json!({"id": SHAPE, "at": [2.5, 7], "wide": true}));
    assert_eq!(
        (&seen.headers["x-scope"], seen.headers["idempotency-key"].len()),
        (&"Canvas".parse().unwrap(), 36)
    );
    assert_eq!(seen.headers["x-user"], "ann", "as access rules know it");

    world.service.will(Act::Answer(409, json!({"error": {"message": "that is enough"}})));
    let other = SHAPE.replace('5', "6");
    ann.send(add_shape(&root, &other)).await;
    let reply = ann.next().await;
    assert_eq!(errors(&reply), FAILED);
    assert_eq!(reply["fragmentReplies"][0]["error"]["message"], "that is enough");
    // A success that was not agreed on is none.
    world.service.will(Act::Answer(202, json!({})));
    ann.send(add_shape(&root, &other)).await;
    assert_eq!(errors(&ann.next().await), FAILED);
}

#[tokio::test]
async fn a_validation_sees_every_change_and_answers_fragment_by_fragment() {
    let world = World::new(Double::new(Act::Answer(200, json!({}))).await, VALIDATION).await;
    let ((mut ann, root), (mut bo, _)) = (world.member().await, world.member().await);
    ann.send(adding(&root, SHAPE)).await;
    assert_eq!(errors(&ann.next().await), ["", ""]);
    bo.next().await;
    let seen = world.service.seen().remove(0);
    assert_eq!(
        (seen.body["scope"].as_str(), seen.body["rootUUID"].as_str()),
        (Some("Canvas"), Some(&*root))
    );
    assert_eq!(seen.body["fragments"][0]["properties"]["x"], 2);
    assert_eq!(seen.body["session"]["claims"], json!({"user": "ann", "roles": ["editor"]}));

    world.service.will(Act::Answer(
        200,
        json!({"fragments": [
            {"modifications": {"x": 10, "label": "moved"}},
            {"error": {"message": "not this name", "type": "bad-name"}},
        ]}),
    ));
    ann.send(json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [
        {"type": "change", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 11}},
        {"type": "change", "uuid": root, "clsName": "Canvas", "properties": {"name": "bad"}},
    ]}))
    .await;
    let reply = ann.next().await;
    assert_eq!(errors(&reply), ["", "bad-name"]);
    assert_eq!(reply["fragmentReplies"][0]["modifications"], json!({"x": 10, "label": "moved"}));
    let told = bo.next().await;
    assert_eq!(told["fragments"].as_array().unwrap().len(), 1);
    assert_eq!(told["fragments"][0]["properties"], json!({"x": 10, "label": "moved"}));
}

#[tokio::test]
async fn fifty_others_edit_while_a_service_thinks() {
    let world = World::new(Double::new(Act::Hold).await, PROCEDURE).await;
    let (mut ann, root) = world.member().await;
    let mut others = Vec::new();
    for _ in 0..50 {
        others.push(world.member().await.0);
    }
    ann.send(add_shape(&root, SHAPE)).await;
    world.service.asked().await;
    // Each of them is answered before the service is.
    for (number, other) in others.iter_mut().enumerate() {
        let index = other.change("Canvas", &root, json!({"name": format!("by {number}")})).await;
        while other.next().await["replyTo"] != index {}
    }
    for _ in 0..50 {
        assert_eq!(ann.next().await["type"], "ScopeSync");
    }
    world.service.will(Act::Answer(200, json!({})));
    assert_eq!(errors(&ann.next().await), ["", ""]);
}

#[tokio::test]
async fn a_service_that_is_dead_fails_its_callers_at_once_until_it_comes_back() {
    let world = World::new(Double::new(Act::HangUp).await, PROCEDURE).await;
    let (mut ann, root) = world.member().await;
    ann.send(add_shape(&root, SHAPE)).await;
    assert_eq!(errors(&ann.next().await), FAILED);
    assert_eq!(world.service.seen().len(), 2, "it was asked again");
    // Two failures: nobody is asked any more.
    ann.send(add_shape(&root, SHAPE)).await;
    let reply = ann.next().await;
    assert_eq!(reply["fragmentReplies"][0]["error"]["message"], "the service is not available");
    assert_eq!(world.service.seen().len(), 0);
    world.service.will(Act::Answer(200, json!({})));
    loop {
        ann.send(add_shape(&root, SHAPE)).await;
        if errors(&ann.next().await) == ["", ""] {
            break;
        }
    }
    assert_eq!(world.service.seen().len(), 1);
}

#[tokio::test]
async fn nothing_listens_where_a_service_should_be() {
    let mut world = World::new(Double::new(Act::Hold).await, VALIDATION).await;
    // The one that the configuration means is gone.
    world.service = Double::new(Act::Hold).await;
    let (mut ann, root) = world.member().await;
    ann.send(adding(&root, SHAPE)).await;
    let reply = ann.next().await;
    assert_eq!(errors(&reply), FAILED);
    let message = &reply["fragmentReplies"][0]["error"]["message"];
    assert_eq!(message, "the service cannot be reached", "and no address");
}

#[tokio::test]
async fn a_service_that_lies_decides_nothing() {
    let config = format!("{VALIDATION}\n").replace("timeout", "failures_max = 1000, timeout");
    let world = World::new(Double::new(Act::Hold).await, &config).await;
    let (mut ann, root) = world.member().await;
    for act in [
        Act::Text(200, "{\"fragments\": [".to_owned()),
        Act::Answer(200, json!({"fragments": [{}, {}, {}]})),
        Act::Answer(200, json!({"fragments": [{"modifications": {"x": "wide"}}]})),
        Act::Answer(200, json!({"fragments": [{"modifications": {"unheard": 1}}]})),
        Act::Text(200, "x".repeat(2 << 20)),
        Act::Header(302, "location", "http://127.0.0.1:9/"),
        Act::Answer(500, json!({"fragments": []})),
    ] {
        world.service.will(act);
        ann.send(adding(&root, SHAPE)).await;
        assert_eq!(errors(&ann.next().await), FAILED);
    }
    world.service.will(Act::Answer(200, json!({})));
    ann.send(adding(&root, SHAPE)).await;
    assert_eq!(errors(&ann.next().await), ["", ""], "nothing of the others was applied");
}

#[tokio::test]
async fn expressions_see_any_object_by_its_uuid_and_the_scope() {
    let config = VALIDATION.replace(
        "/validate\"",
        "/validate?x={x}&of={of}\", params = { x = \"string(objects[incoming.Shape.change.uuid].x)\", \
         of = \"scope.name\" }, method = \"GET\"",
    );
    let world = World::new(Double::new(Act::Answer(200, json!({}))).await, &config).await;
    let (mut ann, _) = world.member().await;
    let add = format!(
        r#"{{"update": {{"$push": {{"shapes": {{"$cls": "Shape", "$uuid": "{SHAPE}", "x": 2}}}}}}}}"#
    );
    let canvas = world.scopes.open("Canvas").await.unwrap();
    let added = canvas.update_by(Update::parse(&add).unwrap()).await.unwrap();
    added.accepted().unwrap();
    ann.next().await;
    ann.change("Shape", SHAPE, json!({"x": 7})).await;
    assert_eq!(errors(&ann.next().await), [""]);
    assert_eq!(world.service.seen()[0].path, "/validate?x=2&of=Canvas", "as it is before");
}

#[tokio::test]
async fn updates_of_a_service_reach_everybody_and_the_author() {
    let world = World::new(Double::new(Act::Hold).await, VALIDATION).await;
    let ((mut ann, root), (mut bo, _)) = (world.member().await, world.member().await);
    ann.send(adding(&root, SHAPE)).await;
    world.service.asked().await;
    let updates = json!([
        {"query": {"$uuid": SHAPE}, "update": {"$set": {"label": "first"}}},
        {"update": {"$set": {"name": "one shape"}}},
        {"update": {"$set": {"unheard": 1}}},
    ]);
    world.service.will(Act::Answer(200, json!({"updates": updates})));
    assert_eq!(errors(&ann.next().await), ["", ""]);
    assert_eq!(bo.next().await["fragments"][0]["uuid"], SHAPE);
    for member in [&mut ann, &mut bo] {
        assert_eq!(member.next().await["fragments"][0]["properties"], json!({"label": "first"}));
        assert_eq!(member.next().await["fragments"][0]["properties"], json!({"name": "one shape"}));
    }
    world.service.will(Act::Answer(422, json!({"updates": updates})));
    ann.change("Canvas", &root, json!({"name": "no"})).await;
    assert_eq!(errors(&ann.next().await), ["validation-failed"], "and nothing follows");
    let (mut cy, _) = world.member().await;
    let state = cy.fetch("Canvas").await;
    assert!(state["scopeIndex"].is_u64());
    assert_eq!(cy.next().await["fragments"][0]["properties"]["name"], "one shape");
}
