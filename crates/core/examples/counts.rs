//! The four steps that every change takes, each to be counted in instructions: `cargo xtask bench counts`
//! runs this below callgrind, which counts what happens in the function `measured`.
//!
//! Instructions are no time, but the same today and tomorrow on whatever machine, so that a change that
//! makes a step dearer by a few per cent is noticed when it is made.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use jetstream_core::ids::{
    ConnectionId, MemberId, MessageIndex, ObjectId, Revision, ScopeIndex, SessionId, SharedText,
};
use jetstream_core::limits::Limits;
use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Graph, Scalar, Schema, Value};
use jetstream_core::scope::{self, Scope};
use jetstream_core::session::{self, Delivery, Frame, ServerSession};
use jetstream_core::time::Now;
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::decode;
use jetstream_core::wire::message::{ClientBody, Dialect};

fn main() {
    let step = std::env::args().nth(1).unwrap_or_default();
    match step.as_str() {
        "decode" => decode(),
        "apply" => apply(),
        "encode" => encode(),
        "deliver" => deliver(),
        _ => panic!("one of decode, apply, encode, deliver"),
    }
}

/// All that is counted happens in here.
#[inline(never)]
fn measured(work: impl FnMut(u64)) {
    (0..REPEATS).for_each(work);
}

/// A frame with one change into a typed ChangeSet.
fn decode() {
    let (schema, limits) = (schema(), Limits::default());
    let typing = Typing { schema: &schema, dialect: Dialect::V1, limits: &limits };
    let text = format!(
        "{{\"type\":\"ScopeSync\",\"index\":7,\"scopeIndex\":0,\"fragments\":[{{\"type\":\"change\",\
         \"uuid\":\"{}\",\"clsName\":\"Shape\",\"properties\":{{\"x\":123.5,\"y\":7,\"tag\":\"seven\"}}}}]}}",
        id(7)
    );
    measured(|_| {
        let messages = decode::frame(black_box(&text), &limits).expect("one message");
        let ClientBody::ScopeSync { fragments, atomic, procedure, .. } =
            &messages[0].as_ref().expect("it can be read").body
        else {
            panic!("it is a ScopeSync")
        };
        black_box(typing.change_set(fragments, *atomic, procedure.as_deref()));
    });
}

/// A change judged, applied and told to a member, in a scope of a thousand objects.
fn apply() {
    let mut scope = Scope::new(graph(), scope::Options::default());
    let mut out = Vec::new();
    for member in [MemberId(1), MemberId(2)] {
        let (session, dialect, claims) = (SessionId(member.0), Dialect::V1, Arc::default());
        scope.handle(
            now(),
            scope::Input::Join { member, session, dialect, claims, returns: false },
            &mut out,
        );
    }
    let schema = scope.graph().schema().clone();
    let (model, shape) = schema.find("Shape").expect("it is there");
    let (x, _) = shape.find("x").expect("it has an x");
    measured(|number| {
        let changes = ChangeSet::new(vec![
            Fragment::new(FragmentKind::Change, id(number % OBJECTS), model)
                .with(x, Value::Scalar(Some(Scalar::Number(number as f64)))),
        ]);
        let (member, message, delivered) =
            (MemberId(1), MessageIndex(number + 1), MessageIndex(number));
        scope.handle(now(), scope::Input::Sync { member, message, changes, delivered }, &mut out);
        out.clear();
    });
}

/// The state of a thousand objects as text.
fn encode() {
    let graph = graph();
    measured(|_| drop(black_box(scope::encode_state(black_box(&graph)))));
}

/// A change through a session into a frame, as for each member of a scope.
fn deliver() {
    let mut session =
        ServerSession::new(SessionId(1), Dialect::V1, Arc::new(Limits::default()), 7, now());
    let mut out = Vec::new();
    let connection = ConnectionId(1);
    let fetch = "{\"type\":\"ScopeFetch\",\"index\":1,\"name\":\"A\",\"params\":{}}";
    let (message, scope, schema) = (MessageIndex(1), "A".into(), Arc::new(schema()));
    session.handle(now(), session::Input::Connected { connection }, &mut out);
    session.handle(now(), session::Input::Frame { connection, text: fetch }, &mut out);
    session.handle(now(), session::Input::FetchAccepted { message, scope, schema }, &mut out);
    let mut frame = Frame::new();
    while session.next_frame(now(), &mut frame) {}
    let body: SharedText = "[{\"type\":\"change\"}]".into();
    measured(|number| {
        let delivery = Delivery::Sync { revision: Revision(number), body: body.clone() };
        let scope = ScopeIndex(0);
        session.handle(now(), session::Input::Deliver { scope, delivery }, &mut out);
        assert!(session.next_frame(now(), &mut frame));
        black_box(frame.byte_length());
    });
}

fn schema() -> Schema {
    Schema::builder()
        .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
        .model("Shape", |m| {
            m.property("x", "Number").property("y", "Number").property("tag", "String")
        })
        .build()
        .expect("the schema is right")
}

fn graph() -> Graph {
    let schema = schema();
    let limits = Limits::default();
    let mut shapes = String::new();
    let mut fragments = Vec::new();
    for number in 0..OBJECTS {
        let comma = if number > 0 { "," } else { "" };
        let _ = write!(shapes, "{comma}\"{}\"", id(number));
        fragments.push(format!(
            "{{\"type\":\"add\",\"uuid\":\"{}\",\"clsName\":\"Shape\",\
             \"properties\":{{\"x\":{number}.25,\"y\":{number},\"tag\":\"shape\"}}}}",
            id(number)
        ));
    }
    let root = id(0xffff);
    let first = format!(
        "{{\"type\":\"change\",\"uuid\":\"{root}\",\"clsName\":\"Canvas\",\
         \"properties\":{{\"shapes\":[{shapes}]}}}}"
    );
    let typing = Typing { schema: &schema, dialect: Dialect::V1, limits: &limits };
    let typed = std::iter::once(first).chain(fragments).map(|text| {
        let raw = serde_json::value::RawValue::from_string(text).expect("it is JSON");
        typing.fragment(&raw).expect("it fits the schema")
    });
    let typed: Vec<Fragment> = typed.collect();
    Graph::from_state(Arc::new(schema), root, typed).expect("the state is right")
}

fn id(number: u64) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(0x4000_8000_0000_0000_0000_0000 + u128::from(number)))
}

fn now() -> Now {
    Now::default()
}

const OBJECTS: u64 = 1_000;
/// Enough that what happens once for all hardly counts.
const REPEATS: u64 = 200;
