//! `#[derive(Model)]` and what it gives: schemas, values as objects and back, reading, transactions.

mod accessors;
mod schema;
mod scopes;
mod served;
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
    pub(crate) struct Shape {
        pub(crate) x: f64,
        pub(crate) y: f64,
        #[model(default = 100)]
        pub(crate) width: f64,
        #[model(default = 50.5)]
        pub(crate) height: f64,
        pub(crate) kind: f64,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub(crate) struct Canvas {
        pub(crate) name: String,
        pub(crate) shapes: Vec<Shape>,
    }

    #[derive(Model, Debug, Clone, Copy, PartialEq)]
    #[model(rename_all = "lowercase")]
    pub(crate) enum Flavour {
        Sweet,
        Sour,
        #[model(rename = "very-salty")]
        #[default]
        Salty,
    }

    #[derive(Model, Debug, Clone, Copy, PartialEq)]
    pub(crate) enum Heat {
        Off = 0,
        Low,
        High = 5,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub(crate) struct Item {
        #[model(default = "thing")]
        pub(crate) name: String,
        #[model(default = 1)]
        pub(crate) qty: u32,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    #[model(submodels(Cook, Waiter))]
    pub(crate) struct Person {
        pub(crate) name: String,
        pub(crate) age: Option<i64>,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub(crate) struct Cook {
        #[model(extends)]
        pub(crate) person: Person,
        #[model(default = Flavour::Sour)]
        pub(crate) speciality: Flavour,
        pub(crate) knife: Option<Item>,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub(crate) struct Waiter {
        #[model(extends)]
        pub(crate) person: Person,
        pub(crate) section: String,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    pub(crate) struct Chef {
        #[model(extends)]
        pub(crate) cook: Cook,
        pub(crate) stars: u8,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    #[model(rename = "Node")]
    pub(crate) struct Tree {
        pub(crate) label: String,
        pub(crate) left: Option<Box<Tree>>,
        pub(crate) children: Vec<Tree>,
        pub(crate) parent: Option<Id<Tree>>,
    }

    #[derive(Model, Debug, Clone, PartialEq)]
    #[model(rename_all = "camelCase")]
    pub(crate) struct Kitchen {
        #[model(default = "Unnamed")]
        pub(crate) title: String,
        #[model(default = true)]
        pub(crate) open: bool,
        #[model(default = Timestamp(1_000_000_000_000))]
        pub(crate) founded_at: Timestamp,
        pub(crate) flavour: Flavour,
        #[model(default = Heat::Low)]
        pub(crate) heat: Heat,
        pub(crate) motto: Option<String>,
        pub(crate) rating: Option<f64>,
        pub(crate) vegan: Option<bool>,
        pub(crate) inspected_at: Option<std::time::SystemTime>,
        pub(crate) mood: Option<Flavour>,
        pub(crate) burner: Option<Heat>,
        pub(crate) labels: Vec<String>,
        pub(crate) scores: Vec<f64>,
        pub(crate) counts: Vec<u32>,
        pub(crate) switches: Vec<bool>,
        pub(crate) closures: Vec<Timestamp>,
        pub(crate) flavours: Vec<Flavour>,
        pub(crate) heats: Vec<Heat>,
        pub(crate) main_item: Option<Item>,
        pub(crate) items: Vec<Item>,
        pub(crate) favourites: Vec<Id<Item>>,
        pub(crate) staff: Vec<Person>,
        pub(crate) cook: Option<Cook>,
        pub(crate) chef: Option<Box<Chef>>,
        pub(crate) tree: Option<Tree>,
        pub(crate) annex: Option<Box<Kitchen>>,
        #[model(rename = "type")]
        pub(crate) kind: f32,
    }
}

/// The graph's schema is the program's own, so nothing has to be compared.
#[test]
fn the_schema_of_a_model_is_made_once() {
    assert!(Arc::ptr_eq(&models::Kitchen::schema(), &models::Kitchen::schema()));
}
