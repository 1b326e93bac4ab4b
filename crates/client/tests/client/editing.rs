//! Edits: shown at once, confirmed later, taken back if they are refused.

use jetstream_client::core::model::Rejection;
use jetstream_client::{FetchError, NotApplied, Params, UpdateError};

use crate::world::{Canvas, Shape, World, shape};

#[tokio::test(start_paused = true)]
async fn an_edit_is_shown_at_once_and_reaches_the_others() {
    let world = World::new().await;
    let (ann, bo) = (world.join().await, world.join().await);
    let pending = ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(1.0))).unwrap();
    assert_eq!(ann.places(), [1.0]);
    assert_eq!(ann.session.pending(), 1);
    let id = pending.await.unwrap();
    assert_eq!(ann.session.pending(), 0);
    world.converged(&bo).await;
    assert_eq!(bo.places(), [1.0]);
    let moved = bo.canvas.update(|canvas| canvas.find(id).map(|mut shape| shape.set_x(2.0)));
    assert_eq!(moved.unwrap().await, Ok(Some(())));
    world.converged(&ann).await;
    assert_eq!(ann.places(), [2.0]);
}

#[tokio::test(start_paused = true)]
async fn edits_of_several_clients_at_the_same_time_combine() {
    let world = World::new().await;
    let (ann, bo) = (world.join().await, world.join().await);
    for (client, x) in [(&ann, 1.0), (&bo, 2.0), (&ann, 3.0), (&bo, 4.0)] {
        client.canvas.update(|canvas| canvas.shapes_mut().push(shape(x))).unwrap();
    }
    world.converged(&ann).await;
    world.converged(&bo).await;
    assert_eq!(ann.places(), bo.places());
    assert_eq!(ann.places().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refused_edit_is_taken_back_with_its_reasons_and_others_stay() {
    let world = World::new().await;
    let (ann, bo) = (world.join().await, world.join().await);
    let id = ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(1.0))).unwrap();
    let id = id.await.unwrap();
    world.converged(&bo).await;

    ann.network.go_down();
    bo.canvas.update(|canvas| canvas.delete(id)).unwrap().await.unwrap();
    let moved = ann.canvas.update(|canvas| {
        canvas.set_name("Moved");
        canvas.find(id).unwrap().set_x(9.0);
    });
    let named = ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(5.0))).unwrap();
    assert_eq!((ann.places(), ann.name()), (vec![9.0, 5.0], "Moved".to_owned()));
    ann.network.come_up();

    let Err(NotApplied::Refused(replies)) = moved.unwrap().await else { panic!("it is refused") };
    let reasons: Vec<_> = replies.iter().filter_map(|reply| reply.as_ref().err()).collect();
    assert!(reasons.iter().any(|reason| reason.message.contains(&id.to_string())), "{reasons:?}");
    named.await.unwrap();
    world.converged(&ann).await;
    assert_eq!((ann.places(), ann.name()), (vec![5.0], "Demo".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_no_property_can_hold_is_refused_before_anything_happens() {
    let world = World::new().await;
    let ann = world.join().await;
    let refused = ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(f64::NAN)));
    assert!(matches!(refused, Err(UpdateError::Write(_))), "{refused:?}");
    assert_eq!((ann.places(), ann.session.pending()), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_no_message_can_carry_is_refused_and_the_connection_kept() {
    let world = World::new().await;
    let ann = world.join().await;
    let huge = "x".repeat(5 << 20);
    let refused = ann.canvas.update(|canvas| canvas.set_name(huge)).unwrap().await.unwrap_err();
    assert!(refused.to_string().contains("bytes to send"), "{refused}");
    assert_eq!(ann.name(), "Demo");
    ann.canvas.update(|canvas| canvas.set_name("short")).unwrap().await.unwrap();
    assert_eq!(world.server.sessions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handle_may_be_dropped_within_an_update() {
    let world = World::new().await;
    let ann = world.join().await;
    let other = ann.session.fetch::<Canvas>("Canvas").await.unwrap();
    ann.canvas
        .update(move |canvas| {
            drop(other);
            canvas.set_name("Dropped");
        })
        .unwrap()
        .await
        .unwrap();
    while world.scope.member_count() > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_is_done_at_once() {
    let world = World::new().await;
    let ann = world.join().await;
    ann.network.go_down();
    assert_eq!(ann.canvas.update(|_| 7).unwrap().await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_denied_fetch_says_why() {
    let world = World::new().await;
    let ann = world.join().await;
    let denied = ann.session.fetch::<Canvas>("Nowhere").await.unwrap_err();
    assert_eq!(denied, FetchError::Denied(Rejection::message("no scope \"Nowhere\"")));
    let denied = ann.session.fetch_raw("Nowhere", Params::new()).await.unwrap_err();
    assert!(matches!(denied, FetchError::Denied(_)));
}

#[tokio::test(start_paused = true)]
async fn a_root_of_another_model_is_an_error() {
    let world = World::new().await;
    let ann = world.join().await;
    let wrong = ann.session.fetch::<Shape>("Canvas").await.unwrap_err();
    assert!(matches!(wrong, FetchError::Denied(_) | FetchError::Schema(_)), "{wrong}");
}

#[tokio::test(start_paused = true)]
async fn the_server_program_edits_the_same_objects() {
    let world = World::new().await;
    let ann = world.join().await;
    let id = world.scope.update(|canvas| canvas.shapes_mut().push(shape(3.0))).await.unwrap();
    world.converged(&ann).await;
    assert_eq!(ann.canvas.read(|canvas| canvas.find(id).map(|shape| shape.x())), Some(3.0));
}
