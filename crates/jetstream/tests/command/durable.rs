//! `jetstream serve` with its store in a folder: what was acknowledged is there whatever happens to the process.

use std::path::Path;

use serde_json::{Value, json};

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

/// The state of its scope that a resumed client gets behind answers which the server cannot know to have arrived.
fn state_again(peer: &mut Peer) -> Value {
    loop {
        let message = peer.next();
        if message["type"] == "ScopeState" {
            return message;
        }
        assert!(message["replyTo"].is_u64(), "{message}");
    }
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
        let state = state_again(&mut peer);
        assert_eq!(state["rootUUID"], root);
        assert_eq!(state["fragments"][1]["properties"]["x"], 1);
        let x =
            json!({"type": "change", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 2}});
        assert_eq!(peer.sync(json!([x]), None), json!([{}]));
        assert_eq!(revisions(&folder), [1, 2]);
    }
}

const WITH_CURSORS: &str = r#"
listen = "127.0.0.1:0"

[models.Cursor]
lifetime = "session"
properties = { x = "Number" }

[models.Canvas.properties]
name = "String"
cursors = "[Cursor]"

[scopes.Canvas]
root = "Canvas"
"#;

/// What stands for somebody's pointer.
struct Pointer {
    root: Value,
    id: &'static str,
}

impl Pointer {
    /// Adds it, before those that are there.
    fn add(&self, peer: &mut Peer, x: u64, beside: &[&str]) {
        let add =
            json!({"type": "add", "uuid": self.id, "clsName": "Cursor", "properties": {"x": x}});
        let all = [&[self.id], beside].concat();
        let hang = json!({"type": "change", "uuid": self.root, "clsName": "Canvas",
                          "properties": {"cursors": all}});
        assert_eq!(peer.sync(json!([add, hang]), None), json!([{}, {}]));
    }
}

#[test]
fn presence_is_gone_after_a_kill_and_its_owners_add_their_own_again() {
    let folder = folder("durable-presence");
    std::fs::write(folder.join("jetstream.toml"), WITH_CURSORS).unwrap();
    let (server, address) = serve(&folder);
    let (mut ann, mut bo) = (Peer::connect(&address), Peer::connect(&address));
    let root = ann.fetch("Canvas")["rootUUID"].clone();
    bo.fetch("Canvas");
    let pointer = |id| Pointer { root: root.clone(), id };
    let anns = pointer("c1000000-0000-4000-8000-000000000001");
    let bos = pointer("c2000000-0000-4000-8000-000000000001");
    anns.add(&mut ann, 1, &[]);
    assert_eq!(bo.next()["type"], "ScopeSync");
    bos.add(&mut bo, 2, &[anns.id]);
    assert_eq!(ann.next()["type"], "ScopeSync");
    let name = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                      "properties": {"name": "kept"}});
    assert_eq!(ann.sync(json!([name]), None), json!([{}]));
    assert_eq!(bo.next()["type"], "ScopeSync");
    server.signal("KILL");
    server.end();
    assert_eq!(revisions(&folder).len(), 1, "presence is no history");

    let (_server, address) = serve(&folder);
    let state = Peer::connect(&address).fetch("Canvas");
    assert_eq!(
        state["fragments"].as_array().unwrap().len(),
        1,
        "nobody's pointer is left: {state}"
    );
    assert_eq!(state["fragments"][0]["properties"], json!({"name": "kept", "cursors": []}));
    let pointers = || {
        let state = Peer::connect(&address).fetch("Canvas");
        state["fragments"][0]["properties"]["cursors"].as_array().unwrap().clone()
    };
    for (peer, own) in [(&mut ann, &anns), (&mut bo, &bos)] {
        peer.resume(&address);
        state_again(peer);
        let name = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                          "properties": {"name": own.id}});
        assert_eq!(peer.sync(json!([name]), None), json!([{}]));
        // What was not acknowledged is sent again by itself, and comes back with it.
        let others = pointers();
        if !others.contains(&json!(own.id)) {
            let others: Vec<_> = others.iter().map(|id| id.as_str().unwrap()).collect();
            own.add(peer, 3, &others);
        }
    }
    // Under the same ids as before.
    let mut all = pointers();
    all.sort_by_key(ToString::to_string);
    assert_eq!(all, [json!(anns.id), json!(bos.id)]);
}

#[test]
fn a_scope_evolves_over_the_files_of_a_stopped_server() {
    let folder = folder("durable-evolution");
    let config = folder.join("jetstream.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let (server, address) = serve(&folder);
    let mut peer = Peer::connect(&address);
    let root = peer.fetch("Canvas")["rootUUID"].clone();
    let add = json!({"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 1}});
    let hang = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                      "properties": {"shapes": [SHAPE]}});
    assert_eq!(peer.sync(json!([add, hang]), None), json!([{}, {}]));
    server.signal("TERM");
    server.end();

    // What does not go without saying is refused before anything is touched.
    let renamed = CONFIG.replace("x = \"Number\"", "left = \"Number\"\nlabel = \"String\"");
    std::fs::write(&config, &renamed).unwrap();
    let refused = run(jetstream(&folder, &["serve"]));
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("Shape.x: is not there any more"), "{}", refused.err);
    let entry =
        "\n[migrations]\n\"Shape.x\" = { rename = \"left\", convert = \"object.x * 10.0\" }\n";
    std::fs::write(&config, format!("{renamed}{entry}")).unwrap();
    let (server, address) = serve(&folder);
    let mut peer = Peer::connect(&address);
    let state = peer.fetch("Canvas");
    assert_eq!(state["rootUUID"], root);
    let shape = &state["fragments"][1]["properties"];
    assert_eq!((&shape["left"], &shape["label"]), (&json!(10), &Value::Null));
    let label = json!({"type": "change", "uuid": SHAPE, "clsName": "Shape",
                       "properties": {"label": "new"}});
    assert_eq!(peer.sync(json!([label]), None), json!([{}]));
    server.signal("KILL");
    server.end();

    // The entry is kept with the store, so it need not stay in the file.
    std::fs::write(&config, &renamed).unwrap();
    assert!(run(jetstream(&folder, &["verify"])).out.starts_with("Canvas: good; revision 2"));
    let (_server, address) = serve(&folder);
    let state = Peer::connect(&address).fetch("Canvas");
    let shape = &state["fragments"][1]["properties"];
    assert_eq!((&shape["left"], &shape["label"]), (&json!(10), &json!("new")));
}

#[test]
fn a_client_with_older_models_stays_and_is_told_what_it_knows() {
    let folder = folder("durable-older");
    let config = folder.join("jetstream.toml");
    let older = format!("{CONFIG}\n[enumerations]\nColor = [\"red\"]\n");
    let older = older.replace("x = \"Number\"", "x = \"Number\"\ncolor = \"Color\"");
    std::fs::write(&config, &older).unwrap();
    let (server, address) = serve(&folder);
    let mut old = Peer::connect(&address);
    let root = old.fetch("Canvas")["rootUUID"].clone();
    let add = json!({"type": "add", "uuid": SHAPE, "clsName": "Shape",
                     "properties": {"x": 1, "color": "red"}});
    let hang = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                      "properties": {"shapes": [SHAPE]}});
    assert_eq!(old.sync(json!([add, hang]), None), json!([{}, {}]));
    server.signal("TERM");
    server.end();

    let newer = older
        .replace(
            "x = \"Number\"",
            "x = \"Number\"\nlabel = { type = \"String\", default = \"none\" }",
        )
        .replace(
            "[models.Canvas.properties]",
            "[models.Note.properties]\ntext = \"String\"\n\n\
                  [models.Canvas.properties]\nnotes = \"[Note]\"",
        )
        .replace("[\"red\"]", "[\"red\", \"green\"]");
    std::fs::write(&config, newer).unwrap();
    let (_server, address) = serve(&folder);
    old.resume(&address);
    let state = state_again(&mut old);
    let shape = &state["fragments"][1];
    assert_eq!(shape["properties"], json!({"x": 1, "color": "red"}), "{state}");
    assert_eq!(state["fragments"][0]["properties"].as_object().unwrap().len(), 1, "{state}");

    let mut new = Peer::connect(&address);
    let state = new.fetch("Canvas");
    assert_eq!(state["fragments"][1]["properties"]["label"], "none");
    let mut announced = Peer::connect_with(&address, json!({"schema": 1}));
    assert_eq!(announced.fetch("Canvas")["fragments"][1]["properties"].get("label"), None);
    // Of one fragment they are told what they know, and of what they know nothing of, nothing.
    let note = "5b000000-0000-4000-8000-000000000001";
    let add = json!({"type": "add", "uuid": note, "clsName": "Note", "properties": {"text": "t"}});
    let hang = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                      "properties": {"notes": [note]}});
    assert_eq!(new.sync(json!([add, hang]), None), json!([{}, {}]));
    let both = json!({"type": "change", "uuid": SHAPE, "clsName": "Shape",
                      "properties": {"label": "l", "x": 2}});
    assert_eq!(new.sync(json!([both]), None), json!([{}]));
    for peer in [&mut old, &mut announced] {
        let told = peer.next();
        let expected = json!([{"type": "change", "uuid": SHAPE, "clsName": "Shape",
                               "properties": {"x": 2}}]);
        assert_eq!(told["fragments"], expected, "{told}");
    }
    // What they write is a change like any other, and takes nothing away that they do not know.
    let x = json!({"type": "change", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 3}});
    assert_eq!(old.sync(json!([x]), None), json!([{}]));
    let state = Peer::connect(&address).fetch("Canvas");
    let fragments = state["fragments"].as_array().unwrap();
    let shape = fragments.iter().find(|fragment| fragment["uuid"] == SHAPE).unwrap();
    assert_eq!(shape["properties"], json!({"x": 3, "label": "l", "color": "red"}));
    assert_eq!(fragments.len(), 3);
}

#[test]
fn models_that_clients_are_taken_to_know_have_to_be_in_the_store() {
    let folder = folder("durable-models");
    std::fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
    let ended = run(jetstream(&folder, &["serve", "--set", "storage.original_models=7"]));
    assert_eq!(ended.code, Some(1));
    let why = "storage.original_models is 7, and the store's schemas are 1 to 1";
    assert!(ended.err.contains(why), "{}", ended.err);
}
