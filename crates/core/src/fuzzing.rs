//! The bodies of the fuzz targets: what `fuzz/`, the property tests and `examples/fuzz_decoder` run.
//!
//! Public for those three only; no part of the library's API. Each body takes bytes, and panics if
//! a promise is broken.

use crate::limits::Limits;
use crate::model::{Fragment, Schema};
use crate::session::jitter::Jitter;
use crate::wire::change_set::Typing;
use crate::wire::message::{ClientBody, ClientMessage, Dialect, RawFragment, ServerBody};
use crate::wire::{decode, encode};

mod scope;
mod session;

pub use scope::scope;
pub use session::session;

/// Reads `bytes` as a frame of either side, types every fragment in it and writes what was read.
///
/// # Panics
///
/// If anything that was read reads differently when it is written and read again.
pub fn decoder(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let limits = Limits::default();
    SCHEMA.with(|schema| {
        for message in decode::frame(text, &limits).into_iter().flatten().flatten() {
            client_message(&message, schema, &limits);
        }
        let typing = Typing { schema, dialect: Dialect::V1, limits: &limits };
        for message in decode::server_frame(text).into_iter().flatten() {
            if let ServerBody::ScopeState { fragments, .. }
            | ServerBody::ScopeSync { fragments, .. } = message.body
            {
                let typed = fragments.iter().flat_map(|fragment| typing.fragment(fragment));
                typed.for_each(|fragment| round_trip(typing, fragment));
            }
        }
    });
}

/// One message of a corpus, changed in one to eight places; always Unicode, and most of the time still
/// JSON. The same state of `random` gives the same text.
pub fn mutated(random: &mut Random) -> String {
    let mut bytes = random.one_of(&CORPUS).as_bytes().to_vec();
    for _ in 0..=random.below(8) {
        mutate(&mut bytes, random);
    }
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Models with every type of property.
pub fn schema() -> Schema {
    Schema::builder()
        .enumeration_of_strings("Flavour", ["sweet", "sour"])
        .enumeration_of_integers("Heat", [("Off", 0), ("Hot", 5)])
        .model("Item", |m| m.property("x", "Number").property("made", "Date"))
        .model("Kitchen", |m| {
            m.property("title", "String")
                .property("seats", "Number")
                .property("open", "Boolean")
                .property("flavour", "Flavour")
                .property("heat", "Heat")
                .property("main", "Item")
                .property("labels", "[String]")
                .property("closures", "[Date]")
                .property("items", "[Item]")
        })
        .build()
        .expect("checked by every run")
}

/// Numbers that look random, from a seed, for those who make inputs.
#[derive(Debug)]
pub struct Random(Jitter);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(Jitter::new(seed))
    }

    /// A number from 0 to `end`, without `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.0.next() % end.max(1) as u64) as usize
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

fn client_message(message: &ClientMessage, schema: &Schema, limits: &Limits) {
    let mut written = String::new();
    encode::client_message(&mut written, message.index, message.ack, &message.body);
    let read = decode::frame(&written, limits).expect("one message").remove(0);
    let read = read.unwrap_or_else(|error| panic!("we wrote {written}, and {error}"));
    assert_eq!((read.index, read.ack), (message.index, message.ack));
    assert_eq!(read.body.kind(), message.body.kind());
    let ClientBody::ScopeSync { fragments, atomic, procedure, .. } = &message.body else { return };
    for dialect in [Dialect::Original, Dialect::V1] {
        let typing = Typing { schema, dialect, limits };
        let changes = typing.change_set(fragments, *atomic, procedure.as_deref());
        assert_eq!(changes.fragments.len(), fragments.len());
        for fragment in changes.fragments.into_iter().flatten() {
            round_trip(typing, fragment);
        }
    }
}

/// A typed fragment survives being written and read, but for the form of its dates.
fn round_trip(typing: Typing<'_>, mut fragment: Fragment) {
    let mut written = String::new();
    encode::fragment(&mut written, typing.schema, &fragment, Dialect::V1);
    let raw: RawFragment = serde_json::from_str(&written).expect("we wrote it");
    fragment.dates_as_sent.clear();
    let read = Typing { dialect: Dialect::V1, ..typing }.fragment(&raw);
    assert_eq!(read.expect("we wrote it"), fragment);
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below(12).min(bytes.len() - at);
    match random.below(8) {
        0 => bytes.splice(at..end, []).for_each(drop),
        1 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy).for_each(drop);
        }
        2 => bytes.splice(at..at, random.one_of(&TOKENS).bytes()).for_each(drop),
        3 => bytes.splice(at..end, random.one_of(&TOKENS).bytes()).for_each(drop),
        4 => replace_value(bytes, at, random.one_of(&TOKENS)),
        5 => {
            let other = random.one_of(&CORPUS).as_bytes();
            let from = random.below(other.len());
            let length = random.below(40).min(other.len() - from);
            bytes.splice(at..end, other[from..from + length].iter().copied()).for_each(drop);
        }
        6 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        _ => bytes.insert(at, b' ' + random.below(95) as u8),
    }
}

/// Puts `token` in the place of the value behind the next colon: what comes out is still JSON, so that
/// the search gets further than the parser.
fn replace_value(bytes: &mut Vec<u8>, at: usize, token: &str) {
    let Some(colon) = bytes[at..].iter().position(|byte| *byte == b':') else { return };
    let from = at + colon + 1;
    let length = bytes[from..].iter().position(|byte| b",}]".contains(byte));
    let to = length.map_or(bytes.len(), |length| from + length);
    bytes.splice(from..to, token.bytes()).for_each(drop);
}

thread_local! {
    static SCHEMA: Schema = schema();
}

/// What a mutation puts in.
const TOKENS: [&str; 44] = [
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-0",
    "1",
    "-1",
    "1.5",
    "1e400",
    "-1e-400",
    "1E+2",
    "9007199254740993",
    "18446744073709551616",
    "1e21",
    "5e-324",
    "\"sour\"",
    "\"add\"",
    "\"remove\"",
    "\"movechange\"",
    "\"change\"",
    "\"Item\"",
    "\"Kitchen\"",
    "\"ScopeSync\"",
    "\"Ping\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0000\"",
    "\\",
    "\"",
    ",",
    ":",
    "[",
    "]",
    "{",
    "}",
    "\u{e9}",
    "\u{1F600}",
    "\n",
    "\"1970-01-01\"",
    "\"-262144-01-01T00:00:00Z\"",
    "\"__proto__\":{},",
];

/// Messages of both sides, with everything that a message can have.
const CORPUS: [&str; 16] = [
    r#"{"type":"SessionCreate","index":0,"params":{"user":"ann","n":[1,2.5,null]},"version":"1.0.0"}"#,
    r#"[{"type":"ScopeFetch","index":1,"name":"Kitchen","params":{"a":{"b":true}}},{"type":"Ping","index":0,"ack":3}]"#,
    r#"{"type":"Ping","index":0,"ack":12,"resendMissing":true}"#,
    r#"{"type":"Reply","index":3,"replyTo":1,"ack":7}"#,
    r#"{"type":"ScopeUnfetch","index":4,"scopeIndex":0}"#,
    r#"{"type":"SessionClose","index":5}"#,
    r#"{"type":"ScopeSync","index":2,"scopeIndex":0,"fragments":[{"type":"add","uuid":"17000000-0000-4000-8000-000000000001","clsName":"Item","properties":{"x":1.5,"made":1400000000.25}},{"type":"change","uuid":"D0000000-0000-4000-8000-000000000001","clsName":"Kitchen","properties":{"items":["17000000-0000-4000-8000-000000000001"]}}],"atomic":true}"#,
    r#"{"type":"ScopeSync","index":3,"scopeIndex":1,"fragments":[{"type":"change","uuid":"d0000000-0000-4000-8000-000000000001","clsName":"Kitchen","properties":{"title":"a\u0041\n","seats":5,"open":false,"flavour":"sweet","heat":5,"main":null,"labels":["a","b"],"closures":[1,"2020-01-02T03:04:05.678Z"]}}]}"#,
    r#"{"type":"ScopeSync","index":4,"ack":9,"scopeIndex":0,"fragments":[{"type":"movechange","uuid":"d0000000-0000-4000-8000-000000000001","clsName":"Kitchen","collections":{"items":[{"insert":"17000000-0000-4000-8000-000000000001","after":null},{"remove":"17000000-0000-4000-8000-000000000002"}]}},{"type":"remove","uuid":"17000000-0000-4000-8000-000000000003","clsName":"Item"}]}"#,
    r#"{"type":"ScopeSync","index":5,"scopeIndex":0,"fragments":[{"type":"change","uuid":"d0000000-0000-4000-8000-000000000001","clsName":"Item","properties":{"made":"2020-01-02"}}],"atomic":true,"procedure":"Kitchen.rename"}"#,
    r#"{"type":"SessionCreateReply","index":0,"sessionToken":"abc","resumed":false,"limits":{"messageBytes":4194304,"fragments":10000}}"#,
    r#"{"type":"ScopeFetchReply","index":1,"replyTo":1,"error":{"message":"no","type":"forbidden"}}"#,
    r#"{"type":"ScopeState","index":2,"scopeIndex":0,"rootUUID":"d0000000-0000-4000-8000-000000000001","fragments":[{"type":"change","uuid":"d0000000-0000-4000-8000-000000000001","clsName":"Kitchen","properties":{"title":null,"items":[]}}]}"#,
    r#"{"type":"ScopeSyncReply","index":3,"replyTo":2,"fragmentReplies":[{},{"error":{"message":"no"},"modifications":{"x":1}}]}"#,
    r#"[[[[[[[[[[{"a":[{"b":[{"c":[[]]}]}]}]]]]]]]]]]"#,
    r#" [ {"type" : "Reply" , "index" : 1 , "replyTo" : 1 } ] "#,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn most_mutated_messages_are_still_json() {
        let mut random = Random::new(1);
        let good = (0..1000)
            .filter(|_| serde_json::from_str::<serde_json::Value>(&mutated(&mut random)).is_ok());
        let good = good.count();
        assert!((100..900).contains(&good), "{good} of 1000");
    }

    #[test]
    fn the_decoder_takes_the_corpus_and_what_is_near_it() {
        CORPUS.iter().for_each(|text| decoder(text.as_bytes()));
        let mut random = Random::new(2);
        (0..20_000).for_each(|_| decoder(mutated(&mut random).as_bytes()));
    }

    proptest! {
        #[test]
        fn the_decoder_takes_any_bytes(bytes: Vec<u8>) {
            decoder(&bytes);
        }

        #[test]
        fn the_decoder_takes_any_text(text in "[\\[\\]{}:,\"0-9a-f\\\\\\-. ]{0,60}") {
            decoder(text.as_bytes());
        }

        #[test]
        fn a_scope_takes_anything(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            scope(&bytes);
        }

        #[test]
        fn a_session_takes_anything(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            session(&bytes);
        }
    }
}
