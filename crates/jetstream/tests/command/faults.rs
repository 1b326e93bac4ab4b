//! `jetstream serve` on a disk that is full, fails or writes by halves: who writes is told, who reads goes on,
//! and whatever happens next, what was acknowledged is there and what was refused is not.
#![cfg(target_os = "linux")]

mod preload;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::preload::Faults;
use super::peer::{Peer, get};
use super::process::{PATIENCE, Serving, folder, jetstream, run};

const CONFIG: &str = r#"
listen = "127.0.0.1:0"
metrics = { listen = "127.0.0.1:0" }

[models.Shape.properties]
x = "Number"

[models.Board.properties]
shapes = "[Shape]"

[scopes."boards/{number}"]
root = "Board"
"#;

/// A server, and where it is reached.
struct Server {
    process: Serving,
    address: String,
    metrics: String,
}

impl Server {
    /// On the store in the folder; with faults it may have them.
    fn start(folder: &Path, faults: Option<&Faults>) -> Self {
        let mut command = jetstream(folder, &["serve"]);
        if let Some(faults) = faults {
            faults.load_into(&mut command);
        }
        let mut process = Serving::start(command);
        let address = process.address("listening on ws://");
        let metrics = process.address("metrics on http://");
        Self { process, address, metrics }
    }

    fn kill(self) {
        self.process.signal("KILL");
        self.process.end();
    }

    fn is_ready(&self) -> bool {
        let (status, text) = get(&self.metrics, "/health/ready");
        assert!(status == 200 || status == 503, "{status}: {text}");
        status == 200
    }

    fn becomes(&self, ready: bool) {
        let until = Instant::now() + PATIENCE;
        while self.is_ready() != ready {
            assert!(Instant::now() < until, "its health does not become ready: {ready}");
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// What somebody who comes now sees on a board.
    fn shapes(&self, board: u64) -> Vec<Value> {
        let state = Peer::connect(&self.address).fetch(&format!("boards/{board}"));
        let fragments = state["fragments"].as_array().unwrap();
        let shapes = fragments[0]["properties"]["shapes"].as_array().cloned().unwrap_or_default();
        assert_eq!(fragments.len(), 1 + shapes.len(), "{state}");
        shapes
    }
}

/// Somebody who puts shapes on a board of their own, and knows which were accepted.
struct Author {
    peer: Peer,
    board: u64,
    root: Value,
    said: u64,
    accepted: Vec<Value>,
    refused: usize,
}

impl Author {
    fn begin(server: &Server, board: u64) -> Self {
        let mut peer = Peer::connect(&server.address);
        let root = peer.fetch(&format!("boards/{board}"))["rootUUID"].clone();
        Self { peer, board, root, said: 0, accepted: Vec::new(), refused: 0 }
    }

    /// The same author with a new session, behind a restart.
    fn come_again(&mut self, server: &Server) {
        self.peer = Peer::connect(&server.address);
        self.peer.fetch(&format!("boards/{}", self.board));
    }

    /// Puts the next shape behind those that were accepted, and waits for nothing.
    fn say(&mut self) -> Value {
        self.said += 1;
        let shape = json!(format!("5a000000-0000-4000-8000-{:06}{:06}", self.board, self.said));
        let all = [self.accepted.as_slice(), std::slice::from_ref(&shape)].concat();
        let add = json!({"type": "add", "uuid": shape, "clsName": "Shape", "properties": {"x": 1}});
        let hang = json!({"type": "change", "uuid": self.root, "clsName": "Board",
                          "properties": {"shapes": all}});
        self.peer.say_sync(json!([add, hang]));
        shape
    }

    /// Whether what was said last is accepted. What is not has to be refused for the disk.
    fn hear(&mut self, shape: Value) -> bool {
        let reply = self.peer.reply();
        let replies = reply["fragmentReplies"].as_array().unwrap();
        if *replies == [json!({}), json!({})] {
            self.accepted.push(shape);
            return true;
        }
        assert_eq!(replies.len(), 2, "{reply}");
        for error in replies.iter().map(|reply| &reply["error"]) {
            assert_eq!(error["type"], "internal", "{reply}");
            assert!(error["message"].as_str().unwrap().starts_with("not saved: "), "{reply}");
        }
        self.refused += 1;
        false
    }

    fn put(&mut self) -> bool {
        let shape = self.say();
        self.hear(shape)
    }

    /// Puts one shape after the other until so many are accepted.
    fn put_until(&mut self, accepted: usize) {
        let until = Instant::now() + PATIENCE;
        while self.accepted.len() < accepted {
            assert!(Instant::now() < until, "its changes are not accepted any more");
            self.put();
        }
    }
}

/// Three boards, of which the third has to be read from the store.
struct Story {
    folder: PathBuf,
    faults: Faults,
    server: Server,
    ann: Author,
    bo: Author,
    cy: Author,
}

impl Story {
    fn begin(test: &str) -> Self {
        let folder = folder(test);
        std::fs::write(folder.join("jetstream.toml"), CONFIG).unwrap();
        let faults = Faults::new(&folder);
        let server = Server::start(&folder, Some(&faults));
        let [mut ann, mut bo, mut cy] = [1, 2, 3].map(|board| Author::begin(&server, board));
        for author in [&mut ann, &mut bo, &mut cy] {
            assert!((0..3).all(|_| author.put()));
        }
        server.kill();
        let server = Server::start(&folder, Some(&faults));
        ann.come_again(&server);
        bo.come_again(&server);
        assert_eq!(faults.hits(), 0);
        Self { folder, faults, server, ann, bo, cy }
    }

    /// Lets the disk fail under a change of Ann, who may not be answered before it works again: until then
    /// nobody knows what is in the files.
    fn fail(&mut self, order: &str) -> Value {
        self.faults.begin(order);
        let doubtful = self.ann.say();
        self.server.becomes(false);
        for _ in 0..3 {
            assert!(!self.bo.put(), "a change is accepted while the disk fails");
        }
        for author in [&self.bo, &self.cy] {
            assert_eq!(self.server.shapes(author.board), author.accepted, "it can be read");
        }
        assert!(!self.server.is_ready());
        assert!(self.faults.hits() > 0);
        doubtful
    }

    /// What is on the boards after the server was killed, on a disk that works.
    fn kill(self) -> (Server, [Author; 3]) {
        self.server.kill();
        let verified = run(jetstream(&self.folder, &["verify"]));
        assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
        (Server::start(&self.folder, None), [self.ann, self.bo, self.cy])
    }
}

/// The disk fails, works again, and the server is killed behind that.
fn recovers(test: &str, order: &str) {
    let mut story = Story::begin(test);
    let doubtful = story.fail(order);
    story.faults.end();
    assert!(!story.ann.hear(doubtful), "what was in doubt is not accepted afterwards");
    story.server.becomes(true);
    for author in [&mut story.ann, &mut story.bo] {
        author.put_until(6);
        assert_eq!(story.server.shapes(author.board), author.accepted);
    }
    let (server, authors) = story.kill();
    for author in authors {
        assert_eq!(server.shapes(author.board), author.accepted);
    }
}

#[test]
fn a_full_disk_refuses_changes_until_there_is_room() {
    recovers("faults-full", "write ENOSPC");
}

#[test]
fn a_disk_that_cannot_write_refuses_changes_until_it_can() {
    recovers("faults-write", "write EIO");
}

#[test]
fn a_disk_that_cannot_flush_refuses_changes_until_it_can() {
    recovers("faults-flush", "flush EIO");
}

#[test]
fn a_page_that_is_written_by_half_before_the_disk_is_full_is_taken_back() {
    recovers("faults-torn", "write torn");
}

#[test]
fn a_server_that_is_killed_while_its_disk_fails_has_lost_nothing() {
    for order in ["write ENOSPC", "write EIO", "flush EIO", "write torn"] {
        let mut story = Story::begin(&format!("faults-killed-{}", order.replace(' ', "-")));
        let doubtful = story.fail(order);
        let (server, [ann, bo, cy]) = story.kill();
        for author in [bo, cy] {
            assert_eq!(server.shapes(author.board), author.accepted, "{order}");
        }
        // Nobody has told Ann anything, so it may be either.
        let with = [ann.accepted.as_slice(), &[doubtful]].concat();
        let found = server.shapes(ann.board);
        assert!(found == ann.accepted || found == with, "{order}: {found:?}");
    }
}

/// A flush that is tried again succeeds, whether or not the disk has what the first one was for.
#[test]
fn a_flush_that_fails_once_is_not_tried_again_as_if_nothing_had_happened() {
    let mut story = Story::begin("faults-once");
    story.faults.begin("flush EIO rarely");
    let until = Instant::now() + PATIENCE;
    while story.faults.hits() < 5 || story.ann.accepted.len() < 20 {
        assert!(Instant::now() < until, "{} flushes failed", story.faults.hits());
        story.ann.put();
    }
    assert!(story.ann.refused > 0);
    story.faults.end();
    let accepted = story.ann.accepted.len();
    story.ann.put_until(accepted + 1);
    assert_eq!(story.server.shapes(story.ann.board), story.ann.accepted);
    let (server, authors) = story.kill();
    for author in authors {
        assert_eq!(server.shapes(author.board), author.accepted);
    }
}

#[test]
fn what_the_disk_takes_by_halves_is_written_to_its_end() {
    let mut story = Story::begin("faults-short");
    story.faults.begin("write short");
    for _ in 0..20 {
        assert!(story.ann.put() && story.bo.put());
    }
    assert!(story.server.is_ready());
    assert!(story.faults.hits() > 0);
    let (server, authors) = story.kill();
    for author in authors {
        assert_eq!(server.shapes(author.board), author.accepted);
    }
}

/// How long to wait before the health is looked at again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
