//! What is written is read again, and what is not what was written is not.

use std::sync::Arc;

use jetstream_core::ids::{
    MessageIndex, ObjectId, Origin, Position, Revision, ScopeName, SessionId,
};
use jetstream_core::model::{
    CollectionEdit, Fragment, FragmentKind, PropertyId, Scalar, Schema, Value,
};
use jetstream_core::scope::{Answer, Commit, Entry};
use jetstream_core::time::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::storage::SchemaVersion;

fn schema() -> Arc<Schema> {
    let schema = Schema::builder()
        .enumeration_of_strings("Day", ["Mon", "\"Tue\""])
        .enumeration_of_integers("Status", [("Open", 0), ("Closed", -7)])
        .model("Thing", |m| {
            m.property("text", "String")
                .property("number", "Number")
                .property("boolean", "Boolean")
                .property("date", "Date")
                .property("day", "Day")
                .property("status", "Status")
                .property("texts", "[String]")
                .property("numbers", "[Number]")
                .property("dates", "[Date]")
                .property("one", "Thing")
                .property("many", "[Thing]")
        })
        .build();
    Arc::new(schema.unwrap())
}

fn scope(name: &str) -> StoredScope {
    StoredScope::new(name.into(), schema())
}

fn object() -> impl Strategy<Value = ObjectId> {
    any::<[u8; 16]>().prop_map(ObjectId::from_random_bytes)
}

fn number() -> impl Strategy<Value = Scalar> {
    let edges = prop_oneof![Just(-0.0), Just(5e-324), Just(f64::MAX), Just(0.1 + 0.2)];
    prop_oneof![edges, any::<u64>().prop_map(f64::from_bits)]
        .prop_filter("finite", |number| number.is_finite())
        .prop_map(Scalar::Number)
}

fn date() -> impl Strategy<Value = Scalar> {
    let edges = prop_oneof![Just(Timestamp::MAX_MILLIS), Just(-Timestamp::MAX_MILLIS), Just(-1)];
    prop_oneof![edges, -Timestamp::MAX_MILLIS..=Timestamp::MAX_MILLIS]
        .prop_map(|millis| Scalar::Date(Timestamp(millis)))
}

fn text() -> impl Strategy<Value = Scalar> {
    any::<String>().prop_map(Scalar::from)
}

fn scalar(inner: impl Strategy<Value = Scalar> + 'static) -> BoxedStrategy<Value> {
    option::of(inner).prop_map(Value::Scalar).boxed()
}

fn scalars(inner: impl Strategy<Value = Scalar> + 'static) -> BoxedStrategy<Value> {
    vec(inner, 0..4).prop_map(|all| Value::Scalars(all.into())).boxed()
}

/// A property of every kind, with a value of that kind.
fn property() -> impl Strategy<Value = (&'static str, Value)> {
    let of = |name, values: BoxedStrategy<Value>| values.prop_map(move |value| (name, value));
    prop_oneof![
        of("text", scalar(text())),
        of("number", scalar(number())),
        of("boolean", scalar(any::<bool>().prop_map(Scalar::from))),
        of("date", scalar(date())),
        of("day", scalar(prop_oneof![Just("Mon".into()), Just("\"Tue\"".into())])),
        of("status", scalar(prop_oneof![Just(0.0.into()), Just((-7.0).into())])),
        of("texts", scalars(text())),
        of("numbers", scalars(number())),
        of("dates", scalars(date())),
        of("one", option::of(object()).prop_map(Value::Reference).boxed()),
        of("many", vec(object(), 0..4).prop_map(|all| Value::References(all.into())).boxed()),
    ]
}

fn edit() -> impl Strategy<Value = CollectionEdit> {
    let insert = (object(), option::of(object()))
        .prop_map(|(object, after)| CollectionEdit::Insert { object, after });
    prop_oneof![insert, object().prop_map(|object| CollectionEdit::Remove { object })]
}

fn find(name: &str) -> PropertyId {
    let schema = schema();
    let (_, model) = schema.find("Thing").unwrap();
    model.find(name).unwrap().0
}

fn fragment() -> impl Strategy<Value = Fragment> {
    let kind = prop_oneof![
        Just(FragmentKind::Add),
        Just(FragmentKind::Change),
        Just(FragmentKind::MoveChange),
        Just(FragmentKind::Remove),
    ];
    (kind, object(), vec(property(), 0..5), vec(edit(), 0..3)).prop_map(
        |(kind, object, properties, edits)| {
            let (model, _) = schema().find("Thing").map(|(id, _)| (id, ())).unwrap();
            let mut fragment = Fragment::new(kind, object, model);
            if kind == FragmentKind::Remove {
                return fragment;
            }
            for (name, value) in properties {
                if fragment.properties.iter().all(|(id, _)| *id != find(name)) {
                    fragment = fragment.with(find(name), value);
                }
            }
            let many = find("many");
            if !edits.is_empty() && fragment.properties.iter().all(|(id, _)| *id != many) {
                fragment = fragment.with_edits(many, edits);
            }
            fragment
        },
    )
}

fn origin() -> impl Strategy<Value = Origin> {
    (any::<u64>(), any::<u64>()).prop_map(|(session, message)| Origin {
        session: SessionId(session),
        message: MessageIndex(message),
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    (origin(), any::<i64>(), any::<String>()).prop_map(|(origin, time, text)| {
        let mut reply = String::from("[{\"error\":");
        print::string(&mut reply, &text);
        reply.push_str("}]");
        let delivered = MessageIndex(time.unsigned_abs());
        Answer { origin, time: Timestamp(time), delivered, reply: reply.into() }
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let numbers = (any::<u64>(), any::<i64>(), any::<u64>());
    let commit = (numbers, option::of(origin()), vec(fragment(), 0..4));
    let commit = commit.prop_map(|((revision, time, delivered), origin, fragments)| {
        let (revision, time) = (Revision(revision), Timestamp(time));
        // Only who sent something can have answers.
        let delivered = MessageIndex(if origin.is_some() { delivered } else { 0 });
        let reply = "[{},{\"modifications\":{\"x\":1.50}}]".into();
        let fragments = fragments.into();
        Entry::Commit(Arc::new(Commit {
            revision,
            time,
            origin,
            author: (revision.0 % 2 == 0).then(|| "é\"".into()),
            delivered,
            fragments,
            reply,
        }))
    });
    prop_oneof![3 => commit, 1 => answer().prop_map(Entry::Answer)]
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    (any::<[u64; 2]>(), any::<i64>(), object(), vec(fragment(), 0..4), vec(answer(), 0..3))
        .prop_map(|([position, revision], time, root, fragments, answered)| Snapshot {
            version: SchemaVersion(0),
            position: Position(position),
            revision: Revision(revision),
            time: Timestamp(time),
            root,
            fragments: fragments.into(),
            answered: answered.into(),
        })
}

fn shown(entries: &[Entry]) -> String {
    // A zero has no sign in this protocol.
    format!("{entries:?}").replace("-0.0", "0.0")
}

proptest! {
    #[test]
    fn entries_of_every_kind_of_value_come_back(entries in vec(entry(), 0..4), after: u64) {
        let scope = scope("a \"b\"");
        let record = write_entries(&scope, Position(after), &entries);
        let read = read_entries(&scope, Position(after), &record.text, record.crc).unwrap();
        prop_assert_eq!(read.0, scope.version);
        prop_assert_eq!(shown(&read.1), shown(&entries));
    }

    #[test]
    fn a_snapshot_comes_back(snapshot in snapshot()) {
        let scope = scope("snapshot");
        let record = write_snapshot(&scope, &snapshot);
        let read = read_snapshot(&scope, snapshot.position, &record.text, record.crc).unwrap();
        prop_assert_eq!(read, snapshot);
    }

    #[test]
    fn a_record_with_a_changed_byte_is_damaged(entries in vec(entry(), 1..3), at: usize, by in 1u8..) {
        let scope = scope("damaged");
        let record = write_entries(&scope, Position(7), &entries);
        let mut bytes = record.text.into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= by;
        if let Ok(text) = String::from_utf8(bytes) {
            let read = read_entries(&scope, Position(7), &text, record.crc);
            prop_assert!(matches!(read, Err(RecordError::Damaged(_))));
        }
    }

    #[test]
    fn a_text_that_nobody_wrote_is_no_record(text: String) {
        let name = ScopeName::from("any");
        for place in [Place::Entries(&name, Position(0)), Place::Snapshot(&name, Position(0))] {
            let crc = place.crc(&text);
            prop_assert!(read_entries(&scope("any"), Position(0), &text, crc).is_err());
            prop_assert!(read_snapshot(&scope("any"), Position(0), &text, crc).is_err());
        }
        prop_assert!(read_session(&text, Place::Session.crc(&text)).is_err());
    }
}

#[test]
fn a_date_that_was_sent_as_a_text_comes_back_as_it_was_sent() {
    let scope = scope("dates");
    let (model, _) = scope.schema.find("Thing").unwrap();
    let mut fragment = Fragment::new(FragmentKind::Change, ObjectId::NIL, model)
        .with(find("date"), Value::Scalar(Some(Timestamp(1_577_934_245_000).into())));
    fragment.dates_as_sent.push((find("date"), "\"2020-01-02T03:04:05Z\"".into()));
    let entries = [Entry::Commit(Arc::new(Commit {
        revision: Revision(1),
        time: Timestamp(0),
        author: None,
        origin: None,
        delivered: MessageIndex(0),
        fragments: [fragment].into(),
        reply: "[]".into(),
    }))];
    let record = write_entries(&scope, Position(0), &entries);
    let read = read_entries(&scope, Position(0), &record.text, record.crc).unwrap();
    assert_eq!(shown(&read.1), shown(&entries));
}

#[test]
fn a_record_in_another_place_is_damaged() {
    let scope = scope("one");
    let record = write_entries(&scope, Position(3), &[]);
    let read = |name: &str, after, crc| {
        let scope = StoredScope { name: name.into(), ..scope.clone() };
        read_entries(&scope, Position(after), &record.text, crc).is_ok()
    };
    assert!(read("one", 3, record.crc));
    assert!(!read("one", 4, record.crc) && !read("two", 3, record.crc));
    assert!(!read("one", 3, record.crc ^ 1));
}

#[test]
fn a_record_of_a_later_format_is_told_apart_from_a_damaged_one() {
    let scope = scope("later");
    let text = "{\"format\":2,\"schema\":0,\"entries\":[]}";
    let crc = Place::Entries(&scope.name, Position(0)).crc(text);
    let read = read_entries(&scope, Position(0), text, crc).unwrap_err();
    assert_eq!(read.to_string(), "a record of format 2; this version reads 1");
    assert!(matches!(read, RecordError::Unfit(_)));
}

#[test]
fn a_record_is_readable_by_a_person() {
    let scope = scope("readable");
    let (model, _) = scope.schema.find("Thing").unwrap();
    let fragment = Fragment::new(FragmentKind::Change, ObjectId::NIL, model)
        .with(find("text"), Value::Scalar(Some("a\nb".into())));
    let origin = Origin { session: SessionId(9), message: MessageIndex(4) };
    let commit = Commit {
        revision: Revision(8),
        time: Timestamp(1000),
        author: Some("billing".into()),
        origin: Some(origin),
        delivered: MessageIndex(3),
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    };
    let answer = Answer {
        origin,
        time: Timestamp(2000),
        delivered: MessageIndex(0),
        reply: "[{\"error\":{}}]".into(),
    };
    let entries = [Entry::Commit(Arc::new(commit)), Entry::Answer(answer)];
    let expected = concat!(
        r#"{"format":1,"schema":0,"entries":["#,
        r#"{"revision":8,"time":1000,"origin":{"session":9,"message":4},"delivered":3,"author":"billing","#,
        r#""fragments":["#,
        r#"{"type":"change","uuid":"00000000-0000-0000-0000-000000000000","clsName":"Thing","#,
        r#""properties":{"text":"a\nb"}}],"reply":[{}]},"#,
        r#"{"time":2000,"origin":{"session":9,"message":4},"reply":[{"error":{}}]}]}"#,
    );
    assert_eq!(write_entries(&scope, Position(0), &entries).text, expected);
}
