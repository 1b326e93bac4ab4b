//! What is kept is bounded, and a client that falls behind gets a fresh state.

use super::*;

fn small() -> Limits {
    Limits { backlog_bytes_max: 10_000, backlog_bytes_hard_max: 20_000, ..Limits::default() }
}

/// A change of about a thousand bytes.
fn long(number: usize) -> String {
    format!("[{number},\"{}\"]", "x".repeat(900))
}

/// Shortened, because the long text says nothing.
fn gets(story: &mut Story) -> Vec<String> {
    let x = format!(",\"{}\"", "x".repeat(900));
    story.gets().into_iter().map(|message| message.replace(&x, "")).collect()
}

#[test]
fn an_absent_client_s_changes_are_dropped_and_it_gets_the_state_afresh() {
    let mut story = Story::fetched(Dialect::Original, small());
    story.syncs(2, 0);
    story.wants();
    story.disconnect();
    (0..20).for_each(|number| story.change(0, &long(number)));
    story.reply(2);
    assert!(story.session.backlog_bytes() < 10_000);
    assert_eq!(story.wants(), [""; 0], "nobody is there to read it");
    story.connect();
    story.asks(2);
    assert_eq!(gets(&mut story), ["Ping 2 true", "SyncReply 3 to 2 [{}]"]);
    assert_eq!(story.session.deadline(), Some(story.now.mono), "now there is room");
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), ["resync 0"]);
    story.change(0, "[20]");
    story.state(0, "\"state\":1");
    story.change(0, "[21]");
    assert_eq!(gets(&mut story), ["State 4 of 0", "Sync 5 of 0 [21]"]);
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), [""; 0]);
}

#[test]
fn a_client_that_reads_but_does_not_acknowledge_loses_nothing() {
    let mut story = Story::fetched(Dialect::Original, small());
    for number in 0..50 {
        story.change(0, &long(number));
        assert_eq!(gets(&mut story), [format!("Sync {} of 0 [{number}]", number + 3)]);
        assert!(story.session.backlog_bytes() < 20_000);
    }
    story.says(r#"{"type":"Ping","index":0,"ack":52}"#);
    story.asks(52);
    assert_eq!(gets(&mut story), ["Ping 1 true"]);
    assert_eq!(story.wants(), [""; 0]);
}

#[test]
fn what_was_sent_and_dropped_is_asked_for_again_and_a_fresh_state_makes_it_good() {
    let mut story = Story::fetched(Dialect::Original, small());
    for number in 0..12 {
        story.change(0, &long(number));
        assert_eq!(story.gets().len(), 1);
    }
    story.disconnect();
    story.connect();
    story.asks(2);
    let got = gets(&mut story);
    let lost = (3..=14).map(|index| format!("Sync {index} of 0 []"));
    assert_eq!(got, [vec!["Ping 1 true".to_owned()], lost.collect()].concat());
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), ["resync 0"]);
    story.asks(2);
    assert_eq!(story.gets().len(), 13);
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), [""; 0], "it is under way");
    story.state(0, "\"state\":1");
    assert_eq!(story.gets(), ["State 15 of 0"]);
    story.asks(2);
    assert_eq!(story.gets().len(), 14);
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), [""; 0], "the state is behind what was lost");
}

#[test]
fn what_is_dropped_during_a_resend_takes_along_what_builds_on_it() {
    let mut story = Story::fetched(Dialect::V1, small());
    for number in 0..8 {
        story.change(0, &long(number));
        assert_eq!(story.gets().len(), 1);
    }
    story.disconnect();
    story.connect();
    story.asks(2);
    // The connection takes nothing yet, and now it becomes too much.
    (8..12).for_each(|number| story.change(0, &long(number)));
    let lost = (3..=10).map(|index| format!("Sync {index} of 0 []"));
    assert_eq!(gets(&mut story), [vec!["Ping 1 true".to_owned()], lost.collect()].concat());
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), ["resync 0"]);
}

#[test]
fn a_client_that_has_the_newest_needs_no_fresh_state() {
    let mut story = Story::fetched(Dialect::Original, small());
    for number in 0..12 {
        story.change(0, &long(number));
        assert_eq!(story.gets().len(), 1);
    }
    story.disconnect();
    story.connect();
    story.asks(12);
    assert_eq!(gets(&mut story), ["Ping 1 true", "Sync 13 of 0 [10]", "Sync 14 of 0 [11]"]);
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), [""; 0]);
}

#[test]
fn a_state_longer_than_the_bound_still_reaches_a_client_that_is_there() {
    let mut story = Story::fetched(Dialect::Original, small());
    let state = format!("\"state\":\"{}\"", "s".repeat(50_000));
    story.state(0, &state);
    assert!(!story.session.is_ended());
    assert_eq!(story.gets(), ["State 3 of 0"]);
    story.change(0, "[1]");
    assert_eq!(story.gets(), ["Sync 4 of 0 [1]"]);
    assert!(story.session.backlog_bytes() < 10_000, "it is not kept");

    story.disconnect();
    story.state(0, &state);
    assert!(story.session.backlog_bytes() < 10_000, "nor for one that is away");
}

#[test]
fn each_scope_has_its_own_fresh_state() {
    let mut story = Story::fetched(Dialect::V1, small());
    story.says(r#"{"type":"ScopeFetch","index":2,"name":"B"}"#);
    story.accepts(2, "B");
    story.state(1, "\"state\":0");
    story.gets();
    story.disconnect();
    (0..20).for_each(|number| story.change(1, &long(number)));
    story.wants();
    story.connect();
    story.asks(4);
    story.change(0, "[1]");
    assert_eq!(gets(&mut story), ["Ping 2 true", "Sync 5 of 0 [1]"]);
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), ["resync 1"]);
}

#[test]
fn a_client_that_only_asks_and_never_acknowledges_ends_its_session() {
    let mut story = Story::fetched(Dialect::Original, small());
    for index in 2.. {
        story.says(&format!(
            r#"{{"type":"ScopeSync","index":{index},"scopeIndex":9,"fragments":[1,2,3]}}"#
        ));
        assert!(story.session.backlog_bytes() <= 20_000);
        story.gets();
        if story.session.is_ended() {
            assert!(index > 50, "{index}");
            break;
        }
    }
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
    assert_eq!(story.session.backlog_bytes(), 0);
}

#[test]
fn what_is_recalled_does_not_reach_a_client_that_was_away() {
    for is_told_of_it in [false, true] {
        let mut story = Story::fetched(Dialect::V1, small());
        story.change(0, "[\"sent\"]");
        assert_eq!(story.gets(), ["Sync 3 of 0 [\"sent\"]"]);
        story.disconnect();
        story.change(0, "[\"waits\"]");
        story.deliver(0, Delivery::Recall);
        if is_told_of_it {
            story.change(0, "[\"narrows\"]");
        }
        story.connect();
        story.asks(2);
        assert_eq!(gets(&mut story), ["Ping 1 true", "Sync 3 of 0 []"]);
        story.handle(Input::Deadline);
        assert_eq!(story.wants(), ["resync 0"]);
        story.state(0, "\"state\":1");
        assert_eq!(story.gets(), ["State 4 of 0"]);
    }
}

#[test]
fn a_state_that_waits_is_recalled_too() {
    let mut story = Story::fetched(Dialect::Original, small());
    story.disconnect();
    story.state(0, "\"state\":\"more\"");
    story.deliver(0, Delivery::Recall);
    story.connect();
    story.asks(2);
    assert_eq!(gets(&mut story), ["Ping 1 true"]);
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), ["resync 0"]);
}

#[test]
fn a_client_that_reads_needs_no_fresh_state_after_a_recall() {
    let mut story = Story::fetched(Dialect::V1, small());
    story.change(0, "[1]");
    assert_eq!(story.gets(), ["Sync 3 of 0 [1]"]);
    story.deliver(0, Delivery::Recall);
    story.change(0, "[2]");
    assert_eq!(story.gets(), ["Sync 4 of 0 [2]"]);
    story.disconnect();
    story.connect();
    story.asks(4);
    story.handle(Input::Deadline);
    assert_eq!(story.wants(), [""; 0], "it has everything");
}
