//! Following scopes.

use serde_json::json;

use super::http::{get, open};
use super::world::*;

#[tokio::test]
async fn the_past_is_told_and_then_each_change_as_it_comes() {
    let world = World::new().await;
    world.rename(1..=100).await;
    let mut stream = world.open("/v1/scopes/Canvas/changes?after=0").await;
    assert_eq!(stream.answer.header("content-type"), Some("text/event-stream"));
    let (name, id, data) = stream.event().await.unwrap();
    assert_eq!((name.as_str(), id, &data["author"]), ("commit", Some(1), &json!("billing")));
    assert_eq!(data["fragments"][0]["properties"]["name"], "name 1");
    assert!(data["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(stream.revisions(99).await, (2..=100).collect::<Vec<_>>());
    world.rename(101..=103).await;
    assert_eq!(stream.revisions(3).await, [101, 102, 103]);
}

#[tokio::test]
async fn who_comes_back_goes_on_where_it_was() {
    let world = World::new().await;
    let mut stream = world.open("/v1/scopes/Canvas/changes").await;
    assert_eq!(stream.answer.status, 200);
    world.rename(1..=5).await;
    assert_eq!(stream.revisions(2).await, [1, 2]);
    drop(stream);
    let again = get("/v1/scopes/Canvas/changes?after=0").bearer(READER);
    let again = again.header("Last-Event-ID", "2").header("Accept", "text/event-stream");
    let mut stream = open(&world.address(), &again).await;
    assert_eq!(stream.revisions(3).await, [3, 4, 5]);
}

#[tokio::test]
async fn a_stream_may_end_when_everything_was_told() {
    let world = World::new().await;
    world.rename(1..=80).await;
    let mut stream = world.open("/v1/scopes/Canvas/changes?after=10&wait=0").await;
    assert_eq!(stream.revisions(70).await, (11..=80).collect::<Vec<_>>());
    assert!(stream.event().await.is_none());
}

#[tokio::test]
async fn who_asks_for_what_is_not_known_any_more_is_told_to_begin_with_the_state() {
    let world = World::with("[storage]\nmemory = true\n").await;
    world.rename([1, 2]).await;
    for after in [1, 3] {
        let gone = world.get(&format!("/v1/scopes/Canvas/changes?after={after}")).await;
        assert_eq!(gone.problem(), (410, "gone".to_owned()));
        assert!(gone.json()["error"]["message"].as_str().unwrap().contains("begin with the state"));
    }
    let mut stream = world.open("/v1/scopes/Canvas/changes?after=2").await;
    world.rename([3]).await;
    assert_eq!(stream.revisions(1).await, [3]);
}

#[tokio::test]
async fn a_server_that_goes_away_tells_readers_to_come_back() {
    let world = World::new().await;
    let mut stream = world.open("/v1/scopes/Canvas/changes").await;
    world.rename([1]).await;
    assert_eq!(stream.revisions(1).await, [1]);
    let server = world.server.clone();
    let shutdown = tokio::spawn(async move { server.shutdown().await });
    let (name, id, data) = stream.event().await.unwrap();
    assert_eq!((name.as_str(), id), ("resume", None));
    assert_eq!(data["error"]["type"], "unavailable");
    assert!(stream.event().await.is_none());
    shutdown.await.unwrap();
}

#[tokio::test]
async fn only_so_many_programs_follow_at_a_time() {
    let world = World::new().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(world.open("/v1/scopes/Canvas/changes").await);
    }
    let refused = world.get("/v1/scopes/Canvas/changes").await;
    assert_eq!(refused.problem(), (429, "too-many-streams".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(world.get("/v1/scopes/Canvas").await.status, 200, "others go on");
    // One that ends makes room.
    let last = streams.pop().unwrap();
    drop(last);
    while world.open("/v1/scopes/Canvas/changes?wait=0").await.answer.status == 429 {
        tokio::task::yield_now().await;
    }
}
