//! The same over real sockets.

use std::sync::Arc;

use jetstream::{Scope, Server, ServerHandle, WebSocket};
use jetstream_client::{ConnectError, Connector, SessionState, connect};

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::world::{Canvas, shape};

async fn serve() -> (ServerHandle, jetstream::TypedScope<Canvas>) {
    serve_over(WebSocket::bind("127.0.0.1:0")).await
}

async fn serve_over(transport: WebSocket) -> (ServerHandle, jetstream::TypedScope<Canvas>) {
    let scope = Scope::with_root("Canvas", Canvas::default());
    let offered = scope.untyped().clone();
    let server = Server::builder()
        .transport(transport)
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

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../jetstream/tests/data/cert.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../jetstream/tests/data/key.pem");

#[tokio::test]
async fn over_tls_only_a_server_that_is_trusted_is_talked_to() {
    let (server, _scope) = serve_over(WebSocket::bind("127.0.0.1:0").tls(CERTIFICATE, KEY)).await;
    let url = format!("wss://127.0.0.1:{}", server.local_addr().port());
    match connect(&url).await {
        Err(ConnectError::Unreachable(error)) => {
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(CERTIFICATE).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let transport = jetstream_client::WebSocket::new(&url).unwrap().tls(Arc::new(config));
    let session = Connector::over(transport).connect().await.unwrap();
    let canvas = session.fetch::<Canvas>("Canvas").await.unwrap();
    canvas.update(|canvas| canvas.set_name("Secret")).unwrap().await.unwrap();
    session.close().await;
}
