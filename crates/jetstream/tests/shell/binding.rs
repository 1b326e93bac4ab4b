//! A session belongs to who began it: nobody else resumes it, and it goes on when its owner shows a new
//! credential.

use std::sync::Arc;

use jetstream::authentication::{ByFunction, Identity};
use jetstream::core::limits::Limits;
use jetstream::core::model::Rejection;
use jetstream::core::scope::Claims;
use jetstream::storage::{MemoryStorage, Storage};
use jetstream::transport::memory::MemoryConnector;
use jetstream::{ConnectInfo, MemoryTransport, Metrics, Scope, Server, ServerHandle, WebSocket};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::{Client, Line};
use crate::world::{ROOT, graph};

/// A server that knows everybody who shows `NAME`, `NAME SECONDS` or `NAME SECONDS ROLE`.
struct Run {
    server: ServerHandle,
    connector: MemoryConnector,
    /// Whether it can be found out who somebody is.
    knows: watch::Sender<bool>,
}

fn now_seconds() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

fn identity(shown: &str) -> Identity {
    let mut words = shown.split(' ');
    let name = words.next().unwrap();
    let seconds: Option<u64> = words.next().map(|seconds| seconds.parse().unwrap());
    let role = words.next().unwrap_or("member");
    let claims = json!({"user": name, "role": role}).as_object().cloned().unwrap();
    Identity {
        claims: Claims::new(claims),
        expires_at: seconds.map(|seconds| now_seconds() + seconds),
    }
}

impl Run {
    async fn new() -> Self {
        Self::over(&MemoryStorage::new(), false).await
    }

    async fn over(kept: &MemoryStorage, strict: bool) -> Self {
        let (transport, connector) = MemoryTransport::new();
        let canvas = Scope::new("Canvas", graph());
        let (knows, known) = watch::channel(true);
        let who = ByFunction(move |shown: Option<String>| {
            let known = *known.borrow();
            async move {
                match shown {
                    _ if !known => Err(Rejection::with_type("internal", "nobody can say")),
                    None => Ok(Identity::default()),
                    Some(shown) if shown.starts_with(char::is_alphabetic) => Ok(identity(&shown)),
                    Some(_) => Err(Rejection::with_type("unauthorized", "who?")),
                }
            }
        });
        let server = Server::builder()
            .transport(transport)
            .transport(WebSocket::bind("127.0.0.1:0"))
            .metrics(Metrics::new())
            .storage(Arc::new(kept.clone()))
            .authenticator(who)
            .resume_with_credential(strict)
            .on_fetch(move |fetch| fetch.accept(&canvas));
        Self { server: server.start().await.unwrap(), connector, knows }
    }

    async fn line(&self, info: ConnectInfo) -> Line {
        Line::Memory(self.connector.connect(info).await.unwrap())
    }

    /// A client that says who it is in this way.
    async fn client(&self, way: Way, credential: &str) -> Client {
        let mut client = Client::new(self.line(way.info(credential)).await).of_v1();
        let params = if way == Way::Params { json!({ "token": credential }) } else { json!({}) };
        let reply = client.create(params).await;
        client.token = reply["sessionToken"].as_str().unwrap_or_else(|| panic!("{reply}")).into();
        client
    }

    /// A connection with a session's token, that says who it is in this way.
    async fn resuming(&self, token: &str, way: Way, credential: &str) -> Line {
        self.line(way.info(credential).with_header("X-Jetstream-SessionToken", token)).await
    }

    /// What a connection is closed with that names the token.
    async fn refused(&self, token: &str, way: Way, credential: &str) -> (u16, String) {
        Client::new(self.resuming(token, way, credential).await).close().await
    }

    fn owner(&self) -> Arc<Claims> {
        self.server.sessions()[0].info.claims()
    }
}

/// Where a credential is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Nowhere,
    Params,
    Header,
    Query,
    Subprotocol,
}

impl Way {
    fn info(self, credential: &str) -> ConnectInfo {
        let info = ConnectInfo::new("/");
        match self {
            Self::Nowhere | Self::Params => info,
            Self::Header => info.with_header("Authorization", format!("Bearer {credential}")),
            Self::Query => {
                let credential = credential.replace(' ', "%20");
                ConnectInfo::new(&format!("/?x-jetstream-authorization={credential}"))
            }
            Self::Subprotocol => info.with_credential(credential),
        }
    }
}

/// Whether the client is still served over its connection.
async fn is_served(client: &mut Client) {
    let index = client.change("Canvas", ROOT, json!({"name": "mine"})).await;
    assert_eq!(client.next().await["replyTo"], index);
}

#[tokio::test]
async fn a_stolen_token_is_of_no_use_without_the_credential() {
    let run = Run::new().await;
    for way in [Way::Header, Way::Query, Way::Subprotocol] {
        let mut ann = run.client(way, "ann").await;
        ann.state("Canvas").await;
        let token = ann.token.clone();
        for (way, credential) in [
            (Way::Nowhere, ""),
            (Way::Header, "bo"),
            (Way::Query, "bo"),
            (Way::Subprotocol, "bo"),
            (Way::Header, "?"),
        ] {
            let (code, reason) = run.refused(&token, way, credential).await;
            assert!(code == 4096 && reason.contains("unauthorized"), "{way:?} {code} {reason}");
        }
        is_served(&mut ann).await;
        // Her own, wherever she shows it, and with whatever else it says.
        let line = run.resuming(&token, Way::Header, "ann 1000 editor").await;
        let mut ann = ann.resume(line).await;
        is_served(&mut ann).await;
        let newest = run.server.sessions().pop().unwrap();
        assert_eq!(newest.info.claims().entries()["role"], "editor");
    }
    assert_eq!(run.server.metrics().resumptions_denied.get(), 15);
    assert_eq!(run.server.metrics().sessions_resumed.get(), 3);
}

#[tokio::test]
async fn who_can_show_a_credential_only_once_resumes_without_unless_that_is_forbidden() {
    for strict in [false, true] {
        let run = Run::over(&MemoryStorage::new(), strict).await;
        let mut ann = run.client(Way::Params, "ann").await;
        ann.state("Canvas").await;
        let token = ann.token.clone();
        let (code, _) = run.refused(&token, Way::Header, "bo").await;
        assert_eq!(code, 4096, "one of somebody else is never good");
        if strict {
            assert_eq!(run.refused(&token, Way::Nowhere, "").await.0, 4096);
            is_served(&mut ann).await;
        } else {
            let mut ann = ann.resume(run.resuming(&token, Way::Nowhere, "").await).await;
            is_served(&mut ann).await;
        }
        let line = run.resuming(&token, Way::Subprotocol, "ann").await;
        let mut ann = Client::new(line).of_v1();
        ann.ping().await;
        assert_eq!(ann.any().await["type"], "Ping");
        // Nobody in particular is bound to nothing, and is not somebody.
        let nobody = run.client(Way::Nowhere, "").await;
        assert_eq!(run.refused(&nobody.token, Way::Header, "bo").await.0, 4096);
        nobody.token.clone_into(&mut ann.token);
        let mut nobody = nobody.resume(run.resuming(&ann.token, Way::Nowhere, "").await).await;
        nobody.state("Canvas").await;
    }
}

#[tokio::test]
async fn a_session_from_the_store_belongs_to_who_began_it() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept, false).await;
    let ann = run.client(Way::Header, "ann 1000 editor").await;
    let bo = run.client(Way::Params, "bo 1000 editor").await;
    let short = run.client(Way::Params, "cy 1000").await;
    run.server.shutdown().await;
    let stored = kept.sessions(None, 10).await.unwrap();
    let told = serde_json::to_string(&stored).unwrap();
    assert!(!told.contains("editor\\"), "{told}");
    assert!(
        stored.iter().all(|session| session.params.is_empty()),
        "no credential is kept: {told}"
    );

    let run = Run::over(&kept, false).await;
    for (way, credential) in [(Way::Nowhere, ""), (Way::Header, "bo"), (Way::Header, "?")] {
        let (code, reason) = run.refused(&ann.token, way, credential).await;
        assert!(code == 4096 && reason.contains("unauthorized"), "{way:?} {code} {reason}");
    }
    assert!(run.server.sessions().is_empty());
    assert_eq!(kept.sessions(None, 10).await.unwrap(), stored, "and nothing of it has changed");
    run.knows.send_replace(false);
    assert_eq!(run.refused(&ann.token, Way::Header, "ann").await.0, 1013);
    // As who it was, without being asked.
    let mut bo = Client::new(run.resuming(&bo.token, Way::Nowhere, "").await).of_v1();
    bo.ping().await;
    assert_eq!(bo.any().await["type"], "Ping");
    assert_eq!(run.owner().entries()["role"], "editor");
    run.knows.send_replace(true);
    let mut ann = Client::new(run.resuming(&ann.token, Way::Header, "ann 1000 viewer").await);
    ann.ping().await;
    assert_eq!(ann.any().await["type"], "Ping");
    assert_eq!(run.server.sessions()[1].info.claims().entries()["role"], "viewer");
    // What has expired meanwhile is over.
    let mut expired = kept.sessions(None, 10).await.unwrap();
    expired
        .retain(|session| session.identity.as_ref().is_some_and(|who| who.claims["user"] == "cy"));
    expired[0].identity.as_mut().unwrap().expires_at = Some(now_seconds());
    kept.save_sessions(&expired).await.unwrap();
    let (code, reason) = run.refused(&short.token, Way::Nowhere, "").await;
    assert!(code == 4096 && reason.contains("unrecognized"), "{code} {reason}");
}

#[tokio::test]
async fn a_client_of_whom_nothing_can_be_found_out_tries_again_and_loses_nothing() {
    let run = Run::new().await;
    let mut ann = run.client(Way::Subprotocol, "ann").await;
    ann.state("Canvas").await;
    run.knows.send_replace(false);
    let (code, reason) = run.refused(&ann.token, Way::Subprotocol, "ann").await;
    assert!(code == 1013 && reason.contains("nobody can say"), "{code} {reason}");
    is_served(&mut ann).await;
    run.knows.send_replace(true);
    let token = ann.token.clone();
    let mut ann = ann.resume(run.resuming(&token, Way::Subprotocol, "ann").await).await;
    is_served(&mut ann).await;
}

#[tokio::test]
async fn a_connection_that_is_asked_about_for_too_long_is_let_go_and_the_session_is_not() {
    let (transport, connector) = MemoryTransport::new();
    let who = ByFunction(|shown: Option<String>| async move {
        match shown.as_deref() {
            Some("ann slowly") => std::future::pending().await,
            shown => Ok(identity(shown.unwrap_or("nobody"))),
        }
    });
    let canvas = Scope::new("Canvas", graph());
    let limits = Limits { establish_timeout_ms: 50, ..Limits::default() };
    let server = Server::builder()
        .transport(transport)
        .metrics(Metrics::new())
        .limits(limits)
        .authenticator(who)
        .on_fetch(move |fetch| fetch.accept(&canvas));
    let run =
        Run { server: server.start().await.unwrap(), connector, knows: watch::channel(true).0 };
    let mut ann = run.client(Way::Header, "ann").await;
    ann.state("Canvas").await;
    let (code, reason) = run.refused(&ann.token, Way::Header, "ann slowly").await;
    assert!(code == 1013 && reason.contains("in time"), "{code} {reason}");
    let renewal = ann.send(renew("ann slowly")).await;
    let change = ann.change("Canvas", ROOT, json!({"name": "meanwhile"})).await;
    // Whichever is quicker.
    for _ in 0..2 {
        let reply = ann.next().await;
        match reply["replyTo"].as_u64() {
            Some(index) if index == renewal => assert_eq!(reply["error"]["type"], "internal"),
            index => assert_eq!((index, &reply["fragmentReplies"]), (Some(change), &json!([{}]))),
        }
    }
}

fn renew(credential: &str) -> Value {
    json!({"type": "SessionRenew", "params": {"token": credential}})
}

#[tokio::test]
async fn a_new_credential_counts_if_it_is_of_the_same_principal() {
    let run = Run::new().await;
    let mut ann = run.client(Way::Header, "ann").await;
    let index = ann.send(renew("ann 1000 editor")).await;
    assert_eq!(ann.next().await, json!({"type": "Reply", "index": 1, "replyTo": index}));
    assert_eq!(run.owner().entries()["role"], "editor");
    for (credential, code) in [("bo 1000 editor", "unauthorized"), ("?", "unauthorized")] {
        let index = ann.send(renew(credential)).await;
        let reply = ann.next().await;
        assert_eq!((&reply["replyTo"], &reply["error"]["type"]), (&index.into(), &code.into()));
    }
    // Without one she would be nobody, which is not who she is.
    let index = ann.send(json!({"type": "SessionRenew"})).await;
    let reply = ann.next().await;
    assert_eq!(
        (&reply["replyTo"], &reply["error"]["type"]),
        (&index.into(), &"unauthorized".into())
    );
    run.knows.send_replace(false);
    ann.send(renew("ann 1000 viewer")).await;
    assert_eq!(ann.next().await["error"]["type"], "internal");
    assert_eq!(run.owner().entries()["role"], "editor", "she is who she was");
    ann.state("Canvas").await;
    is_served(&mut ann).await;
}

#[tokio::test]
async fn a_server_that_asks_nobody_takes_no_new_credential() {
    let world = crate::world::World::new().await;
    let mut ann = Client::join_v1(world.line(ConnectInfo::new("/")).await).await;
    ann.send(renew("ann")).await;
    assert_eq!(ann.next().await["error"]["type"], "rejected");
    let mut original = world.client().await;
    original.send(renew("ann")).await;
    original.send(json!({"type": "ScopeFetch", "name": "Canvas"})).await;
    // It does not know the message, so it misses one.
    let ping = original.any().await;
    assert_eq!((&ping["type"], &ping["resendMissing"]), (&"Ping".into(), &true.into()));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_before_it_expires_or_ends() {
    let run = Run::new().await;
    let mut ann = run.client(Way::Header, "ann 200").await;
    let mut bo = run.client(Way::Header, "bo 200").await;
    let warning = ann.next().await;
    assert_eq!(warning["type"], "SessionExpiring");
    let seconds = warning["seconds"].as_u64().unwrap();
    assert!((58..=60).contains(&seconds), "{warning}");
    ann.send(renew("ann 5000")).await;
    assert_eq!(ann.next().await["type"], "Reply");
    let (code, reason) = bo.close().await;
    assert!(code == 4097 && reason.contains("expired"), "{code} {reason}");
    ann.state("Canvas").await;
    is_served(&mut ann).await;
    assert_eq!(run.refused(&bo.token, Way::Header, "bo").await.0, 4096);
}

#[tokio::test]
async fn a_renewed_session_is_stored_as_such() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept, false).await;
    let mut ann = run.client(Way::Params, "ann 1000").await;
    ann.send(renew("ann 5000 editor")).await;
    ann.next().await;
    loop {
        let stored = kept.sessions(None, 1).await.unwrap().remove(0).identity.unwrap();
        if stored.claims["role"] == "editor" {
            assert!(stored.expires_at > Some(now_seconds() + 4_000));
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whose_session_is_revoked_is_gone_at_once_here_and_in_the_store() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept, false).await;
    let (ann, bo) = (run.client(Way::Header, "ann").await, run.client(Way::Header, "bo").await);
    run.server.shutdown().await;
    let run = Run::over(&kept, false).await;
    let mut other = run.client(Way::Header, "ann").await;
    other.state("Canvas").await;
    let away = run.client(Way::Header, "ann").await;
    let away_token = away.token.clone();
    drop(away);
    let revoked = run.server.revoke(|claims| claims.entries()["user"] == "ann").await;
    assert_eq!(revoked, 3, "one that is here, one that is away, one that is stored");
    let (code, reason) = other.close().await;
    assert!(code == 4097 && reason.contains("revoked"), "{code} {reason}");
    for token in [&ann.token, &other.token, &away_token] {
        let (code, reason) = run.refused(token, Way::Header, "ann").await;
        assert!(code == 4096 && reason.contains("unrecognized"), "{code} {reason}");
    }
    while kept.sessions(None, 9).await.unwrap().len() > 1 {
        tokio::task::yield_now().await;
    }
    let mut bo = Client::new(run.resuming(&bo.token, Way::Header, "bo").await);
    bo.ping().await;
    assert_eq!(bo.any().await["type"], "Ping");
}

#[tokio::test]
async fn a_stored_session_is_ended_by_its_name() {
    let kept = MemoryStorage::new();
    let run = Run::over(&kept, false).await;
    let ann = run.client(Way::Header, "ann").await;
    let id = run.server.sessions()[0].info.id();
    run.server.shutdown().await;
    let run = Run::over(&kept, false).await;
    assert!(run.server.end_session(id, "enough").await);
    assert!(!run.server.end_session(id, "enough").await);
    assert_eq!(run.refused(&ann.token, Way::Header, "ann").await.0, 4096);
}

#[tokio::test]
async fn a_browser_shows_its_credential_as_a_subprotocol() {
    let run = Run::new().await;
    let offered = "jetstream, jetstream.authorization.ann%201000%20editor";
    let (line, chosen) = Line::offering(run.server.local_addr(), "/", offered).await;
    assert_eq!(chosen.as_deref(), Some("jetstream"));
    let ann = Client::join_v1(line).await;
    assert_eq!(run.owner().entries()["role"], "editor");
    let path = format!("/?x-jetstream-sessiontoken={}", ann.token);
    let offered = "jetstream, jetstream.authorization.bo";
    let (line, _) = Line::offering(run.server.local_addr(), &path, offered).await;
    assert_eq!(Client::new(line).close().await.0, 4096);
    let offered = "jetstream, jetstream.authorization.ann";
    let (line, _) = Line::offering(run.server.local_addr(), &path, offered).await;
    let mut ann = ann.resume(line).await;
    ann.state("Canvas").await;
}
