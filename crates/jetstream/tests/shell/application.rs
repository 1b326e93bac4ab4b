//! What the application decides, and what becomes of its mistakes.

use jetstream::ConnectInfo;
use jetstream::core::limits::Limits;
use serde_json::json;

use crate::client::Client;
use crate::world::World;

#[derive(Debug, PartialEq)]
struct User(String);

#[tokio::test]
async fn the_application_decides_with_all_that_is_known() {
    let world = World::with(|builder| {
        builder
            .on_session(|session| async move {
                assert_eq!(session.version().to_string(), "0.1.0");
                assert_eq!(session.connection().parameter("device"), Some("phone"));
                assert_eq!(session.connection().header("x-jetstream-sessiontoken"), None);
                match session.param("user") {
                    Some(user) => session.accept_with(User(user.to_owned())),
                    None => session.deny_with("unauthorized", "sign in first"),
                }
            })
            .on_fetch(|fetch| {
                let User(name) = fetch.session().data().unwrap();
                fetch.deny(format!("{name} may not have {}", fetch.name()))
            })
    })
    .await;
    let info = || ConnectInfo::new("/?x-jetstream-device=phone");
    let mut nobody = Client::new(world.line(info()).await);
    let reply = nobody.create(json!({})).await;
    let error = json!({"type": "unauthorized", "message": "sign in first"});
    assert_eq!(reply, json!({"type": "SessionCreateReply", "index": 0, "error": error}));
    let mut ann = Client::new(world.line(info()).await);
    assert!(ann.create(json!({"user": "ann"})).await["sessionToken"].is_string());
    let reply = ann.fetch("Canvas").await;
    assert_eq!(reply["error"], json!({"message": "ann may not have Canvas"}));
    assert_eq!(world.server.metrics().sessions_denied.get(), 1);
    assert_eq!(world.server.metrics().fetches_denied.get(), 1);
}

#[tokio::test]
async fn a_handler_that_panics_denies_that_request_and_no_other() {
    let world = World::with(|builder| {
        builder
            .on_session(|session| {
                assert!(session.param("panic").is_none(), "as asked");
                session.accept()
            })
            .on_fetch(|fetch| async move {
                tokio::task::yield_now().await;
                assert_ne!(fetch.name(), "panic", "as asked");
                fetch.deny("no")
            })
    })
    .await;
    let mut ann = world.stranger().await;
    let reply = ann.create(json!({"panic": "please"})).await;
    assert_eq!(reply["error"]["type"], "internal", "{reply}");
    let mut bo = world.client().await;
    assert_eq!(bo.fetch("panic").await["error"]["type"], "internal");
    assert_eq!(bo.fetch("other").await["error"], json!({"message": "no"}));
    assert_eq!(world.server.metrics().handler_panics.get(), 2);
}

#[tokio::test]
async fn a_fetch_that_takes_its_time_holds_up_its_session_only() {
    let (release, wait) = tokio::sync::watch::channel(false);
    let world = World::with(|builder| {
        builder.on_fetch(move |fetch| {
            let mut wait = wait.clone();
            async move {
                if fetch.name() == "slow" {
                    let _ = wait.wait_for(|released| *released).await;
                }
                fetch.deny(fetch.name())
            }
        })
    })
    .await;
    let (mut ann, mut bo) = (world.client().await, world.client().await);
    ann.send(json!({"type": "ScopeFetch", "name": "slow"})).await;
    ann.send(json!({"type": "ScopeFetch", "name": "quick"})).await;
    assert_eq!(bo.fetch("quick").await["error"]["message"], "quick");
    release.send(true).unwrap();
    for name in ["slow", "quick"] {
        assert_eq!(ann.next().await["error"]["message"], name);
    }
}

#[tokio::test]
async fn a_client_that_asks_on_and_on_is_not_read_beyond_the_bound_and_loses_nothing() {
    let (release, wait) = tokio::sync::watch::channel(false);
    let limits = Limits { inbox_messages_max: 3, ..Limits::default() };
    let world = World::with(|builder| {
        builder.limits(limits).on_fetch(move |fetch| {
            let mut wait = wait.clone();
            async move {
                let _ = wait.wait_for(|released| *released).await;
                fetch.deny(fetch.name())
            }
        })
    })
    .await;
    let mut ann = world.client().await;
    let asking = async {
        for number in 0..100 {
            ann.send(json!({"type": "ScopeFetch", "name": number.to_string()})).await;
        }
    };
    let counting = async {
        // The first is being decided, some wait in the session, and the others in the connection.
        while world.server.metrics().frames_in.get() < 4 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(world.server.metrics().frames_in.get() <= 5);
        release.send(true).unwrap();
    };
    tokio::join!(asking, counting);
    for number in 0..100 {
        assert_eq!(ann.next().await["error"]["message"], number.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_does_not_wait_for_a_session_for_ever() {
    let world = World::with(|builder| {
        builder.on_session(|session| async move {
            std::future::pending::<()>().await;
            session.accept()
        })
    })
    .await;
    let mut ann = world.stranger().await;
    ann.text(json!({"type": "SessionCreate", "index": 0, "version": "0.1.0"}).to_string()).await;
    let (code, reason) = ann.close().await;
    assert_eq!(code, 4096);
    assert!(reason.contains("session-establish-timedout"), "{reason}");
}

#[tokio::test]
async fn more_sessions_or_members_than_allowed_are_denied() {
    let world = World::with_limits(|limits| limits.sessions_max = 1).await;
    let _ann = world.client().await;
    let mut bo = world.stranger().await;
    assert_eq!(bo.create(json!({})).await["error"]["type"], "too-large");
}
