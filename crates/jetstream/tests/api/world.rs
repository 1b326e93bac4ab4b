//! A server with scopes of shapes, and programs with tokens.

use std::path::Path;

use jetstream::config::{Config, Kept};
use jetstream::{Metrics, ServerHandle, WebSocket};
use serde_json::{Value, json};

use super::http::{Answer, Ask, Opened, ask, get, open, post};

pub(crate) const READER: &str = "a-token-that-reads";
pub(crate) const WRITER: &str = "a-token-that-writes";
pub(crate) const ADMIN: &str = "a-token-for-everything";
pub(crate) const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

pub(crate) const CONFIG: &str = r#"
listen = "127.0.0.1:0"

[models.Shape.properties]
x = "Number"

[models.Canvas.properties]
name = "String"
shapes = "[Shape]"

[scopes.Canvas]
root = "Canvas"
initial = { name = "first" }

[scopes."boards/{id}"]
root = "Canvas"

[api]
listen = "127.0.0.1:0"
streams_max = 3
body_bytes_max = "64KiB"

[api.tokens.reader]
file = "reader.token"
roles = ["read"]
scopes = ["Canvas", "boards/{id}"]

[api.tokens.billing]
file = "writer.token"
roles = ["read", "write"]

[api.tokens.operator]
file = "admin.token"
roles = ["admin"]
"#;

pub(crate) const PAST: &str = "[storage]\nmemory = true\nretention = { age = '1h' }\n";

pub(crate) struct World {
    pub(crate) server: ServerHandle,
    pub(crate) kept: Option<Kept>,
}

/// The configuration with something more, its files in a folder.
pub(crate) fn config(folder: &Path, more: &str) -> Config {
    for (name, token) in [("reader", READER), ("writer", WRITER), ("admin", ADMIN)] {
        std::fs::write(folder.join(format!("{name}.token")), format!("{token}\n")).unwrap();
    }
    let text = format!("{CONFIG}{more}");
    Config::parse("jetstream.toml", &text, folder, &[]).unwrap_or_else(|error| panic!("{error}"))
}

impl World {
    /// With a store in memory that keeps its past.
    pub(crate) async fn new() -> Self {
        Self::with(PAST).await
    }

    pub(crate) async fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::of(&config(folder.path(), more)).await
    }

    pub(crate) async fn of(config: &Config) -> Self {
        let kept = config.open(Metrics::new()).await.unwrap();
        let server = match &kept {
            Some(kept) => config.server_over(kept),
            None => config.server(),
        };
        let server = server.transport(WebSocket::bind("127.0.0.1:0")).start().await.unwrap();
        Self { server, kept }
    }

    pub(crate) fn address(&self) -> String {
        self.server.api_addr().unwrap().to_string()
    }

    pub(crate) async fn ask(&self, ask_for: &Ask) -> Answer {
        ask(&self.address(), ask_for).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&get(path).bearer(READER)).await
    }

    /// What is done as it should.
    pub(crate) async fn done(&self, ask: &Ask) -> Value {
        let answer = self.ask(ask).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn open(&self, path: &str) -> Opened {
        open(&self.address(), &get(path).bearer(READER)).await
    }

    /// Renames the canvas, one commit each.
    pub(crate) async fn rename(&self, names: impl IntoIterator<Item = u64>) {
        for name in names {
            self.done(&rename(&format!("name {name}"))).await;
        }
    }

    pub(crate) async fn root(&self) -> String {
        let state = self.get("/v1/scopes/Canvas").await.json();
        state["rootUUID"].as_str().unwrap().to_owned()
    }

    /// What stands in the audit trail.
    pub(crate) async fn audit(&self) -> Vec<Value> {
        let (lines, mut out) = jetstream::operations::Lines::channel();
        let operations = self.kept.as_ref().unwrap().operations();
        let audit = jetstream::operations::Operation::Audit { scope: None, since: None };
        let audit = tokio::spawn(async move { operations.run(audit, &lines).await });
        let mut found = Vec::new();
        while let Some(line) = out.recv().await {
            found.push(serde_json::from_str(&line).unwrap());
        }
        audit.await.unwrap().unwrap();
        found
    }
}

pub(crate) fn update(update: &Value) -> Ask {
    let body = json!({"query": null, "update": update});
    post("/v1/scopes/Canvas/update", &body).bearer(WRITER)
}

pub(crate) fn rename(name: &str) -> Ask {
    update(&json!({"$set": {"name": name}}))
}

pub(crate) fn change(body: &Value) -> Ask {
    post("/v1/scopes/Canvas/changes", body).bearer(WRITER)
}

/// Adds a shape to the canvas of this root.
pub(crate) fn add_shape(root: &str, id: &str, x: u64) -> Value {
    json!([
        {"type": "add", "uuid": id, "clsName": "Shape", "properties": {"x": x}},
        {"type": "change", "uuid": root, "clsName": "Canvas",
         "collections": {"shapes": [{"insert": id, "after": null}]}},
    ])
}
