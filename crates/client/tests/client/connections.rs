//! Connections that break, sessions that are forgotten, and goodbyes.

use jetstream_client::{ConnectError, Connector, NotApplied, SessionState};

use crate::world::{Canvas, World, shape};

#[tokio::test(start_paused = true)]
async fn what_is_edited_without_a_connection_is_sent_with_the_next() {
    let world = World::new().await;
    let (ann, bo) = (world.join().await, world.join().await);
    let mut states = ann.session.states();
    ann.network.go_down();
    states.wait_for(|state| *state == SessionState::Offline).await.unwrap();
    for x in [1.0, 2.0] {
        ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(x))).unwrap();
    }
    bo.canvas.update(|canvas| canvas.set_name("Bo's")).unwrap();
    world.converged(&bo).await;
    assert_eq!((ann.places(), ann.name()), (vec![1.0, 2.0], "Demo".to_owned()));
    ann.network.come_up();
    states.wait_for(|state| *state == SessionState::Online).await.unwrap();
    world.converged(&ann).await;
    world.converged(&bo).await;
    assert_eq!((bo.places(), bo.name()), (vec![1.0, 2.0], "Bo's".to_owned()));
    assert_eq!(world.server.sessions().len(), 2, "the session was resumed");
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_with_its_connection_is_given_again_and_nothing_applied_twice() {
    let world = World::new().await;
    let ann = world.join().await;
    ann.network.lose_answers();
    let pending = ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(1.0))).unwrap();
    world.has_shapes(1).await;
    assert_eq!(ann.session.pending(), 1, "the answer is lost");
    ann.network.cut();
    pending.await.unwrap();
    world.converged(&ann).await;
    assert_eq!(ann.places(), [1.0]);
    assert_eq!(world.server.sessions().len(), 1, "the session was resumed");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_session_is_replaced_and_what_was_pending_sent_again() {
    let world = World::new().await;
    let ann = world.join().await;
    let before = world.server.sessions()[0].info.id();
    let bo = world.join().await;
    ann.network.go_down();
    let mut pending = Vec::new();
    for x in [1.0, 2.0] {
        pending.push(ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(x))).unwrap());
    }
    assert!(world.server.end_session(before, "forgotten").await);
    bo.canvas.update(|canvas| canvas.shapes_mut().push(shape(3.0))).unwrap().await.unwrap();
    ann.network.come_up();
    for pending in pending {
        pending.await.unwrap();
    }
    world.converged(&ann).await;
    world.converged(&bo).await;
    let mut places = bo.places();
    places.sort_by(f64::total_cmp);
    assert_eq!(places, [1.0, 2.0, 3.0]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_arrived_before_the_session_was_forgotten_is_not_made_again() {
    let world = World::new().await;
    let ann = world.join().await;
    ann.network.lose_answers();
    let pending = ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(1.0))).unwrap();
    world.has_shapes(1).await;
    let session = world.server.sessions()[0].info.id();
    assert!(world.server.end_session(session, "forgotten").await);
    ann.network.cut();
    pending.await.unwrap();
    world.converged(&ann).await;
    assert_eq!(ann.places(), [1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_begins_anew_gets_what_is_pending() {
    let (old, new) = (World::new().await, World::new().await);
    let ann = old.join().await;
    ann.canvas.update(|canvas| canvas.set_name("Lost with the old")).unwrap().await.unwrap();
    ann.network.go_down();
    let pending = ann.canvas.update(|canvas| canvas.shapes_mut().push(shape(1.0))).unwrap();
    ann.network.lead_to(&new);
    ann.network.come_up();
    pending.await.unwrap();
    new.converged(&ann).await;
    assert_eq!((ann.places(), ann.name()), (vec![1.0], "Demo".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn connecting_fails_if_nobody_is_there_and_starting_goes_on() {
    let world = World::new().await;
    let network = world.network();
    network.go_down();
    let failed = Connector::over(network.clone()).connect().await;
    assert!(matches!(failed, Err(ConnectError::Unreachable(_))));
    let session = Connector::over(network.clone()).start().unwrap();
    let mut states = session.states();
    states.wait_for(|state| *state == SessionState::Offline).await.unwrap();
    network.come_up();
    let canvas = session.fetch::<Canvas>("Canvas").await.unwrap();
    assert_eq!(canvas.read(|canvas| canvas.name().to_owned()), "Demo");
}

#[tokio::test(start_paused = true)]
async fn a_scope_is_left_when_its_last_handle_is_dropped() {
    let world = World::new().await;
    let ann = world.join().await;
    let other = ann.canvas.clone();
    drop(ann.canvas);
    let edited = other.update(|canvas| canvas.set_name("Last words")).unwrap();
    drop(other);
    edited.await.unwrap();
    while world.scope.member_count() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(ann.session.state(), SessionState::Online);
}

#[tokio::test(start_paused = true)]
async fn closing_sends_what_was_edited_and_ends_the_session() {
    let world = World::new().await;
    let ann = world.join().await;
    let pending = ann.canvas.update(|canvas| canvas.set_name("Goodbye")).unwrap();
    ann.session.close().await;
    pending.await.unwrap();
    assert_eq!(world.scope.read(|canvas| canvas.name().to_owned()).await.unwrap(), "Goodbye");
    assert_eq!(world.server.sessions().len(), 0);
    assert_eq!(ann.canvas.read(|canvas| canvas.name().to_owned()), "Goodbye");
    let refused = ann.canvas.update(|canvas| canvas.set_name("Too late"));
    assert!(refused.is_err());
}

#[tokio::test(start_paused = true)]
async fn closing_without_a_connection_gives_up_what_is_pending_and_says_so() {
    let world = World::new().await;
    let ann = world.join().await;
    ann.network.go_down();
    let pending = ann.canvas.update(|canvas| canvas.set_name("Unheard")).unwrap();
    let mut changes = ann.canvas.changes();
    ann.session.close().await;
    assert!(matches!(pending.await, Err(NotApplied::Closed(_))));
    assert_eq!(ann.canvas.read(|canvas| canvas.name().to_owned()), "Demo");
    assert!(changes.next().await.is_some(), "the edit was taken back");
    assert!(changes.next().await.is_none());
    assert!(ann.canvas.closed().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_nobody_holds_it() {
    let world = World::new().await;
    let ann = world.join().await;
    drop(ann);
    while !world.server.sessions().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
