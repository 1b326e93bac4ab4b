//! Clients that say who they are, and say it again before it is no longer good.

use std::sync::Arc;
use std::time::Duration;

use jetstream::authentication::{ByFunction, Identity};
use jetstream::core::model::Rejection;
use jetstream::core::scope::Claims;
use jetstream_client::{ConnectError, Connector, SessionState};
use parking_lot::Mutex;

use crate::world::{Canvas, World, shape};

/// What the server was shown, and what it makes of it: everybody is who they say, for a hundred seconds.
async fn world() -> (World, Arc<Mutex<Vec<String>>>) {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let noted = shown.clone();
    let who = ByFunction(move |credential: Option<String>| {
        let credential = credential.unwrap_or_default();
        noted.lock().push(credential.clone());
        let user = credential.split(' ').next().unwrap_or_default().to_owned();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        async move {
            if user.is_empty() {
                return Err(Rejection::with_type("unauthorized", "who are you?"));
            }
            let claims = [("user".to_owned(), user.into())].into_iter().collect();
            Ok(Identity { claims: Claims::new(claims), expires_at: Some(now + 100) })
        }
    });
    (World::with(|builder| builder.authenticator(who)).await, shown)
}

/// `ann 1`, `ann 2` and so on.
fn numbered() -> impl Fn() -> std::future::Ready<Result<String, std::io::Error>> {
    let count = Mutex::new(0);
    move || {
        *count.lock() += 1;
        std::future::ready(Ok(format!("ann {}", count.lock())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_outlives_what_was_shown_over_one_connection() {
    let (world, shown) = world().await;
    let connector = Connector::over(world.network()).credential(numbered());
    let session = connector.connect().await.unwrap();
    let canvas = session.fetch::<Canvas>("Canvas").await.unwrap();
    tokio::time::sleep(Duration::from_secs(240)).await;
    canvas.update(|canvas| canvas.shapes_mut().push(shape(1.0))).unwrap().await.unwrap();
    assert_eq!(session.state(), SessionState::Online);
    // After half of each hundred seconds.
    assert_eq!(*shown.lock(), ["ann 1", "ann 2", "ann 3", "ann 4", "ann 5"]);
    assert_eq!(world.server.metrics().sessions_resumed.get(), 0);
    session.renew();
    while shown.lock().len() < 6 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_resumed_with_what_is_good_then() {
    let (world, shown) = world().await;
    let network = world.network();
    let session = Connector::over(network.clone()).credential(numbered()).connect().await.unwrap();
    let canvas = session.fetch::<Canvas>("Canvas").await.unwrap();
    network.cut();
    canvas.update(|canvas| canvas.set_name("again")).unwrap().await.unwrap();
    assert_eq!(*shown.lock(), ["ann 1", "ann 2"]);
}

#[tokio::test]
async fn who_has_nothing_to_show_does_not_connect() {
    let (world, shown) = world().await;
    let nothing = || async { Err::<String, _>(std::io::Error::other("not signed in")) };
    let failed = Connector::over(world.network()).credential(nothing).connect().await;
    let Err(ConnectError::Unreachable(error)) = failed else { panic!("{failed:?}") };
    assert!(error.to_string().contains("not signed in"), "{error}");
    assert!(shown.lock().is_empty());
    let refused = Connector::over(world.network()).connect().await;
    assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
}
