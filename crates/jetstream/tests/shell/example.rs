//! The example that the documentation begins with.

#[path = "../../examples/shapes.rs"]
#[expect(dead_code, reason = "the fields are read by clients, and `main` is run by cargo")]
mod shapes;

use serde_json::json;

use crate::client::{Client, Line};

#[tokio::test]
async fn shapes_are_shared_by_everybody_who_connects() {
    let server = shapes::server("127.0.0.1:0").start().await.unwrap();
    let address = server.local_addr();
    let mut ann = Client::join(Line::dial(address, "/").await).await;
    let mut bo = Client::join(Line::dial(address, "/").await).await;
    let state = ann.state("ShapesDemo").await;
    assert_eq!(state["fragments"][0]["properties"], json!({"name": "Shapes Demo", "shapes": []}));
    bo.state("ShapesDemo").await;
    let root = state["rootUUID"].as_str().unwrap();
    let shape = "5a000000-0000-4000-8000-000000000001";
    let properties = json!({"x": 1, "y": 2, "width": 3, "height": 4, "kind": 5});
    ann.send(json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [
        {"type": "add", "uuid": shape, "clsName": "Shape", "properties": properties},
        {"type": "change", "uuid": root, "clsName": "Canvas", "properties": {"shapes": [shape]}},
    ]}))
    .await;
    assert_eq!(ann.next().await["fragmentReplies"], json!([{}, {}]));
    assert_eq!(bo.next().await["fragments"][0]["properties"], properties);
    assert_eq!(bo.fetch("Other").await["error"]["message"], "no such scope");
    drop((ann, bo));
    server.shutdown().await;
}
