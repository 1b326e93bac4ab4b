//! What goes over the wire, to the letter.

use super::*;
use crate::ids::ObjectId;
use crate::limits::Limits;
use crate::model::{CollectionEdit, Fragment, FragmentKind, Scalar, Schema, Value};
use crate::time::Timestamp;
use crate::wire::decode;
use crate::wire::message::Dialect;

fn schema() -> Schema {
    Schema::builder()
        .model("Shape", |m| m.property("x", "Number").property("made", "Date"))
        .model("Canvas", |m| {
            m.property("name", "String").property("top", "Shape").property("shapes", "[Shape]")
        })
        .build()
        .unwrap()
}

const A: ObjectId = ObjectId::from_uuid(uuid::Uuid::from_u128(0xca << 120 | 0xA));
const B: ObjectId = ObjectId::from_uuid(uuid::Uuid::from_u128(0xcb << 120 | 0xB));

fn text(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    out
}

#[test]
fn messages_of_a_server_are_written_to_the_letter() {
    let (index, reply_to, scope) = (MessageIndex(7), MessageIndex(3), ScopeIndex(2));
    let cases = [
        (
            text(|out| scope_state_head(out, index, scope)),
            r#"{"type":"ScopeState","index":7,"scopeIndex":2,"#,
        ),
        (
            text(|out| scope_sync_head(out, index, scope)),
            r#"{"type":"ScopeSync","index":7,"scopeIndex":2,"fragments":"#,
        ),
        (
            text(|out| scope_sync_reply_head(out, index, reply_to)),
            r#"{"type":"ScopeSyncReply","index":7,"replyTo":3,"fragmentReplies":"#,
        ),
        (
            text(|out| scope_fetch_reply(out, index, reply_to, Ok(scope))),
            r#"{"type":"ScopeFetchReply","index":7,"replyTo":3,"scopeIndex":2}"#,
        ),
        (
            text(|out| {
                scope_fetch_reply(out, index, reply_to, Err(&Rejection::message("No \"such\"")))
            }),
            r#"{"type":"ScopeFetchReply","index":7,"replyTo":3,"error":{"message":"No \"such\""}}"#,
        ),
        (
            text(|out| ping(out, index, true)),
            r#"{"type":"Ping","index":0,"ack":7,"resendMissing":true}"#,
        ),
        (
            text(|out| ping(out, MessageIndex(0), false)),
            r#"{"type":"Ping","index":0,"ack":0,"resendMissing":false}"#,
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_session_is_answered_with_a_token_or_an_error_and_nothing_else() {
    let denied = Rejection::with_type("x", "no");
    let cases = [
        (Ok("t"), r#""sessionToken":"t"}"#),
        (Err(&denied), r#""error":{"message":"no","type":"x"}}"#),
    ];
    for (result, expected) in cases {
        let found = text(|out| session_create_reply(out, result));
        assert_eq!(found, format!(r#"{{"type":"SessionCreateReply","index":0,{expected}"#));
    }
}

#[test]
fn fragments_are_written_for_the_dialect() {
    let schema = schema();
    let (shape, model) = schema.find("Shape").unwrap();
    let (canvas, canvas_model) = schema.find("Canvas").unwrap();
    let (x, _) = model.find("x").unwrap();
    let (made, _) = model.find("made").unwrap();
    let (shapes, _) = canvas_model.find("shapes").unwrap();
    let (top, _) = canvas_model.find("top").unwrap();
    let (name, _) = canvas_model.find("name").unwrap();
    let mut add = Fragment::new(FragmentKind::Add, A, shape)
        .with(x, Value::Scalar(Some(1.0.into())))
        .with(made, Value::Scalar(Some(Timestamp(1500).into())));
    add.dates_as_sent.push((made, r#""1970-01-01T00:00:01.5Z""#.into()));
    let change = Fragment::new(FragmentKind::Change, B, canvas)
        .with(name, Value::Scalar(None))
        .with(top, Value::Reference(Some(A)))
        .with(shapes, Value::References([A, A].into()));
    let edit = Fragment::new(FragmentKind::MoveChange, B, canvas).with_edits(
        shapes,
        vec![
            CollectionEdit::Insert { object: A, after: None },
            CollectionEdit::Insert { object: A, after: Some(B) },
            CollectionEdit::Remove { object: B },
        ],
    );
    let remove = Fragment::new(FragmentKind::Remove, A, shape);

    assert_eq!(
        &*fragments(&schema, &[add.clone(), change], Dialect::Original),
        format!(
            r#"[{{"type":"add","uuid":"{A}","clsName":"Shape","properties":{{"x":1,"made":"1970-01-01T00:00:01.5Z"}}}},{{"type":"change","uuid":"{B}","clsName":"Canvas","properties":{{"name":null,"top":"{A}","shapes":["{A}","{A}"]}}}}]"#
        )
    );
    assert_eq!(
        &*fragments(&schema, &[add, edit, remove], Dialect::V1),
        format!(
            r#"[{{"type":"add","uuid":"{A}","clsName":"Shape","properties":{{"x":1,"made":1.5}}}},{{"type":"movechange","uuid":"{B}","clsName":"Canvas","properties":{{}},"collections":{{"shapes":[{{"insert":"{A}","after":null}},{{"insert":"{A}","after":"{B}"}},{{"remove":"{B}"}}]}}}},{{"type":"remove","uuid":"{A}","clsName":"Shape"}}]"#
        )
    );
    assert_eq!(&*fragments(&schema, &[], Dialect::V1), "[]");
}

#[test]
fn a_state_is_written_without_values_in_between() {
    let mut body = String::new();
    state_head(&mut body, A);
    let mut root = FragmentWriter::begin(&mut body, FragmentKind::Change, A, "Canvas");
    root.scalar("name", None);
    root.scalars("tags", &[Scalar::from("a"), Scalar::from(2.0), Scalar::from(true)]);
    root.reference("top", Some(B));
    root.references("shapes", [A, B]);
    root.end();
    body.push(',');
    FragmentWriter::begin(&mut body, FragmentKind::Add, B, "Shape").end();
    body.push_str(STATE_TAIL);
    assert_eq!(
        body,
        format!(
            r#""rootUUID":"{A}","fragments":[{{"type":"change","uuid":"{A}","clsName":"Canvas","properties":{{"name":null,"tags":["a",2,true],"top":"{B}","shapes":["{A}","{B}"]}}}},{{"type":"add","uuid":"{B}","clsName":"Shape","properties":{{}}}}]"#
        )
    );
}

#[test]
fn replies_are_written_in_order() {
    let replies = [
        FragmentReply::default(),
        FragmentReply { error: Some(Rejection::with_type("t", "no")), modifications: None },
        FragmentReply { error: None, modifications: Some(r#"{"x":1}"#.into()) },
    ];
    assert_eq!(
        &*fragment_replies(&replies),
        r#"[{},{"error":{"message":"no","type":"t"}},{"modifications":{"x":1}}]"#
    );
    let (x, none) = (Value::Scalar(Some(1.0.into())), Value::Reference(None));
    assert_eq!(&*properties([("x", &x), ("y", &none)]), r#"{"x":1,"y":null}"#);
}

#[test]
fn what_a_client_writes_its_server_reads() {
    let params: serde_json::Map<_, _> =
        serde_json::from_str(r#"{"n":1.0,"list":[null,true,"x"],"o":{}}"#).unwrap();
    let raw = |text: &str| serde_json::from_str(text).unwrap();
    let bodies = [
        ClientBody::SessionCreate { params: params.clone(), version: "1.0.0".parse().unwrap() },
        ClientBody::ScopeFetch { name: "a\"b".into(), params: params.clone() },
        ClientBody::SessionRenew { params },
        ClientBody::ScopeSync {
            scope_index: ScopeIndex(1),
            fragments: vec![raw("{}"), raw("5")],
            atomic: true,
            procedure: Some("A.b".into()),
        },
        ClientBody::ScopeUnfetch { scope_index: ScopeIndex(4) },
        ClientBody::SessionClose,
        ClientBody::Ping { resend_missing: true },
        ClientBody::Reply { reply_to: MessageIndex(9) },
    ];
    for body in bodies {
        let written =
            text(|out| client_message(out, MessageIndex(5), Some(MessageIndex(2)), &body));
        let read = decode::frame(&written, &Limits::default()).unwrap().remove(0);
        let read = read.unwrap_or_else(|e| panic!("{written}: {e}"));
        assert_eq!((read.index, read.ack), (MessageIndex(5), Some(MessageIndex(2))));
        let again = text(|out| client_message(out, read.index, read.ack, &read.body));
        assert_eq!(again, written);
    }
}
