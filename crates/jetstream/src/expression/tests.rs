use jetstream_core::ids::ObjectId;
use jetstream_core::model::prospect::Prospect;
use jetstream_core::model::{Fragment, FragmentKind, Graph, Scalar, Value};
use jetstream_core::time::Timestamp;
use serde_json::json;

use super::*;

const ROOT: &str = "c0000000-0000-4000-8000-000000000001";
const SHAPE: &str = "c0000000-0000-4000-8000-000000000002";

fn schema() -> Arc<Schema> {
    let schema = Schema::builder()
        .enumeration_of_strings("Kind", ["round", "square"])
        .model("Shape", |m| {
            m.property("width", "Number")
                .property("owner", "String")
                .property("kind", "Kind")
                .property("tags", "[String]")
                .property("made", "Date")
        })
        .model("Canvas", |m| {
            m.property("name", "String").property("shapes", "[Shape]").property("best", "Shape")
        });
    Arc::new(schema.build().unwrap())
}

fn environment() -> Environment {
    let schema = schema();
    let model = |name| Kind::Object(schema.find(name).unwrap().0);
    Environment::new(schema.clone())
        .with("object", model("Shape"))
        .with("root", model("Canvas"))
        .with("session", Kind::Any)
}

fn graph() -> Graph {
    let schema = schema();
    let (root, shape): (ObjectId, ObjectId) = (ROOT.parse().unwrap(), SHAPE.parse().unwrap());
    let fragment = |kind, id, model: &str, values: &[(&str, Value)]| {
        let (model, definition) = schema.find(model).unwrap();
        let mut fragment = Fragment::new(kind, id, model);
        for (name, value) in values {
            fragment = fragment.with(definition.find(name).unwrap().0, value.clone());
        }
        fragment
    };
    let one = |scalar: Scalar| Value::Scalar(Some(scalar));
    let canvas = [
        ("name", one("C".into())),
        ("shapes", Value::References([shape].into())),
        ("best", Value::Reference(Some(shape))),
    ];
    let values = [
        ("width", one(80.0.into())),
        ("owner", one("ann".into())),
        ("kind", one("round".into())),
        ("tags", Value::Scalars(["a".into(), "b".into()].into())),
        ("made", one(Timestamp::from_seconds(1.5).unwrap().into())),
    ];
    let state = vec![
        fragment(FragmentKind::Change, root, "Canvas", &canvas),
        fragment(FragmentKind::Add, shape, "Shape", &values),
    ];
    Graph::from_state(schema.clone(), root, state).unwrap()
}

fn with_bindings<R>(look: impl FnOnce(&Bindings<'_>) -> R) -> R {
    let graph = graph();
    let prospect = Prospect::present(&graph);
    let session = Constant::new(&json!({
        "user": "ann", "roles": ["editor"], "level": 3, "nothing": null, "quota": {"shapes": 5.5}
    }));
    let mut bindings = Bindings::new();
    bindings.object("object", prospect.object(SHAPE.parse().unwrap()));
    bindings.object("root", Some(prospect.root()));
    bindings.constant("session", &session);
    look(&bindings)
}

#[test]
fn conditions_over_objects_and_claims_hold_or_do_not() {
    let cases = [
        ("true", true),
        ("object.width <= 100", true),
        ("object.width + 10 == 90", true),
        ("object.width * 2 - 1 > 160.0", false),
        ("object.owner == session.user", true),
        ("'editor' in session.roles && object.kind == 'round'", true),
        ("object.tags.exists(tag, tag == 'b')", true),
        ("size(object.tags) == 2", true),
        ("root.shapes.all(shape, shape.width < 100)", true),
        ("root.best.owner == 'ann'", true),
        ("root.best == object", true),
        ("root.best != null", true),
        ("object.uuid.startsWith('c0000000')", true),
        ("object.clsName == 'Shape'", true),
        ("object.made == 1.5", true),
        ("session.level + 1 == 4", true),
        ("session.quota.shapes > size(root.shapes)", true),
        ("has(session.admin) && session.admin", false),
        ("root.shapes.map(s, s.owner) == ['ann']", true),
        ("object.owner.matches('^a.n$') ? true : false", true),
    ];
    with_bindings(|bindings| {
        for (text, expected) in cases {
            let expression = Expression::compile(text, &environment()).expect(text);
            assert_eq!(expression.holds(bindings), Ok(expected), "{text}");
        }
    });
}

#[test]
fn a_value_becomes_json_as_the_protocol_writes_it() {
    let cases = [
        ("object.width", json!(80)),
        ("object.width / 3.0", json!(80.0 / 3.0)),
        ("root.best", json!(SHAPE)),
        ("{'id': object.uuid, 'all': root.shapes}", json!({"id": SHAPE, "all": [SHAPE]})),
        ("null", json!(null)),
        ("session.quota", json!({"shapes": 5.5})),
    ];
    with_bindings(|bindings| {
        for (text, expected) in cases {
            let expression = Expression::compile(text, &environment()).expect(text);
            assert_eq!(expression.value(bindings), Ok(expected), "{text}");
        }
    });
}

#[test]
fn what_cannot_be_evaluated_is_an_error_that_tells_no_value() {
    let cases = [
        ("session.admin == true", "there is no \"admin\""),
        ("session.nothing == null", "there is no \"nothing\""),
        ("session.user", "it is neither true nor false"),
        ("session.user > 3", "found no matching"),
        ("session.roles[7] == 'x'", "a place outside of a list"),
    ];
    with_bindings(|bindings| {
        for (text, expected) in cases {
            let expression = Expression::compile(text, &environment()).expect(text);
            let error = expression.holds(bindings).unwrap_err().to_string();
            assert!(!error.contains("ann") && !error.contains("editor"), "{text}: {error}");
            if text != "session.user > 3" {
                assert_eq!(error, expected, "{text}");
            }
        }
    });
}

#[test]
fn mistakes_are_found_before_anything_is_evaluated() {
    let cases = [
        ("object.widht > 3", "no property \"widht\" on \"Shape\""),
        ("objct.width > 3", "no variable \"objct\""),
        ("object.width == 'a'", "a Number is never equal to a String"),
        ("object.owner < 3", "a String cannot be put in order with a count"),
        ("object.width && true", "a Number is neither true nor false"),
        ("object.owner + 1 == 'a'", "`+` does not take a String"),
        ("root.best == 'x'", "a Shape is never equal to a String"),
        ("root.shapes.exists(s, s.with > 1)", "no property \"with\" on \"Shape\""),
        ("object.width.exists(s, true)", "a Number is no list to go through"),
        ("object.owner.startWith('a')", "no function \"startWith\""),
        ("has(object.width)", "has() asks for claims and entries, not for properties"),
        ("Shape{width: 1} == object", "there is no type \"Shape\" to make"),
        ("object.width <", "this is no expression"),
    ];
    for (text, expected) in cases {
        let mistakes = Expression::compile(text, &environment()).expect_err(text);
        assert!(mistakes[0].message.starts_with(expected), "{text}: {mistakes:?}");
        assert!(mistakes[0].span.end <= text.len(), "{text}: {mistakes:?}");
    }
    assert!(Expression::compile(&"(".repeat(9_000), &environment()).is_err());
    assert!(Expression::compile(&"!".repeat(9_000), &environment()).is_err());
}

#[test]
fn where_only_the_object_itself_may_be_seen_references_are_not_followed() {
    let alone = environment().without_references();
    for text in [
        "object.width > 1",
        "root.best.uuid == 'x'",
        "root.name == object.owner",
        "root.shapes.exists(s, s.uuid == 'x')",
    ] {
        Expression::compile(text, &alone).expect(text);
    }
    for text in
        ["root.best.width > 1", "root.shapes.exists(s, s.width > 1)", "root.shapes[0].owner == 'a'"]
    {
        assert!(Expression::compile(text, &alone).is_err(), "{text}");
    }
}

#[test]
fn an_expression_knows_what_it_looks_at() {
    let uses = |text: &str| Expression::compile(text, &environment()).unwrap().uses().clone();
    let of = uses("session.user == object.owner || 'a' in session.roles");
    assert_eq!(of.fields("session").unwrap().iter().collect::<Vec<_>>(), ["roles", "user"]);
    assert!(of.names("object") && !of.names("root"));
    assert_eq!(uses("session['user'] == 'a'").fields("session"), None);
}
