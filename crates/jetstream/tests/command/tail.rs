//! `jetstream tail`: a scope's state and its changes as lines.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::peer::Peer;
use super::process::{Serving, folder, jetstream, run};

const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

fn serve(test: &str, address: &str) -> (Serving, String) {
    let mut serving = Serving::start(jetstream(&folder(test), &["--listen", address]));
    let address = serving.address("listening on ws://");
    (serving, address)
}

fn tail(test: &str, arguments: &[&str]) -> Serving {
    Serving::start(jetstream(&folder(test), &[&["tail"], arguments].concat()))
}

/// Adds a shape with an `x`.
fn add_shape(peer: &mut Peer, x: i32) -> String {
    let root = peer.fetch("Canvas")["rootUUID"].as_str().unwrap().to_owned();
    let replies = peer.sync(
        json!([
            {"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": x}},
            {"type": "change", "uuid": root, "clsName": "Canvas", "properties": {"shapes": [SHAPE]}},
        ]),
        None,
    );
    assert_eq!(replies, json!([{}, {}]));
    root
}

#[test]
fn a_scope_is_printed_for_people_until_a_signal_comes() {
    let (_server, address) = serve("tail_server", "127.0.0.1:0");
    let mut tail = tail("tail", &["Canvas", "--url", &format!("ws://{address}")]);
    assert_eq!(tail.line(), "state: 1 object");
    let root = tail.line();
    assert!(root.starts_with("= Canvas "), "{root}");
    assert!(root.contains(" name=\"Shapes Demo\" shapes=[]"), "{root}");
    add_shape(&mut Peer::connect(&address), 7);
    let added = tail.line();
    assert!(added.starts_with(&format!("+ Shape {SHAPE} ")), "{added}");
    assert!(added.contains(" x=7"), "{added}");
    let attached = tail.line();
    assert!(attached.starts_with("~ Canvas ") && attached.contains(SHAPE), "{attached}");
    tail.signal("INT");
    let (status, log) = tail.end();
    assert_eq!((status.code(), log.as_str()), (Some(0), ""));
}

#[test]
fn a_scope_is_printed_for_programs() {
    let (_server, address) = serve("tail_json_server", "127.0.0.1:0");
    let url = format!("ws://{address}");
    let mut tail = tail("tail_json", &["Canvas", "--json", "--params", "{\"a\":1}", "--url", &url]);
    let state: Value = serde_json::from_str(&tail.line()).unwrap();
    let root = add_shape(&mut Peer::connect(&address), 7);
    assert_eq!((&state["event"], &state["rootUUID"]), (&json!("state"), &json!(root)));
    let sync: Value = serde_json::from_str(&tail.line()).unwrap();
    assert_eq!(sync["event"], "sync");
    assert_eq!(sync["fragments"][0]["properties"]["x"], 7);
}

#[test]
fn after_a_restart_of_the_server_the_new_state_is_printed() {
    let (server, address) = serve("tail_restart", "127.0.0.1:0");
    let mut tail = tail("tail_through", &["Canvas", "--url", &format!("ws://{address}")]);
    assert_eq!(tail.line(), "state: 1 object");
    let before = tail.line();
    server.signal("TERM");
    server.end();
    let (_server, _) = serve("tail_restart_again", &address);
    assert_eq!(tail.line(), "state: 1 object");
    assert_ne!(tail.line(), before, "the root of the new server is another");
    tail.signal("TERM");
    let (status, log) = tail.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(log, "the connection is lost; trying again\nconnected\n");
}

#[test]
fn what_cannot_be_followed_is_an_error() {
    let (_server, address) = serve("tail_errors_server", "127.0.0.1:0");
    let url = format!("ws://{address}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("ws://{}", silent.local_addr().unwrap());
    // Takes connections and drops them.
    std::thread::spawn(move || silent.incoming().for_each(drop));
    for (arguments, code, message) in [
        (&["Nowhere", "--url", &url][..], 1, "error: the scope was denied: "),
        (&["Canvas", "--url", &nowhere], 1, "error: the server cannot be reached: "),
        (&["Canvas", "--url", "ftp://x"], 2, "error: --url: \"ftp://x\" does not begin with"),
        (
            &["Canvas", "--params", "[]"],
            2,
            "error: invalid value '[]' for '--params <JSON>': not a JSON object",
        ),
        (&[], 2, "error: "),
    ] {
        let ended = run(jetstream(&folder("tail_errors"), &[&["tail"], arguments].concat()));
        assert!(ended.err.starts_with(message), "{}", ended.err);
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""));
    }
}
