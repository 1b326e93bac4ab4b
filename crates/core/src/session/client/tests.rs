//! Stories of a client: what its server says, what it does.

use super::*;
use crate::ids::ScopeIndex;

mod together;

struct Story {
    session: ClientSession,
    now: Now,
    out: Vec<ClientOutput>,
}

const TOKEN: &str = r#"[{"type":"SessionCreateReply","index":0,"sessionToken":"abc"}]"#;

impl Story {
    fn new(version: &str) -> Self {
        let version = version.parse().unwrap();
        let config = ClientConfig { version, ..ClientConfig::default() };
        Self { session: ClientSession::new(config, 1), now: Now::default(), out: Vec::new() }
    }

    /// With a session and an open connection.
    fn live(version: &str) -> Self {
        let mut story = Self::new(version);
        story.handle(ClientInput::Connected);
        story.gets();
        story.hears(TOKEN);
        assert_eq!(story.tells(), ["established"]);
        story
    }

    fn handle(&mut self, input: ClientInput<'_>) {
        self.session.handle(self.now, input, &mut self.out);
    }

    fn hears(&mut self, text: &str) {
        self.handle(ClientInput::Frame { text });
    }

    fn hears_reply(&mut self, index: u64) {
        self.hears(&format!(r#"{{"type":"Reply","index":{index},"replyTo":1}}"#));
    }

    fn loses(&mut self, code: Option<u16>, reason: &str) {
        self.handle(ClientInput::Disconnected { code, reason });
    }

    fn unfetches(&mut self, scope: u32) -> u64 {
        self.session.send(&ClientBody::ScopeUnfetch { scope_index: ScopeIndex(scope) }).0
    }

    fn waits(&mut self, milliseconds: u64) {
        self.now.mono = self.now.mono.plus(milliseconds);
        self.handle(ClientInput::Deadline);
    }

    /// The text of every frame that goes out now.
    fn gets(&mut self) -> Vec<String> {
        let mut frame = Frame::new();
        let mut frames = Vec::new();
        while self.session.next_frame(self.now, &mut frame) {
            frames.push(frame.to_text());
        }
        frames
    }

    fn tells(&mut self) -> Vec<String> {
        self.out
            .drain(..)
            .map(|output| match output {
                ClientOutput::Established { .. } => "established".to_owned(),
                ClientOutput::Refused { error } => format!("refused: {error}"),
                ClientOutput::Resumed => "resumed".to_owned(),
                ClientOutput::Message(message) => format!("message {}", message.index),
                ClientOutput::Expiring { seconds } => format!("expiring in {seconds} s"),
                ClientOutput::Reconnect => "reconnect".to_owned(),
                ClientOutput::Over { error } => format!("over: {error}"),
            })
            .collect()
    }
}

fn unfetch(index: u64, ack: Option<u64>, scope: u32) -> String {
    let ack = ack.map_or(String::new(), |ack| format!(r#""ack":{ack},"#));
    format!(r#"{{"type":"ScopeUnfetch","index":{index},{ack}"scopeIndex":{scope}}}"#)
}

#[test]
fn a_session_is_created_before_anything_is_sent() {
    let mut story = Story::new("1.2.0");
    assert_eq!(story.unfetches(7), 1);
    assert_eq!(story.gets(), [""; 0], "there is no connection");
    story.handle(ClientInput::Connected);
    let create = r#"[{"type":"SessionCreate","index":0,"params":{},"version":"1.2.0"}]"#;
    assert_eq!(story.gets(), [create]);
    assert_eq!(story.gets(), [""; 0]);
    story.hears(TOKEN);
    assert_eq!(story.tells(), ["established"]);
    assert_eq!(story.session.token(), Some("abc"));
    assert_eq!(story.gets(), [format!("[{}]", unfetch(1, Some(0), 7))]);
}

#[test]
fn a_refused_session_is_told() {
    let mut story = Story::new("1.0.0");
    story.handle(ClientInput::Connected);
    story.gets();
    story.hears(r#"{"type":"SessionCreateReply","index":0,"error":{"message":"full"}}"#);
    assert_eq!(story.tells(), ["refused: full"]);
    assert_eq!(story.session.token(), None);
}

#[test]
fn only_from_1_0_on_every_message_acknowledges() {
    for (version, ack) in [("0.13.4", None), ("1.0.0", Some(1))] {
        let mut story = Story::live(version);
        story.hears_reply(1);
        story.unfetches(3);
        assert_eq!(story.gets(), [format!("[{}]", unfetch(1, ack, 3))]);
    }
}

#[test]
fn messages_are_told_once_and_in_order() {
    let mut story = Story::live("1.0.0");
    story.hears(
        r#"[{"type":"Reply","index":2,"replyTo":1},{"type":"Reply","index":1,"replyTo":1},
            {"type":"Reply","index":2,"replyTo":1},{"type":"Ping","index":0,"ack":0},
            {"type":"Nonsense","index":0}]"#,
    );
    assert_eq!(story.tells(), ["message 1", "message 2"]);
}

#[test]
fn a_gap_is_asked_about() {
    let mut story = Story::live("1.0.0");
    story.hears_reply(2);
    story.hears_reply(3);
    assert_eq!(story.gets(), [r#"[{"type":"Ping","index":0,"ack":0,"resendMissing":true}]"#]);
    story.hears(r#"{"type":"Ping","index":0,"ack":0,"resendMissing":true}"#);
    (1..=3).for_each(|index| story.hears_reply(index));
    assert_eq!(story.tells(), ["message 1", "message 2", "message 3"]);
    assert_eq!(story.gets(), [""; 0], "a question is not answered with a question");
}

#[test]
fn a_gap_that_stays_ends_the_session() {
    let mut story = Story::live("1.0.0");
    (0..4).for_each(|_| story.hears_reply(2));
    assert_eq!(story.tells(), ["over: message 1 is missing or cannot be read"]);
    assert_eq!(story.session.token(), None);
}

#[test]
fn after_a_resume_we_send_what_the_server_does_not_have_and_only_when_it_says_so() {
    let mut story = Story::live("1.0.0");
    for scope in 1..=3 {
        story.unfetches(scope);
    }
    story.gets();
    story.hears_reply(1);
    story.tells();
    story.loses(None, "");
    assert_eq!(story.unfetches(4), 4);
    assert_eq!(story.gets(), [""; 0]);
    story.handle(ClientInput::Connected);
    assert_eq!(story.gets(), [r#"[{"type":"Ping","index":0,"ack":1,"resendMissing":true}]"#]);
    story.hears_reply(2);
    assert_eq!(story.tells(), ["message 2"]);
    story.hears(r#"{"type":"Ping","index":0,"ack":2,"resendMissing":true}"#);
    assert_eq!(story.tells(), ["resumed"]);
    assert_eq!(story.gets(), [format!("[{},{}]", unfetch(3, Some(2), 3), unfetch(4, Some(2), 4))]);
}

#[test]
fn acknowledged_messages_are_forgotten() {
    let mut story = Story::live("1.0.0");
    story.unfetches(1);
    story.gets();
    assert!(story.session.backlog_bytes() > 0);
    story.hears(r#"{"type":"Ping","index":0,"ack":1}"#);
    assert_eq!(story.session.backlog_bytes(), 0);
}

#[test]
fn two_close_codes_mean_start_over_and_all_others_resume() {
    let reason = CloseReason::unknown_token().reason_text();
    for (code, expected) in [(4096, "over: no session has this token; start a new one"), (4097, "")]
    {
        let mut story = Story::live("1.0.0");
        assert_eq!(story.unfetches(1), 1);
        let reason = if expected.is_empty() { "" } else { &reason };
        story.loses(Some(code), reason);
        let told = story.tells();
        assert!(told.len() == 1 && told[0].starts_with("over: "), "{told:?}");
        assert!(told[0].starts_with(expected), "{told:?}");
        assert_eq!(story.session.token(), None);
        assert_eq!(story.unfetches(1), 1, "a new session counts anew");
        story.handle(ClientInput::Connected);
        assert!(story.gets()[0].contains("SessionCreate"));
    }
    for code in [None, Some(1000), Some(1001), Some(1006), Some(1011)] {
        let mut story = Story::live("1.0.0");
        story.loses(code, "");
        assert_eq!(story.tells(), [""; 0]);
        assert_eq!(story.session.token(), Some("abc"));
    }
}

#[test]
fn a_client_pings_about_every_interval_and_soon_after_many_messages() {
    let mut story = Story::live("0.13.4");
    let deadline = story.session.deadline().unwrap();
    assert!((9_000..=11_000).contains(&deadline.0), "{deadline:?}");
    story.waits(deadline.0);
    assert_eq!(story.gets(), [r#"[{"type":"Ping","index":0,"ack":0,"resendMissing":false}]"#]);
    (1..=255).for_each(|index| story.hears_reply(index));
    assert_eq!(story.gets(), [""; 0]);
    story.hears_reply(256);
    assert_eq!(story.gets(), [r#"[{"type":"Ping","index":0,"ack":256,"resendMissing":false}]"#]);
}

#[test]
fn a_silent_connection_is_dead() {
    let mut story = Story::live("1.0.0");
    story.waits(20_000);
    story.hears(r#"{"type":"Ping","index":0,"ack":0}"#);
    story.waits(24_999);
    assert_eq!(story.tells(), [""; 0]);
    story.waits(1);
    assert_eq!(story.tells(), ["reconnect"]);
    assert_eq!(story.session.deadline(), None);
    story.hears_reply(1);
    assert_eq!(story.tells(), [""; 0], "nothing counts that the dead connection still brings");
}

#[test]
fn a_connection_that_never_brings_a_session_is_dead_however_much_it_says() {
    let mut story = Story::new("1.0.0");
    story.handle(ClientInput::Connected);
    story.gets();
    // The reply was lost: the server thinks that we know each other.
    for _ in 0..2 {
        story.waits(10_000);
        story.hears(r#"{"type":"Ping","index":0,"ack":0}"#);
    }
    story.waits(5_000);
    assert_eq!(story.tells(), ["reconnect"]);
}

#[test]
fn a_resumed_client_asks_until_it_is_answered() {
    let mut story = Story::live("1.0.0");
    story.loses(None, "");
    story.handle(ClientInput::Connected);
    let asks = [r#"[{"type":"Ping","index":0,"ack":0,"resendMissing":true}]"#];
    assert_eq!(story.gets(), asks);
    story.waits(11_000);
    assert_eq!(story.gets(), asks);
}

#[test]
fn a_gap_is_asked_about_again_with_every_ping() {
    let mut story = Story::live("1.0.0");
    story.hears_reply(2);
    let asks = [r#"[{"type":"Ping","index":0,"ack":0,"resendMissing":true}]"#];
    assert_eq!(story.gets(), asks);
    story.waits(11_000);
    assert_eq!(story.gets(), asks, "the first question may have been lost");
}

#[test]
fn a_credential_is_renewed_and_not_kept_once_it_was_looked_at() {
    let mut story = Story::live("1.0.0");
    story.hears(r#"{"type":"SessionExpiring","index":0,"seconds":60}"#);
    assert_eq!(story.tells(), ["expiring in 60 s"]);
    let params: serde_json::Map<_, _> = serde_json::from_str(r#"{"token":"new"}"#).unwrap();
    assert_eq!(story.session.send(&ClientBody::SessionRenew { params }), MessageIndex(1));
    let renew = r#"{"type":"SessionRenew","index":1,"ack":0,"params":{"token":"new"}}"#;
    assert_eq!(story.gets(), [format!("[{renew}]")]);
    story.loses(None, "");
    story.handle(ClientInput::Connected);
    story.gets();
    story.hears(r#"{"type":"Ping","index":0,"ack":0,"resendMissing":true}"#);
    assert_eq!(story.tells(), ["resumed"]);
    assert_eq!(story.gets(), [format!("[{renew}]")], "it may have been lost");
    story.hears(r#"{"type":"Reply","index":1,"replyTo":1,"error":{"message":"who?"}}"#);
    assert_eq!(story.tells(), ["message 1"]);
    story.hears(r#"{"type":"Ping","index":0,"ack":0,"resendMissing":true}"#);
    let again = story.gets().concat();
    assert!(again.contains(r#""index":1"#) && !again.contains("new"), "{again}");
}
