//! What an application is told of changes.

use jetstream_client::{Origin, Params, RawNews};

use crate::world::{Shape, ShapeProperty, World, shape};

#[tokio::test(start_paused = true)]
async fn changes_name_what_came_changed_and_left_and_because_of_whom() {
    let world = World::new().await;
    let (ann, bo) = (world.join().await, world.join().await);
    let mut changes = ann.canvas.changes();
    let id = ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(1.0))).unwrap();
    let id = id.await.unwrap();
    world.converged(&bo).await;
    bo.canvas.update(|canvas| canvas.find(id).unwrap().set_x(2.0)).unwrap().await.unwrap();
    bo.canvas.update(|canvas| canvas.delete(id)).unwrap().await.unwrap();

    let added = changes.next().await.unwrap();
    assert_eq!(added.origin(), Origin::Local);
    assert_eq!(added.added::<Shape>().collect::<Vec<_>>(), [id]);
    let changed = changes.next().await.unwrap();
    assert_eq!(changed.origin(), Origin::Server);
    assert_eq!(changed.changed::<Shape>().collect::<Vec<_>>(), [(id, vec![ShapeProperty::X])]);
    let removed = changes.next().await.unwrap();
    assert_eq!(removed.removed::<Shape>().collect::<Vec<_>>(), [id]);
    assert!(!removed.missed());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_for_long_learns_that_something_was_missed() {
    let world = World::new().await;
    let ann = world.join().await;
    let mut changes = ann.canvas.changes();
    for number in 0..5_000 {
        ann.canvas.update(|canvas| canvas.set_name(number.to_string())).unwrap();
    }
    assert!(changes.next().await.unwrap().missed());
}

#[tokio::test(start_paused = true)]
async fn a_scope_without_models_is_told_as_it_is() {
    let world = World::new().await;
    let ann = world.join().await;
    let mut raw = ann.session.fetch_raw("Canvas", Params::new()).await.unwrap();
    let Some(RawNews::State { root, fragments }) = raw.next().await else { panic!("the state") };
    assert!(fragments[0].get().contains(&root.to_string()));
    ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(1.0))).unwrap();
    let Some(RawNews::Sync { fragments }) = raw.next().await else { panic!("a change") };
    assert!(fragments.iter().any(|fragment| fragment.get().contains("\"Shape\"")));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_a_scope_without_models_gets_its_state_afresh() {
    let world = World::new().await;
    let ann = world.join().await;
    let bo = world.join().await;
    let mut raw = bo.session.fetch_raw("Canvas", Params::new()).await.unwrap();
    assert!(matches!(raw.next().await, Some(RawNews::State { .. })));
    for number in 0..5_000 {
        ann.canvas.update(|canvas| canvas.set_name(number.to_string())).unwrap();
    }
    world.converged(&ann).await;
    world.converged(&bo).await;
    let mut name = String::new();
    while !name.contains("4999") {
        name = match raw.next().await.unwrap() {
            RawNews::State { fragments, .. } | RawNews::Sync { fragments } => {
                fragments[0].get().to_owned()
            }
        };
    }
}
