//! A client that goes too fast is slowed, then refused, then denied; what was not refused is done.

use super::*;
use crate::rate::SharedMeter;
use crate::session::server::pace;

/// Ten messages a second, of which one second's may come at once.
fn ten_a_second() -> Limits {
    Limits {
        session_messages_per_second_max: 10,
        session_bytes_per_second_max: Limits::NONE,
        rate_burst_ms: 1_000,
        ..Limits::default()
    }
}

/// A thousand bytes a second, of which one second's may come at once.
fn a_thousand_bytes_a_second() -> Limits {
    Limits {
        session_messages_per_second_max: Limits::NONE,
        session_bytes_per_second_max: 1_000,
        rate_burst_ms: 1_000,
        ..Limits::default()
    }
}

fn sync(index: u64) -> String {
    format!(r#"{{"type":"ScopeSync","index":{index},"scopeIndex":0,"fragments":[5]}}"#)
}

/// All of these in one frame.
fn syncs(story: &mut Story, indices: std::ops::RangeInclusive<u64>) {
    story.says(&format!("[{}]", indices.map(sync).collect::<Vec<_>>().join(",")));
}

/// For each ChangeSet that goes to a scope its message, and whether it is refused for its client's rate.
fn handed_on(story: &mut Story) -> Vec<(u64, bool)> {
    let synced = story.out.drain(..).filter_map(|output| match output {
        Output::Sync { message, changes, .. } => {
            let refusal = changes.fragments[0].as_ref().expect_err("5 is no fragment");
            Some((message.0, refusal.code.as_deref() == Some("rate-limited")))
        }
        _ => None,
    });
    synced.collect()
}

#[test]
fn a_client_beyond_its_burst_is_not_read_from_until_what_it_sent_is_paid_for() {
    let mut story = Story::fetched(Dialect::V1, ten_a_second());
    syncs(&mut story, 2..=10);
    assert!(story.session.wants_frames(), "the fetch and nine changes are a burst");
    story.syncs(11, 0);
    story.syncs(12, 0);
    assert!(!story.session.wants_frames());
    let all: Vec<_> = (2..=12).map(|message| (message, false)).collect();
    assert_eq!(handed_on(&mut story), all, "everything that was read is done");
    assert_eq!(story.session.deadline(), Some(Millis(200)));
    story.waits(199);
    assert!(!story.session.wants_frames());
    story.waits(1);
    assert!(story.session.wants_frames());
}

#[test]
fn a_slowed_client_goes_on_where_it_was_and_its_indices_have_no_gap() {
    let mut story = Story::fetched(Dialect::V1, ten_a_second());
    syncs(&mut story, 2..=15);
    handed_on(&mut story);
    (2..=15).for_each(|message| story.reply(message));
    let replies: Vec<_> = (2..=15).map(|n| format!("SyncReply {} to {n} [{{}}]", n + 1)).collect();
    assert_eq!(story.gets(), replies);
    let free = story.session.deadline().unwrap().0;
    story.waits(free);
    story.syncs(16, 0);
    assert_eq!(handed_on(&mut story), [(16, false)]);
}

#[test]
fn what_is_beyond_a_second_burst_is_refused_in_its_place_by_the_scope() {
    let mut story = Story::fetched(Dialect::V1, ten_a_second());
    syncs(&mut story, 2..=25);
    let expected: Vec<_> = (2..=25).map(|message| (message, message > 20)).collect();
    assert_eq!(handed_on(&mut story), expected);
    assert!(!story.session.is_ended());
    let refusal = pace::refusal(Limit::SessionMessagesPerSecond, &ten_a_second());
    assert_eq!(
        refusal.message,
        "more than 10 messages of a session in a second (session_messages_per_second_max)"
    );
}

#[test]
fn a_fetch_beyond_a_second_burst_is_refused_and_uses_no_index() {
    let mut story = Story::fetched(Dialect::V1, ten_a_second());
    let fetch = r#"{"type":"ScopeFetch","index":21,"name":"B"}"#;
    let before: Vec<_> = (2..=20).map(sync).collect();
    story.says(&format!("[{},{fetch}]", before.join(",")));
    assert!(!story.wants().iter().any(|want| want.starts_with("fetch")));
    assert_eq!(
        story.gets(),
        ["FetchReply 3 to 21: \"more than 10 messages of a session in a second \
          (session_messages_per_second_max)\""]
    );
}

#[test]
fn who_goes_on_beyond_four_bursts_is_denied_with_the_reason() {
    let mut story = Story::fetched(Dialect::V1, ten_a_second());
    syncs(&mut story, 2..=41);
    assert!(story.session.is_ended());
    let wants = story.wants_all();
    let met = wants.iter().filter(|want| *want == "met session_messages_per_second_max");
    assert_eq!(met.count(), 3, "slowed, refused, denied");
    assert_eq!(&wants[wants.len() - 2..], ["close 1 with 4096", "ended"]);
}

#[test]
fn pings_repeats_and_what_cannot_be_read_count_like_everything_else() {
    for text in [
        r#"{"type":"Ping","index":0,"ack":0}"#,
        r#"{"type":"ScopeSync","index":1,"scopeIndex":0,"fragments":[]}"#,
        "{}",
        "",
        "[]",
    ] {
        let mut story = Story::fetched(Dialect::V1, ten_a_second());
        (0..9).for_each(|_| story.says(text));
        assert!(story.session.wants_frames(), "{text}");
        story.says(text);
        assert!(!story.session.wants_frames(), "{text}");
    }
    let mut story = Story::fetched(Dialect::V1, ten_a_second());
    for _ in 0..10 {
        story.handle(Input::Overhead { connection: ConnectionId(1), bytes: 6 });
    }
    assert!(!story.session.wants_frames(), "so do signs of life of the transport");
}

#[test]
fn the_state_that_was_asked_for_counts_and_a_further_fetch_waits_for_it() {
    let mut story = Story::new(Dialect::V1, a_thousand_bytes_a_second());
    let fetch = |index| format!(r#"{{"type":"ScopeFetch","index":{index},"name":"A"}}"#);
    story.says(&format!("[{},{}]", fetch(1), fetch(2)));
    assert_eq!(story.wants(), ["fetch A for 1"]);
    story.state(0, "\"state\":0");
    story.handle(Input::FetchAccepted {
        message: MessageIndex(1),
        scope: "A".into(),
        schema: Arc::default(),
    });
    assert_eq!(story.wants(), ["join 0 for 1", "fetch A for 2"], "nothing was sent yet");
    story.accepts(2, "A");
    story.wants();
    story.state(0, &format!("\"state\":\"{}\"", "x".repeat(5_000)));
    assert!(!story.session.wants_frames());
    story.handle(Input::Frame { connection: ConnectionId(1), text: &fetch(3) });
    assert_eq!(story.wants(), [""; 0], "it waits, though a frame was under way");
    assert!(!story.session.is_ended(), "for the size of a state nobody is sent away");
    story.waits(500);
    assert_eq!(story.wants(), [""; 0], "what it sent itself has to be paid for as well");
    story.waits(100);
    assert_eq!(story.wants(), ["fetch A for 3"]);
}

#[test]
fn what_is_sent_again_because_the_client_asked_counts() {
    let mut story = Story::fetched(Dialect::V1, a_thousand_bytes_a_second());
    for _ in 0..10 {
        story.change(0, &format!("[\"{}\"]", "x".repeat(500)));
    }
    assert!(story.session.wants_frames(), "what others change costs nothing");
    story.gets();
    story.asks(2);
    assert!(!story.session.wants_frames());
    assert_eq!(story.gets().len(), 11, "but it gets what it asked for");
}

#[test]
fn sessions_of_one_principal_slow_each_other() {
    let limits = Limits { principal_messages_per_second_max: 10, ..ten_a_second() };
    let shared = Arc::new(SharedMeter::default());
    let mut one = Story::fetched(Dialect::V1, limits.clone());
    let mut other = Story::fetched(Dialect::V1, limits);
    for story in [&mut one, &mut other] {
        story.session.meter.share(shared.clone());
    }
    syncs(&mut one, 2..=7);
    syncs(&mut other, 2..=7);
    other.handle(Input::Deadline);
    one.handle(Input::Deadline);
    assert!(!one.session.wants_frames() && !other.session.wants_frames());
    assert_eq!(one.session.deadline(), Some(Millis(200)));
    one.waits(200);
    assert!(one.session.wants_frames());
}

#[test]
fn a_client_waits_for_its_own_changes_before_it_takes_more_places_in_a_mailbox() {
    let limits = Limits { session_requests_max: 3, ..Limits::default() };
    let mut story = Story::fetched(Dialect::V1, limits);
    syncs(&mut story, 2..=9);
    assert_eq!(handed_on(&mut story), [(2, false), (3, false), (4, false)]);
    story.reply(2);
    story.reply(3);
    assert_eq!(handed_on(&mut story), [(5, false), (6, false)]);
    (4..=9).for_each(|message| story.reply(message));
    assert_eq!(handed_on(&mut story), [(7, false), (8, false), (9, false)]);
}

#[test]
fn who_floods_a_scope_stands_in_the_way_of_others_with_its_share_only() {
    let limits = Limits { session_requests_max: 3, ..Limits::default() };
    let mut flooding = Story::fetched(Dialect::V1, limits.clone());
    let mut honest = Story::fetched(Dialect::V1, limits);
    // The mailbox of a scope that is at work on something else.
    let mut mailbox: Vec<(&str, u64)> = Vec::new();
    let send = |story: &mut Story, who, mailbox: &mut Vec<_>| {
        mailbox.extend(handed_on(story).into_iter().map(|(message, _)| (who, message)));
    };
    syncs(&mut flooding, 2..=500);
    send(&mut flooding, "flooding", &mut mailbox);
    honest.syncs(2, 0);
    send(&mut honest, "honest", &mut mailbox);
    let expected = [("flooding", 2), ("flooding", 3), ("flooding", 4), ("honest", 2)];
    assert_eq!(mailbox, expected);
    // The scope takes them up one by one: each place that becomes free is behind who waits already.
    let mut told = Vec::new();
    for turn in 0..100 {
        let (who, message) = mailbox.remove(0);
        told.push(who);
        let story = if who == "honest" { &mut honest } else { &mut flooding };
        story.reply(message);
        send(story, who, &mut mailbox);
        if who == "honest" {
            honest.syncs(message + 1, 0);
            send(&mut honest, "honest", &mut mailbox);
        }
        assert!(mailbox.len() <= 4, "turn {turn}");
    }
    let turns = told.iter().filter(|who| **who == "honest").count();
    assert_eq!(turns, 25, "one in four: its own change beside a share of three");
}
