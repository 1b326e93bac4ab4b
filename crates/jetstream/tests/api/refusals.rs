//! Who is not let in, and what is not understood.

use serde_json::json;

use super::http::{Ask, get, post};
use super::world::*;

#[tokio::test]
async fn who_has_no_token_or_not_the_role_is_refused() {
    let world = World::new().await;
    let unknown = world.ask(&get("/v1/scopes/Canvas")).await;
    assert_eq!(unknown.problem(), (401, "unauthorized".to_owned()));
    assert_eq!(unknown.header("www-authenticate"), Some("Bearer"));
    let wrong = get("/v1/scopes/Canvas").bearer("a-token-that-reads-not");
    assert_eq!(world.ask(&wrong).await.status, 401);
    let body = json!({"update": {}});
    for ask in [
        post("/v1/scopes/Canvas/update", &body).bearer(READER),
        post("/v1/scopes/Canvas/changes", &body).bearer(READER),
        get("/v1/scopes/Others").bearer(READER),
        get("/v1/sessions").bearer(WRITER),
        Ask { method: "DELETE".into(), ..get("/v1/sessions/1") }.bearer(READER),
        post("/v1/sessions/revoke", &body).bearer(WRITER),
    ] {
        let refused = world.ask(&ask).await;
        assert_eq!(refused.problem(), (403, "forbidden".to_owned()), "{ask:?}");
    }
    assert_eq!(world.ask(&get("/v1/scopes/Canvas").bearer(ADMIN)).await.status, 200);
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_the_reason() {
    let world = World::new().await;
    let body = |text: &str| {
        let ask = post("/v1/scopes/Canvas/changes", &json!(null)).bearer(WRITER);
        Ask { body: Some(text.to_owned()), ..ask }
    };
    let kind = |kind: &str| {
        let ask = Ask { headers: Vec::new(), ..rename("x") };
        ask.bearer(WRITER).header("Content-Type", kind)
    };
    let put = Ask { method: "PUT".into(), ..get("/v1/scopes/Canvas/changes") };
    let long = "x".repeat(70_000);
    for (ask, status) in [
        (body("{"), 400),
        (body("[]"), 400),
        (body("{}"), 400),
        (body(r#"{"fragments": []}"#), 400),
        (body(r#"{"fragments": [1], "atomc": true}"#), 400),
        (body(r#"{"fragments": [1]}"#), 422),
        (update(&json!({"$inc": {"x": 1}})), 400),
        (update(&json!({"$set": {"name": 7}})), 422),
        (rename("x").header("Idempotency-Key", "two words"), 400),
        (rename("x").header("Idempotency-Key", "a").header("Idempotency-Key", "a"), 400),
        (rename("x").header("If-Match", "12"), 412),
        (rename("x").header("Accept", "text/html"), 406),
        (rename(&long), 413),
        (kind("text/plain"), 415),
        (kind("application/json").header("Content-Encoding", "gzip"), 415),
        (put.bearer(READER), 405),
        (get("/v1/scopes/Canvas?after=1").bearer(READER), 400),
        (get("/v1/scopes/Canvas/changes?after=x").bearer(READER), 400),
        (get("/v1/scopes/Canvas/changes").bearer(READER).header("Last-Event-ID", "x"), 400),
        (get("/v1/scopes/Canvas/changes").bearer(READER).header("Accept", "application/json"), 406),
        (get("/v1/nothing").bearer(READER), 404),
    ] {
        let answer = world.ask(&ask).await;
        assert_eq!(answer.status, status, "{ask:?}: {answer:?}");
        assert!(answer.json()["error"]["message"].is_string());
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_eq!(world.get("/v1/scopes/Canvas").await.json()["revision"], 0);
}

#[tokio::test]
async fn without_tokens_only_this_machine_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let text = CONFIG.split("[api]").next().unwrap();
    let text = format!("{text}[api]\nlisten = '127.0.0.1:0'\nunprotected = true\n{PAST}");
    let config = jetstream::config::Config::parse("jetstream.toml", &text, folder.path(), &[]);
    let world = World::of(&config.unwrap_or_else(|error| panic!("{error}"))).await;
    assert_eq!(world.ask(&get("/v1/scopes/Canvas")).await.status, 200);
    assert_eq!(world.ask(&get("/v1/sessions")).await.status, 200);
    for (name, value) in
        [("Host", "evil.test"), ("Origin", "https://evil.test"), ("X-Forwarded-For", "192.0.2.1")]
    {
        let foreign = get("/v1/scopes/Canvas").header(name, value);
        assert_eq!(world.ask(&foreign).await.status, 403, "{name}");
    }
    let body = json!({"update": {"$set": {"name": "local"}}});
    assert_eq!(world.ask(&post("/v1/scopes/Canvas/update", &body)).await.status, 200);
    assert_eq!(world.audit().await[0]["author"], "this machine");
}
