use std::collections::BTreeMap;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::prospect::Prospect;
use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Graph, JudgeLimits, Value, judge};

use super::*;

fn schema() -> Arc<Schema> {
    let schema = Schema::builder()
        .model("Shape", |m| {
            m.property("width", "Number")
                .property("color", "Number")
                .property("owner", "String")
                .property("secret", "String")
        })
        .model("Circle", |m| m.extends("Shape").property("radius", "Number"))
        .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"));
    Arc::new(schema.build().unwrap())
}

fn builder() -> RulesBuilder {
    let schema = schema();
    let (canvas, _) = schema.find("Canvas").unwrap();
    Rules::builder(schema, canvas)
}

/// The rules that the contract of the configuration shows.
fn example() -> RulesBuilder {
    use Operation::{Add, Change, Fetch, Read, Remove};
    builder()
        .rule(Fetch, "", "session.user != ''")
        .rule(Add, "Shape", "object.width <= 1000.0")
        .rule(Change, "Shape", "object.owner == session.user")
        .rule(Change, "Shape.color", "'editor' in session.roles")
        .rule(Remove, "Shape", "before.owner == session.user")
        .rule(Read, "Shape.secret", "'admin' in session.roles")
}

const SHAPE: u128 = 1;

fn id(number: u128) -> ObjectId {
    ObjectId::from_random_bytes(number.to_be_bytes())
}

/// A canvas with a shape of Ann's, of this model.
fn graph(model: &str) -> Graph {
    let schema = schema();
    let (canvas, definition) = schema.find("Canvas").unwrap();
    let shapes = definition.find("shapes").unwrap().0;
    let (model, _) = schema.find(model).unwrap();
    let state = vec![
        Fragment::new(FragmentKind::Change, id(0), canvas)
            .with(shapes, Value::References([id(SHAPE)].into())),
        set(&schema, FragmentKind::Add, model, "owner", "ann"),
    ];
    Graph::from_state(schema, id(0), state).unwrap()
}

fn set(schema: &Schema, kind: FragmentKind, model: ModelId, name: &str, value: &str) -> Fragment {
    let property = schema.model(model).find(name).unwrap().0;
    Fragment::new(kind, id(SHAPE), model).with(property, Value::Scalar(Some(value.into())))
}

fn rights(builder: RulesBuilder, claims: Json) -> Arc<dyn Rights> {
    let Json::Object(claims) = claims else { panic!("claims are an object") };
    let scope =
        ScopeFacts { name: "boards/7".into(), params: BTreeMap::from([("id".into(), "7".into())]) };
    let policy = Configured(Arc::new(builder.build().unwrap()));
    policy.rights(&Claims::new(claims), &scope)
}

/// What rights say about setting a text of Ann's shape.
fn change(rights: &dyn Rights, model: &str, property: &str, value: &str) -> Result<(), String> {
    let graph = graph(model);
    let schema = graph.schema().clone();
    let model = graph.object(id(SHAPE)).unwrap().model();
    let property_id = schema.model(model).find(property).unwrap().0;
    let text = schema.model(model).find("owner").unwrap().0 == property_id;
    let fragment = if text {
        set(&schema, FragmentKind::Change, model, property, value)
    } else {
        Fragment::new(FragmentKind::Change, id(SHAPE), model)
            .with(property_id, Value::Scalar(Some(value.parse::<f64>().unwrap().into())))
    };
    let plan = judge(&graph, &ChangeSet::new([fragment]), &JudgeLimits::NONE).plan.unwrap();
    let (before, after) = (Prospect::present(&graph), Prospect::with(&graph, &plan));
    let case = Case {
        root: before.root(),
        object: after.object(id(SHAPE)).unwrap(),
        before: before.object(id(SHAPE)),
        procedure: "",
    };
    rights.change(&case, Some(property_id)).map_err(|denial| denial.to_string())
}

#[test]
fn the_rules_of_the_contract_mean_what_they_say() {
    let ann = rights(example(), json!({"user": "ann", "roles": []}));
    let bo = rights(example(), json!({"user": "bo", "roles": ["editor"]}));
    let nobody = rights(example(), json!({}));
    for model in ["Shape", "Circle"] {
        assert_eq!(change(&*ann, model, "width", "5"), Ok(()));
        assert_eq!(
            change(&*bo, model, "width", "5"),
            Err(format!("may not change \"{model}.width\": refused by the rule change.Shape"))
        );
        assert_eq!(change(&*bo, model, "color", "5"), Ok(()), "the rule of the property decides");
        assert_eq!(
            change(&*ann, model, "color", "5"),
            Err(format!(
                "may not change \"{model}.color\": refused by the rule change.\"Shape.color\""
            ))
        );
        assert!(change(&*nobody, model, "width", "5").is_err(), "an error refuses");
    }
    assert_eq!(
        change(&*ann, "Circle", "radius", "5"),
        Ok(()),
        "a submodel has the rules of its supermodel"
    );
}

#[test]
fn a_rule_that_does_not_speak_of_before_is_meant_for_before_too() {
    let bo = rights(example(), json!({"user": "bo", "roles": []}));
    assert!(change(&*bo, "Shape", "owner", "bo").is_err(), "nobody takes over what is not his");
    let handing_over = builder().rule(Operation::Change, "Shape", "before.owner == session.user");
    let ann = rights(handing_over, json!({"user": "ann"}));
    assert_eq!(change(&*ann, "Shape", "owner", "bo"), Ok(()));
}

#[test]
fn what_no_rule_allows_is_refused_and_the_star_is_for_the_rest() {
    let none = rights(builder(), json!({"user": "ann"}));
    assert_eq!(
        change(&*none, "Shape", "width", "5"),
        Err("may not change \"Shape.width\": no rule allows it".to_owned())
    );
    let star =
        builder().rule(Operation::Change, "*", "true").rule(Operation::Change, "Circle", "false");
    let star = rights(star, json!({}));
    assert_eq!(change(&*star, "Shape", "width", "5"), Ok(()));
    assert!(change(&*star, "Circle", "width", "5").is_err());
}

#[test]
fn rules_know_the_scope_and_its_parameters() {
    let of_board = builder().rule(
        Operation::Fetch,
        "",
        "scope.params.id in session.boards && scope.name != ''",
    );
    let graph = graph("Shape");
    let root = Prospect::present(&graph);
    let member = rights(of_board, json!({"boards": ["7"]}));
    assert_eq!(member.fetch(root.root()), Ok(()));
    let other = builder().rule(Operation::Fetch, "", "scope.params.id in session.boards");
    assert!(rights(other, json!({"boards": ["8"]})).fetch(root.root()).is_err());
}

#[test]
fn sessions_that_read_alike_are_of_one_class() {
    let class = |claims| rights(example(), claims).class();
    let (ann, bo) =
        (json!({"user": "ann", "roles": []}), json!({"user": "bo", "roles": ["editor"]}));
    assert_eq!(class(ann.clone()), class(bo.clone()), "the user does not matter for reading");
    assert_eq!(class(json!({"user": "cy", "roles": ["admin"]})), None, "who may read everything");
    assert_ne!(class(ann.clone()), None);
    let own = || builder().rule(Operation::Read, "Shape", "object.owner == session.user");
    assert_ne!(rights(own(), ann).class(), rights(own(), bo).class());
    assert_eq!(rights(builder(), json!({})).class(), None, "no rule takes anything away");
}

#[test]
fn hidden_is_what_a_rule_under_read_refuses() {
    let graph = graph("Circle");
    let prospect = Prospect::present(&graph);
    let shape = prospect.object(id(SHAPE)).unwrap();
    let hidden = |rights: Arc<dyn Rights>| rights.hidden(prospect.root(), shape);
    let secret = shape.definition().find("secret").unwrap().0;
    let reader = rights(example(), json!({"roles": []}));
    assert_eq!(hidden(reader), Some([secret].into_iter().collect()));
    let own = builder().rule(Operation::Read, "Shape", "object.owner == session.user");
    assert_eq!(hidden(rights(own, json!({"user": "bo"}))), None);
}

#[test]
fn mistakes_in_rules_are_found_when_they_are_read() {
    use Operation::{Add, Change, Read};
    let cases = [
        (Change, "Shape", "object.widht > 3", "no property \"widht\" on \"Shape\""),
        (Change, "Shap", "true", "no model \"Shap\""),
        (Change, "Shape.colour", "true", "no property \"colour\" on \"Shape\""),
        (Add, "Shape.color", "true", "an object is added as a whole"),
        (Change, "Shape", "object.width", "a rule is true or false, not a Number"),
        (Read, "Shape", "before.width > 3", "no variable \"before\""),
        (Read, "Shape", "root.shapes[0].width > 3", "\"width\" is a property of another object"),
    ];
    for (operation, target, condition, expected) in cases {
        let mistakes = builder().rule(operation, target, condition).build().unwrap_err();
        let (Ok(mistake) | Err(mistake)) = &mistakes[0].mistake;
        assert!(mistake.message.starts_with(expected), "{condition}: {mistakes:?}");
    }
}
