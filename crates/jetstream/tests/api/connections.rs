//! Connections: encrypted, and not too many.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::world::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// The configuration with more keys of `[api]`.
async fn with(more: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    // What stands in the files of tokens.
    config(folder.path(), PAST);
    let text = CONFIG.replace("[api]\n", &format!("[api]\n{more}\n")) + PAST;
    let config = jetstream::config::Config::parse("jetstream.toml", &text, folder.path(), &[]);
    World::of(&config.unwrap_or_else(|error| panic!("{error}"))).await
}

#[tokio::test]
async fn with_a_certificate_programs_are_answered_over_tls_and_not_without() {
    let tls = format!("tls = {{ certificate = '{DATA}/cert.pem', key = '{DATA}/key.pem' }}");
    let world = with(&tls).await;
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(format!("{DATA}/cert.pem")).unwrap();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let stream = TcpStream::connect(world.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let mut plain = TcpStream::connect(world.address()).await.unwrap();
    plain.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
}

#[tokio::test]
async fn more_connections_than_there_may_be_are_closed_at_once() {
    let world = with("connections_max = 1").await;
    let stream = world.open("/v1/scopes/Canvas/changes").await;
    assert_eq!(stream.answer.status, 200);
    let mut second = TcpStream::connect(world.address()).await.unwrap();
    let read = second.read(&mut [0; 1]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    drop(stream);
    // The first one's place is free when the server has noticed that it is gone.
    loop {
        let mut next = TcpStream::connect(world.address()).await.unwrap();
        let request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut answer = [0; 12];
        let sent = next.write_all(request).await.is_ok();
        if sent && next.read_exact(&mut answer).await.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 200");
            return;
        }
    }
}
