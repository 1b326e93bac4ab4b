//! What updates do to a small scope, and which are refused.

use std::sync::Arc;

use super::*;
use crate::model::{JudgeLimits, Schema, judge};
use crate::wire::encode;

const ROOT: &str = "00000000-0000-4000-8000-000000000001";

fn id(number: u128) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(number))
}

fn graph() -> Graph {
    let schema = Schema::builder()
        .model("Room", |m| m.property("attributes", "Attributes").property("shapes", "[Shape]"))
        .model("Attributes", |m| m.property("topic", "String").property("tags", "[String]"))
        .model("Shape", |m| m.property("x", "Number").property("next", "Shape"))
        .model("Circle", |m| m.extends("Shape").property("radius", "Number"))
        .build()
        .unwrap();
    let root: ObjectId = ROOT.parse().unwrap();
    let (room, _) = schema.find("Room").unwrap();
    let mut graph = Graph::new(Arc::new(schema), root, room);
    let begin = r#"{"query": null, "update": {"$set": {
        "attributes": {"$cls": "Attributes", "topic": "old", "tags": ["a", "b", "a"]},
        "shapes": [{"$cls": "Shape", "x": 1}, {"$cls": "Circle", "x": 2, "radius": 3}]
    }}}"#;
    apply(&mut graph, begin).unwrap();
    graph
}

/// Does an update, and gives what the graph is afterwards.
fn apply(graph: &mut Graph, text: &str) -> Result<String, String> {
    let mut last = 0x10 + graph.len() as u128;
    let mut new_id = || {
        last += 1;
        id(last)
    };
    let update = Update::parse(text).map_err(|rejection| rejection.message)?;
    let changes = update.change_set(graph, &Limits::default(), &mut new_id);
    let changes = changes.map_err(|rejection| rejection.message)?;
    let judgement = judge(graph, &changes, &JudgeLimits::NONE);
    for reply in judgement.replies {
        reply.map_err(|rejection| rejection.message)?;
    }
    if let Some(plan) = judgement.plan {
        graph.apply(plan);
    }
    graph.check()?;
    Ok(shown(graph))
}

/// `topic [tags] x x x`.
fn shown(graph: &Graph) -> String {
    let text = encode::fragments(graph.schema(), &state(graph), Dialect::V1);
    let fragments: Vec<Json> = serde_json::from_str(&text).unwrap();
    let by_id =
        |id: &Json| fragments.iter().find(|f| f["uuid"] == *id).unwrap()["properties"].clone();
    let root = &fragments[0]["properties"];
    let attributes = by_id(&root["attributes"]);
    let shapes: Vec<String> =
        root["shapes"].as_array().unwrap().iter().map(|id| by_id(id)["x"].to_string()).collect();
    format!("{} {} {}", attributes["topic"], attributes["tags"], shapes.join(" "))
}

fn state(graph: &Graph) -> Vec<Fragment> {
    let fragment = |object: ObjectRef<'_>| {
        let mut fragment = Fragment::new(FragmentKind::Change, object.id(), object.model());
        for (id, _) in model_of(object).properties() {
            fragment.properties.push((id, object.value(id)));
        }
        fragment
    };
    graph.depth_first().map(fragment).collect()
}

#[test]
fn an_update_changes_what_its_paths_lead_to() {
    for (update, expected) in [
        (r#""$set": {"attributes.topic": "new"}"#, r#""new" ["a","b","a"] 1 2"#),
        (r#""$set": {"shapes[-1].x": 5, "shapes[0].x": null}"#, r#""old" ["a","b","a"] null 5"#),
        (r#""$push": {"attributes.tags": "c"}"#, r#""old" ["a","b","a","c"] 1 2"#),
        (
            r#""$push": {"attributes.tags": {"$each": ["a", "d"]}}"#,
            r#""old" ["a","b","a","a","d"] 1 2"#,
        ),
        (
            r#""$addToSet": {"attributes.tags": {"$each": ["a", "d"]}}"#,
            r#""old" ["a","b","a","d"] 1 2"#,
        ),
        (r#""$pull": {"attributes.tags": "a"}"#, r#""old" ["b"] 1 2"#),
        (r#""$push": {"shapes": {"$cls": "Circle", "x": 9}}"#, r#""old" ["a","b","a"] 1 2 9"#),
        (
            r#""$push": {"shapes": {"$each": [{"$cls": "Shape", "x": 8, "next": {"$cls": "Shape"}}, {"$uuid": "U"}]}}"#,
            r#""old" ["a","b","a"] 1 2 8 1"#,
        ),
        (r#""$addToSet": {"shapes": {"$uuid": "U"}}"#, r#""old" ["a","b","a"] 1 2"#),
        (r#""$pull": {"shapes": {"$uuid": "U"}}"#, r#""old" ["a","b","a"] 2"#),
        (r#""$set": {"shapes": []}"#, r#""old" ["a","b","a"] "#),
    ] {
        let mut graph = graph();
        let first = Path::parse("shapes[0].x").unwrap();
        let first = first.follow(graph.object(graph.root()).unwrap()).unwrap().id().to_string();
        let text = format!("{{\"query\": null, \"update\": {{{update}}}}}")
            .replace("\"U\"", &format!("{first:?}"));
        assert_eq!(apply(&mut graph, &text).as_deref(), Ok(expected), "{update}");
    }
}

#[test]
fn a_query_names_the_object_and_its_model() {
    let mut graph = graph();
    let of =
        |query: &str| format!(r#"{{"query": {query}, "update": {{"$set": {{"shapes": []}}}}}}"#);
    let root = format!(r#"{{"$uuid": "{ROOT}", "$cls": "Room"}}"#);
    assert!(apply(&mut graph, &of(&root)).is_ok());
    for (query, error) in [
        (root.replace("Room", "Shape"), "is no Shape"),
        (root.replace("Room", "Tree"), "no model \"Tree\""),
        (root.replace("-8000-", "-9000-"), "no object"),
        ("{}".to_owned(), "expected null"),
        ("7".to_owned(), "expected null"),
        (r#"{"$uuid": 7}"#.to_owned(), "expected a uuid"),
    ] {
        let result = apply(&mut graph, &of(&query)).unwrap_err();
        assert!(result.contains(error), "{query}: {result}");
    }
}

#[test]
fn what_does_not_fit_is_refused_as_a_whole_with_its_path() {
    for (update, error) in [
        (r#""$set": {"attributes.topic": 7}"#, "attributes.topic: "),
        (r#""$set": {"attributes.topik": "x"}"#, "no property \"topik\" on \"Attributes\""),
        (r#""$set": {"shapes[5].x": 1}"#, "\"shapes\" holds nothing there"),
        (r#""$set": {"shapes.x": 1}"#, "needs an index"),
        (r#""$set": {"shapes[0]": null}"#, "ends in an element"),
        (r#""$set": {"": 1}"#, "is no path"),
        (r#""$set": {"shapes[a].x": 1}"#, "is no path"),
        (r#""$push": {"attributes.topic": "x"}"#, "it is no collection"),
        (r#""$push": {"shapes": {"$cls": "Attributes"}}"#, "a Attributes is no Shape"),
        (r#""$push": {"shapes": {"$cls": "Tree"}}"#, "no model \"Tree\""),
        (r#""$push": {"shapes": 7}"#, "expected an object"),
        (r#""$push": {"shapes": {"$each": 7}}"#, "$each: expected an array"),
        (r#""$push": {"attributes.tags": 7}"#, "attributes.tags: "),
        (r#""$inc": {"shapes[0].x": 1}"#, "no operator \"$inc\""),
        (r#""$push": {"attributes.tags": "x"}, "$pull": {"attributes.tags": "y"}"#, "named twice"),
    ] {
        let mut graph = graph();
        let before = shown(&graph);
        let text = format!("{{\"query\": null, \"update\": {{{update}}}}}");
        let result = apply(&mut graph, &text).unwrap_err();
        assert!(result.contains(error), "{update}: {result}");
        assert_eq!(shown(&graph), before);
    }
}
