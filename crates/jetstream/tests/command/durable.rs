//! `jetstream serve` with its store in a folder: what was acknowledged is there whatever happens to the process.

use std::path::Path;

use serde_json::json;

use super::peer::Peer;
use super::process::{Serving, folder, jetstream, run};

pub(super) const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

pub(super) const CONFIG: &str = r#"
listen = "127.0.0.1:0"

[models.Shape.properties]
x = "Number"

[models.Canvas.properties]
shapes = "[Shape]"

[scopes.Canvas]
root = "Canvas"
"#;

pub(super) fn serve(folder: &Path) -> (Serving, String) {
    let mut server = Serving::start(jetstream(folder, &["serve"]));
    let address = server.address("listening on ws://");
    (server, address)
}

/// The revisions that the command knows of, with the server or without.
fn revisions(folder: &Path) -> Vec<u64> {
    let ended = run(jetstream(folder, &["history", "Canvas", "--json"]));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let lines = ended.out.lines().map(serde_json::from_str::<serde_json::Value>);
    lines.map(|commit| commit.unwrap()["revision"].as_u64().unwrap()).collect()
}

#[test]
fn a_session_goes_on_where_it_was_when_the_server_was_killed() {
    for signal in ["KILL", "TERM"] {
        let folder = folder(&format!("durable-{signal}"));
        std::fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
        let (server, address) = serve(&folder);
        let mut peer = Peer::connect(&address);
        let root = peer.fetch("Canvas")["rootUUID"].clone();
        let add = json!({"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 1}});
        let hang = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                          "properties": {"shapes": [SHAPE]}});
        assert_eq!(peer.sync(json!([add, hang]), None), json!([{}, {}]));
        assert_eq!(revisions(&folder), [1], "while it serves");

        server.signal(signal);
        server.end();
        assert_eq!(revisions(&folder), [1], "while nobody serves");

        let (_server, address) = serve(&folder);
        peer.resume(&address);
        let state = loop {
            let message = peer.next();
            if message["type"] == "ScopeState" {
                break message;
            }
            // Answers that the server cannot know to have arrived.
            assert!(message["replyTo"].is_u64(), "{message}");
        };
        assert_eq!(state["rootUUID"], root);
        assert_eq!(state["fragments"][1]["properties"]["x"], 1);
        let x =
            json!({"type": "change", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 2}});
        assert_eq!(peer.sync(json!([x]), None), json!([{}]));
        assert_eq!(revisions(&folder), [1, 2]);
    }
}
