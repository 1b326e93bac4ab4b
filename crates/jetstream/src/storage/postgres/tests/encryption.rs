//! The way to the database: encrypted if the address says so, and to nobody but who is meant.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use super::cluster::Cluster;
use super::{begun, commit, open, revisions};
use crate::storage::Storage;

/// A cluster that listens on 127.0.0.1, with these settings besides.
struct Host {
    cluster: Cluster,
    port: u16,
}

impl Host {
    fn start(settings: &[&str]) -> Self {
        let port = free_port();
        let listen = ["listen_addresses=127.0.0.1".to_owned(), format!("port={port}")];
        let settings = [listen.each_ref().map(String::as_str).as_slice(), settings].concat();
        let (certificate, key) = (data("cert.pem"), data("key.pem"));
        // What PostgreSQL looks for by itself.
        let files = [("server.crt", certificate.as_path()), ("server.key", key.as_path())];
        Self { cluster: Cluster::start_with(&settings, &files), port }
    }

    /// The address of a database, by way of a host that may be called differently.
    fn address(&self, host: &str, database: &str, query: &str) -> String {
        format!("postgres://postgres@{host}:{}/{database}?{query}", self.port)
    }

    /// Opens a store, writes and reads. How its connections are, as the database sees them.
    async fn use_store(&self, address: &str, database: &str) -> String {
        self.cluster.database(database);
        let storage = open(address).await.unwrap();
        let scope = begun(&storage).await;
        storage.append(&scope, &[commit(&scope, 1)]).await.unwrap();
        assert_eq!(revisions(&storage, &scope).await, [1]);
        self.cluster.sql(database, CONNECTIONS)
    }
}

#[tokio::test]
async fn every_connection_is_encrypted_when_the_address_asks_for_it() {
    let host = Host::start(&["ssl=on"]);
    let believed = format!("sslmode=verify-full&sslrootcert={}", data("cert.pem").display());
    for (nth, (name, query, encrypted)) in [
        ("localhost", "sslmode=require", true),
        ("localhost", believed.as_str(), true),
        ("127.0.0.1", believed.as_str(), true),
        // Whoever is there, under any name: that is all that `require` says.
        ("db.example", "sslmode=require&hostaddr=127.0.0.1", true),
        ("localhost", "sslmode=prefer", true),
        ("localhost", "sslmode=disable", false),
    ]
    .into_iter()
    .enumerate()
    {
        let database = format!("encrypted{nth}");
        let connections = host.use_store(&host.address(name, &database, query), &database).await;
        // One that writes, and at least one that reads.
        assert!(connections.lines().count() >= 2, "{query}: {connections}");
        for connection in connections.lines() {
            assert_eq!(connection.starts_with("t|TLSv1."), encrypted, "{query}: {connection}");
            assert_eq!(connection == "f|", !encrypted, "{query}: {connection}");
        }
    }
}

#[tokio::test]
async fn a_database_with_a_certificate_that_is_not_believed_is_refused() {
    let host = Host::start(&["ssl=on"]);
    host.cluster.database("refused");
    let (own, other) = (data("cert.pem"), data("stranger.pem"));
    let (own, other) = (own.display(), other.display());
    for (name, query, why) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), "certificate"),
        // Who names authorities wants them to be asked.
        ("localhost", format!("sslmode=require&sslrootcert={other}"), "certificate"),
        // Those that browsers trust know nothing of it.
        ("localhost", "sslmode=verify-full".to_owned(), "certificate"),
        // Another's, though the authority is believed.
        (
            "db.example",
            format!("sslmode=verify-full&sslrootcert={own}&hostaddr=127.0.0.1"),
            "not valid for name",
        ),
    ] {
        let error = open(&host.address(name, "refused", &query)).await.unwrap_err().to_string();
        assert!(error.contains("TLS") && error.contains(why), "{query}: {error}");
    }
    // Nobody came as far as the tables.
    let tables = "SELECT count(*) FROM pg_namespace WHERE nspname = 'jetstream'";
    assert_eq!(host.cluster.sql("refused", tables), "0");
}

#[tokio::test]
async fn a_database_that_cannot_encrypt_is_refused_when_it_has_to() {
    let host = Host::start(&[]);
    host.cluster.database("plain");
    let error = open(&host.address("localhost", "plain", "sslmode=require")).await.unwrap_err();
    assert!(error.to_string().contains("does not support TLS"), "{error}");
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

/// PostgreSQL wants to be told its port. None of those that the system gives to whoever asks for any.
fn free_port() -> u16 {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let first = 20_000 + (std::process::id() % 900) as u16 * 10 + count;
    let mut ports = first..30_000;
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// Those that servers have to this database, one a line: whether they are encrypted, and how.
const CONNECTIONS: &str = "
SELECT ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
WHERE application_name = 'jetstream' AND datname = current_database()";
