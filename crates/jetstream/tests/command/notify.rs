//! Services that are told of changes, or have to take them, by a server that is killed meanwhile; and what an
//! operator sees of it.

use std::path::Path;

use serde_json::{Value, json};

use super::peer::Peer;
use super::process::{Ended, Serving, folder, jetstream, run};
use super::service::{SILENT, Service};

const CONFIG: &str = r#"
listen = "127.0.0.1:0"

[models.Canvas.properties]
name = "String"

[scopes.Canvas]
root = "Canvas"

[scopes.Canvas.notify]
http = { url = "http://127.0.0.1:PORT/", retry_pause = "5ms", retry_pause_max = "20ms", failures_max = 100000 }
"#;

fn serve(folder: &Path) -> (Serving, String) {
    let mut server = Serving::start(jetstream(folder, &["serve"]));
    let address = server.address("listening on ws://");
    (server, address)
}

fn rename(peer: &mut Peer, root: &Value, name: &str) {
    let change = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                        "properties": {"name": name}});
    assert_eq!(peer.sync(json!([change]), None), json!([{}]));
}

fn notify(folder: &Path, arguments: &[&str]) -> Ended {
    run(jetstream(folder, &[&["notify"], arguments].concat()))
}

/// What a command prints that has to go well.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let ended = notify(folder, arguments);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
    ended.out
}

/// The next thing that the service is told. What it takes follows on what it has; what it has already is left out,
/// as it would do.
fn takes(service: &Service, known: &mut u64) {
    let (status, told, _) = service.told();
    assert_eq!(told["type"], "scope.changed", "{told}");
    assert!(told["data"]["after"].as_u64().unwrap() <= *known, "a gap after {known}: {told}");
    if status == 200 {
        *known = told["data"]["revision"].as_u64().unwrap().max(*known);
    }
}

#[test]
fn a_service_gets_everything_although_the_server_is_killed_again_and_again() {
    let service = Service::answering(503);
    let folder = folder("notify-killed");
    let config = CONFIG.replace("PORT", &service.port.to_string());
    std::fs::write(folder.join("jetstream.toml"), config).unwrap();
    let (mut server, mut address) = serve(&folder);
    let mut peer = Peer::connect(&address);
    let root = peer.fetch("Canvas")["rootUUID"].clone();
    let (mut known, mut last) = (0, 0);
    for round in 0..6 {
        for _ in 0..3 {
            last += 1;
            rename(&mut peer, &root, &last.to_string());
        }
        // Now the service takes things and now it does not, and the kill comes in the middle of it.
        service.answer(if round % 2 == 0 { 503 } else { 200 });
        takes(&service, &mut known);
        server.signal("KILL");
        server.end();
        if round == 0 {
            let standing = said(&folder, &["status"]);
            assert_eq!(standing, "Canvas: scopes behind: 1, commits: 3, dead letters: 0\n");
        }
        service.answer(200);
        // Nobody fetches the scope: what was left is told all the same.
        (server, address) = serve(&folder);
        while known < last {
            takes(&service, &mut known);
        }
        peer = Peer::connect(&address);
        assert_eq!(peer.fetch("Canvas")["rootUUID"], root);
    }
}

#[test]
fn an_operator_looks_after_what_a_service_did_not_take() {
    let service = Service::answering(422);
    let folder = folder("notify-letters");
    let config = CONFIG.replace("PORT", &service.port.to_string());
    std::fs::write(folder.join("jetstream.toml"), config).unwrap();
    let (server, address) = serve(&folder);
    let mut peer = Peer::connect(&address);
    let root = peer.fetch("Canvas")["rootUUID"].clone();
    for name in ["one", "two"] {
        rename(&mut peer, &root, name);
        service.told();
        let waits = |text: &str| !text.contains("commits: 0");
        while waits(&said(&folder, &["status"])) {}
    }
    let list = said(&folder, &["list"]);
    assert_eq!(list.lines().count(), 2);
    assert!(list.contains("revisions 1 to 1: it answered with the status 422"), "{list}");
    let retried = said(&folder, &["retry", "1"]);
    assert_eq!(retried, "     1  stays: it was not taken: it answered with the status 422\n");
    assert_eq!(service.told().0, 422);
    service.answer(200);
    assert_eq!(said(&folder, &["retry", "1"]), "     1  taken\n");
    assert_eq!(service.told().1["data"]["commits"][0]["fragments"][0]["properties"]["name"], "one");
    let unknown = notify(&folder, &["drop", "7"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (Some(1), "error: there is no dead letter 7\n")
    );
    let shown: Value = serde_json::from_str(&said(&folder, &["show", "2"])).unwrap();
    assert_eq!(shown["data"]["revision"], 2);
    // The same without a server.
    server.signal("TERM");
    server.end();
    let left: Value = serde_json::from_str(&said(&folder, &["list", "--json"])).unwrap();
    assert_eq!((&left["letter"], &left["scope"]), (&json!(2), &json!("Canvas")));
    assert_eq!(said(&folder, &["drop", "--all"]), "     2  dropped\n");
    assert_eq!(said(&folder, &["list"]), "");
    assert_eq!(notify(&folder, &["retry"]).code, Some(2), "which?");
}

#[test]
fn what_a_service_took_before_a_crash_comes_again_with_the_same_key_and_is_committed_once() {
    let service = Service::answering(SILENT);
    let folder = folder("write-killed");
    let (before, _) = CONFIG.split_once("[scopes.Canvas.notify]").unwrap();
    let write = "[scopes.Canvas.write]\nhttp = { url = \"http://127.0.0.1:PORT/\" }\n";
    let config = format!("{before}{write}").replace("PORT", &service.port.to_string());
    std::fs::write(folder.join("jetstream.toml"), config).unwrap();
    let (server, address) = serve(&folder);
    let mut peer = Peer::connect(&address);
    let root = peer.fetch("Canvas")["rootUUID"].clone();
    let change = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                        "properties": {"name": "taken"}});
    peer.say_sync(json!([change]));
    let (_, first, key) = service.told();
    // It has taken the change, and the server dies before it hears of that.
    server.signal("KILL");
    server.end();
    service.answer(200);
    let (_server, address) = serve(&folder);
    peer.resume(&address);
    assert_eq!(peer.reply()["fragmentReplies"], json!([{}]));
    let (status, again, same) = service.told();
    assert_eq!((status, &again["fragments"], same), (200, &first["fragments"], key));
    let history = run(jetstream(&folder, &["history", "Canvas", "--json"])).out;
    assert_eq!(history.lines().count(), 1, "{history}");
}
