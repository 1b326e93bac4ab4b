//! Reading and changing scopes.

use serde_json::json;

use super::http::{get, post};
use super::world::*;

#[tokio::test]
async fn a_state_is_told_with_its_tag_and_not_again_to_who_has_it() {
    let world = World::new().await;
    let first = world.get("/v1/scopes/Canvas").await;
    assert_eq!((first.status, first.header("etag")), (200, Some("\"0\"")));
    let state = first.json();
    assert_eq!((&state["scope"], &state["revision"]), (&json!("Canvas"), &json!(0)));
    assert_eq!(state["fragments"][0]["uuid"], state["rootUUID"]);
    assert_eq!(state["fragments"][0]["properties"]["name"], "first");
    let again = get("/v1/scopes/Canvas").bearer(READER).header("If-None-Match", "W/\"7\", \"0\"");
    let same = world.ask(&again).await;
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    assert_eq!(same.header("etag"), Some("\"0\""));
    world.rename([1]).await;
    let other = world.ask(&again).await;
    assert_eq!((other.status, other.header("etag")), (200, Some("\"1\"")));
}

#[tokio::test]
async fn a_scope_of_a_family_is_opened_by_its_name_in_the_path() {
    let world = World::new().await;
    let state = world.get("/v1/scopes/boards%2F%C3%A9%20%2B").await;
    assert_eq!(state.json()["scope"], "boards/é +");
    for unknown in ["boards", "Canvsa", "boards%2F1%2F2"] {
        let path = format!("/v1/scopes/{unknown}");
        let answer = world.ask(&get(&path).bearer(WRITER)).await;
        assert_eq!(answer.problem(), (404, "scope-not-found".to_owned()), "{unknown}");
    }
}

#[tokio::test]
async fn an_update_changes_values_by_paths_and_tells_what_it_made() {
    let world = World::new().await;
    let push = json!({"$push": {"shapes": {"$each": [{"$cls": "Shape", "x": 1},
                                                     {"$cls": "Shape", "$uuid": SHAPE}]}}});
    let done = world.done(&update(&push)).await;
    assert_eq!((&done["revision"], &done["added"][1]), (&json!(1), &json!(SHAPE)));
    world.done(&update(&json!({"$set": {"shapes[-1].x": 7, "name": "both"}}))).await;
    let shape = world.get(&format!("/v1/scopes/Canvas/objects/{}", SHAPE.to_uppercase())).await;
    let expected = json!({"revision": 2, "uuid": SHAPE, "clsName": "Shape",
                          "properties": {"x": 7}});
    assert_eq!((shape.json(), shape.header("etag")), (expected, Some("\"2\"")));
    let none = "/v1/scopes/Canvas/objects/5a000000-0000-4000-8000-0000000000ff";
    assert_eq!(world.get(none).await.problem(), (404, "not-found".to_owned()));
    // Nothing of it is done if a part cannot be.
    let half = update(&json!({"$set": {"name": "half", "shapes[9].x": 1}}));
    let refused = world.ask(&half).await;
    assert_eq!(refused.problem(), (422, "could-not-apply-sync-message".to_owned()));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("shapes[9].x"));
    assert_eq!(world.get("/v1/scopes/Canvas").await.header("etag"), Some("\"2\""));
}

#[tokio::test]
async fn fragments_are_applied_together_or_each_alone() {
    let world = World::new().await;
    let root = world.root().await;
    let mut fragments = add_shape(&root, SHAPE, 1);
    let done = world.done(&change(&json!({"fragments": fragments}))).await;
    assert_eq!(done, json!({"revision": 1, "added": [SHAPE], "fragmentReplies": [{}, {}]}));
    fragments[0]["uuid"] = json!("5a000000-0000-4000-8000-000000000002");
    fragments[1] = json!({"type": "change", "uuid": root, "clsName": "Canvas",
                          "properties": {"name": "alone"}});
    let together = world.ask(&change(&json!({"fragments": fragments}))).await;
    assert_eq!(together.problem(), (422, "could-not-apply-sync-message".to_owned()));
    let replies = &together.json()["fragmentReplies"];
    assert_eq!(replies[1]["error"]["type"], "transaction-aborted");
    assert_eq!(together.json()["revision"], 1);
    let alone = world.done(&change(&json!({"fragments": fragments, "atomic": false}))).await;
    assert_eq!((&alone["revision"], &alone["fragmentReplies"][1]), (&json!(2), &json!({})));
    assert!(alone["fragmentReplies"][0]["error"]["message"].is_string());
    let none = json!({"fragments": [fragments[0]], "atomic": false});
    assert_eq!(world.ask(&change(&none)).await.status, 422, "nothing of it was applied");
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_also_from_the_server_that_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[storage]\npath = 'data'\n");
    let world = World::of(&config).await;
    let root = world.root().await;
    let add = change(&json!({"fragments": add_shape(&root, SHAPE, 1)}));
    let add = add.header("Idempotency-Key", "order-17");
    let refused =
        change(&json!({"fragments": [{"type": "remove", "uuid": root, "clsName": "Canvas"}]}));
    let refused = refused.header("Idempotency-Key", "order-18");
    let push = json!({"$push": {"shapes": {"$cls": "Shape"}}});
    let push = update(&push).header("Idempotency-Key", "order-19");
    let answers = [world.ask(&add).await, world.ask(&refused).await, world.ask(&push).await];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 422, 200]);
    let bodies = answers.each_ref().map(|answer| answer.body.clone());
    world.server.shutdown().await;
    world.kept.as_ref().unwrap().scopes.close().await;
    drop(world);
    let world = World::of(&config).await;
    let other = change(&json!({"fragments": add_shape(&root, SHAPE, 2)}));
    let other = other.header("Idempotency-Key", "order-17");
    for _ in 0..2 {
        for (ask, body) in [&add, &refused, &push].into_iter().zip(&bodies) {
            assert_eq!(&world.ask(ask).await.body, body);
        }
        let reused = world.ask(&other).await;
        assert_eq!(reused.problem(), (422, "idempotency-key-reused".to_owned()));
        // Another program's key is its own.
        let theirs = world.ask(&other.clone().bearer(ADMIN)).await;
        assert_eq!(theirs.problem().0, 422, "there is such a shape already");
        assert_ne!(theirs.problem().1, "idempotency-key-reused");
    }
    assert_eq!(world.get("/v1/scopes/Canvas").await.json()["revision"], 2);
}

#[tokio::test]
async fn a_change_for_another_state_is_not_made() {
    let world = World::new().await;
    let at = |tag: &str| rename("new").header("If-Match", tag);
    assert_eq!(world.ask(&at("\"0\"")).await.status, 200);
    let late = world.ask(&at("\"0\"")).await;
    assert_eq!(late.problem(), (412, "precondition-failed".to_owned()));
    assert_eq!(late.json()["revision"], 1);
    assert_eq!(world.ask(&at("\"no tag\"")).await.problem().0, 412);
    assert_eq!(world.ask(&at("*")).await.status, 200);
    // Asked again it gets its answer, although the state is another one by now.
    let once = at("\"2\"").header("Idempotency-Key", "once");
    let done = world.ask(&once).await;
    assert_eq!((done.status, world.ask(&once).await.body), (200, done.body));
}

#[tokio::test]
async fn the_tag_of_a_scope_that_is_gone_fits_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[storage]\nmemory = true\n");
    let (before, after) = (World::of(&config).await, World::of(&config).await);
    let tag = before.get("/v1/scopes/Canvas").await;
    let tag = tag.header("etag").unwrap();
    assert_eq!(before.ask(&rename("new").header("If-Match", tag)).await.status, 200);
    assert_eq!(after.ask(&rename("new").header("If-Match", tag)).await.status, 412);
    let known = get("/v1/scopes/Canvas").bearer(READER).header("If-None-Match", tag);
    assert_eq!(after.ask(&known).await.status, 200);
}

#[tokio::test]
async fn the_history_names_the_token_that_asked() {
    let world = World::new().await;
    world.rename([1]).await;
    world.done(&rename("with a key").header("Idempotency-Key", "k")).await;
    let audit = world.audit().await;
    for line in &audit {
        assert_eq!((&line["author"], &line["session"]), (&json!("billing"), &json!(null)));
    }
    assert_eq!(audit.len(), 2);
}

#[tokio::test]
async fn rules_of_access_are_about_clients_and_not_about_programs() {
    let rules = "[scopes.Canvas.access]\nfetch = 'false'\n";
    let world = World::with(&format!("{rules}{PAST}")).await;
    world.rename([1]).await;
    let state = world.get("/v1/scopes/Canvas").await.json();
    assert_eq!(state["fragments"][0]["properties"]["name"], "name 1");
}

#[tokio::test]
async fn the_description_names_every_operation() {
    let world = World::new().await;
    let served = world.ask(&get("/v1/openapi.json")).await;
    assert_eq!(served.body, include_str!("../../src/api/openapi.json"));
    let text = served.json();
    assert_eq!(text["openapi"], "3.1.0");
    for (path, operations) in text["paths"].as_object().unwrap() {
        let path = path.replace("{name}", "Canvas").replace("{uuid}", SHAPE).replace("{id}", "1");
        for method in operations.as_object().unwrap().keys() {
            let ask = super::http::Ask { method: method.to_uppercase(), ..get(&path) };
            let answer = world.ask(&ask).await;
            let expected = if path == "/v1/openapi.json" { 200 } else { 401 };
            assert_eq!(answer.status, expected, "{method} {path}");
        }
    }
    assert_eq!(world.ask(&post("/v1/openapi.json", &json!({}))).await.status, 405);
}
