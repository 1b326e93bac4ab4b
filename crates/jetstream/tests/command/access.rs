//! `jetstream access` and `jetstream token`, on the chat with roles of the demos.

use std::path::{Path, PathBuf};

use super::process::{folder, jetstream, run};

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demos/chat-roles")
}

/// A copy of the demo that a test may change.
fn copy(test: &str) -> PathBuf {
    let folder = folder(test);
    for file in std::fs::read_dir(demo()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    folder
}

#[test]
fn the_rules_of_the_demo_do_what_its_cases_say() {
    let ended = run(jetstream(&demo(), &["access", "test", "cases.toml"]));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
    assert!(ended.out.ends_with("14 cases, 41 checks, 0 failed\n"), "{}", ended.out);
    assert!(ended.out.starts_with("ok    who shows no token is not let in\n"), "{}", ended.out);
}

#[test]
fn a_rule_that_is_taken_out_fails_the_cases_that_are_about_it() {
    let folder = copy("access_mutant");
    let whole = std::fs::read_to_string(folder.join("jetstream.toml")).unwrap();
    let (head, rules) = whole.split_once("[scopes.ChatRoom.access]\n").unwrap();
    let conditions = rules.lines().filter(|line| line.contains(" = "));
    for condition in conditions.clone() {
        let (name, _) = condition.split_once(" = ").unwrap();
        let mutant = rules.replace(condition, &format!("{name} = \"true\""));
        let text = format!("{head}[scopes.ChatRoom.access]\n{mutant}");
        std::fs::write(folder.join("mutant.toml"), text).unwrap();
        let arguments = ["access", "test", "cases.toml", "--config", "mutant.toml"];
        let ended = run(jetstream(&folder, &arguments));
        assert_eq!(ended.code, Some(1), "without {condition}:\n{}{}", ended.out, ended.err);
        assert!(
            ended.out.contains("FAIL  ") && ended.out.contains("(cases.toml:"),
            "{}",
            ended.out
        );
    }
    assert_eq!(conditions.count(), 9);
}

#[test]
fn what_is_decided_is_explained_with_the_rule_and_the_values() {
    let arguments =
        ["access", "explain", "--session", "bo.json", "--scope", "ChatRoom", "changes.json"];
    let with_state = [&arguments[..], &["--state", "state.json"]].concat();
    let ended = run(jetstream(&demo(), &with_state));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
    let page = include_str!("../../../../docs/guide/access.md");
    let (_, rest) = page.split_once("```text title=\"access explain\"\n").expect("its output");
    let (shown, _) = rest.split_once("```").expect("its end");
    assert_eq!(ended.out, shown, "the guide shows what the command says");
    // With the file named, and on what the scope begins with.
    let named = [&["access", "explain", "jetstream.toml"][..], &arguments[2..]].concat();
    let ended = run(jetstream(&demo(), &named));
    assert!(ended.out.contains("no object") && !ended.out.contains("ann"), "{}", ended.out);
    let nobody = ["access", "explain", "--scope", "ChatRoom", "changes.json"];
    let ended = run(jetstream(&demo(), &nobody));
    assert!(ended.out.starts_with("fetch: refused by the rule fetch"), "{}", ended.out);
}

#[test]
fn what_is_wrong_with_files_and_names_is_said_with_its_place() {
    let folder = copy("access_mistakes");
    let cases = std::fs::read_to_string(folder.join("cases.toml")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    for (old, new, expected) in [
        ("\"$root.topic\"", "\"$rot.topic\"", "no object \"$rot\""),
        ("\"$hello.author\"", "\"$hello.autor\"", "no model has a property \"autor\""),
        ("session = \"ann\"", "session = \"anne\"", "no session \"anne\" in [sessions]"),
        ("fetch = \"refused by fetch\"", "fetch = \"denied\"", "\"denied\" is not what can become"),
        ("refused by add.Message", "refused by add.Mesage", "no rule \"add.Mesage\""),
        ("hides = [\"$new\"]", "hide = [\"$new\"]", "no key \"hide\" in a case"),
        ("scope = \"ChatRoom\"", "scope = \"Chatroom\"", "did you mean \"ChatRoom\"?"),
        ("\"refused\"]", "\"refused\", \"refused\"]", "3 expectations for 2 fragments"),
        ("state.json", "states.json", "cannot read states.json"),
    ] {
        assert!(cases.contains(old), "{old}");
        write("wrong.toml", &cases.replacen(old, new, 1));
        let ended = run(jetstream(&folder, &["access", "test", "wrong.toml"]));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{new}");
        assert!(ended.err.contains(expected), "{new}: {}", ended.err);
        assert!(ended.err.contains("--> wrong.toml:"), "{new}: {}", ended.err);
    }
    write("claims.json", "{\"sub\": ann}");
    write("changes.json", "{\"fragments\": 1}");
    let explain = |session: &str, scope: &str| {
        let arguments =
            ["access", "explain", "--session", session, "--scope", scope, "changes.json"];
        run(jetstream(&folder, &arguments)).err
    };
    assert!(explain("claims.json", "ChatRoom").contains("--> claims.json:1:9"));
    assert!(explain("bo.json", "ChatRoom").contains("these are no changes"));
    assert!(explain("bo.json", "Chat").contains("error: no scope \"Chat\""));
    assert!(explain("none.json", "ChatRoom").contains("cannot read none.json"));
    write("jetstream.toml", "[models.A]\n[scopes.A]\nroot = \"A\"\n");
    assert!(explain("bo.json", "A").contains("has no access table"));
}

#[test]
fn a_token_for_development_is_one_that_the_server_takes() {
    let ended = run(jetstream(&demo(), &["token", "keys.json", "aud=chat", "sub=ann", "n=[1]"]));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("for development"), "{}", ended.err);
    let keys = std::fs::read_to_string(demo().join("keys.json")).unwrap();
    let jwt = jetstream::authentication::Jwt::from_jwks(&keys).unwrap().audience("chat");
    let claims = jwt.identify(ended.out.trim()).unwrap().claims;
    assert_eq!(claims.entries()["user"], "ann");
    assert_eq!(claims.entries()["n"], serde_json::json!([1]));
    for (arguments, expected) in [
        (&["token", "none.json"][..], "cannot read none.json"),
        (&["token", "bo.json"], "no set of keys"),
        (&["token", "keys.json", "sub"], "a claim is NAME=VALUE, not \"sub\""),
    ] {
        let ended = run(jetstream(&demo(), arguments));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}
