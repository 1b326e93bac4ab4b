//! The same over real sockets.

use jetstream::{Scope, Server, ServerHandle, WebSocket};
use jetstream_client::{ConnectError, Connector, SessionState, connect};

use crate::world::{Canvas, shape};

async fn serve() -> (ServerHandle, jetstream::TypedScope<Canvas>) {
    let scope = Scope::with_root("Canvas", Canvas::default());
    let offered = scope.untyped().clone();
    let server = Server::builder()
        .transport(WebSocket::bind("127.0.0.1:0"))
        .on_session(|session| {
            let verdict = match session.param("who") {
                Some("nobody") => session.deny("nobody may come in"),
                _ => session.accept(),
            };
            async { verdict }
        })
        .on_fetch(move |fetch| {
            let verdict = fetch.accept(&offered);
            async { verdict }
        })
        .start();
    (server.await.unwrap(), scope)
}

#[tokio::test]
async fn two_clients_meet_over_websocket() {
    let (server, _scope) = serve().await;
    let url = format!("ws://{}", server.local_addr());
    let (ann, bo) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
    let canvas = ann.fetch::<Canvas>("Canvas").await.unwrap();
    let other = bo.fetch::<Canvas>("Canvas").await.unwrap();
    let mut changes = other.changes();
    for x in [1.0, 2.0] {
        canvas.update(|canvas| canvas.shapes_mut().push(shape(x))).unwrap();
    }
    ann.synced().await;
    while other.read(|canvas| canvas.shapes().len()) < 2 {
        changes.next().await.unwrap();
    }
    ann.close().await;
    bo.close().await;
    assert!(server.sessions().is_empty());
}

#[tokio::test]
async fn a_refused_session_says_why() {
    let (server, _scope) = serve().await;
    let url = format!("ws://{}", server.local_addr());
    let params = [("who".to_owned(), "nobody".into())].into_iter().collect();
    match Connector::new(&url).unwrap().params(params).connect().await {
        Err(ConnectError::Refused(error)) => assert_eq!(error.message, "nobody may come in"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_goes_away_leaves_its_clients_offline() {
    let (server, _scope) = serve().await;
    let url = format!("ws://{}", server.local_addr());
    let session = connect(&url).await.unwrap();
    let canvas = session.fetch::<Canvas>("Canvas").await.unwrap();
    let mut states = session.states();
    server.shutdown().await;
    states.wait_for(|state| *state == SessionState::Offline).await.unwrap();
    canvas.update(|canvas| canvas.set_name("Meanwhile")).unwrap();
    assert_eq!(canvas.read(|canvas| canvas.name().to_owned()), "Meanwhile");
    assert!(matches!(connect(&url).await, Err(ConnectError::Unreachable(_))));
}
