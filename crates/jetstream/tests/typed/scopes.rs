//! Typed handles of scopes, and their commits as a typed stream.

use std::sync::Arc;

use jetstream::core::model::{Graph, Schema};
use jetstream::core::time::Timestamp;
use jetstream::typed::{Change, Id, NewScopeError, TryUpdateError, TypedCommit};
use jetstream::{Model, Scope, ScopeError, TypedScope, UpdateError};

use super::models::*;

fn shape(x: f64) -> Shape {
    Shape { x, ..Shape::default() }
}

fn canvas() -> TypedScope<Canvas> {
    Scope::with_root("ShapesDemo", Canvas { name: "Demo".into(), ..Default::default() })
}

/// A change in a few words, with the `x` of a shape that is there.
fn words(change: &Change<'_, Shape>) -> String {
    match change {
        Change::Added(shape) => format!("added {}", shape.x()),
        Change::Changed { object, properties } => format!("changed {} {properties:?}", object.x()),
        Change::Removed(_) => "removed".to_owned(),
    }
}

fn shapes(commit: &TypedCommit<'_, Canvas>) -> Vec<String> {
    commit.of::<Shape>().map(|change| words(&change)).collect()
}

#[tokio::test]
async fn a_scope_is_updated_and_read_as_what_it_is() {
    let scope = canvas();
    let id = scope
        .update(|canvas| {
            canvas.set_name("New");
            canvas.shapes_mut().push(shape(1.0))
        })
        .await
        .unwrap();
    let (name, x) = scope
        .read(move |canvas| {
            (canvas.name().to_owned(), canvas.shapes().get(id).map(|shape| shape.x()))
        })
        .await
        .unwrap();
    assert_eq!((name.as_str(), x), ("New", Some(1.0)));
    assert_eq!(scope.revision().0, 1);
    let value = scope.read(|canvas| canvas.to_owned()).await.unwrap().unwrap();
    assert_eq!(value, Canvas { name: "New".into(), shapes: vec![shape(1.0)] });
}

#[tokio::test]
async fn a_typed_handle_is_a_handle_of_the_scope() {
    fn name(scope: &Scope) -> &str {
        scope.name().as_str()
    }
    let scope = canvas();
    assert_eq!(name(&scope), "ShapesDemo");
    let raw: Scope = scope.clone().into();
    raw.close().await;
    assert!(scope.is_closed());
    let error = scope.update(|canvas| canvas.set_name("x")).await.unwrap_err();
    assert!(matches!(error, UpdateError::Scope(ScopeError::Closed(_))), "{error}");
}

#[tokio::test]
async fn an_update_that_fails_changes_nothing() {
    let scope = canvas();
    let error = scope
        .update(|canvas| {
            canvas.set_name("New");
            canvas.shapes_mut().push(shape(f64::NAN));
        })
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "\"x\" of \"Shape\": NaN is no finite number");
    let given_up = scope
        .try_update(|canvas| {
            canvas.set_name("New");
            if canvas.shapes().is_empty() { Err("nothing to draw") } else { Ok(()) }
        })
        .await;
    assert_eq!(given_up, Err(TryUpdateError::Aborted("nothing to draw")));
    let panicked = scope.update(|_| panic!("no")).await;
    assert_eq!(panicked, Err(UpdateError::Scope(ScopeError::Panicked("no".into()))));
    let name = scope.read(|canvas| canvas.name().to_owned()).await.unwrap();
    assert_eq!((name.as_str(), scope.revision().0), ("Demo", 0));
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_no_commit() {
    let scope = canvas();
    assert_eq!(scope.update(|canvas| canvas.shapes().len()).await, Ok(0));
    assert_eq!(scope.revision().0, 0);
}

#[tokio::test]
async fn what_the_scope_refuses_is_told() {
    let limits = jetstream::core::limits::Limits { scope_objects_max: 2, ..Default::default() };
    let graph = jetstream::typed::graph_of(Canvas::default()).unwrap();
    let scope = Scope::builder("Small", graph).limits(limits).build();
    let scope = scope.typed::<Canvas>().await.unwrap();
    scope.update(|canvas| canvas.shapes_mut().push(shape(1.0))).await.unwrap();
    let error = scope.update(|canvas| canvas.shapes_mut().push(shape(2.0))).await.unwrap_err();
    assert_eq!(error.to_string(), "a scope holds at most 2 objects (scope_objects_max)");
    assert!(matches!(error, UpdateError::Refused(_)));
}

#[tokio::test]
async fn a_family_of_scopes_begins_with_values() {
    let scopes = jetstream::Scopes::builder()
        .scope("boards/{id}", |board| {
            let name = board.parameter("id").unwrap_or_default().to_owned();
            Ok(jetstream::typed::graph_of(Canvas { name, ..Canvas::default() })?)
        })
        .build()
        .unwrap();
    let blue = scopes.open("boards/blue").await.unwrap().typed::<Canvas>().await.unwrap();
    assert_eq!(blue.read(|canvas| canvas.name().to_owned()).await.unwrap(), "blue");
    scopes.close().await;
}

#[tokio::test]
async fn a_scope_with_other_models_gives_no_typed_handle() {
    let scope = canvas();
    let error = scope.typed::<Kitchen>().await.unwrap_err();
    let first = "the scope's models are not those of the program:\n  no model `Kitchen`";
    assert!(error.to_string().starts_with(first), "{error}");
    assert!(scope.typed::<Shape>().await.is_err());
    assert!(scope.typed::<Canvas>().await.is_ok());
}

#[tokio::test]
async fn a_scope_with_models_from_elsewhere_is_typed_if_they_are_the_same() {
    let schema = Schema::builder()
        .model("Item", |m| {
            m.property("note", "String").property("qty", "Number").property("name", "String")
        })
        .build()
        .unwrap();
    let (model, _) = schema.find("Item").unwrap();
    let root = "1d000000-0000-4000-8000-000000000001".parse().unwrap();
    let scope = Scope::new("Item", Graph::new(Arc::new(schema), root, model));
    let scope = scope.typed::<Item>().await.unwrap();
    scope.update(|item| item.set_qty(3)).await.unwrap();
    assert_eq!(scope.read(|item| item.qty()).await.unwrap(), Ok(3));
}

#[test]
fn a_value_that_refers_to_nothing_is_no_scope() {
    let nobody = Id::new("1d000000-0000-4000-8000-000000000001".parse().unwrap());
    let kitchen = Kitchen { favourites: vec![nobody], ..Kitchen::default() };
    let error = Scope::try_with_root("Kitchen", kitchen).unwrap_err();
    assert!(matches!(error, NewScopeError::State(_)));
    assert_eq!(
        error.to_string(),
        "fragment 0: \"favourites\" refers to 1d000000-0000-4000-8000-000000000001, \
         which is not in the scope"
    );
    let late = Kitchen { founded_at: Timestamp(i64::MAX), ..Kitchen::default() };
    let error = Scope::try_with_root("Kitchen", late).unwrap_err();
    assert!(matches!(error, NewScopeError::Write(_)), "{error}");
}

#[test]
#[should_panic(expected = "the scope \"Bad\" cannot begin like this: \"x\" of \"Shape\": inf")]
fn a_root_that_is_impossible_is_a_mistake_of_the_program() {
    Scope::with_root("Bad", shape(f64::INFINITY));
}

#[tokio::test]
async fn a_stream_tells_what_came_changed_and_left() {
    let scope = canvas();
    let id = scope.update(|canvas| canvas.shapes_mut().push(shape(1.0))).await.unwrap();
    let mut changes = scope.changes().await.unwrap();
    assert_eq!(changes.root().shapes().len(), 1);

    scope
        .update(move |canvas| {
            canvas.shapes_mut().get(id).unwrap().set_y(5.0);
            canvas.shapes_mut().get(id).unwrap().set_x(7.0);
            canvas.shapes_mut().push(shape(2.0));
        })
        .await
        .unwrap();
    scope.update(move |canvas| canvas.shapes_mut().remove(id)).await.unwrap();

    let commit = changes.next().await.unwrap();
    assert_eq!(commit.revision().0, 2);
    assert_eq!(shapes(&commit), ["added 2", "changed 7 [X, Y]"]);
    assert_eq!(commit.raw().unwrap().revision.0, 2);
    // The objects are those of this commit, though the scope has gone on.
    assert_eq!(commit.root().shapes().len(), 2);
    let of_canvas: Vec<_> = commit.of::<Canvas>().collect();
    let [Change::Changed { object, properties }] = &of_canvas[..] else {
        panic!("{of_canvas:?}");
    };
    assert_eq!((object.name(), &properties[..]), ("Demo", &[CanvasProperty::Shapes][..]));

    let commit = changes.next().await.unwrap();
    let removed: Vec<_> = commit.of::<Shape>().collect();
    assert!(matches!(removed[..], [Change::Removed(gone)] if gone == id), "{removed:?}");
    assert_eq!(changes.root().shapes().len(), 1);

    scope.close().await;
    assert!(changes.next().await.is_none());
}

#[tokio::test]
async fn a_stream_sees_submodels_as_their_supermodel() {
    let scope = Scope::with_root("Kitchen", Kitchen::default());
    let mut changes = scope.changes().await.unwrap();
    let carl = scope.update(|kitchen| kitchen.staff_mut().push(Cook::default())).await.unwrap();
    scope
        .update(move |kitchen| kitchen.find(carl).unwrap().set_speciality(Flavour::Sweet))
        .await
        .unwrap();
    scope.update(move |kitchen| kitchen.find(carl).unwrap().set_name("Carl")).await.unwrap();

    let commit = changes.next().await.unwrap();
    assert!(matches!(commit.of::<Person>().next(), Some(Change::Added(_))));
    assert_eq!(commit.of::<Waiter>().count(), 0);
    // Only a property of the submodel was set.
    let commit = changes.next().await.unwrap();
    assert_eq!(commit.of::<Person>().count(), 0);
    assert_eq!(commit.of::<Cook>().count(), 1);
    let commit = changes.next().await.unwrap();
    let Some(Change::Changed { object, properties }) = commit.of::<Cook>().next() else {
        panic!("{commit:?}");
    };
    assert_eq!(object.name(), "Carl");
    assert_eq!(properties, [CookProperty::Person(PersonProperty::Name)]);
}

#[tokio::test]
async fn a_stream_that_fell_behind_gets_what_it_missed_as_one_commit() {
    let scope = canvas();
    let gone = scope.update(|canvas| canvas.shapes_mut().push(shape(0.0))).await.unwrap();
    let mut changes = scope.changes().await.unwrap();
    scope.update(move |canvas| canvas.shapes_mut().remove(gone)).await.unwrap();
    // More than a stream keeps, and enough read from it for the note that some are missing.
    let mut seen = 0;
    for round in 0..1100 {
        scope.update(move |canvas| canvas.set_name(round.to_string())).await.unwrap();
    }
    let kept = changes.next().await.unwrap();
    assert!(matches!(kept.of::<Shape>().next(), Some(Change::Removed(_))));
    for _ in 0..10 {
        assert!(changes.next().await.unwrap().raw().is_some());
    }
    let last = scope
        .update(|canvas| {
            canvas.set_name("last");
            canvas.shapes_mut().push(shape(9.0))
        })
        .await
        .unwrap();
    loop {
        let commit = changes.next().await.unwrap();
        seen += 1;
        if commit.raw().is_none() {
            assert_eq!(commit.revision(), scope.revision());
            assert_eq!(shapes(&commit), ["added 9"]);
            assert_eq!(commit.root().shapes().last().unwrap().id(), last);
            break;
        }
        assert!(seen < 1100);
    }
    // What the one stood for does not come again.
    scope.update(|canvas| canvas.set_name("after")).await.unwrap();
    let commit = changes.next().await.unwrap();
    assert_eq!(commit.revision(), scope.revision());
    assert_eq!(commit.root().name(), "after");
    assert!(commit.raw().is_some());
}

/// The schema that a derived root has is the very one of its scope.
#[test]
fn a_scope_of_a_root_has_its_schema() {
    assert!(Arc::ptr_eq(canvas().schema(), &Canvas::schema()));
}
