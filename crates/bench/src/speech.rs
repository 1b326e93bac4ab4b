//! What clients say, in every protocol of the benchmark.

use std::fmt::Write as _;
use std::ops::Range;

use serde::Deserialize;

use crate::job;
use crate::websocket::{BINARY, TEXT};

/// How a client of some server talks.
#[derive(Debug, Clone)]
pub struct Speech {
    /// What each connection asks for; the last one from then on.
    pub paths: Vec<String>,
    /// What is sent until the client is a member, and what is waited for each time.
    pub hello: Vec<Step>,
    /// What is answered to what comes.
    pub answers: Vec<(Vec<u8>, Vec<u8>)>,
    pub opcode: u8,
    pub changes: Changes,
    /// The server may send the latest of several changes only.
    pub merges: bool,
    /// Over TLS.
    pub is_secure: bool,
}

/// One step on the way to a member.
#[derive(Debug, Clone)]
pub struct Step {
    pub send: Vec<u8>,
    /// What the frame contains that ends the step.
    pub until: Vec<u8>,
}

/// What a writer sends.
#[derive(Debug, Clone)]
pub enum Changes {
    /// Messages of Jetstream, in this dialect. What is numbered is also acknowledged.
    Jetstream(Dialect),
    /// Frames that the server's own library has made, one after the other.
    Prepared(Vec<Vec<u8>>),
}

/// What a client of Jetstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As the clients in the field: whole collections.
    Original,
    /// Edits of collections.
    V1,
}

impl Speech {
    /// A client of ours or of the original's.
    pub fn jetstream(dialect: Dialect, scope: &str) -> Self {
        let version = match dialect {
            Dialect::Original => "0.2.0",
            Dialect::V1 => "1.0.0",
        };
        let create = format!(
            "{{\"type\":\"SessionCreate\",\"index\":0,\"params\":{{}},\"version\":\"{version}\"}}"
        );
        Self {
            paths: vec!["/".to_owned()],
            hello: vec![
                Step { send: create.into(), until: b"sessionToken".into() },
                Step { send: fetch(1, scope).into(), until: b"ScopeState".into() },
            ],
            answers: Vec::new(),
            opcode: TEXT,
            changes: Changes::Jetstream(dialect),
            merges: false,
            is_secure: false,
        }
    }

    /// A client that comes back to its session: it names it, and asks for what it has not got.
    pub fn resume(dialect: Dialect, token: &str, ack: u64) -> Self {
        let question = ping(ack, true).into_bytes();
        Self {
            paths: vec![format!("/?x-jetstream-sessiontoken={token}")],
            hello: vec![Step { send: question, until: b"\"Ping\"".into() }],
            ..Self::jetstream(dialect, "")
        }
    }

    /// Whether its messages are numbered and want to be acknowledged.
    pub fn is_jetstream(&self) -> bool {
        matches!(self.changes, Changes::Jetstream(_))
    }

    /// The path that the connection with this number asks for.
    pub fn path(&self, connection: usize) -> &str {
        self.paths.get(connection).or(self.paths.last()).map_or("/", String::as_str)
    }
}

/// A `ScopeFetch`.
pub fn fetch(index: u64, scope: &str) -> String {
    format!("{{\"type\":\"ScopeFetch\",\"index\":{index},\"name\":\"{scope}\",\"params\":{{}}}}")
}

/// A `Ping`.
pub fn ping(ack: u64, resend_missing: bool) -> String {
    format!("{{\"type\":\"Ping\",\"index\":0,\"ack\":{ack},\"resendMissing\":{resend_missing}}}")
}

/// A `ScopeSync` with these fragments.
fn sync(index: u64, fragments: &str) -> String {
    format!(
        "{{\"type\":\"ScopeSync\",\"index\":{index},\"scopeIndex\":0,\"fragments\":[{fragments}]}}"
    )
}

/// The change with this number.
pub fn change(index: u64, object: usize, number: usize) -> String {
    let (uuid, edit) = (job::uuid(object), job::edit(number));
    let fragment = format!(
        "{{\"type\":\"change\",\"uuid\":\"{uuid}\",\"clsName\":\"Shape\",\"properties\":{edit}}}"
    );
    sync(index, &fragment)
}

/// A change of a root's name: what scopes without shapes can be told apart by.
pub fn rename(index: u64, root: &str, number: usize) -> String {
    let tag = job::tag(number);
    let fragment = format!(
        "{{\"type\":\"change\",\"uuid\":\"{root}\",\"clsName\":\"Canvas\",\
         \"properties\":{{\"name\":\"{tag}\"}}}}"
    );
    sync(index, &fragment)
}

/// One shape more at the end of the collection: an edit of it, or all of it anew.
pub fn add(index: u64, dialect: Dialect, shapes: &[usize], new: usize, number: usize) -> String {
    let (uuid, shape) = (job::uuid(new), job::shape(new, &job::tag(number)));
    let add = format!(
        "{{\"type\":\"add\",\"uuid\":\"{uuid}\",\"clsName\":\"Shape\",\"properties\":{shape}}}"
    );
    let collection = match dialect {
        Dialect::V1 => {
            let last =
                shapes.last().map_or("null".to_owned(), |last| format!("\"{}\"", job::uuid(*last)));
            edit_collection(&format!("{{\"insert\":\"{uuid}\",\"after\":{last}}}"))
        }
        Dialect::Original => whole_collection(shapes.iter().chain([&new])),
    };
    sync(index, &format!("{add},{collection}"))
}

/// Shapes with the next ids, one for each of these numbers, behind the last one.
pub fn add_many(index: u64, last: Option<&usize>, first: usize, numbers: Range<usize>) -> String {
    let mut after = last.copied();
    let (mut adds, mut edits) = (String::new(), Vec::new());
    for (new, number) in (first..).zip(numbers) {
        let (uuid, shape) = (job::uuid(new), job::shape(new, &job::tag(number)));
        let _ = write!(
            adds,
            "{{\"type\":\"add\",\"uuid\":\"{uuid}\",\"clsName\":\"Shape\",\"properties\":{shape}}},"
        );
        let behind = after.map_or("null".to_owned(), |after| format!("\"{}\"", job::uuid(after)));
        edits.push(format!("{{\"insert\":\"{uuid}\",\"after\":{behind}}}"));
        after = Some(new);
    }
    sync(index, &(adds + &edit_collection(&edits.join(","))))
}

/// One shape less. `shapes` are those that stay. A tagged change of the root stands before it, since a
/// removal alone says nothing that a generator could recognise.
pub fn remove(
    index: u64,
    dialect: Dialect,
    shapes: &[usize],
    gone: usize,
    number: usize,
) -> String {
    let collection = match dialect {
        Dialect::V1 => edit_collection(&format!("{{\"remove\":\"{}\"}}", job::uuid(gone))),
        Dialect::Original => whole_collection(shapes.iter()),
    };
    let name = format!(
        "{{\"type\":\"change\",\"uuid\":\"{}\",\"clsName\":\"Canvas\",\
         \"properties\":{{\"name\":\"{}\"}}}}",
        job::root_uuid(),
        job::tag(number)
    );
    sync(index, &format!("{name},{collection}"))
}

fn edit_collection(edit: &str) -> String {
    let root = job::root_uuid();
    format!(
        "{{\"type\":\"change\",\"uuid\":\"{root}\",\"clsName\":\"Canvas\",\
         \"collections\":{{\"shapes\":[{edit}]}}}}"
    )
}

fn whole_collection<'a>(shapes: impl Iterator<Item = &'a usize>) -> String {
    let root = job::root_uuid();
    let mut text = format!(
        "{{\"type\":\"change\",\"uuid\":\"{root}\",\"clsName\":\"Canvas\",\
         \"properties\":{{\"shapes\":["
    );
    for (place, shape) in shapes.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let _ = write!(text, "{comma}\"{}\"", job::uuid(*shape));
    }
    text + "]}}"
}

/// What a server in JavaScript tells about itself: see `bench/peers/job.mjs`.
#[derive(Debug, Deserialize)]
pub struct Card {
    pub port: u16,
    #[serde(default)]
    paths: Vec<String>,
    speech: Option<String>,
    #[serde(default)]
    hello: Vec<CardStep>,
    #[serde(default)]
    changes: Vec<String>,
    #[serde(default)]
    answers: Vec<(String, String)>,
    #[serde(default)]
    binary: bool,
    #[serde(default)]
    merges: bool,
}

#[derive(Debug, Deserialize)]
struct CardStep {
    send: String,
    until: String,
}

impl Card {
    /// How its clients talk.
    pub fn speech(self) -> Speech {
        if self.speech.as_deref() == Some("original") {
            return Speech::jetstream(Dialect::Original, "Canvas");
        }
        let binary = self.binary;
        let bytes = |text: String| if binary { from_hex(&text) } else { text.into_bytes() };
        let steps = self.hello.into_iter();
        Speech {
            paths: self.paths,
            hello: steps
                .map(|step| Step { send: bytes(step.send), until: step.until.into_bytes() })
                .collect(),
            answers: self.answers.into_iter().map(|(to, what)| (bytes(to), bytes(what))).collect(),
            opcode: if binary { BINARY } else { TEXT },
            changes: Changes::Prepared(self.changes.into_iter().map(bytes).collect()),
            merges: self.merges,
            is_secure: false,
        }
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    let digits = digits.filter_map(|pair| std::str::from_utf8(pair).ok());
    digits.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}
