//! The scopes that a configuration makes.

use jetstream::core::model::{Scalar, Value};
use jetstream::{Metrics, Scope, Scopes};

use super::load;

const CONFIG: &str = "[models.Canvas.properties]
name = { type = 'String', default = 'unnamed' }
note = 'String'
[scopes.'boards/{id}']
root = 'Canvas'
initial = { note = 'a board' }
[scopes.'boards/main']
root = 'Canvas'
initial = { name = 'main' }
";

fn scopes() -> Scopes {
    load(CONFIG).unwrap().scopes(Metrics::new())
}

/// What the root of a scope has under `property`.
async fn root_has(scope: &Scope, property: &'static str) -> Value {
    let read = move |graph: &jetstream::core::model::Graph| {
        let root = graph.object(graph.root()).unwrap();
        let model = graph.schema().model(root.model());
        root.value(model.find(property).unwrap().0)
    };
    scope.read(read).await.unwrap()
}

fn text(text: &str) -> Value {
    Value::Scalar(Some(Scalar::from(text)))
}

#[tokio::test]
async fn a_scope_begins_with_its_first_values_and_the_models_defaults() {
    let scope = scopes().open("boards/7").await.unwrap();
    assert_eq!(root_has(&scope, "name").await, text("unnamed"));
    assert_eq!(root_has(&scope, "note").await, text("a board"));
}

#[tokio::test]
async fn a_scopes_own_name_comes_before_a_family_wherever_it_stands() {
    let scope = scopes().open("boards/main").await.unwrap();
    assert_eq!(root_has(&scope, "name").await, text("main"));
}

#[tokio::test]
async fn every_scope_of_a_family_has_objects_of_its_own() {
    let scopes = scopes();
    let mut roots = Vec::new();
    for name in ["boards/1", "boards/2", "boards/1"] {
        let scope = scopes.open(name).await.unwrap();
        roots.push(scope.read(|graph| graph.root()).await.unwrap());
    }
    assert_eq!(roots[0], roots[2]);
    assert_ne!(roots[0], roots[1]);
}

#[tokio::test]
async fn other_names_are_no_scopes() {
    let scopes = scopes();
    for name in ["", "boards", "boards/", "boards/1/2", "Canvas"] {
        assert!(scopes.open(name).await.is_err(), "{name}");
    }
}
