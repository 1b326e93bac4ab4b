//! What an access rule costs: conditions as the configuration writes them, and the same as Rust closures.
//!
//! ```sh
//! cargo run --release --example access_cost --no-default-features
//! ```
//!
//! Each time is the least of many short rounds, so that it matters little who else is busy.

#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use jetstream::access::{Configured, Operation, Rules};
use jetstream::core::ids::{MemberId, MessageIndex, ObjectId, SessionId};
use jetstream::core::model::prospect::{Prospect, ProspectObject};
use jetstream::core::model::{
    ChangeSet, Fragment, FragmentKind, Graph, PropertyId, Scalar, Schema, Value,
};
use jetstream::core::scope::access::{Access, AccessPolicy, Case, ScopeFacts};
use jetstream::core::scope::{Claims, Input, Options, Scope};
use jetstream::core::time::Now;
use jetstream::core::wire::message::Dialect;
use serde_json::json;

/// How many objects there are, and how many rules are asked in a round.
const COUNT: usize = 1_000;

/// How many rounds are tried.
const ROUNDS: usize = 200;

fn main() {
    let schema = Arc::new(schema());
    let graph = graph(&schema);
    println!("{COUNT} evaluations on one core; the least of {ROUNDS} rounds\n");
    println!("| condition | 1,000 of them | the same in Rust | ratio |");
    println!("|---|---:|---:|---:|");
    for (condition, native) in conditions(&schema) {
        let rule = by_rule(&schema, &graph, condition);
        let closure = least(|| {
            let prospect = Prospect::present(&graph);
            for number in 1..=COUNT {
                let object = prospect.object(id(number)).expect("it was added");
                black_box(native(black_box(object)));
            }
        });
        println!(
            "| `{condition}` | {} | {} | {:.0} |",
            time(rule),
            time(closure),
            rule as f64 / closure as f64
        );
    }
    println!("\n| {COUNT} changes in one message | time |\n|---|---:|");
    for (name, rules) in [("without rules", false), ("with a rule for each", true)] {
        println!("| {name} | {} |", time(by_scope(&schema, &graph, rules)));
    }
}

fn schema() -> Schema {
    let schema = Schema::builder()
        .model("Message", |m| {
            m.property("author", "String")
                .property("text", "String")
                .property("width", "Number")
                .property("flagged", "Boolean")
        })
        .model("Room", |m| m.property("topic", "String").property("messages", "[Message]"));
    schema.build().expect("the models are right")
}

fn id(number: usize) -> ObjectId {
    ObjectId::from_random_bytes((number as u128).to_be_bytes())
}

fn graph(schema: &Arc<Schema>) -> Graph {
    let property = |model: &str, name: &str| {
        let (id, model) = schema.find(model).expect("it is there");
        (id, model.find(name).expect("it is there").0)
    };
    let (room, messages) = property("Room", "messages");
    let all = (1..=COUNT).map(id).collect();
    let root =
        Fragment::new(FragmentKind::Change, id(0), room).with(messages, Value::References(all));
    let (message, author) = property("Message", "author");
    let set = |name: &str, value: Scalar| (property("Message", name).1, Value::Scalar(Some(value)));
    let add = |number: usize| {
        let mut add = Fragment::new(FragmentKind::Add, id(number), message)
            .with(author, Value::Scalar(Some("ann".into())));
        add.properties.extend([
            set("text", "a message as people write it".into()),
            set("width", 80.0.into()),
            set("flagged", Scalar::Boolean(false)),
        ]);
        add
    };
    let state = std::iter::once(root).chain((1..=COUNT).map(add)).collect();
    Graph::from_state(schema.clone(), id(0), state).expect("it is a state")
}

type Native = Box<dyn Fn(ProspectObject<'_>) -> bool>;

/// Conditions with what a program would write for them.
fn conditions(schema: &Schema) -> Vec<(&'static str, Native)> {
    let (_, message) = schema.find("Message").expect("it is there");
    let property = |name: &str| message.find(name).expect("it is there").0;
    let (author, text, width, flagged) =
        (property("author"), property("text"), property("width"), property("flagged"));
    let is = |object: ProspectObject<'_>, property: PropertyId, wanted: &str| matches!(object.scalar(property), Some(Scalar::String(value)) if **value == *wanted);
    let roles = ["editor".to_owned(), "moderator".to_owned()];
    let more_roles = roles.clone();
    vec![
        ("object.author == session.user", Box::new(move |object| is(object, author, "ann"))),
        (
            "object.width <= 1000",
            Box::new(
                move |object| matches!(object.scalar(width), Some(Scalar::Number(width)) if *width <= 1_000.0),
            ),
        ),
        (
            "'moderator' in session.roles",
            Box::new(move |_| black_box(&roles).iter().any(|role| role == "moderator")),
        ),
        (
            "object.author == session.user && object.text != ''",
            Box::new(move |object| is(object, author, "ann") && !is(object, text, "")),
        ),
        (
            "object.flagged != true || 'moderator' in session.roles",
            Box::new(move |object| {
                !matches!(object.scalar(flagged), Some(Scalar::Boolean(true)))
                    || black_box(&more_roles).iter().any(|role| role == "moderator")
            }),
        ),
    ]
}

fn policy(schema: &Arc<Schema>, condition: &str) -> Configured {
    let (room, _) = schema.find("Room").expect("it is there");
    let rules = Rules::builder(schema.clone(), room)
        .rule(Operation::Fetch, "", "true")
        .rule(Operation::Add, "Message", condition)
        .rule(Operation::Change, "Message", condition)
        .build();
    Configured(Arc::new(rules.expect("the rules are right")))
}

fn claims() -> Claims {
    let claims = json!({"user": "ann", "roles": ["editor", "moderator"], "exp": 1_900_000_000});
    Claims::new(claims.as_object().expect("it is one").clone())
}

fn facts() -> ScopeFacts {
    ScopeFacts { name: "room".into(), params: BTreeMap::new() }
}

/// Asks as a scope asks: one question for each object.
fn by_rule(schema: &Arc<Schema>, graph: &Graph, condition: &str) -> u64 {
    let rights = policy(schema, condition).rights(&claims(), &facts());
    least(|| {
        let prospect = Prospect::present(graph);
        for number in 1..=COUNT {
            let object = prospect.object(id(number)).expect("it was added");
            let case = Case { root: prospect.root(), object, before: None, procedure: "" };
            let _ = black_box(rights.add(black_box(&case)));
        }
    })
}

/// A message that changes each object, through the whole scope.
fn by_scope(schema: &Arc<Schema>, graph: &Graph, rules: bool) -> u64 {
    let policy = policy(schema, "object.author == session.user");
    let access = Access { policy: Arc::new(policy), scope: Arc::new(facts()) };
    let options = Options { access: rules.then_some(access), ..Options::default() };
    let (message, model) = schema.find("Message").expect("it is there");
    let (text, _) = model.find("text").expect("it is there");
    let change = |number: usize| {
        let value = Value::Scalar(Some("edited".into()));
        Fragment::new(FragmentKind::Change, id(number), message).with(text, value)
    };
    let changes = ChangeSet::new((1..=COUNT).map(change));
    let mut scope = Scope::new(graph.clone(), options);
    let member = MemberId(1);
    let (session, claims) = (SessionId(1), Arc::new(claims()));
    let mut out = Vec::new();
    let join = Input::Join { member, session, dialect: Dialect::V1, claims, returns: false };
    scope.handle(Now::default(), join, &mut out);
    let mut sent = 0;
    least(|| {
        sent += 1;
        out.clear();
        let (message, delivered) = (MessageIndex(sent), MessageIndex(sent - 1));
        let sync = Input::Sync { member, message, delivered, changes: changes.clone() };
        scope.handle(Now::default(), sync, &mut out);
        black_box(&out);
    })
}

/// The least time that this took, in nanoseconds.
fn least(mut run: impl FnMut()) -> u64 {
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        run();
        began.elapsed().as_nanos() as u64
    });
    rounds.min().expect("there are rounds").max(1)
}

fn time(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{:.1} µs", ns as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} µs", ns as f64 / 1e3),
        _ => format!("{:.2} ms", ns as f64 / 1e6),
    }
}
