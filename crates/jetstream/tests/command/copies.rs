//! `jetstream backup` and `restore`: what was acknowledged before a copy was begun is in it, and comes back.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::durable::{CONFIG, SHAPE, serve};
use super::peer::Peer;
use super::process::{Ended, folder, jetstream, run};

fn command(folder: &Path, arguments: &[&str]) -> Ended {
    run(jetstream(folder, arguments))
}

/// What a command prints that has to succeed.
fn out(folder: &Path, arguments: &[&str]) -> String {
    let ended = command(folder, arguments);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
    ended.out
}

fn set_x(peer: &mut Peer, x: u64) -> Value {
    peer.sync(
        json!([{"type": "change", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": x}}]),
        None,
    )
}

/// Adds the shape; the state of the scope before.
fn begin(peer: &mut Peer) -> Value {
    let state = peer.fetch("Canvas");
    let add = json!({"type": "add", "uuid": SHAPE, "clsName": "Shape", "properties": {"x": 0}});
    let hang = json!({"type": "change", "uuid": state["rootUUID"], "clsName": "Canvas",
                      "properties": {"shapes": [SHAPE]}});
    assert_eq!(peer.sync(json!([add, hang]), None), json!([{}, {}]));
    state
}

#[test]
fn what_was_acknowledged_before_a_backup_comes_back_after_the_store_is_gone() {
    let folder = folder("copies-load");
    fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
    let (server, address) = serve(&folder);
    let (acknowledged, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut peer = Peer::connect(&address);
    let root = begin(&mut peer)["rootUUID"].clone();
    let writer = thread::spawn({
        let (acknowledged, enough) = (acknowledged.clone(), enough.clone());
        move || {
            while !enough.load(Ordering::Relaxed) {
                let next = acknowledged.load(Ordering::Relaxed) + 1;
                assert_eq!(set_x(&mut peer, next), json!([{}]));
                acknowledged.store(next, Ordering::Release);
            }
            peer
        }
    });
    while acknowledged.load(Ordering::Acquire) < 20 {
        thread::yield_now();
    }
    let before = acknowledged.load(Ordering::Acquire);
    let printed = out(&folder, &["backup", "copies/one"]);
    let after = acknowledged.load(Ordering::Acquire) + 1;
    enough.store(true, Ordering::Relaxed);
    let mut peer = writer.join().unwrap();
    assert!(printed.contains("copies/one: scopes: 1, bytes: "), "{printed}");
    let files: Vec<_> =
        fs::read_dir(folder.join("copies/one")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files, ["jetstream.db"], "a copy is nothing but what is needed");
    server.signal("KILL");
    server.end();

    fs::rename(folder.join("data"), folder.join("lost")).unwrap();
    let printed = out(&folder, &["restore", "copies/one"]);
    assert!(printed.contains("data: scopes: 1, bytes: "), "{printed}");
    assert!(out(&folder, &["verify"]).starts_with("Canvas: good; revision "));
    let (_server, address) = serve(&folder);
    let state = Peer::connect(&address).fetch("Canvas");
    assert_eq!(state["rootUUID"], root);
    let x = state["fragments"][1]["properties"]["x"].as_u64().unwrap();
    assert!((before..=after).contains(&x), "{x} is not within {before} and {after}");
    // What the copy knows of a session is older than what the client does.
    let token = peer.token().to_owned();
    peer.resume_denied(&address);
    assert_ne!(Peer::connect(&address).token(), token);
}

#[test]
fn a_store_is_copied_and_brought_back_without_a_server() {
    let folder = folder("copies-still");
    fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
    let (server, address) = serve(&folder);
    let mut peer = Peer::connect(&address);
    begin(&mut peer);
    set_x(&mut peer, 7);
    server.signal("TERM");
    server.end();
    // What an attempt has left that was cut is no hindrance.
    fs::create_dir_all(folder.join("copy.part")).unwrap();
    fs::write(folder.join("copy.part/jetstream.db"), "half").unwrap();
    out(&folder, &["backup", "copy"]);
    assert!(!folder.join("copy.part").exists());
    fs::rename(folder.join("data"), folder.join("lost")).unwrap();
    fs::create_dir_all(folder.join("data/restore.part")).unwrap();
    fs::write(folder.join("data/restore.part/jetstream.db"), "half").unwrap();
    out(&folder, &["restore", "copy"]);
    let (_server, address) = serve(&folder);
    let state = Peer::connect(&address).fetch("Canvas");
    assert_eq!(state["fragments"][1]["properties"]["x"], 7);
}

#[test]
fn nothing_is_written_over_and_every_refusal_says_why() {
    let folder = folder("copies-refused");
    fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
    let none = command(&folder, &["backup", "copy"]);
    assert_eq!(none.code, Some(1));
    assert!(none.err.starts_with("error: there is no store in "), "{}", none.err);
    assert!(!folder.join("data").exists(), "looking for a store makes none");
    let (server, _) = serve(&folder);
    out(&folder, &["backup", "copy"]);
    let cases = [
        (&["backup", "copy"][..], "copy is there already"),
        (&["restore", "copy"], "a server has the store open: stop it before anything is restored"),
    ];
    let refused = |(arguments, why): (&[&str], &str)| {
        let ended = command(&folder, arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}");
        assert!(ended.err.contains(why), "{arguments:?}: {}", ended.err);
    };
    cases.into_iter().for_each(refused);
    server.signal("TERM");
    server.end();
    refused((&["restore", "copy"], "data already: move it away"));
    refused((&["restore", "nowhere"], "there is no store in nowhere: no jetstream.db"));
    for (setting, why) in [
        ("storage.memory=true", "keeps scopes in memory only; `jetstream export` writes"),
        ("storage.postgres=postgres://me@localhost/x", "pg_dump and pg_restore"),
    ] {
        for command in [&["backup", "other"], &["restore", "copy"]] {
            let ended = run(jetstream(&folder, &[&command[..], &["--set", setting]].concat()));
            assert_eq!(ended.code, Some(2), "{setting}");
            assert!(ended.err.contains(why), "{}", ended.err);
        }
    }
}

#[test]
fn a_copy_that_is_damaged_is_told_of() {
    let folder = folder("copies-damaged");
    fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
    let (server, address) = serve(&folder);
    begin(&mut Peer::connect(&address));
    server.signal("TERM");
    server.end();
    out(&folder, &["backup", "copy"]);
    fs::rename(folder.join("data"), folder.join("lost")).unwrap();
    let copy = folder.join("copy/jetstream.db");
    let mut bytes = fs::read(&copy).unwrap();
    let record = bytes.windows(SHAPE.len()).rposition(|text| text == SHAPE.as_bytes()).unwrap();
    bytes[record] ^= 1;
    fs::write(&copy, bytes).unwrap();
    let ended = command(&folder, &["restore", "copy"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("error: the scope \"Canvas\" is damaged: "), "{}", ended.err);
    assert!(ended.out.contains("damages: 1"), "it is there, since there may be none better");
}

#[test]
fn what_is_left_of_a_damaged_store_is_taken_out_and_what_is_lost_is_said() {
    let folder = folder("copies-salvage");
    fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
    let (server, address) = serve(&folder);
    let mut peer = Peer::connect(&address);
    begin(&mut peer);
    set_x(&mut peer, 41);
    set_x(&mut peer, 42);
    server.signal("TERM");
    server.end();
    let database = folder.join("data/jetstream.db");
    let mut bytes = fs::read(&database).unwrap();
    let last = bytes.windows(5).position(|text| text == b"x\":42").unwrap();
    bytes[last + 4] ^= 1;
    fs::write(&database, &bytes).unwrap();

    let ended = command(&folder, &["salvage", "rescued"]);
    let expected = "error: \"Canvas\" is what it was at revision 2: the entries after 2: \
                    the checksum does not fit\n";
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), expected));
    assert_eq!(fs::read(&database).unwrap(), bytes, "the damaged store stays as it is");
    let again = command(&folder, &["salvage", "rescued"]);
    assert!(again.err.contains("there is a store in rescued already"), "{}", again.err);
    fs::rename(folder.join("data"), folder.join("damaged")).unwrap();
    fs::rename(folder.join("rescued"), folder.join("data")).unwrap();
    let (_server, address) = serve(&folder);
    let state = Peer::connect(&address).fetch("Canvas");
    assert_eq!(state["fragments"][1]["properties"]["x"], 41);
}

#[test]
fn a_store_that_does_not_open_says_how_to_go_on_and_can_be_salvaged() {
    let folder = folder("copies-unopened");
    fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
    let (server, address) = serve(&folder);
    let mut peer = Peer::connect(&address);
    begin(&mut peer);
    (1..20).for_each(|x| drop(set_x(&mut peer, x)));
    server.signal("KILL");
    server.end();
    fs::remove_file(folder.join("data/promises")).unwrap();
    let log = folder.join("data/jetstream.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 50].fill(0x5a);
    fs::write(&log, &bytes).unwrap();
    // The first page, on which everything depends, is gone as well.
    let database = folder.join("data/jetstream.db");
    let ended = command(&folder, &["serve"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("is damaged at byte"), "{}", ended.err);
    assert!(ended.err.contains("jetstream salvage"), "{}", ended.err);
    let mut bytes = fs::read(&database).unwrap();
    let length = bytes.len().min(4096);
    bytes[..length].fill(0);
    fs::write(&database, &bytes).unwrap();
    assert_eq!(command(&folder, &["serve"]).code, Some(1));

    let ended = command(&folder, &["salvage", "rescued"]);
    assert!(ended.out.starts_with("salvaged to rescued: scopes: 1"), "{} {}", ended.out, ended.err);
    fs::rename(folder.join("data"), folder.join("damaged")).unwrap();
    fs::rename(folder.join("rescued"), folder.join("data")).unwrap();
    let (_server, address) = serve(&folder);
    let state = Peer::connect(&address).fetch("Canvas");
    assert_eq!(state["fragments"][1]["properties"]["x"], 19);
}
