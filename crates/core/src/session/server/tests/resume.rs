//! Connections break, and nothing is lost, twice or out of order.

use super::*;

#[test]
fn a_ping_brings_everything_that_was_not_acknowledged() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    let all = ["Ping 1 true", "FetchReply 1 to 1: scope 0", "State 2 of 0"];
    story.asks(0);
    assert_eq!(story.gets(), all);
    story.asks(0);
    assert_eq!(story.gets(), all, "as often as it is asked");
    story.says(r#"{"type":"Ping","index":0,"ack":1}"#);
    story.asks(0);
    assert_eq!(story.gets(), ["Ping 1 true", "State 2 of 0"]);
    story.asks(2);
    assert_eq!(story.gets(), ["Ping 1 true"]);
}

#[test]
fn what_is_sent_again_is_the_same_text() {
    let mut story = Story::fetched(Dialect::V1, Limits::default());
    story.change(0, "[1.0]");
    story.syncs(2, 0);
    story.reply(2);
    let mut first = Frame::new();
    assert!(story.session.next_frame(story.now, &mut first));
    story.says(r#"{"type":"Reply","index":3,"replyTo":3,"ack":2}"#);
    story.asks(2);
    let mut again = Frame::new();
    assert!(story.session.next_frame(story.now, &mut again));
    let ping = r#"[{"type":"Ping","index":0,"ack":3,"resendMissing":true},"#;
    assert_eq!(again.to_text(), first.to_text().replacen('[', ping, 1));
}

#[test]
fn a_resumed_session_sends_nothing_by_itself() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.disconnect();
    story.change(0, "[1]");
    story.change(0, "[2]");
    story.connect();
    assert_eq!(story.gets(), [""; 0]);
    story.asks(2);
    assert_eq!(story.gets(), ["Ping 1 true", "Sync 3 of 0 [1]", "Sync 4 of 0 [2]"]);
}

#[test]
fn what_waited_goes_out_ahead_of_the_next_message() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.disconnect();
    story.change(0, "[1]");
    story.connect();
    story.syncs(2, 0);
    assert_eq!(story.gets(), [""; 0]);
    story.reply(2);
    assert_eq!(story.gets(), ["Sync 3 of 0 [1]", "SyncReply 4 to 2 [{}]"]);
}

#[test]
fn news_does_not_overtake_what_the_client_may_lack() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.change(0, "[1]");
    assert_eq!(story.gets(), ["Sync 3 of 0 [1]"]);
    story.disconnect();
    story.connect();
    story.change(0, "[2]");
    assert_eq!(story.gets(), [""; 0], "the client may not have 3");
    story.waits(999);
    assert_eq!(story.gets(), [""; 0]);
    story.asks(2);
    assert_eq!(story.gets(), ["Ping 1 true", "Sync 3 of 0 [1]", "Sync 4 of 0 [2]"]);
}

#[test]
fn news_waits_a_second_for_the_question_at_the_most() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.disconnect();
    story.connect();
    story.change(0, "[1]");
    assert_eq!(story.gets(), [""; 0]);
    assert_eq!(story.session.deadline(), Some(story.now.mono.plus(1_000)));
    story.waits(1_000);
    assert_eq!(story.gets(), ["Sync 3 of 0 [1]"]);
}

#[test]
fn news_goes_out_at_once_to_a_client_that_has_acknowledged_everything() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.says(r#"{"type":"Ping","index":0,"ack":2}"#);
    story.disconnect();
    story.connect();
    story.change(0, "[1]");
    assert_eq!(story.gets(), ["Sync 3 of 0 [1]"]);
}

#[test]
fn a_message_that_was_sent_into_a_dead_connection_comes_with_the_ping() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.change(0, "[1]");
    assert_eq!(story.gets(), ["Sync 3 of 0 [1]"]);
    story.disconnect();
    story.change(0, "[2]");
    story.connect();
    story.asks(2);
    assert_eq!(story.gets(), ["Ping 1 true", "Sync 3 of 0 [1]", "Sync 4 of 0 [2]"]);
}

#[test]
fn the_answer_to_a_resend_waits_for_the_answers_before_it() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.syncs(2, 0);
    story.disconnect();
    story.connect();
    story.asks(2);
    story.change(0, "[1]");
    assert_eq!(story.gets(), [""; 0], "nothing overtakes the answer");
    story.reply(2);
    assert_eq!(story.gets(), ["Ping 2 true", "Sync 3 of 0 [1]", "SyncReply 4 to 2 [{}]"]);
}

#[test]
fn the_answer_to_a_resend_waits_a_second_at_the_most() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.syncs(2, 0);
    story.asks(1);
    assert_eq!(story.session.deadline(), Some(story.now.mono.plus(1_000)));
    story.waits(999);
    story.asks(1);
    assert_eq!(story.gets(), [""; 0]);
    story.waits(1);
    assert_eq!(story.gets(), ["Ping 1 true", "State 2 of 0"], "a second question waits no longer");
}

#[test]
fn a_newer_connection_takes_over() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    let old = ConnectionId(1);
    let new = story.connect();
    assert_eq!(story.wants(), ["close 1 with 1000"]);
    story.handle(Input::Frame { connection: old, text: FETCH_A });
    story.handle(Input::Disconnected { connection: old });
    assert_eq!(story.session.connection(), Some(new));
    story.asks(2);
    story.change(0, "[1]");
    assert_eq!(story.gets(), ["Ping 1 true", "Sync 3 of 0 [1]"]);
}

#[test]
fn pings_stop_with_the_connection() {
    let mut story = Story::original();
    story.waits(11_000);
    story.disconnect();
    story.connect();
    assert_eq!(story.gets(), [""; 0], "that of the old connection is forgotten");
    story.disconnect();
    assert_eq!(story.session.deadline(), Some(story.now.mono.plus(600_000)));
}

#[test]
fn a_gap_of_an_old_connection_is_asked_about_again_on_the_new_one() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.syncs(3, 0);
    assert_eq!(story.gets(), ["Ping 1 true"]);
    for _ in 0..5 {
        story.disconnect();
        story.connect();
        story.syncs(3, 0);
        assert_eq!(story.gets(), ["Ping 1 true"]);
    }
    assert!(!story.session.is_ended());
}

// The edits that were lost with the old connection were made before, and come after.
#[test]
fn what_a_client_says_that_it_has_when_it_comes_back_does_not_count_for_edits_that_were_lost() {
    let mut story = Story::fetched(Dialect::Original, Limits::default());
    story.change_at(0, 3);
    story.change_at(0, 4);
    story.gets();
    story.wants_all();
    story.disconnect();
    story.connect();
    story.asks(3);
    story.gets();
    story.says(r#"{"type":"Ping","index":0,"ack":3}"#);
    assert_eq!(story.wants_all(), [""; 0]);
    story.syncs(2, 0);
    story.says(r#"{"type":"Ping","index":0,"ack":4}"#);
    assert_eq!(story.wants_all(), ["sync 0 for 2", "seen 0 up to 4"]);
}
