//! Which fragments are typed, and what the others are told.

use super::*;

fn schema() -> Schema {
    Schema::builder()
        .enumeration_of_strings("Flavour", ["sweet", "sour"])
        .enumeration_of_integers("Heat", [("Off", 0), ("Hot", 5)])
        .model("Item", |m| m.property("x", "Number"))
        .model("Kitchen", |m| {
            m.property("title", "String")
                .property("seats", "Number")
                .property("open", "Boolean")
                .property("founded", "Date")
                .property("flavour", "Flavour")
                .property("heat", "Heat")
                .property("main", "Item")
                .property("labels", "[String]")
                .property("closures", "[Date]")
                .property("items", "[Item]")
        })
        .build()
        .unwrap()
}

fn typed_for(dialect: Dialect, limits: &Limits, fragment: &str) -> Result<Fragment, Rejection> {
    let schema = schema();
    let raw: RawFragment = serde_json::from_str(fragment).unwrap();
    Typing { schema: &schema, dialect, limits }.fragment(&raw)
}

fn typed(fragment: &str) -> Result<Fragment, Rejection> {
    typed_for(Dialect::V1, &Limits::default(), fragment)
}

fn kitchen(rest: &str) -> String {
    format!(r#"{{"type":"change","uuid":"{A}","clsName":"Kitchen"{rest}}}"#)
}

fn with(properties: &str) -> Result<Fragment, Rejection> {
    typed(&kitchen(&format!(r#","properties":{{{properties}}}"#)))
}

const A: &str = "0a000000-0000-4000-8000-000000000001";
const B: &str = "0b000000-0000-4000-8000-000000000002";

fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

#[test]
fn values_are_typed_by_their_property() {
    let scalar = |scalar: Scalar| Value::Scalar(Some(scalar));
    let upper = B.to_uppercase();
    let cases = [
        (r#""title":"a\u0041""#.to_owned(), scalar("aA".into())),
        (r#""title":null"#.into(), Value::Scalar(None)),
        (r#""seats":5.50"#.into(), scalar(5.5.into())),
        (r#""seats":9007199254740993"#.into(), scalar(9_007_199_254_740_992.0.into())),
        (r#""open":false"#.into(), scalar(false.into())),
        (r#""founded":1.5"#.into(), scalar(Timestamp(1500).into())),
        (r#""founded":"1970-01-01T00:00:01Z""#.into(), scalar(Timestamp(1000).into())),
        (r#""flavour":"sour""#.into(), scalar("sour".into())),
        (r#""flavour":null"#.into(), Value::Scalar(None)),
        (r#""heat":5.0"#.into(), scalar(5.0.into())),
        (r#""main":null"#.into(), Value::Reference(None)),
        (format!(r#""main":"{upper}""#), Value::Reference(Some(id(B)))),
        (r#""labels":["a","a"]"#.into(), Value::Scalars(["a".into(), "a".into()].into())),
        (r#""closures":[]"#.into(), Value::Scalars([].into())),
        (format!(r#""items":["{A}","{upper}"]"#), Value::References([id(A), id(B)].into())),
        (r#""title":5,"title":"last""#.into(), scalar("last".into())),
    ];
    for (properties, expected) in cases {
        let fragment = with(&properties).unwrap_or_else(|e| panic!("{properties}: {e}"));
        assert_eq!(fragment.properties.len(), 1);
        assert_eq!(fragment.properties[0].1, expected, "{properties}");
    }
}

#[test]
fn minus_zero_is_zero() {
    let fragment = with(r#""seats":-0"#).unwrap();
    let Value::Scalar(Some(Scalar::Number(number))) = fragment.properties[0].1 else {
        panic!("no number");
    };
    assert!(number.is_sign_positive());
}

#[test]
fn a_wrong_value_is_told_with_its_property_and_what_was_expected() {
    let cases = [
        (r#""title":5"#, r#""title" of "Kitchen": expected a string, found a number"#),
        (r#""title":["x"]"#, "expected a string, found an array"),
        (r#""title":"x\ud800y""#, "expected a string, found a string that is no Unicode"),
        (r#""seats":"5""#, r#""seats" of "Kitchen": expected a number, found "5""#),
        (r#""seats":true"#, "expected a number, found a boolean"),
        (r#""seats":1e400"#, "expected a number, found a number"),
        (r#""open":1"#, "expected true or false, found a number"),
        (r#""open":"true""#, r#"expected true or false, found "true""#),
        (r#""founded":"tomorrow""#, r#"an ISO-8601 date, found "tomorrow""#),
        (r#""founded":1e18"#, "an ISO-8601 date, found a number"),
        (r#""flavour":"hot""#, r#"expected one of ["sweet", "sour"], found "hot""#),
        (r#""flavour":0"#, "found a number"),
        (r#""heat":"Hot""#, r#"expected one of [0, 5], found "Hot""#),
        (r#""heat":1"#, "expected one of [0, 5], found a number"),
        (r#""main":5"#, r#""main" of "Kitchen": expected a uuid, found a number"#),
        (r#""main":"""#, r#"expected a uuid, found """#),
        (r#""labels":"x""#, r#""labels" of "Kitchen": expected an array, found "x""#),
        (r#""labels":null"#, "expected an array, found null"),
        (r#""labels":[null]"#, "expected a string, found null"),
        (r#""closures":["x"]"#, "found \"x\""),
        (r#""items":null"#, "expected an array, found null"),
        (r#""items":[null]"#, "expected a uuid, found null"),
        (r#""items":{}"#, "expected an array, found an object"),
        (r#""nosuch":1"#, r#"no property "nosuch" on "Kitchen""#),
        (r#""Title":"x""#, r#"no property "Title" on "Kitchen""#),
        (r#""constructor":"x""#, r#"no property "constructor" on "Kitchen""#),
        (r#""__proto__":{}"#, r#"no property "__proto__" on "Kitchen""#),
        (r#""uuid":"x""#, r#"no property "uuid" on "Kitchen""#),
        (r#""title":"fine","seats":null,"open":[]"#, r#"property "open" of "Kitchen""#),
    ];
    for (properties, expected) in cases {
        let rejection = with(properties).unwrap_err();
        assert!(rejection.message.contains(expected), "{properties}: {}", rejection.message);
        assert_eq!(rejection.code.as_deref(), Some("could-not-apply-sync-message"));
    }
}

#[test]
fn what_is_no_proper_fragment_is_refused() {
    let cases = [
        ("null".to_owned(), "a fragment is an object"),
        ("[]".into(), "a fragment is an object"),
        (format!(r#"{{"uuid":"{A}","clsName":"Item"}}"#), "type: expected a string"),
        (
            format!(r#"{{"type":"Change","uuid":"{A}","clsName":"Item"}}"#),
            r#"type: expected add, change, remove or movechange, found "Change""#,
        ),
        (r#"{"type":"add","clsName":"Item"}"#.into(), "uuid: expected a uuid"),
        (r#"{"type":"add","uuid":5,"clsName":"Item"}"#.into(), "uuid: expected a uuid"),
        (r#"{"type":"add","uuid":"Hello","clsName":"Item"}"#.into(), "uuid: expected a uuid"),
        (format!(r#"{{"type":"add","uuid":"{A}"}}"#), "clsName: expected a string"),
        (format!(r#"{{"type":"add","uuid":"{A}","clsName":"Nope"}}"#), r#"no model "Nope""#),
        (kitchen(r#","properties":null"#), "properties: expected an object"),
        (kitchen(r#","properties":[]"#), "properties: expected an object"),
        (kitchen(r#","properties":{"\ud800":1}"#), "properties: expected an object"),
    ];
    for (fragment, expected) in cases {
        assert_eq!(typed(&fragment).unwrap_err().message, expected, "{fragment}");
    }
}

#[test]
fn all_kinds_are_taken_from_everybody_and_properties_may_be_missing() {
    for dialect in [Dialect::Original, Dialect::V1] {
        for kind in ["add", "change", "remove", "movechange"] {
            let text = format!(r#"{{"type":"{kind}","uuid":"{A}","clsName":"Item","more":[[]]}}"#);
            let fragment = typed_for(dialect, &Limits::default(), &text).unwrap();
            assert_eq!(fragment.kind.as_str(), kind);
            assert_eq!(fragment.object, id(A));
            assert!(fragment.properties.is_empty());
        }
    }
    let remove = kitchen(r#","properties":{"seats":1}"#).replace("change", "remove");
    assert!(typed(&remove).unwrap().properties.is_empty());
}

#[test]
fn dates_that_are_no_plain_seconds_are_kept_as_sent() {
    let cases = [
        (r#""founded":1.5"#, None),
        (r#""founded":1500.0"#, None),
        (r#""founded":null"#, None),
        (r#""founded":1.50004"#, Some("1.50004")),
        (r#""founded":"1970-01-01""#, Some(r#""1970-01-01""#)),
        (r#""closures":[1,2.5]"#, None),
        (r#""closures":[1, "1970-01-01"]"#, Some(r#"[1, "1970-01-01"]"#)),
    ];
    for (properties, expected) in cases {
        let sent = with(properties).unwrap().dates_as_sent;
        assert_eq!(sent.first().map(|(_, text)| &**text), expected, "{properties}");
    }
}

#[test]
fn collections_are_edited_from_1_0_on() {
    let upper = B.to_uppercase();
    let edits = format!(
        r#","collections":{{"items":[{{"insert":"{A}","after":null}},{{"insert":"{upper}","after":"{A}"}},{{"remove":"{A}"}}]}}"#
    );
    let fragment = typed(&kitchen(&edits)).unwrap();
    assert_eq!(
        fragment.collections[0].1,
        [
            CollectionEdit::Insert { object: id(A), after: None },
            CollectionEdit::Insert { object: id(B), after: Some(id(A)) },
            CollectionEdit::Remove { object: id(A) },
        ]
    );
    for nonsense in [edits.as_str(), r#","collections":5"#] {
        let fragment =
            typed_for(Dialect::Original, &Limits::default(), &kitchen(nonsense)).unwrap();
        assert!(fragment.collections.is_empty());
    }
}

#[test]
fn bad_edits_are_told() {
    let cases = [
        (r#""collections":5"#.to_owned(), "collections: expected an object"),
        (r#""collections":{"labels":[]}"#.into(), "only a collection of objects can be edited"),
        (r#""collections":{"main":[]}"#.into(), "only a collection of objects can be edited"),
        (r#""collections":{"nope":[]}"#.into(), r#"no property "nope" on "Kitchen""#),
        (r#""collections":{"items":{}}"#.into(), "expected an array"),
        (r#""collections":{"items":[{}]}"#.into(), "expected {insert, after} or {remove}"),
        (format!(r#""collections":{{"items":[{{"insert":"{A}"}}]}}"#), "{insert, after}"),
        (
            format!(
                r#""collections":{{"items":[{{"insert":"{A}","after":"{B}","remove":"{A}"}}]}}"#
            ),
            "{insert, after}",
        ),
        (
            r#""properties":{"items":[]},"collections":{"items":[]}"#.into(),
            "stands both in properties and in collections",
        ),
    ];
    for (keys, expected) in cases {
        let rejection = typed(&kitchen(&format!(",{keys}"))).unwrap_err();
        assert!(rejection.message.contains(expected), "{keys}: {}", rejection.message);
    }
}

#[test]
fn what_is_too_large_says_so() {
    let limits = Limits { string_bytes_max: 3, collection_elements_max: 2, ..Limits::default() };
    let cases = [
        (r#""title":"four""#, "a string of more than 3 bytes"),
        (r#""labels":["a","b","c"]"#, "more than 2 elements"),
    ];
    for (properties, expected) in cases {
        let text = kitchen(&format!(r#","properties":{{{properties}}}"#));
        let rejection = typed_for(Dialect::V1, &limits, &text).unwrap_err();
        assert_eq!(rejection.code.as_deref(), Some("too-large"));
        assert!(rejection.message.contains(expected), "{}", rejection.message);
    }
    let fits = kitchen(r#","properties":{"title":"abc","labels":["a","b"]}"#);
    assert!(typed_for(Dialect::V1, &limits, &fits).is_ok());
}

#[test]
fn a_bad_procedure_or_too_many_fragments_refuse_every_fragment() {
    let schema = schema();
    let limits = Limits { fragments_max: 2, ..Limits::default() };
    let typing = Typing { schema: &schema, dialect: Dialect::V1, limits: &limits };
    let good: RawFragment =
        serde_json::from_str(&format!(r#"{{"type":"remove","uuid":"{A}","clsName":"Item"}}"#))
            .unwrap();
    let two = [good.clone(), good.clone()];

    let changes = typing.change_set(&two, true, Some("Item.drop"));
    assert!(changes.fragments.iter().all(Result::is_ok));
    assert_eq!(changes.procedure.unwrap().as_str(), "Item.drop");

    let cases = [(true, ""), (true, "drop"), (true, "a.b.c"), (true, ".b"), (false, "Item.drop")];
    for (atomic, procedure) in cases {
        let changes = typing.change_set(&two, atomic, Some(procedure));
        assert_eq!(changes.fragments.len(), 2);
        assert!(changes.fragments.iter().all(Result::is_err), "{atomic} {procedure}");
        assert_eq!(changes.procedure, None);
    }

    // It would be repeated in the reply to each fragment.
    let long = format!("Item.{}", "x".repeat(100_000));
    for atomic in [true, false] {
        for refused in typing.change_set(&two, atomic, Some(&long)).fragments {
            assert!(refused.unwrap_err().message.len() < 200);
        }
    }

    let changes = typing.change_set(&[good.clone(), good.clone(), good], false, None);
    assert_eq!(changes.fragments.len(), 3);
    for fragment in changes.fragments {
        assert_eq!(fragment.unwrap_err().code.as_deref(), Some("too-large"));
    }
}

#[test]
fn modifications_are_typed_like_properties() {
    let schema = schema();
    let limits = Limits::default();
    let typing = Typing { schema: &schema, dialect: Dialect::V1, limits: &limits };
    let (item, _) = schema.find("Item").unwrap();
    let typed = typing.properties(item, r#"{"x":1}"#).unwrap();
    assert_eq!(typed[0].1, Value::Scalar(Some(1.0.into())));
    assert!(typing.properties(item, r#"{"y":1}"#).is_err());
    assert!(typing.properties(item, "[").is_err());
}

#[test]
fn an_error_quotes_only_the_beginning_of_what_was_sent() {
    let long = "é".repeat(10_000);
    let rejection = with(&format!(r#""{long}":1"#)).unwrap_err();
    assert!(rejection.message.len() < 200);
}
