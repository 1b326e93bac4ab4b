//! `jetstream history`, `revert`, `audit`, `export`, `verify`: beside a server that has the store open.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::peer::Peer;
use super::process::{Ended, Serving, folder, jetstream, run};

const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

const CONFIG: &str = r#"
listen = "127.0.0.1:0"

[models.Shape.properties]
x = "Number"

[models.Canvas.properties]
name = "String"
shapes = "[Shape]"

[scopes.Canvas]
root = "Canvas"
initial = { name = "first" }

[storage]
memory = true
retention = { age = "1h" }
control = "control.json"
"#;

/// A server in a folder of its own, and a client of it.
struct World {
    folder: PathBuf,
    _server: Serving,
    peer: Peer,
    root: String,
}

impl World {
    /// With three commits: a shape comes, changes, and leaves.
    fn new(test: &str) -> Self {
        let folder = folder(test);
        std::fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
        let mut server = Serving::start(jetstream(&folder, &["serve"]));
        let address = server.address("listening on ws://");
        let mut peer = Peer::connect(&address);
        let root = peer.fetch("Canvas")["rootUUID"].as_str().unwrap().to_owned();
        let mut world = Self { folder, _server: server, peer, root };
        let add = json!({"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 1}});
        let shapes = world.shapes(json!([SHAPE]));
        world.sync(json!([add, shapes]));
        let x =
            json!({"type": "change", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 2}});
        world.sync(json!([x]));
        let shapes = world.shapes(json!([]));
        world.sync(json!([shapes]));
        world
    }

    fn shapes(&self, shapes: Value) -> Value {
        json!({"type": "change", "uuid": self.root, "clsName": "Canvas",
               "properties": {"shapes": shapes}})
    }

    fn sync(&mut self, fragments: Value) {
        let replies = self.peer.sync(fragments, None);
        assert!(replies.as_array().unwrap().iter().all(|reply| reply == &json!({})), "{replies}");
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(jetstream(&self.folder, arguments))
    }

    /// What a command prints that has to succeed.
    fn out(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
        ended.out
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        self.out(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn the_history_of_a_scope_is_printed_while_it_is_served() {
    let world = World::new("history");
    let printed = world.out(&["history", "Canvas", "--after", "1"]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert!(lines[0].starts_with("     2  20"), "{printed}");
    assert!(lines[0].ends_with(&format!("  change Shape {SHAPE} (x)")), "{printed}");
    let commits = world.json(&["history", "Canvas", "--json"]);
    let revisions: Vec<_> = commits.iter().map(|commit| commit["revision"].clone()).collect();
    assert_eq!(revisions, [1, 2, 3]);
    assert_eq!(commits[0]["changes"][0]["type"], "add");
    let state = &world.json(&["history", "Canvas", "--at", "2"])[0];
    assert_eq!(state["rootUUID"], json!(world.root));
    assert_eq!(state["fragments"][1]["properties"]["x"], 2);
    let by_time = commits[1]["time"].as_str().unwrap();
    let state_then = &world.json(&["history", "Canvas", "--at", by_time])[0];
    assert!(state_then["revision"].as_u64().unwrap() >= 2, "{state_then}");
}

#[test]
fn a_revert_reaches_the_clients_and_stands_in_the_history() {
    let mut world = World::new("revert");
    let printed = world.out(&["revert", "Canvas", "--to", "1"]);
    assert_eq!(printed, "reverted by revision 4, which changes 2 objects\n");
    let told = world.peer.next();
    assert_eq!(told["type"], "ScopeSync");
    let fragments = told["fragments"].as_array().unwrap();
    let back = fragments.iter().find(|fragment| fragment["uuid"] == SHAPE).unwrap();
    assert_eq!((&back["type"], &back["properties"]["x"]), (&json!("add"), &json!(1)));
    let again = world.out(&["revert", "Canvas", "--to", "1"]);
    assert_eq!(again, "nothing to do: the scope is like that at revision 4\n");
    let printed = world.out(&["history", "Canvas", "--after", "3"]);
    assert!(printed.contains("  application  "), "{printed}");
}

#[test]
fn audit_and_export_are_lines_of_json() {
    let world = World::new("audit");
    let lines = world.json(&["audit", "--since", "3"]);
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["scope"], &lines[0]["revision"]), (&json!("Canvas"), &json!(3)));
    assert_eq!(lines[0]["fragments"][0]["properties"]["shapes"], json!([]));
    assert!(lines[0]["session"].is_u64());
    let printed = world.json(&["export"]);
    assert_eq!((&printed[0]["jetstream"], &printed[2]["end"]), (&json!("export"), &json!(1)));
    assert_eq!(printed[1]["fragments"][0]["properties"]["name"], "first");
    assert_eq!(world.out(&["export", "Canvas", "--output", "all.jsonl"]), "");
    let written = std::fs::read_to_string(world.folder.join("all.jsonl")).unwrap();
    assert_eq!(written.lines().count(), 3);
    assert!(!world.folder.join("all.part").exists());
}

#[test]
fn everything_that_is_stored_can_be_verified() {
    let world = World::new("verify");
    let printed = world.out(&["verify"]);
    assert_eq!(printed, "Canvas: good; revision 3, snapshots: 1, commits: 3\n");
}

#[test]
fn what_cannot_be_done_is_said_with_its_reason() {
    let world = World::new("history_errors");
    for (arguments, code, expected) in [
        (&["history", "Canvsa"][..], 1, "error: no scope \"Canvsa\" is stored\n"),
        (
            &["revert", "Canvas", "--to", "1999-01-01T00:00:00Z"],
            1,
            "error: the past of \"Canvas\" does not reach back to 1999-01-01T00:00:00.000Z\n",
        ),
        (
            &["import", "nothing.jsonl"],
            1,
            "error: a server has the store open: stop it before anything is imported\n",
        ),
        (
            &["history", "Canvas", "--set", "storage.control=elsewhere.json"],
            1,
            "error: the configuration keeps scopes in memory only, and no server of it was found\n",
        ),
    ] {
        let ended = world.run(arguments);
        assert_eq!((ended.code, ended.err.as_str()), (Some(code), expected), "{arguments:?}");
    }
    let ended = world.run(&["revert", "Canvas", "--to", "yesterday"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("neither a revision nor a time"), "{}", ended.err);
}

/// A configuration beside that of the server, with other models.
fn other(folder: &Path, from: &str, to: &str) {
    let text = CONFIG.replace(from, to);
    assert_ne!(text, CONFIG);
    std::fs::write(folder.join("other.toml"), text).unwrap();
}

#[test]
fn check_says_what_a_configuration_would_do_to_the_store_of_a_server() {
    let world = World::new("check_store");
    let good = "no mistakes; models: 2, scopes and families: 1\n";
    assert_eq!(world.out(&["check"]), format!("jetstream.toml: {good}"));
    other(&world.folder, "x = \"Number\"", "x = \"Number\"\ny = \"Number\"");
    assert_eq!(world.out(&["check", "other.toml"]), format!("other.toml: {good}Shape.y: is new\n"));
    other(&world.folder, "x = \"Number\"", "left = \"Number\"");
    let ended = world.run(&["check", "other.toml"]);
    let expected = "error: the models do not fit what is stored, and nothing was touched:\n\
                    Shape.x: is not there any more\n  it needs an entry in [migrations]: \"Shape.x\" = \
                    { rename = \"…\" } or { drop = true }\n\
                    1 of 2 changes cannot be made without an entry\n";
    assert_eq!((ended.code, ended.err.as_str()), (Some(2), expected));
    other(
        &world.folder,
        "x = \"Number\"",
        "left = \"Number\"\n\n[migrations]\n\"Shape.x\" = { rename = \"left\" }",
    );
    let settled =
        "Shape.x: is not there any more (settled by \"Shape.x\" = { rename = \"left\" })\n";
    assert_eq!(world.out(&["check", "other.toml"]), format!("other.toml: {good}{settled}"));
}
