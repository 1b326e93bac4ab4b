//! `/inspector`: who may look, and what there is to see.

use serde_json::{Value, json};

use super::peer::{Peer, get, get_with};
use super::process::{Serving, folder, jetstream};

const TOKEN: &str = "a-token-that-nobody-guesses";

fn serving(test: &str, settings: &[&str]) -> (Serving, String) {
    let set = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments: Vec<&str> = ["--listen", "127.0.0.1:0"].into_iter().chain(set).collect();
    let mut serving = Serving::start(jetstream(&folder(test), &arguments));
    let address = serving.address("listening on ws://");
    (serving, address)
}

fn ask(address: &str, question: &str) -> Value {
    let (status, text) = get(address, &format!("/inspector/api/{question}"));
    assert_eq!(status, 200, "{question}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The session that is the only one.
fn only_session(address: &str) -> String {
    let overview = ask(address, "server");
    assert_eq!(overview["sessions"].as_array().unwrap().len(), 1);
    overview["sessions"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn scopes_sessions_objects_and_messages_are_shown() {
    let (_serving, address) = serving("inspected", &[]);
    let mut ann = Peer::connect(&address);
    let state = ann.fetch("Canvas");
    let overview = ask(&address, "server");
    assert_eq!(overview["scopes"], json!([{"name": "Canvas", "revision": 0, "members": 1}]));
    let session = &overview["sessions"][0];
    assert_eq!((&session["connected"], &session["scopes"]), (&json!(true), &json!(["Canvas"])));

    let id = only_session(&address);
    let watched = std::thread::spawn({
        let (address, question) = (address.clone(), format!("messages?session={id}&after=0"));
        move || ask(&address, &question)
    });
    // Sent again until it is seen: from when on the session is watched is the other thread's to say.
    let rename = json!([{"type": "change", "uuid": state["rootUUID"], "clsName": "Canvas", "properties": {"name": "Seen"}}]);
    while !watched.is_finished() {
        ann.sync(rename.clone(), None);
    }
    let first = &watched.join().unwrap()["messages"][0];
    // What was asked before it was watched may still be answered.
    let expected = if first["fromClient"] == json!(true) { "\"Seen\"" } else { "ScopeSyncReply" };
    assert_eq!(first["number"], json!(1));
    assert!(first["text"].as_str().unwrap().contains(expected), "{first}");

    let canvas = ask(&address, "scope?name=Canvas&after=0");
    assert_eq!((&canvas["root"], &canvas["count"]), (&state["rootUUID"], &json!(1)));
    assert_eq!(canvas["objects"][0]["properties"], json!({"name": "Seen", "shapes": []}));
    for question in
        ["scope?name=Nowhere", "scope", "messages?session=7", "messages", "elsewhere", ""]
    {
        assert_eq!(get(&address, &format!("/inspector/api/{question}")).0, 404, "{question}");
    }
}

#[test]
fn a_question_for_what_is_new_is_answered_when_there_is_something() {
    let (_serving, address) = serving("news", &[]);
    let mut ann = Peer::connect(&address);
    let state = ann.fetch("Canvas");
    let rename = |name: &str| json!([{"type": "change", "uuid": state["rootUUID"], "clsName": "Canvas", "properties": {"name": name}}]);
    ann.sync(rename("one"), None);
    let asked = std::thread::spawn({
        let address = address.clone();
        move || ask(&address, "scope?name=Canvas&after=1")
    });
    ann.sync(rename("two"), None);
    assert_eq!(asked.join().unwrap()["revision"], 2);
}

#[test]
fn without_a_token_there_is_nothing_for_anybody_from_elsewhere() {
    let (_serving, address) = serving("rebound", &[]);
    assert_eq!(get(&address, "/inspector/").0, 200);
    assert_eq!(get(&address, "/inspector").0, 308);
    let paths = ["/inspector/", "/inspector/inspector.js", "/inspector/api/server"];
    for path in paths {
        assert_eq!(get_with(&address, path, "Host: evil.test\r\n").0, 404, "{path}");
        let proxied = "Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n";
        assert_eq!(get_with(&address, path, proxied).0, 404, "{path}");
    }
}

#[test]
fn a_listener_that_others_reach_has_no_inspector_without_a_token() {
    let mut open = Serving::start(jetstream(&folder("open"), &["--listen", "0.0.0.0:0"]));
    let address = open.address("listening on ws://").replace("0.0.0.0", "127.0.0.1");
    let paths = ["/inspector", "/inspector/", "/inspector/inspector.js", "/inspector/api/server"];
    for path in paths {
        assert_eq!(get(&address, path).0, 404, "{path}");
    }
    for settings in [["inspector.enabled=false"], ["demos=false"]] {
        let (_serving, address) = serving("closed", &settings);
        for path in paths {
            assert_eq!(get(&address, path).0, 404, "{path} with {settings:?}");
        }
    }
}

#[test]
fn with_a_token_the_page_asks_for_it_and_no_log_has_it() {
    let token = format!("inspector.token={TOKEN}");
    let arguments = ["--listen", "0.0.0.0:0", "--set", &token, "--log-level", "trace"];
    let mut serving = Serving::start(jetstream(&folder("token"), &arguments));
    let address = serving.address("listening on ws://").replace("0.0.0.0", "127.0.0.1");
    let mut ann = Peer::connect(&address);
    ann.fetch("ChatRoom");
    assert_eq!(get(&address, "/inspector/").0, 200);
    assert_eq!(get(&address, "/inspector/api/server").0, 403);
    let with = |given: &str| {
        let header = format!("Host: example.org\r\nAuthorization: Bearer {given}\r\n");
        get_with(&address, "/inspector/api/server", &header).0
    };
    assert_eq!(with(TOKEN), 200);
    assert_eq!(with("a-token-that-nobody-guesse"), 403);
    assert_eq!(with(""), 403);
    serving.signal("TERM");
    ann.close_code();
    let (_, log) = serving.end();
    assert!(log.lines().count() > 1 && !log.contains(TOKEN), "{log}");
}
