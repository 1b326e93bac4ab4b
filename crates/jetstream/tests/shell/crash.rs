//! The server is gone and comes back: sessions and scopes go on from their store.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jetstream::core::ids::Revision;
use jetstream::storage::{Guarded, MemoryStorage, Storage, StorageError};
use jetstream::transport::memory::MemoryConnector;
use jetstream::{ConnectInfo, MemoryTransport, Metrics, Scopes, Server, ServerHandle};
use serde_json::{Value, json};

use crate::client::{Client, Line};
use crate::world::{ROOT, graph};

/// A server over a store that outlives it.
struct Run {
    server: ServerHandle,
    scopes: Scopes,
    connector: MemoryConnector,
    /// Nothing reaches the store any more.
    dead: Arc<AtomicBool>,
    /// Nothing can be written.
    full: Arc<AtomicBool>,
    /// No session can be looked up.
    away: Arc<AtomicBool>,
}

impl Run {
    async fn over(kept: &MemoryStorage) -> Self {
        let [dead, full, away] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
        let store = || guarded(kept, [&dead, &full, &away]);
        let (transport, connector) = MemoryTransport::new();
        let scopes = Scopes::builder().storage(store()).metrics(Metrics::new());
        let scopes = scopes.scope("Canvas", |_| Ok(graph())).build().unwrap();
        let server = Server::builder()
            .transport(transport)
            .metrics(Metrics::new())
            .storage(Arc::new(store()))
            .scopes(scopes.clone());
        let server = server.start().await.unwrap();
        Self { server, scopes, connector, dead, full, away }
    }

    /// Whatever this server does from now on, nobody will know.
    fn crash(self) {
        self.dead.store(true, Ordering::Release);
    }

    async fn line(&self, token: Option<&str>) -> Line {
        let mut info = ConnectInfo::new("/");
        if let Some(token) = token {
            info = info.with_header("X-Jetstream-SessionToken", token);
        }
        Line::Memory(self.connector.connect(info).await.unwrap())
    }

    /// The scope's revision, when everything that it was asked is durable.
    async fn revision(&self) -> Revision {
        let scope = self.scopes.open("Canvas").await.unwrap();
        scope.read(|_| ()).await.unwrap();
        scope.revision()
    }
}

fn guarded(kept: &MemoryStorage, troubles: [&Arc<AtomicBool>; 3]) -> impl Storage + use<> {
    let [dead, full, away] = troubles.map(Arc::clone);
    Guarded::new(kept.clone(), move |call| {
        use jetstream::storage::Call;
        if dead.load(Ordering::Acquire) {
            return Box::pin(pending());
        }
        let refused = full.load(Ordering::Acquire) && matches!(call, Call::Append | Call::Write);
        let full = || StorageError::Full("the disk".to_owned());
        if away.load(Ordering::Acquire) && call == Call::Read {
            return Box::pin(ready(Err(StorageError::Failed("nobody answers".to_owned()))));
        }
        Box::pin(ready(if refused { Err(full()) } else { Ok(()) }))
    })
}

const FETCH: &str = r#"{"type":"ScopeFetch","index":1,"name":"Canvas","params":{}}"#;

fn rename(index: u64, name: &str) -> String {
    let fragment = json!({
        "type": "change", "uuid": ROOT, "clsName": "Canvas", "properties": {"name": name},
    });
    json!({"type": "ScopeSync", "index": index, "scopeIndex": 0, "fragments": [fragment]})
        .to_string()
}

/// The next messages, which must be numbered without a gap.
async fn gets(client: &mut Client, count: usize) -> Vec<Value> {
    let mut messages = Vec::new();
    for _ in 0..count {
        let expected = client.received + 1;
        let message = client.next().await;
        assert_eq!(message["index"], expected, "{message}");
        messages.push(message);
    }
    messages
}

#[tokio::test]
async fn a_session_that_cannot_be_looked_up_at_present_is_not_lost() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept).await;
    let ann = Client::join(run.line(None).await).await;
    run.crash();
    let run = Run::over(&kept).await;
    run.away.store(true, Ordering::Release);
    let mut turned_away = Client::new(run.line(Some(&ann.token)).await);
    assert_eq!(turned_away.close().await.0, 1013);
    run.away.store(false, Ordering::Release);
    let line = run.line(Some(&ann.token)).await;
    assert_eq!(ann.resume(line).await.any().await["type"], "Ping");
}

async fn an_answer_that_was_lost_is_given_again(v1: bool) {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept).await;
    let line = run.line(None).await;
    let mut ann = if v1 { Client::join_v1(line).await } else { Client::join(line).await };
    ann.text(FETCH.to_owned()).await;
    gets(&mut ann, 2).await;
    ann.text(rename(2, "one")).await;
    gets(&mut ann, 1).await;
    // The answer to this one is lost, though it is stored.
    ann.text(rename(3, "two")).await;
    while run.revision().await < Revision(2) {
        tokio::task::yield_now().await;
    }
    run.crash();

    let run = Run::over(&kept).await;
    let (token, line) = (ann.token.clone(), run.line(Some(&ann.token)).await);
    let mut ann = ann.resume(line).await;
    assert_eq!(ann.any().await["type"], "Ping");
    let answers = gets(&mut ann, 2).await;
    assert_eq!(answers[0]["replyTo"], 2, "{answers:?}");
    assert_eq!((&answers[1]["replyTo"], &answers[1]["fragmentReplies"]), (&json!(3), &json!([{}])));
    // What was not acknowledged is sent again.
    for text in [FETCH.to_owned(), rename(2, "one"), rename(3, "two"), rename(4, "three")] {
        ann.text(text).await;
    }
    let told = gets(&mut ann, 3).await;
    assert_eq!((&told[0]["replyTo"], &told[0]["scopeIndex"]), (&json!(1), &json!(0)), "{told:?}");
    assert_eq!(told[1]["fragments"][0]["properties"]["name"], "two");
    assert_eq!((&told[2]["type"], &told[2]["replyTo"]), (&json!("ScopeSyncReply"), &json!(4)));
    assert_eq!(run.revision().await, Revision(3), "nothing is applied twice");
    assert_eq!(run.server.metrics().sessions_restored.get(), 1);
    assert_eq!(token, ann.token);
}

#[tokio::test]
async fn an_original_client_gets_an_answer_that_was_lost() {
    an_answer_that_was_lost_is_given_again(false).await;
}

#[tokio::test]
async fn a_client_of_version_1_gets_an_answer_that_was_lost() {
    an_answer_that_was_lost_is_given_again(true).await;
}

#[tokio::test]
async fn what_others_changed_meanwhile_is_in_the_state_after_an_orderly_restart() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept).await;
    let mut ann = Client::join_v1(run.line(None).await).await;
    ann.text(FETCH.to_owned()).await;
    gets(&mut ann, 2).await;
    // It has the answer to its fetch, which therefore need not be asked again.
    ann.text(json!({"type": "Ping", "index": 0, "ack": 2}).to_string()).await;
    let mut bo = Client::join(run.line(None).await).await;
    bo.state("Canvas").await;
    bo.change("Canvas", ROOT, json!({"name": "by bo"})).await;
    gets(&mut ann, 1).await;
    run.server.shutdown().await;
    assert_eq!(ann.close().await.0, 1001);

    let run = Run::over(&kept).await;
    let line = run.line(Some(&ann.token)).await;
    let mut ann = ann.resume(line).await;
    assert_eq!(ann.any().await["ack"], 1);
    let state = gets(&mut ann, 1).await;
    assert_eq!(state[0]["type"], "ScopeState");
    assert_eq!(state[0]["fragments"][0]["properties"]["name"], "by bo");
}

#[tokio::test]
async fn a_session_that_ended_is_not_restored() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept).await;
    let mut ann = Client::join_v1(run.line(None).await).await;
    ann.send(json!({"type": "SessionClose"})).await;
    assert_eq!(ann.close().await.0, 4097);
    run.server.shutdown().await;
    let run = Run::over(&kept).await;
    let mut again = Client::new(run.line(Some(&ann.token)).await);
    assert_eq!(again.close().await.0, 4096);
}

#[tokio::test]
async fn what_a_full_disk_does_not_take_is_refused_and_not_there() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept).await;
    let mut ann = Client::join_v1(run.line(None).await).await;
    ann.state("Canvas").await;
    run.full.store(true, Ordering::Release);
    ann.change("Canvas", ROOT, json!({"name": "lost"})).await;
    let told = gets(&mut ann, 2).await;
    let error = &told[0]["fragmentReplies"][0]["error"];
    assert_eq!(error["type"], "internal", "{told:?}");
    assert!(error["message"].as_str().unwrap().starts_with("not saved"), "{told:?}");
    assert_eq!(told[1]["fragments"][0]["properties"]["name"], Value::Null);
    run.full.store(false, Ordering::Release);
    ann.change("Canvas", ROOT, json!({"name": "kept"})).await;
    let told = gets(&mut ann, 1).await;
    assert_eq!(told[0]["fragmentReplies"], json!([{}]));
    assert_eq!(run.revision().await, Revision(1));
}

#[tokio::test(start_paused = true)]
async fn a_stored_session_expires_when_its_client_stays_away() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept).await;
    let ann = Client::join_v1(run.line(None).await).await;
    run.crash();
    let run = Run::over(&kept).await;
    tokio::time::sleep(std::time::Duration::from_secs(11 * 60)).await;
    let mut again = Client::new(run.line(Some(&ann.token)).await);
    assert_eq!(again.close().await.0, 4096);
    assert!(kept.sessions(None, 10).await.unwrap().is_empty());
}
