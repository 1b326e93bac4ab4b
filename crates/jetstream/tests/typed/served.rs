//! A typed scope behind a server: what the application changes reaches clients, and the other way round.

use std::collections::VecDeque;

use jetstream::transport::memory::{FromServer, MemoryClient, MemoryConnector};
use jetstream::typed::Change;
use jetstream::{ConnectInfo, MemoryTransport, Scope, Server};
use serde_json::{Value, json};

use super::models::*;

/// A client that has fetched the scope.
struct Client {
    line: MemoryClient,
    waiting: VecDeque<Value>,
    index: u64,
    state: Value,
}

impl Client {
    async fn fetch(connector: &MemoryConnector, version: &str) -> Self {
        let line = connector.connect(ConnectInfo::new("/")).await.unwrap();
        let mut client = Self { line, waiting: VecDeque::new(), index: 0, state: Value::Null };
        client.send(json!({"type": "SessionCreate", "index": 0, "version": version})).await;
        assert!(client.next("SessionCreateReply").await["sessionToken"].is_string());
        client.send(json!({"type": "ScopeFetch", "name": "ShapesDemo"})).await;
        client.state = client.next("ScopeState").await;
        client
    }

    async fn send(&mut self, mut message: Value) {
        if message["type"] != "SessionCreate" {
            self.index += 1;
            message["index"] = self.index.into();
        }
        self.line.send(message.to_string()).await;
    }

    /// The next message of this type.
    async fn next(&mut self, kind: &str) -> Value {
        loop {
            while let Some(message) = self.waiting.pop_front() {
                if message["type"] == kind {
                    return message;
                }
            }
            let Some(FromServer::Frame(text)) = self.line.recv().await else {
                panic!("the connection ended before a {kind} came");
            };
            match serde_json::from_str(&text).unwrap() {
                Value::Array(messages) => self.waiting.extend(messages),
                message => self.waiting.push_back(message),
            }
        }
    }
}

#[tokio::test]
async fn clients_and_the_application_see_what_the_other_does() {
    let scope =
        Scope::with_root("ShapesDemo", Canvas { name: "Demo".into(), ..Default::default() });
    let (transport, connector) = MemoryTransport::new();
    let served = scope.clone();
    let server = Server::builder()
        .transport(transport)
        .on_fetch(move |fetch| fetch.accept(&served))
        .start()
        .await
        .unwrap();
    let mut new = Client::fetch(&connector, "1.0.0").await;
    let mut old = Client::fetch(&connector, "0.1.0").await;
    let root = new.state["rootUUID"].clone();
    assert_eq!(new.state["fragments"][0]["properties"], json!({"name": "Demo", "shapes": []}));

    let mut changes = scope.changes().await.unwrap();
    let first = scope
        .update(|canvas| canvas.shapes_mut().push(Shape { x: 1.0, ..Shape::default() }))
        .await
        .unwrap();
    let properties = json!({"x": 1, "y": 0, "width": 100, "height": 50.5, "kind": 0});
    let sync = new.next("ScopeSync").await;
    let fragments = sync["fragments"].as_array().unwrap();
    let add = fragments.iter().find(|fragment| fragment["type"] == "add").unwrap();
    let change = fragments.iter().find(|fragment| fragment["type"] == "change").unwrap();
    assert_eq!((fragments.len(), &add["properties"]), (2, &properties));
    assert_eq!(change["uuid"], root);
    // A client of 1.0 hears of the one that was put in, one of the original's of all there are.
    let edits = json!({"shapes": [{"insert": first.to_string(), "after": null}]});
    assert_eq!(change["collections"], edits);
    let sync = old.next("ScopeSync").await.to_string();
    assert!(sync.contains(&format!(r#""shapes":["{first}"]"#)), "{sync}");
    assert_eq!(changes.next().await.unwrap().of::<Shape>().count(), 1);

    let second = "5a000000-0000-4000-8000-000000000002";
    new.send(json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [
        {"type": "add", "uuid": second, "clsName": "Shape", "properties": {"x": 2}},
        {"type": "change", "uuid": root, "clsName": "Canvas",
         "collections": {"shapes": [{"insert": second, "after": first.to_string()}]}},
    ]}))
    .await;
    // The client is told the defaults that the Rust type gave its shape.
    let defaults = json!({"modifications": {"width": 100, "height": 50.5}});
    assert_eq!(new.next("ScopeSyncReply").await["fragmentReplies"], json!([defaults, {}]));
    let commit = changes.next().await.unwrap();
    assert!(commit.raw().unwrap().origin.is_some());
    let added: Vec<_> = commit.of::<Shape>().collect();
    let [Change::Added(shape)] = &added[..] else { panic!("{added:?}") };
    assert_eq!((shape.x(), shape.width(), shape.id().to_string().as_str()), (2.0, 100.0, second));
    let xs = scope
        .read(|canvas| canvas.shapes().iter().map(|shape| shape.x()).collect::<Vec<_>>())
        .await;
    assert_eq!(xs, Ok(vec![1.0, 2.0]));
    server.shutdown().await;
}
