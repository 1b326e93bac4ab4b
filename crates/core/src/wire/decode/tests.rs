//! What is a message, and what is not.

use super::*;

fn only(text: &str) -> Result<ClientMessage, Unreadable> {
    let mut messages = frame(text, &Limits::default()).unwrap();
    assert_eq!(messages.len(), 1, "{text}");
    messages.remove(0)
}

fn fault(text: &str) -> String {
    match only(text) {
        Ok(message) => panic!("{text} was read as {message:?}"),
        Err(unreadable) => unreadable.to_string(),
    }
}

#[test]
fn params_that_are_missing_or_null_are_none() {
    for params in ["", r#","params":null"#, r#","params":{}"#] {
        let text = format!(r#"{{"type":"ScopeFetch","index":1,"name":"P"{params}}}"#);
        match only(&text).map(|message| message.body) {
            Ok(ClientBody::ScopeFetch { params, .. }) => assert!(params.is_empty(), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_message_says_why() {
    let cases = [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ("[", "not JSON"),
        ("{}{}", "not JSON"),
        ("\u{feff}{}", "not JSON"),
        ("null", "a message is an object"),
        ("5", "a message is an object"),
        ("\"SessionCreate\"", "a message is an object"),
        ("[null]", "a message is an object"),
        ("[[]]", "a message is an object"),
        ("{}", "index: expected a whole number that is not negative"),
        (r#"{"index":1}"#, "type: expected a string"),
        (r#"{"index":1,"type":5}"#, "type: expected a string"),
        (r#"{"index":1,"type":"Hello"}"#, "unknown message type"),
        (r#"{"index":1,"type":"scopefetch","name":"P"}"#, "unknown message type"),
        (r#"{"index":1,"type":"ScopeFetch","params":{}}"#, "name: expected a string"),
        (r#"{"index":1,"type":"ScopeFetch","name":5}"#, "name: expected a string"),
        (r#"{"index":1,"type":"ScopeFetch","name":"P","params":[]}"#, "params: expected an object"),
        (r#"{"index":1,"type":"Reply"}"#, "replyTo: expected a whole number that is not negative"),
        (r#"{"index":0,"type":"SessionCreate"}"#, "version: expected a string"),
        (r#"{"index":0,"type":"SessionCreate","version":1}"#, "version: expected a string"),
    ];
    for (text, expected) in cases {
        assert_eq!(fault(text), expected, "{text}");
    }
}

#[test]
fn an_index_that_is_no_number_is_none() {
    for index in ["\"1\"", "-1", "1.5", "null", "true", "[1]", "1e400", "9007199254740993"] {
        let text = format!(r#"{{"type":"ScopeFetch","index":{index},"name":"P"}}"#);
        assert_eq!(fault(&text), "index: expected a whole number that is not negative");
    }
    for index in ["7", "7.0", "7e0", "70e-1"] {
        let text = format!(r#"{{"type":"ScopeFetch","index":{index},"name":"P"}}"#);
        assert_eq!(only(&text).unwrap().index, MessageIndex(7));
    }
}

#[test]
fn a_scope_sync_with_bad_fields_is_unreadable() {
    let cases = [
        r#""scopeIndex":0"#,
        r#""scopeIndex":0,"fragments":{}"#,
        r#""scopeIndex":0,"fragments":null"#,
        r#""fragments":[]"#,
        r#""scopeIndex":-1,"fragments":[]"#,
        r#""scopeIndex":null,"fragments":[]"#,
        r#""scopeIndex":"0","fragments":[]"#,
        r#""scopeIndex":0.5,"fragments":[]"#,
        r#""scopeIndex":0,"fragments":[],"atomic":null"#,
        r#""scopeIndex":0,"fragments":[],"atomic":1"#,
        r#""scopeIndex":0,"fragments":[],"atomic":"true""#,
    ];
    for fields in cases {
        let text = format!(r#"{{"type":"ScopeSync","index":2,{fields}}}"#);
        assert_eq!(only(&text).unwrap_err().index, Some(MessageIndex(2)), "{text}");
    }
}

#[test]
fn a_scope_sync_keeps_its_fragments_raw() {
    let text = r#" {"type":"ScopeSync", "index":2, "scopeIndex":5000000000, "atomic":true,
        "procedure":"rename", "fragments":[null, 5 , {"a":[1, 2]}, "\ud800"], "more":{}} "#;
    let ClientBody::ScopeSync { scope_index, fragments, atomic, procedure } =
        only(text).unwrap().body
    else {
        panic!("no ScopeSync");
    };
    assert_eq!(scope_index, ScopeIndex(u32::MAX));
    let raw: Vec<_> = fragments.iter().map(|fragment| fragment.get()).collect();
    assert_eq!(raw, ["null", "5", r#"{"a":[1, 2]}"#, r#""\ud800""#]);
    assert!(atomic);
    assert_eq!(procedure.as_deref(), Some("rename"));
}

#[test]
fn a_procedure_that_is_no_text_is_kept_as_one_that_is_no_name() {
    for procedure in ["5", "null", "[\"a.b\"]", "1.5"] {
        let text = format!(
            r#"{{"type":"ScopeSync","index":2,"scopeIndex":0,"fragments":[],"atomic":true,"procedure":{procedure}}}"#
        );
        let ClientBody::ScopeSync { procedure, .. } = only(&text).unwrap().body else {
            panic!("no ScopeSync");
        };
        assert_eq!(procedure.as_deref(), Some(""));
    }
}

#[test]
fn a_ping_needs_an_ack_and_asks_for_a_resend_only_with_true() {
    for ack in ["", r#","ack":-1"#, r#","ack":1.5"#, r#","ack":"x""#, r#","ack":null"#] {
        let text = format!(r#"{{"type":"Ping","index":0{ack},"resendMissing":true}}"#);
        assert_eq!(fault(&text), "ack: expected a whole number that is not negative");
    }
    assert!(only(r#"{"type":"Ping","ack":0,"resendMissing":true}"#).is_err());
    let cases = [
        ("", false),
        (r#","resendMissing":false"#, false),
        (r#","resendMissing":"true""#, false),
        (r#","resendMissing":1"#, false),
        (r#","resendMissing":true"#, true),
    ];
    for (field, expected) in cases {
        let text = format!(r#"{{"type":"Ping","index":0,"ack":3{field}}}"#);
        let message = only(&text).unwrap();
        assert_eq!(message.ack, Some(MessageIndex(3)));
        assert!(
            matches!(message.body, ClientBody::Ping { resend_missing } if resend_missing == expected),
            "{text}"
        );
    }
}

#[test]
fn a_version_is_a_full_semantic_version() {
    let version = |version: &str| {
        only(&format!(r#"{{"type":"SessionCreate","index":0,"version":"{version}"}}"#))
    };
    for good in ["1.2.3", "v1.2.3", "1.2.3-beta.1+build.5", "0.1.0"] {
        assert!(version(good).is_ok(), "{good}");
    }
    for bad in ["abc", "1.0", " 1.2.3", "=1.2.3", "01.2.3", "", "vv1.2.3"] {
        assert_eq!(version(bad).unwrap_err().fault, Fault::Version, "{bad}");
    }
}

#[test]
fn the_messages_of_a_frame_come_in_ascending_index_and_one_bad_one_takes_no_other_with_it() {
    let text = r#"[{"type":"Reply","index":4,"replyTo":1},{"type":"Nonsense","index":3},
        {"type":"Reply","index":2,"replyTo":1},{"type":"Reply","index":2,"replyTo":9},
        {"type":"Ping","index":0,"ack":0}]"#;
    let found: Vec<_> = frame(text, &Limits::default())
        .unwrap()
        .into_iter()
        .map(|message| match message {
            Ok(ClientMessage { index, body: ClientBody::Reply { reply_to }, .. }) => {
                format!("{index} to {reply_to}")
            }
            Ok(message) => message.body.to_string(),
            Err(unreadable) => format!("no {}", unreadable.index.unwrap()),
        })
        .collect();
    assert_eq!(found, ["Ping", "2 to 1", "2 to 9", "no 3", "4 to 1"]);
    assert!(frame("[]", &Limits::default()).unwrap().is_empty());
}

#[test]
fn a_frame_of_too_many_messages_is_not_read() {
    let limits = Limits { frame_messages_max: 2, ..Limits::default() };
    assert_eq!(frame("[1,2]", &limits).unwrap().len(), 2);
    assert_eq!(frame("[1,2,3]", &limits).unwrap_err(), TooManyMessages { max: 2 });
}

#[test]
fn a_scope_sync_of_far_too_many_fragments_is_unreadable() {
    let limits = Limits { fragments_max: 1, ..Limits::default() };
    let sync = |count: usize| {
        let fragments = vec!["1"; count].join(",");
        let text =
            format!(r#"{{"type":"ScopeSync","index":1,"scopeIndex":0,"fragments":[{fragments}]}}"#);
        frame(&text, &limits).unwrap().remove(0)
    };
    assert!(sync(4).is_ok());
    assert_eq!(sync(5).unwrap_err().fault, Fault::TooManyFragments);
}

#[test]
fn a_million_nested_arrays_are_an_error_and_no_stack_overflow() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
    assert_eq!(fault(&deep), "a message is an object");
    assert_eq!(fault(&"[".repeat(1_000_000)), "not JSON");
    assert_eq!(fault(&objects), "index: expected a whole number that is not negative");
    let params = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(
        fault(&format!(
            r#"{{"type":"ScopeFetch","index":1,"name":"P","params":{{"a":{params}}}}}"#
        )),
        "params: expected an object"
    );
    let long = "x".repeat(70_000);
    assert_eq!(
        fault(&format!(
            r#"{{"type":"ScopeFetch","index":1,"name":"P","params":{{"a":"{long}"}}}}"#
        )),
        "params: expected an object of at most 64 KiB"
    );
    let sync = format!(
        r#"{{"type":"ScopeSync","index":1,"scopeIndex":0,"fragments":[{deep},{objects}]}}"#
    );
    assert!(only(&sync).is_ok());
}

#[test]
fn a_server_s_messages_are_read() {
    let read = |text: &str| server_frame(text).remove(0);
    let body = |text: &str| read(text).unwrap().body;
    for name in ["SessionCreateReply", "SessionCreateResponse"] {
        let text = format!(
            r#"[{{"type":"{name}","index":0,"sessionToken":"abc","limits":{{"messageBytes":9,"fragments":8}}}}]"#
        );
        let ServerBody::SessionCreateReply { result, limits } = body(&text) else {
            panic!("{text}");
        };
        assert_eq!(result.unwrap(), "abc");
        assert_eq!(limits, Some(ClientLimits { message_bytes_max: 9, fragments_max: 8 }));
    }
    let text =
        r#"{"type":"ScopeFetchReply","index":1,"replyTo":4,"error":{"message":"no","type":"t"}}"#;
    let ServerBody::ScopeFetchReply { reply_to, result } = body(text) else { panic!("{text}") };
    assert_eq!((reply_to, result), (MessageIndex(4), Err(Rejection::with_type("t", "no"))));

    let text = r#"{"type":"ScopeState","index":2,"scopeIndex":3,"rootUUID":"CA000000-0000-4000-8000-000000000001","fragments":[{}]}"#;
    let ServerBody::ScopeState { scope_index, root, fragments } = body(text) else {
        panic!("{text}")
    };
    assert_eq!((scope_index, fragments.len()), (ScopeIndex(3), 1));
    assert_eq!(root.to_string(), "ca000000-0000-4000-8000-000000000001");

    let text = r#"{"type":"ScopeSyncReply","index":2,"replyTo":1,"ack":7,"fragmentReplies":[{},{"error":{"message":"no"}},{"modifications":{"x":1}}]}"#;
    let message = read(text).unwrap();
    assert_eq!(message.ack, Some(MessageIndex(7)));
    let ServerBody::ScopeSyncReply { replies, .. } = message.body else { panic!("{text}") };
    assert_eq!(replies[0], FragmentReply::default());
    assert_eq!(replies[1].error, Some(Rejection::message("no")));
    assert_eq!(replies[2].modifications.as_deref(), Some(r#"{"x":1}"#));

    for bad in [
        r#"{"type":"ScopeFetchReply","index":1,"replyTo":4}"#,
        r#"{"type":"ScopeFetchReply","index":1,"replyTo":4,"error":null}"#,
        r#"{"type":"ScopeState","index":2,"scopeIndex":3,"rootUUID":"x","fragments":[]}"#,
        r#"{"type":"ScopeSyncReply","index":2,"replyTo":1,"fragmentReplies":[null]}"#,
        r#"{"type":"SessionCreate","index":0,"version":"1.0.0"}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
