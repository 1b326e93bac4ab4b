//! `jetstream serve`: from the first line to the last socket.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use serde_json::{Value, json};

use super::peer::{Peer, get};
use super::process::{Serving, folder, jetstream, run};

const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

fn demos(test: &str, arguments: &[&str]) -> (Serving, String) {
    let all = [&["--listen", "127.0.0.1:0"], arguments].concat();
    let mut serving = Serving::start(jetstream(&folder(test), &all));
    let address = serving.address("listening on ws://");
    (serving, address)
}

/// Adds a shape to the canvas of a state; the fragments that do it.
fn add_shape(state: &Value, x: f64) -> Value {
    json!([
        {"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": x}},
        {"type": "change", "uuid": state["rootUUID"], "clsName": "Canvas", "properties": {"shapes": [SHAPE]}},
    ])
}

#[test]
fn without_arguments_the_demos_are_served_and_two_clients_sync() {
    let (_serving, address) = demos("demos", &[]);
    let (mut ann, mut bo) = (Peer::connect(&address), Peer::connect(&address));
    let state = ann.fetch("Canvas");
    assert_eq!(state["fragments"][0]["properties"]["name"], "Shapes Demo");
    bo.fetch("Canvas");
    assert_eq!(ann.sync(add_shape(&state, 7.0), None), json!([{}, {}]));
    let seen = bo.next();
    assert_eq!(seen["type"], "ScopeSync");
    assert_eq!(seen["fragments"][0]["properties"]["x"], 7);

    let chat = Peer::connect(&address).fetch("ChatRoom");
    assert_eq!(chat["fragments"][0]["properties"]["name"], "Chat Demo");
}

#[test]
fn scopes_of_a_family_are_made_when_they_are_fetched_and_do_not_mix() {
    let (_serving, address) = demos("family", &[]);
    let mut peers = ["boards/1", "boards/2", "boards/1"].map(|name| {
        let mut peer = Peer::connect(&address);
        let state = peer.fetch(name);
        (peer, state)
    });
    assert_ne!(peers[0].1["rootUUID"], peers[1].1["rootUUID"]);
    assert_eq!(peers[0].1["rootUUID"], peers[2].1["rootUUID"]);
    let changes = add_shape(&peers[0].1, 1.0);
    peers[0].0.sync(changes, None);
    assert_eq!(peers[2].0.next()["type"], "ScopeSync");
    let again = Peer::connect(&address).fetch("boards/2");
    assert_eq!(again["fragments"].as_array().unwrap().len(), 1);
}

#[test]
fn a_name_that_the_configuration_does_not_have_is_denied() {
    let (_serving, address) = demos("denied", &[]);
    for name in ["Nowhere", "boards/", "boards/1/2", "boards/{id}x/"] {
        assert!(Peer::connect(&address).fetch_denied(name)["message"].is_string(), "{name}");
    }
}

#[test]
fn a_file_decides_what_a_scope_begins_with_and_what_a_procedure_admits() {
    let folder = folder("file");
    let root = "ca000000-0000-4000-8000-000000000001";
    let state = json!({"rootUUID": root, "fragments": [
        {"type": "change", "uuid": root, "clsName": "Canvas", "properties": {"name": "From a file"}},
    ]});
    std::fs::write(folder.join("canvas.json"), state.to_string()).unwrap();
    let text = include_str!("../config/contract.toml")
        .replace("initial = { name = \"Shapes Demo\" }", "state = \"canvas.json\"")
        .replace(":3000", ":0")
        .replace(":9090", ":0");
    std::fs::write(folder.join("my.toml"), text).unwrap();
    let mut serving = Serving::start(jetstream(&folder, &["serve", "my.toml"]));
    let address = serving.address("listening on ws://");
    let mut ann = Peer::connect(&address);
    let state = ann.fetch("Canvas");
    assert_eq!(state["rootUUID"], root);
    assert_eq!(state["fragments"][0]["properties"]["name"], "From a file");

    let only_x = add_shape(&state, 1.0);
    let refused = ann.sync(only_x.clone(), Some("Canvas.addShape"));
    assert!(refused[0]["error"]["message"].as_str().unwrap().contains("constraints"), "{refused}");
    let mut both = only_x;
    both[0]["properties"]["y"] = 2.into();
    assert_eq!(ann.sync(both, Some("Canvas.addShape")), json!([{}, {}]));
}

#[test]
fn a_limit_of_a_scope_holds() {
    let (_serving, address) = demos("limit", &["--set", "scopes.Canvas.limits.members_max=1"]);
    let mut ann = Peer::connect(&address);
    ann.fetch("Canvas");
    let denied = Peer::connect(&address).fetch_denied("Canvas");
    assert!(denied["message"].is_string(), "{denied}");
    Peer::connect(&address).fetch("ChatRoom");
}

#[test]
fn a_signal_closes_the_sockets_with_1001_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let (serving, address) = demos(signal, &[]);
        let (mut ann, bo) = (Peer::connect(&address), Peer::connect(&address));
        ann.fetch("Canvas");
        serving.signal(signal);
        assert_eq!([ann.close_code(), bo.close_code()], [1001, 1001]);
        let (status, log) = serving.end();
        assert!(status.success(), "{status}: {log}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_clients() {
    let (serving, address) = demos("twice", &[]);
    let _never_reads = Peer::connect(&address);
    serving.signal("TERM");
    serving.signal("INT");
    let (status, log) = serving.end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("for the second time"), "{log}");
}

#[test]
fn a_browser_gets_the_client_and_if_the_configuration_says_so_the_demos() {
    let (_serving, address) = demos("pages", &[]);
    for (path, begin) in
        [("/", "<!doctype html>"), ("/shapes/", "<!doctype html>"), ("/chat/chat.js", "import ")]
    {
        let (status, page) = get(&address, path);
        assert_eq!(status, 200, "{path}");
        assert!(page.starts_with(begin), "{path}: {page}");
    }
    assert_eq!(get(&address, "/shapes").0, 308);
    assert_eq!(get(&address, "/elsewhere").0, 426);
    assert_eq!(get(&address, "/jetstream.toml").0, 426);

    let (_serving, address) = demos("no_pages", &["--set", "demos=false"]);
    assert_eq!(get(&address, "/").0, 426);
    assert_eq!(get(&address, "/shapes/").0, 426);
}

#[test]
fn every_module_that_the_client_imports_is_served() {
    let (_serving, address) = demos("client", &["--set", "demos=false"]);
    let mut waiting = vec!["/jetstream.js".to_owned()];
    let mut served = Vec::new();
    while let Some(path) = waiting.pop() {
        if served.contains(&path) {
            continue;
        }
        let (status, text) = get(&address, &path);
        assert_eq!(status, 200, "{path}");
        let (folder, _) = path.rsplit_once('/').unwrap();
        let imports = text.lines().filter(|line| line.contains(" from '."));
        waiting.extend(imports.map(|line| {
            let relative = line.split('\'').nth(1).unwrap();
            resolve(folder, relative)
        }));
        served.push(path);
    }
    assert!(served.len() > 5, "{served:?}");
}

/// `./b.js` and `../b.js`, seen from a folder.
fn resolve(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[test]
fn metrics_and_health_are_served_beside_the_scopes() {
    let (mut serving, address) = demos("metrics", &["--set", "metrics.listen=127.0.0.1:0"]);
    let metrics = serving.address("metrics on http://");
    Peer::connect(&address).fetch("Canvas");
    let (status, text) = get(&metrics, "/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("jetstream_sessions_created_total 1\n"), "{text}");
    let served = text.lines().filter_map(|line| line.strip_prefix("jetstream_"));
    let served: BTreeSet<_> = served.filter_map(|sample| sample.split([' ', '{']).next()).collect();
    let documented = documented_figures();
    let documented = documented.iter().filter_map(|figure| figure.split('{').next());
    // Those of services are there when there are services.
    let documented: BTreeSet<_> =
        documented.filter(|figure| !figure.starts_with("notify_")).collect();
    assert_eq!(documented, served);
    assert_eq!(get(&metrics, "/health/live").0, 200);
    assert_eq!(get(&metrics, "/health/ready").0, 200);
    assert_eq!(get(&metrics, "/elsewhere").0, 404);
}

/// The figures that docs/operations.md lists.
fn documented_figures() -> BTreeSet<&'static str> {
    let page = include_str!("../../../../docs/operations.md");
    let (_, section) = page.split_once("## Figures").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let cells = section.lines().filter(|line| line.starts_with("| `"));
    let cells = cells.map(|line| line.split('|').nth(1).unwrap());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn with_a_certificate_connections_are_secure_and_only_those() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let tls = format!("tls={{ certificate = '{data}/cert.pem', key = '{data}/key.pem' }}");
    let arguments = ["--listen", "127.0.0.1:0", "--set", &tls];
    let mut serving = Serving::start(jetstream(&folder("tls"), &arguments));
    let address = serving.address("listening on wss://");
    let mut plain = std::net::TcpStream::connect(&address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn a_mistake_keeps_the_server_from_starting() {
    let ended = run(jetstream(&folder("mistake"), &["serve", "--listen", "3000"]));
    assert!(ended.err.starts_with("error: expected an address"), "{}", ended.err);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
}

#[test]
fn an_address_that_is_taken_is_named_and_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(jetstream(&folder("taken"), &["--listen", &address]));
    assert!(ended.err.contains(&address), "{}", ended.err);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
}

#[test]
fn logs_can_be_read_by_machines_and_never_hold_a_token() {
    let (serving, address) = demos("logs", &["--log-format", "json", "--log-level", "trace"]);
    let mut ann = Peer::connect(&address);
    ann.fetch("Canvas");
    let token = ann.token().to_owned();
    serving.signal("TERM");
    ann.close_code();
    let (_, log) = serving.end();
    assert!(log.lines().count() > 1, "{log}");
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(event["level"].is_string() && event["timestamp"].is_string(), "{line}");
    }
    assert!(!log.contains(&token), "{log}");
}

#[test]
fn a_log_level_that_is_none_is_refused() {
    let ended = run(jetstream(&folder("level"), &["--log-level", "a=b=c"]));
    assert!(ended.err.contains("--log-level"), "{}", ended.err);
    assert_eq!(ended.code, Some(2));
}
