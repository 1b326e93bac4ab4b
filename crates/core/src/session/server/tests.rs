//! Stories of one session: what its client says, what it gets.

use super::*;
use crate::ids::{Revision, SharedText};
use crate::session::FramePart;

mod backlog;
mod identity;
mod pace;
mod restore;
mod resume;

/// A session with a shell that answers nothing by itself.
struct Story {
    session: ServerSession,
    now: Now,
    out: Vec<Output>,
    connections: u64,
}

const FETCH_A: &str = r#"{"type":"ScopeFetch","index":1,"name":"A"}"#;

impl Story {
    fn new(dialect: Dialect, limits: Limits) -> Self {
        let now = Now::default();
        let session = ServerSession::new(SessionId(1), dialect, limits.into(), 7, now);
        let mut story = Self { session, now, out: Vec::new(), connections: 0 };
        story.connect();
        story
    }

    fn original() -> Self {
        Self::new(Dialect::Original, Limits::default())
    }

    fn v1() -> Self {
        Self::new(Dialect::V1, Limits::default())
    }

    /// With scope 0 fetched as message 1 and everything received.
    fn fetched(dialect: Dialect, limits: Limits) -> Self {
        let mut story = Self::new(dialect, limits);
        story.says(FETCH_A);
        story.accepts(1, "A");
        story.state(0, "\"state\":0");
        story.out.clear();
        assert_eq!(story.gets().len(), 2);
        story
    }

    fn handle(&mut self, input: Input<'_>) {
        self.session.handle(self.now, input, &mut self.out);
    }

    fn connect(&mut self) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.handle(Input::Connected { connection });
        connection
    }

    fn disconnect(&mut self) {
        self.handle(Input::Disconnected { connection: ConnectionId(self.connections) });
    }

    fn says(&mut self, text: &str) {
        self.handle(Input::Frame { connection: ConnectionId(self.connections), text });
    }

    fn syncs(&mut self, index: u64, scope: u32) {
        self.says(&format!(
            r#"{{"type":"ScopeSync","index":{index},"scopeIndex":{scope},"fragments":[5]}}"#
        ));
    }

    fn asks(&mut self, ack: u64) {
        self.says(&format!(r#"{{"type":"Ping","index":0,"ack":{ack},"resendMissing":true}}"#));
    }

    fn accepts(&mut self, message: u64, scope: &str) {
        let schema = Arc::new(Schema::default());
        let message = MessageIndex(message);
        self.handle(Input::FetchAccepted { message, scope: scope.into(), schema });
    }

    fn deliver(&mut self, scope: u32, delivery: Delivery) {
        self.handle(Input::Deliver { scope: ScopeIndex(scope), delivery });
    }

    fn state(&mut self, scope: u32, body: &str) {
        self.deliver(scope, Delivery::State { revision: Revision(0), body: body.into() });
    }

    fn change(&mut self, scope: u32, body: &str) {
        self.deliver(scope, Delivery::Sync { revision: Revision(0), body: body.into() });
    }

    fn change_at(&mut self, scope: u32, revision: u64) {
        let revision = Revision(revision);
        self.deliver(scope, Delivery::Sync { revision, body: "[{}]".into() });
    }

    fn reply(&mut self, message: u64) {
        let body: SharedText = "[{}]".into();
        self.deliver(
            0,
            Delivery::Reply {
                message: MessageIndex(message),
                revision: Revision(0),
                lasting: true,
                body,
            },
        );
    }

    fn waits(&mut self, milliseconds: u64) {
        self.now.mono = self.now.mono.plus(milliseconds);
        self.handle(Input::Deadline);
    }

    /// Everything that goes out now, message by message and shortened.
    fn gets(&mut self) -> Vec<String> {
        let mut frame = Frame::new();
        let mut texts = Vec::new();
        while self.session.next_frame(self.now, &mut frame) {
            let text = frame.to_text();
            assert_eq!(text.len(), frame.byte_length());
            let messages: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            texts.extend(messages.iter().map(short));
        }
        texts
    }

    /// What the session wants done, shortened. That scopes are told what the client has seen is left out,
    /// and which bounds were met.
    fn wants(&mut self) -> Vec<String> {
        let mut all = self.wants_all();
        all.retain(|line| !line.starts_with("seen") && !line.starts_with("met"));
        all
    }

    fn wants_all(&mut self) -> Vec<String> {
        self.out
            .drain(..)
            .map(|output| match output {
                Output::Fetch { message, name, .. } => format!("fetch {name} for {message}"),
                Output::Join { message, scope, .. } => format!("join {scope} for {message}"),
                Output::Rejoin { scope, name, .. } => format!("rejoin {scope} {name}"),
                Output::Save => "save".to_owned(),
                Output::Resync { scope } => format!("resync {scope}"),
                Output::Sync { scope, message, .. } => format!("sync {scope} for {message}"),
                Output::Leave { scope } => format!("leave {scope}"),
                Output::Seen { scope, revision } => format!("seen {scope} up to {revision}"),
                Output::Close { connection, reason } => {
                    format!("close {connection} with {}", reason.code())
                }
                Output::Renew { message, params } => {
                    format!("renew {} for {message}", serde_json::to_string(&params).unwrap())
                }
                Output::Limited(limit) => format!("met {}", limit.name()),
                Output::Ended => "ended".to_owned(),
            })
            .collect()
    }
}

/// `State 2 of 0`, `Sync 3 of 0 [1]`, `SyncReply 4 to 2`, `Ping 1 true`.
fn short(message: &serde_json::Value) -> String {
    let number = |key: &str| message[key].as_u64().map_or("?".into(), |n| n.to_string());
    let index = number("index");
    match message["type"].as_str().unwrap() {
        "Ping" => format!("Ping {} {}", number("ack"), message["resendMissing"]),
        "ScopeFetchReply" if message["error"].is_object() => {
            format!("FetchReply {index} to {}: {}", number("replyTo"), message["error"]["message"])
        }
        "ScopeFetchReply" => {
            format!("FetchReply {index} to {}: scope {}", number("replyTo"), number("scopeIndex"))
        }
        "ScopeState" => format!("State {index} of {}", number("scopeIndex")),
        "ScopeSync" => {
            format!("Sync {index} of {} {}", number("scopeIndex"), message["fragments"])
        }
        "ScopeSyncReply" => {
            format!("SyncReply {index} to {} {}", number("replyTo"), message["fragmentReplies"])
        }
        "Reply" => {
            format!("Reply {index} to {} {}", number("replyTo"), message["error"]["message"])
        }
        "SessionExpiring" => format!("Expiring {}", number("seconds")),
        other => panic!("{other}"),
    }
}

#[test]
fn a_fetch_is_answered_with_an_index_and_the_state() {
    let mut story = Story::original();
    story.says(FETCH_A);
    assert_eq!(story.wants(), ["fetch A for 1"]);
    assert_eq!(story.gets(), [""; 0]);
    story.accepts(1, "A");
    assert_eq!(story.wants(), ["join 0 for 1"]);
    story.state(0, "\"rootUUID\":\"r\",\"fragments\":[]");
    assert_eq!(story.gets(), ["FetchReply 1 to 1: scope 0", "State 2 of 0"]);
    assert_eq!(story.gets(), [""; 0]);
}

#[test]
fn a_denied_fetch_uses_no_index() {
    let mut story = Story::original();
    story.says(FETCH_A);
    story.handle(Input::FetchDenied { message: MessageIndex(1), error: Rejection::message("no") });
    story.says(r#"{"type":"ScopeFetch","index":2,"name":"B"}"#);
    story.accepts(2, "B");
    assert_eq!(story.gets(), ["FetchReply 1 to 1: \"no\"", "FetchReply 2 to 2: scope 0"]);
}

#[test]
fn what_follows_a_fetch_waits_for_it() {
    let mut story = Story::original();
    story.says(&format!(
        r#"[{{"type":"ScopeSync","index":2,"scopeIndex":0,"fragments":[]}},{FETCH_A}]"#
    ));
    assert_eq!(story.wants(), ["fetch A for 1"]);
    story.accepts(1, "A");
    assert_eq!(story.wants(), ["join 0 for 1", "sync 0 for 2"]);
    story.accepts(1, "A");
    assert_eq!(story.wants(), [""; 0], "an answer to nothing");
}

#[test]
fn an_original_client_that_fetches_a_scope_again_gets_the_same_index() {
    for (dialect, index, wanted) in
        [(Dialect::Original, 0, "resync 0"), (Dialect::V1, 1, "join 1 for 2")]
    {
        let mut story = Story::fetched(dialect, Limits::default());
        story.says(r#"{"type":"ScopeFetch","index":2,"name":"A"}"#);
        story.accepts(2, "A");
        assert_eq!(story.wants(), ["fetch A for 2", wanted]);
        story.state(index, "\"state\":1");
        assert_eq!(
            story.gets(),
            [format!("FetchReply 3 to 2: scope {index}"), format!("State 4 of {index}")]
        );
        story.says(r#"{"type":"ScopeFetch","index":3,"name":"B"}"#);
        story.accepts(3, "B");
        assert_eq!(story.gets(), [format!("FetchReply 5 to 3: scope {}", index + 1)]);
    }
}

#[test]
fn a_session_fetches_only_so_many_scopes() {
    for (dialect, refetches) in [(Dialect::Original, true), (Dialect::V1, false)] {
        let limits = Limits { session_scopes_max: 1, ..Limits::default() };
        let mut story = Story::fetched(dialect, limits);
        story.says(r#"{"type":"ScopeFetch","index":2,"name":"B"}"#);
        assert_eq!(story.wants(), [""; 0]);
        assert_eq!(
            story.gets(),
            [
                "FetchReply 3 to 2: \"a session fetches at most 1 scopes at a time (session_scopes_max)\""
            ]
        );
        story.says(r#"{"type":"ScopeFetch","index":3,"name":"A"}"#);
        assert_eq!(story.wants().is_empty(), !refetches);
    }
}

#[test]
fn a_sync_to_a_scope_that_is_not_there_fails_each_fragment() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    let refused =
        r#"{"error":{"message":"Scope at index 1 was not found","type":"scope-index-not-found"}}"#;
    story.says(r#"{"type":"ScopeSync","index":2,"scopeIndex":1,"fragments":[1,2]}"#);
    story.says(r#"{"type":"ScopeSync","index":3,"scopeIndex":9,"fragments":[]}"#);
    assert_eq!(
        story.gets(),
        [format!("SyncReply 3 to 2 [{refused},{refused}]"), "SyncReply 4 to 3 []".to_owned()]
    );
    assert_eq!(story.wants(), [""; 0]);
}

#[test]
fn fragments_reach_the_scope_typed_or_as_errors() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.says(
        r#"{"type":"ScopeSync","index":2,"scopeIndex":0,"fragments":[5,6],"atomic":true,"procedure":"a.b"}"#,
    );
    let Some(Output::Sync { changes, .. }) = story.out.pop() else { panic!("no sync") };
    assert!(changes.atomic && changes.procedure.is_some());
    assert_eq!(changes.fragments.len(), 2);
    assert!(changes.fragments.iter().all(Result::is_err));
}

#[test]
fn messages_that_cannot_be_read_are_dropped_and_use_no_index() {
    let mut story = Story::original();
    for text in [
        "hello",
        "",
        "null",
        "5",
        "{}",
        "[]",
        "[null]",
        r#"{"type":"Hello","index":1}"#,
        r#"{"type":"scopefetch","index":1,"name":"A"}"#,
        r#"{"type":"ScopeFetch","index":1}"#,
        r#"{"type":"ScopeFetch","index":"1","name":"A"}"#,
        r#"{"type":"ScopeFetch","index":0,"name":"A"}"#,
        r#"{"type":"SessionClose","index":1}"#,
        r#"{"type":"ScopeUnfetch","index":1,"scopeIndex":0}"#,
    ] {
        story.says(text);
        assert_eq!((story.wants(), story.gets()), (vec![], vec![]), "{text}");
    }
    story.says(FETCH_A);
    assert_eq!(story.wants(), ["fetch A for 1"]);
}

#[test]
fn repeats_are_ignored() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.syncs(2, 0);
    story.reply(2);
    assert_eq!(story.wants(), ["sync 0 for 2"]);
    story.syncs(2, 0);
    story.says(FETCH_A);
    assert_eq!(story.wants(), [""; 0]);
    story.reply(2);
    assert_eq!(story.gets(), ["SyncReply 3 to 2 [{}]"]);
}

#[test]
fn a_second_session_create_and_replies_are_ignored_but_use_their_index() {
    let mut story = Story::original();
    story.says(r#"{"type":"SessionCreate","index":0,"version":"0.1.0"}"#);
    story.says(r#"{"type":"SessionCreate","index":1,"version":"0.1.0"}"#);
    story.says(r#"{"type":"Reply","index":2,"replyTo":1}"#);
    assert_eq!((story.wants(), story.gets()), (vec![], vec![]));
    story.says(r#"{"type":"ScopeFetch","index":3,"name":"A"}"#);
    assert_eq!(story.wants(), ["fetch A for 3"]);
}

#[test]
fn a_gap_is_asked_about_once_and_closed_by_the_resend() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.syncs(3, 0);
    story.syncs(4, 0);
    assert_eq!(story.gets(), ["Ping 1 true"]);
    story.syncs(2, 0);
    story.syncs(3, 0);
    story.syncs(4, 0);
    assert_eq!(story.gets(), [""; 0]);
    assert_eq!(story.wants(), ["sync 0 for 2", "sync 0 for 3", "sync 0 for 4"]);
}

#[test]
fn a_gap_is_asked_about_again_with_every_ping() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.syncs(3, 0);
    assert_eq!(story.gets(), ["Ping 1 true"]);
    story.waits(11_000);
    assert_eq!(story.gets(), ["Ping 1 true"], "the first question may have been lost");
}

#[test]
fn a_message_that_is_unreadable_a_second_time_ends_the_session() {
    let bad = r#"{"type":"Nonsense","index":2}"#;
    for bad in [bad, "not even JSON"] {
        let mut story = Story::fetched(Dialect::Original, Limits::default());
        story.says(bad);
        story.says(bad);
        assert_eq!(story.gets(), [""; 0]);
        story.syncs(3, 0);
        assert_eq!(story.gets(), ["Ping 1 true"]);
        assert_eq!(story.wants(), [""; 0]);
        story.says(bad);
        story.syncs(3, 0);
        assert_eq!(story.wants(), ["close 1 with 4096", "ended"]);
    }
}

#[test]
fn a_gap_that_is_never_closed_ends_the_session() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    for _ in 0..3 {
        story.syncs(3, 0);
        assert_eq!(story.gets(), ["Ping 1 true"]);
    }
    story.syncs(3, 0);
    assert_eq!(story.wants(), ["close 1 with 4096", "ended"]);
    story.syncs(2, 0);
    story.change(0, "[1]");
    assert_eq!((story.wants(), story.gets()), (vec![], vec![]));
    assert_eq!(story.session.deadline(), None);
}

#[test]
fn a_frame_of_too_many_messages_ends_the_session() {
    let limits = Limits { frame_messages_max: 2, ..Limits::default() };
    let mut story = Story::new(Dialect::Original, limits);
    story.says("[1,2,3]");
    assert_eq!(story.wants(), ["close 1 with 4096", "ended"]);
}

#[test]
fn acknowledgements_count_on_any_message_from_1_0_on() {
    for (dialect, expected) in [(Dialect::Original, 2), (Dialect::V1, 0)] {
        let mut story = Story::fetched(dialect, Limits::default());
        story.says(r#"{"type":"Reply","index":2,"replyTo":1,"ack":2}"#);
        story.asks(0);
        assert_eq!(story.gets().len(), 1 + expected);
    }
}

#[test]
fn the_acknowledgements_of_a_frame_are_taken_together() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    for revision in 1..=3 {
        story.change_at(0, revision);
    }
    story.gets();
    let ping = |ack| format!(r#"{{"type":"Ping","index":0,"ack":{ack}}}"#);
    story.says(&format!("[{},{},{},{}]", ping(3), ping(5), ping(4), ping(99)));
    assert_eq!(story.wants_all(), ["seen 0 up to 3"]);
    story.asks(0);
    assert_eq!(story.gets(), ["Ping 1 true"]);
}

#[test]
fn a_frame_that_asks_for_too_many_answers_is_not_answered_to_its_end() {
    let limits = Limits { backlog_bytes_hard_max: 10_000, ..Limits::default() };
    let mut story = Story::fetched(Dialect::Original, limits);
    let sync = |index: u64, scope| {
        format!(r#"{{"type":"ScopeSync","index":{index},"scopeIndex":{scope},"fragments":[5]}}"#)
    };
    let mut frame: Vec<String> = (2..200).map(|index| sync(index, 9)).collect();
    frame.push(sync(200, 0));
    story.says(&format!("[{}]", frame.join(",")));
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
}

#[test]
fn an_acknowledgement_beyond_what_was_sent_is_ignored() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.says(r#"{"type":"Ping","index":0,"ack":99}"#);
    story.asks(0);
    assert_eq!(story.gets(), ["Ping 1 true", "FetchReply 1 to 1: scope 0", "State 2 of 0"]);
}

#[test]
fn a_scope_is_told_what_an_original_client_has_seen() {
    for (dialect, told) in [(Dialect::Original, &["seen 0 up to 3"][..]), (Dialect::V1, &[])] {
        let mut story = Story::fetched(dialect, Limits::default());
        story.syncs(2, 0);
        for (revision, message) in [(3, None), (4, Some(MessageIndex(2))), (4, None)] {
            let (revision, body) = (Revision(revision), "[{}]".into());
            story.deliver(
                0,
                match message {
                    None => Delivery::Sync { revision, body },
                    Some(message) => Delivery::Reply { message, revision, lasting: true, body },
                },
            );
        }
        story.gets();
        story.wants();
        // Revision 4 comes in messages 4 and 5: who has only the first has not seen it.
        story.says(r#"{"type":"Ping","index":0,"ack":4,"resendMissing":false}"#);
        assert_eq!(story.wants_all(), told);
    }
}

#[test]
fn the_server_pings_about_every_interval() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    for _ in 0..3 {
        let deadline = story.session.deadline().unwrap();
        let interval = deadline.since(story.now.mono);
        assert!((9_000..=11_000).contains(&interval), "{interval}");
        story.waits(interval - 1);
        assert_eq!(story.gets(), [""; 0]);
        story.waits(1);
        assert_eq!(story.gets(), ["Ping 1 false"]);
    }
}

#[test]
fn a_ping_acknowledges_only_what_was_answered() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.syncs(2, 0);
    story.syncs(3, 0);
    story.reply(3);
    assert_eq!(story.gets(), ["SyncReply 3 to 3 [{}]"]);
    story.waits(11_000);
    assert_eq!(story.gets(), ["Ping 1 false"]);
    story.reply(2);
    story.waits(11_000);
    assert_eq!(story.gets(), ["Ping 3 false", "SyncReply 4 to 2 [{}]"]);
}

#[test]
fn silence_ends_the_session_and_any_message_keeps_it() {
    let mut story = Story::original();
    story.waits(599_999);
    story.says(r#"{"type":"Ping","index":0,"ack":0}"#);
    story.disconnect();
    assert_eq!(story.session.deadline(), Some(Millis(599_999 + 600_000)));
    story.waits(599_999);
    assert_eq!(story.wants(), [""; 0]);
    story.waits(1);
    assert_eq!(story.wants(), ["ended"]);

    let mut story = Story::original();
    story.waits(600_000);
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
}

#[test]
fn the_application_can_end_a_session() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.change(0, "[1]");
    story.handle(Input::End { message: "bye".into() });
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
    assert_eq!(story.gets(), ["Sync 3 of 0 [1]"], "what waited still goes out");
    story.handle(Input::End { message: "bye".into() });
    assert_eq!(story.wants(), [""; 0]);
}

#[test]
fn a_1_0_client_leaves_a_scope_after_its_changes_are_answered() {
    let mut story = Story::fetched(Dialect::V1, Limits::default());
    story.syncs(2, 0);
    story.says(r#"{"type":"ScopeUnfetch","index":3,"scopeIndex":0}"#);
    story.syncs(4, 0);
    assert_eq!(story.wants(), ["sync 0 for 2"]);
    story.reply(2);
    assert_eq!(story.wants(), ["leave 0"]);
    story.change(0, "[1]");
    assert_eq!(
        story.gets(),
        [
            "SyncReply 3 to 2 [{}]",
            r#"SyncReply 4 to 4 [{"error":{"message":"Scope at index 0 was not found","type":"scope-index-not-found"}}]"#
        ]
    );
    story.says(r#"{"type":"ScopeFetch","index":5,"name":"A"}"#);
    story.accepts(5, "A");
    assert_eq!(story.gets(), ["FetchReply 5 to 5: scope 1"], "the index is not used again");
}

#[test]
fn a_1_0_client_closes_its_session() {
    let mut story = Story::v1();
    story.says(r#"{"type":"SessionClose","index":1}"#);
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
    assert!(story.session.is_ended());
}

#[test]
fn a_closed_scope_refuses_what_it_did_not_answer() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.syncs(2, 0);
    story.handle(Input::ScopeClosed { scope: ScopeIndex(0) });
    story.reply(2);
    story.change(0, "[1]");
    story.state(0, "\"state\":1");
    assert_eq!(story.gets().len(), 1);
    story.asks(3);
    assert_eq!(story.gets(), ["Ping 2 true"]);
}

#[test]
fn reading_stops_while_too_much_waits() {
    let limits = Limits { inbox_messages_max: 2, ..Limits::default() };
    let mut story = Story::new(Dialect::Original, limits);
    story.says(FETCH_A);
    story.syncs(2, 0);
    assert!(story.session.wants_frames());
    story.syncs(3, 0);
    assert!(!story.session.wants_frames(), "two messages wait for the fetch");
    story.accepts(1, "A");
    assert!(!story.session.wants_frames(), "two ChangeSets wait for their answers");
    story.reply(2);
    assert!(story.session.wants_frames());

    let limits = Limits { message_bytes_max: 100, ..Limits::default() };
    let mut story = Story::new(Dialect::Original, limits);
    story.says(FETCH_A);
    story.syncs(2, 0);
    assert!(story.session.wants_frames());
    story.syncs(3, 0);
    assert!(!story.session.wants_frames(), "the frames that wait are too long");
    story.accepts(1, "A");
    assert!(story.session.wants_frames());

    let limits = Limits { message_bytes_max: 100, ..Limits::default() };
    let mut story = Story::fetched(Dialect::Original, limits);
    let long = "5".repeat(60);
    for index in [2, 3] {
        assert!(story.session.wants_frames());
        story.says(&format!(
            r#"{{"type":"ScopeSync","index":{index},"scopeIndex":0,"fragments":[{long}]}}"#
        ));
    }
    assert!(!story.session.wants_frames(), "what the scope has not answered is too long");
    story.reply(3);
    assert!(story.session.wants_frames());
}

#[test]
fn long_bodies_are_not_copied_and_frames_are_of_limited_length() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    let body: SharedText = format!("[{}]", "1,".repeat(20_000) + "1").into();
    for _ in 0..4 {
        story.deliver(0, Delivery::Sync { revision: Revision(0), body: body.clone() });
    }
    let mut frame = Frame::new();
    for _ in 0..2 {
        assert!(story.session.next_frame(story.now, &mut frame));
        let shared: Vec<_> = frame
            .parts()
            .filter_map(|part| match part {
                FramePart::Shared(text) => Some(text),
                FramePart::Copied(_) | FramePart::Piece(_) => None,
            })
            .collect();
        assert_eq!(shared.len(), 2);
        assert!(shared.iter().all(|text| Arc::ptr_eq(text, &body)));
    }
    assert!(!story.session.next_frame(story.now, &mut frame));
}
