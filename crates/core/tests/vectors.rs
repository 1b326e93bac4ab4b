//! The cases under `vectors/`, which Rust and JavaScript both run.

use std::collections::BTreeMap;
use std::sync::Arc;

use jetstream_core::limits::Limits;
use jetstream_core::model::{ChangeSet, Graph, JudgeLimits, Rejection, Schema, Value, judge};
use jetstream_core::replica::Replica;
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::decode;
use jetstream_core::wire::message::{Dialect, RawFragment};
use jetstream_core::wire::print;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

const ROOT: &str = "00000000-0000-4000-8000-000000000000";

#[derive(Deserialize)]
struct NumberCase {
    id: String,
    why: String,
    read: String,
    printed: String,
}

#[derive(Deserialize)]
struct MessagesCase {
    id: String,
    why: String,
    frame: String,
    read: Vec<u64>,
}

#[derive(Deserialize)]
struct EditsCase {
    id: String,
    why: String,
    list: Vec<String>,
    edits: Json,
    result: Vec<String>,
}

type Objects = BTreeMap<String, Map<String, Json>>;

#[derive(Deserialize)]
struct ChangeSetCase {
    id: String,
    why: String,
    before: Objects,
    fragments: Vec<Map<String, Json>>,
    #[serde(default)]
    atomic: bool,
    #[serde(default)]
    refused: Vec<usize>,
    after: Objects,
}

#[derive(Deserialize)]
struct ReplicaCase {
    id: String,
    why: String,
    before: Objects,
    edits: Vec<EditCase>,
    steps: Vec<Step>,
    shown: Objects,
}

#[derive(Deserialize)]
struct EditCase {
    fragments: Vec<Map<String, Json>>,
    #[serde(default)]
    atomic: bool,
}

#[derive(Deserialize)]
struct Step {
    receive: Option<Vec<Map<String, Json>>>,
    answer: Option<usize>,
    #[serde(default)]
    refused: Vec<usize>,
    #[serde(default)]
    modifications: BTreeMap<String, Json>,
}

fn cases<T: for<'de> Deserialize<'de>>(text: &str) -> Vec<T> {
    let spelled_out = text.replace('#', "00000000-0000-4000-8000-00000000000");
    serde_json::from_str(&spelled_out).expect("a vector that cannot be read")
}

fn schema() -> Arc<Schema> {
    let schema = Schema::builder().model("Node", |m| {
        m.property("label", "String").property("next", "Node").property("children", "[Node]")
    });
    Arc::new(schema.build().unwrap())
}

fn raw(fragment: &Json) -> RawFragment {
    serde_json::value::to_raw_value(fragment).unwrap()
}

fn graph(objects: &Objects) -> Graph {
    let fragments: Vec<_> = objects
        .iter()
        .map(|(uuid, properties)| {
            let kind = if uuid == ROOT { "change" } else { "add" };
            raw(&json!({ "type": kind, "uuid": uuid, "clsName": "Node", "properties": properties }))
        })
        .collect();
    let schema = schema();
    let limits = Limits::default();
    let typing = Typing { schema: &schema, dialect: Dialect::V1, limits: &limits };
    let typed = typing.change_set(&fragments, false, None).fragments;
    let typed = typed.into_iter().collect::<Result<_, _>>().unwrap();
    Graph::from_state(Arc::clone(&schema), ROOT.parse().unwrap(), typed).unwrap()
}

/// Sends fragments to a graph; tells which were refused.
fn sync(graph: &mut Graph, fragments: &[RawFragment], atomic: bool) -> Vec<usize> {
    let limits = Limits::default();
    let schema = Arc::clone(graph.schema());
    let typing = Typing { schema: &schema, dialect: Dialect::V1, limits: &limits };
    let changes = typing.change_set(fragments, atomic, None);
    let judgement = judge(graph, &changes, &JudgeLimits::NONE);
    let replies = judgement.replies.iter().enumerate();
    let refused = replies.filter(|(_, reply)| reply.is_err()).map(|(place, _)| place).collect();
    if let Some(plan) = judgement.plan {
        graph.apply(plan);
    }
    graph.check().unwrap();
    refused
}

/// Fragments as they stand in the cases, typed.
fn typed(fragments: Vec<Map<String, Json>>, atomic: bool) -> ChangeSet {
    let (schema, limits) = (schema(), Limits::default());
    let typing = Typing { schema: &schema, dialect: Dialect::V1, limits: &limits };
    let named: Vec<_> = fragments.into_iter().map(named).collect();
    typing.change_set(&named, atomic, None)
}

fn named(mut fragment: Map<String, Json>) -> RawFragment {
    fragment.insert("clsName".to_owned(), json!("Node"));
    raw(&Json::Object(fragment))
}

/// What is set, by object and property.
fn objects(graph: &Graph) -> Objects {
    let each = graph.depth_first().map(|object| {
        let model = graph.schema().model(object.model());
        let properties = model.properties().filter_map(|(id, property)| {
            let value = match object.value(id) {
                Value::Scalar(scalar) => {
                    let mut text = String::new();
                    print::scalar(&mut text, &scalar?);
                    serde_json::from_str(&text).unwrap()
                }
                Value::Reference(target) => json!(target?),
                Value::References(targets) if targets.is_empty() => return None,
                Value::References(targets) => json!(targets.to_vec()),
                Value::Scalars(_) => unreachable!("a node has none"),
            };
            Some((property.name().to_string(), value))
        });
        (object.id().to_string(), properties.collect())
    });
    each.collect()
}

#[test]
fn numbers() {
    for case in cases::<NumberCase>(include_str!("../../../vectors/numbers.json")) {
        let mut printed = String::new();
        print::number(&mut printed, serde_json::from_str(&case.read).unwrap());
        assert_eq!(printed, case.printed, "{}: {}", case.id, case.why);
    }
}

#[test]
fn messages() {
    for case in cases::<MessagesCase>(include_str!("../../../vectors/messages.json")) {
        let read = decode::server_frame(&case.frame).into_iter().flatten();
        let read: Vec<u64> = read.map(|message| message.index.0).collect();
        assert_eq!(read, case.read, "{}: {}", case.id, case.why);
    }
}

/// The elements of a list are single letters; as nodes, each has its place in the alphabet as its uuid.
#[test]
fn edits() {
    fn uuid(element: &str) -> String {
        format!("00000000-0000-4000-8000-0000000000{:02x}", element.as_bytes()[0])
    }
    fn named(edits: &Json) -> Json {
        match edits {
            Json::Array(each) => each.iter().map(named).collect(),
            Json::Object(edit) => {
                edit.iter().map(|(key, value)| (key.clone(), named(value))).collect()
            }
            Json::String(element) => json!(uuid(element)),
            other => other.clone(),
        }
    }
    for case in cases::<EditsCase>(include_str!("../../../vectors/edits.json")) {
        // A second collection keeps everything in the scope that the edits name.
        let all: Vec<String> = ('a'..='c').map(|letter| uuid(&letter.to_string())).collect();
        let keeper = uuid("k");
        let list: Vec<String> = case.list.iter().map(|element| uuid(element)).collect();
        let mut before: Objects = all.iter().map(|id| (id.clone(), Map::new())).collect();
        before.insert(keeper.clone(), Map::from_iter([("children".to_owned(), json!(all))]));
        let root = [("next".to_owned(), json!(keeper)), ("children".to_owned(), json!(list))];
        before.insert(ROOT.to_owned(), Map::from_iter(root));
        let mut graph = graph(&before);

        let collections = json!({ "children": named(&case.edits) });
        let fragment = json!({ "type": "change", "uuid": ROOT, "clsName": "Node", "collections": collections });
        assert!(sync(&mut graph, &[raw(&fragment)], false).is_empty(), "{}", case.id);

        let expected: Vec<String> = case.result.iter().map(|element| uuid(element)).collect();
        let children = objects(&graph)[ROOT].get("children").cloned().unwrap_or_else(|| json!([]));
        assert_eq!(children, json!(expected), "{}: {}", case.id, case.why);
    }
}

#[test]
fn change_sets() {
    for case in cases::<ChangeSetCase>(include_str!("../../../vectors/change_sets.json")) {
        let fragments: Vec<_> = case.fragments.into_iter().map(named).collect();
        let mut graph = graph(&case.before);
        let refused = sync(&mut graph, &fragments, case.atomic);
        assert_eq!(refused, case.refused, "{}: {}", case.id, case.why);
        assert_eq!(objects(&graph), case.after, "{}: {}", case.id, case.why);
    }
}

#[test]
fn replicas() {
    for case in cases::<ReplicaCase>(include_str!("../../../vectors/replicas.json")) {
        let mut replica = Replica::new(graph(&case.before));
        let mut edits = Vec::new();
        for edit in case.edits {
            let count = edit.fragments.len();
            edits.push((replica.edit(typed(edit.fragments, edit.atomic)).unwrap(), count));
        }
        for step in case.steps {
            if let Some(fragments) = step.receive {
                let fragments = typed(fragments, false).fragments.into_iter();
                replica.receive(fragments.map(Result::unwrap).collect()).unwrap();
            }
            let Some((edit, count)) = step.answer.map(|answer| edits[answer]) else { continue };
            let replies: Vec<_> = (0..count)
                .map(|place| match step.refused.contains(&place) {
                    true => Err(Rejection::message("refused")),
                    false => Ok(()),
                })
                .collect();
            let modifications = step.modifications.into_iter().map(|(place, properties)| {
                let change = json!({ "type": "change", "uuid": ROOT, "properties": properties });
                let Json::Object(change) = change else { unreachable!("written one line above") };
                let [Ok(change)] = &typed(vec![change], false).fragments[..] else {
                    panic!("{}: {properties} cannot be read", case.id)
                };
                (place.parse().unwrap(), change.properties.clone())
            });
            replica.answer(edit, &replies, modifications.collect()).unwrap();
        }
        assert_eq!(objects(replica.shown()), case.shown, "{}: {}", case.id, case.why);
    }
}
