//! What the document says and what is served.

use std::future::poll_fn;
use std::sync::Arc;

use jetstream_core::model::{Graph, Schema};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::events::Events;
use super::listener::DESCRIPTION;
use super::route::Operation;
use crate::scope::Scope;
use crate::transport::MemoryTransport;
use crate::{Metrics, Server};

#[test]
fn the_document_describes_what_is_routed_and_nothing_else() {
    let document: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let mut described = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let id = "5a000000-0000-4000-8000-000000000001";
        let path = path.replace("{name}", "a").replace("{uuid}", id).replace("{id}", "1");
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let routed = Operation::of(&method.parse().unwrap(), &path);
            let is_described = operations.get(method.to_lowercase()).is_some();
            assert_eq!(routed.is_ok(), is_described, "{method} {path}");
            described.extend(routed.ok());
        }
    }
    for (place, operation) in described.iter().enumerate() {
        assert!(!described[..place].contains(operation), "{operation:?} has two paths");
    }
    assert_eq!(described.len(), 9, "all of them: {described:?}");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                Value::String(path) if name == "$ref" => {
                    let pointer = path.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{path}");
                }
                value => check(value, document),
            }),
            Value::Array(elements) => elements.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    let document = serde_json::from_str(DESCRIPTION).unwrap();
    check(&document, &document);
}

#[tokio::test(start_paused = true)]
async fn a_stream_says_from_time_to_time_that_it_is_there() {
    let schema = Schema::builder().model("Counter", |model| model).build().unwrap();
    let (model, _) = schema.find("Counter").unwrap();
    let root = "c0000000-0000-4000-8000-000000000001".parse().unwrap();
    let scope = Scope::new("Counter", Graph::new(Arc::new(schema), root, model));
    let metrics = Metrics::new();
    let (transport, _connector) = MemoryTransport::new();
    let server = Server::builder().transport(transport).metrics(metrics.clone());
    let server = server.start().await.unwrap();
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let mut events = Events::of(&scope, None, None, &server, permit).await.unwrap();
    assert_eq!(metrics.api_streams.get(), 1);
    let begun = Instant::now();
    for (expected, seconds) in [("retry: 1000\n\n", 0), (":\n\n", 15), (":\n\n", 30)] {
        let piece = poll_fn(|context| events.poll_next(context)).await.unwrap();
        assert_eq!((&*piece, begun.elapsed().as_secs()), (expected.as_bytes(), seconds));
    }
    scope.close().await;
    let last = poll_fn(|context| events.poll_next(context)).await.unwrap();
    assert!(last.starts_with(b"event: resume\ndata: {"), "{last:?}");
    assert!(poll_fn(|context| events.poll_next(context)).await.is_none());
    assert_eq!(metrics.api_streams.get(), 0);
}
