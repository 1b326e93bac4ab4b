//! `#[derive(Model)]` and what it gives: schemas, values as objects and back, reading, transactions.

mod accessors;
mod schema;
mod transactions;
mod values;

use std::sync::Arc;

use jetstream::Model;
use jetstream::core::model::graph::Graph;
use jetstream::core::model::judge::{JudgeLimits, judge};
use jetstream::core::model::{ChangeSet, Fragment};
use jetstream::typed::{self, TransactError};

/// A graph of a value.
fn graph<M: Model>(root: M) -> Graph {
    let (id, fragments) = typed::state_of(root).unwrap();
    Graph::from_state(M::schema(), id, fragments).unwrap()
}

/// Runs a transaction and applies what it wants done.
fn update<M: Model, R>(graph: &mut Graph, change: impl FnOnce(&mut M::Mut<'_>) -> R) -> R {
    let (changes, result) = typed::transact::<M, R>(graph, change).unwrap();
    assert!(changes.atomic);
    let judgement = judge(graph, &changes, &JudgeLimits::NONE);
    for reply in judgement.replies {
        reply.unwrap();
    }
    if let Some(plan) = judgement.plan {
        graph.apply(plan);
    }
    graph.check().unwrap();
    result
}

/// What a transaction wants done.
fn fragments<M: Model, R>(
    graph: &Graph,
    change: impl FnOnce(&mut M::Mut<'_>) -> R,
) -> Vec<Fragment> {
    let (changes, _) = typed::transact::<M, R>(graph, change).unwrap();
    changes.fragments.into_iter().map(Result::unwrap).collect()
}

/// Why a transaction gave nothing.
fn refusal<M: Model, R>(graph: &Graph, change: impl FnOnce(&mut M::Mut<'_>) -> R) -> String {
    match typed::transact::<M, R>(graph, change) {
        Ok(_) => panic!("the transaction went through"),
        Err(error @ (TransactError::Write(_) | TransactError::Schema(_))) => error.to_string(),
    }
}

/// A graph that somebody else changed.
fn apply(graph: &mut Graph, fragments: impl IntoIterator<Item = Fragment>) {
    let changes = ChangeSet::atomic(fragments);
    let judgement = judge(graph, &changes, &JudgeLimits::NONE);
    judgement.replies.iter().for_each(|reply| assert_eq!(*reply, Ok(())));
    graph.apply(judgement.plan.unwrap());
}

/// The models of the tests: those of the founding example, and one of each kind of property.
mod models {
    use super::*;
    use jetstream::core::time::Timestamp;
    use jetstream::typed::Id;

    #[derive(Model, Debug, Clone, PartialEq)]
    pub struct Shape {
        pub x: f64,
        pub y: f64,
        #[model(default = 100)]
        pub width: f64,
        #[model(default = 50.5)]
        pub height: f64,
        pub kind: f64,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub struct Canvas {
        pub name: String,
        pub shapes: Vec<Shape>,
    }

    #[derive(Model, Debug, Clone, Copy, PartialEq)]
    #[model(rename_all = "lowercase")]
    pub enum Flavour {
        Sweet,
        Sour,
        #[model(rename = "very-salty")]
        #[default]
        Salty,
    }

    #[derive(Model, Debug, Clone, Copy, PartialEq)]
    pub enum Heat {
        Off = 0,
        Low,
        High = 5,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub struct Item {
        #[model(default = "thing")]
        pub name: String,
        #[model(default = 1)]
        pub qty: u32,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    #[model(submodels(Cook, Waiter))]
    pub struct Person {
        pub name: String,
        pub age: Option<i64>,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub struct Cook {
        #[model(extends)]
        pub person: Person,
        #[model(default = Flavour::Sour)]
        pub speciality: Flavour,
        pub knife: Option<Item>,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub struct Waiter {
        #[model(extends)]
        pub person: Person,
        pub section: String,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub struct Chef {
        #[model(extends)]
        pub cook: Cook,
        pub stars: u8,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    #[model(rename = "Node")]
    pub struct Tree {
        pub label: String,
        pub left: Option<Box<Tree>>,
        pub children: Vec<Tree>,
        pub parent: Option<Id<Tree>>,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    #[model(rename_all = "camelCase")]
    pub struct Kitchen {
        #[model(default = "Unnamed")]
        pub title: String,
        #[model(default = true)]
        pub open: bool,
        #[model(default = Timestamp(1_000_000_000_000))]
        pub founded_at: Timestamp,
        pub flavour: Flavour,
        #[model(default = Heat::Low)]
        pub heat: Heat,
        pub motto: Option<String>,
        pub rating: Option<f64>,
        pub vegan: Option<bool>,
        pub inspected_at: Option<std::time::SystemTime>,
        pub mood: Option<Flavour>,
        pub burner: Option<Heat>,
        pub labels: Vec<String>,
        pub scores: Vec<f64>,
        pub counts: Vec<u32>,
        pub switches: Vec<bool>,
        pub closures: Vec<Timestamp>,
        pub flavours: Vec<Flavour>,
        pub heats: Vec<Heat>,
        pub main_item: Option<Item>,
        pub items: Vec<Item>,
        pub favourites: Vec<Id<Item>>,
        pub staff: Vec<Person>,
        pub cook: Option<Cook>,
        pub chef: Option<Box<Chef>>,
        pub tree: Option<Tree>,
        pub annex: Option<Box<Kitchen>>,
        #[model(rename = "type")]
        pub kind: f32,
    }
}

/// The graph's schema is the program's own, so nothing has to be compared.
#[test]
fn the_schema_of_a_model_is_made_once() {
    assert!(Arc::ptr_eq(&models::Kitchen::schema(), &models::Kitchen::schema()));
}
