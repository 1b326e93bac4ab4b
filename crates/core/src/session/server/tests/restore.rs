//! The server is gone and comes back: what its client is told then, and what was acknowledged before.

use super::*;
use crate::session::Record;

impl Story {
    fn kept(dialect: Dialect) -> Self {
        let mut story = Self::new(dialect, Limits::default());
        story.session =
            ServerSession::new(SessionId(1), dialect, Arc::default(), 7, story.now).kept(false);
        story.connect();
        story
    }

    /// The store does what it was asked for.
    fn stores(&mut self) -> Record {
        assert!(self.wants().contains(&"save".to_owned()));
        let record = self.session.record();
        self.handle(Input::Saved { position: Some(record.position) });
        record
    }

    fn restored(dialect: Dialect, record: Record) -> Self {
        let mut story = Self::new(dialect, Limits::default());
        let mut out = Vec::new();
        story.session = ServerSession::restored(
            SessionId(1),
            dialect,
            Arc::default(),
            7,
            story.now,
            record,
            &mut out,
        );
        story.out = out;
        story.connect();
        story
    }

    fn rejoins(&mut self, scope: u32) {
        let (scope, schema) = (ScopeIndex(scope), Arc::new(Schema::default()));
        self.handle(Input::RejoinAccepted { scope, schema });
    }
}

/// A session that has fetched a scope as its first message, and stored that.
fn fetched(dialect: Dialect) -> (Story, Record) {
    let mut story = Story::kept(dialect);
    story.stores();
    story.says(FETCH_A);
    story.accepts(1, "A");
    assert_eq!(story.gets(), [""; 0], "not before it is stored");
    let record = story.stores();
    story.state(0, "\"state\":0");
    assert_eq!(story.wants(), ["join 0 for 1"]);
    assert_eq!(story.gets(), ["FetchReply 1 to 1: scope 0", "State 2 of 0"]);
    (story, record)
}

#[test]
fn only_what_is_stored_is_acknowledged() {
    let (mut story, record) = fetched(Dialect::Original);
    assert_eq!(record.position, MessageIndex(0), "the client may not have the answer");
    story.asks(2);
    assert_eq!(story.stores().position, MessageIndex(1));
    assert_eq!(story.gets(), ["Ping 1 true"]);
}

#[test]
fn a_question_waits_for_the_store_a_second_at_the_most() {
    let (mut story, _) = fetched(Dialect::Original);
    story.asks(2);
    assert_eq!(story.gets(), [""; 0]);
    story.waits(1_000);
    assert_eq!(story.gets(), ["Ping 0 true"], "what is not stored is not acknowledged");
}

#[test]
fn a_store_that_fails_keeps_nobody_from_reading() {
    let mut story = Story::kept(Dialect::V1);
    story.handle(Input::Saved { position: None });
    story.says(FETCH_A);
    story.accepts(1, "A");
    story.wants();
    story.handle(Input::Saved { position: None });
    assert_eq!(story.gets(), ["FetchReply 1 to 1: scope 0"]);
    assert_eq!(story.wants(), ["join 0 for 1"]);
    story.waits(11_000);
    assert_eq!(story.wants(), ["save"], "there is another attempt");
}

#[test]
fn the_numbering_goes_on_where_the_client_is() {
    let (_, mut record) = fetched(Dialect::Original);
    record.position = MessageIndex(1);
    let mut story = Story::restored(Dialect::Original, record);
    assert_eq!(story.wants(), ["rejoin 0 A"]);
    story.rejoins(0);
    assert_eq!(story.wants(), ["join 0 for 1"]);
    story.state(0, "\"state\":0");
    story.change(0, "[1]");
    assert_eq!(story.gets(), [""; 0], "nobody knows yet what the client has");
    story.asks(7);
    assert_eq!(story.gets(), ["Ping 1 true", "State 8 of 0", "Sync 9 of 0 [1]"]);
    story.asks(8);
    assert_eq!(story.gets(), ["Ping 1 true", "Sync 9 of 0 [1]"]);
}

#[test]
fn answers_come_before_the_state_and_messages_that_have_one_are_not_taken_up_again() {
    let (_, mut record) = fetched(Dialect::V1);
    record.position = MessageIndex(2);
    let mut story = Story::restored(Dialect::V1, record);
    story.asks(4);
    story.rejoins(0);
    story.wants();
    for message in [2, 3, 5] {
        story.reply(message);
    }
    assert_eq!(story.gets(), [""; 0], "the state is not here yet");
    story.state(0, "\"state\":0");
    let expected = [
        "Ping 2 true",
        "SyncReply 5 to 2 [{}]",
        "SyncReply 6 to 3 [{}]",
        "SyncReply 7 to 5 [{}]",
        "State 8 of 0",
    ];
    assert_eq!(story.gets(), expected);
    for message in [3, 4, 5, 6] {
        story.syncs(message, 0);
    }
    let mut wants = story.wants();
    wants.retain(|want| want.starts_with("sync"));
    assert_eq!(wants, ["sync 0 for 4", "sync 0 for 6"]);
}

#[test]
fn what_comes_again_is_acknowledged_as_soon_as_it_is_stored() {
    let (_, record) = fetched(Dialect::Original);
    let mut story = Story::restored(Dialect::Original, record);
    story.rejoins(0);
    story.state(0, "\"state\":0");
    story.asks(2);
    story.gets();
    story.syncs(4, 0);
    assert_eq!(story.gets(), [""; 0], "it has been asked for everything");
    story.says(FETCH_A);
    story.syncs(2, 0);
    story.syncs(3, 0);
    assert_eq!(story.stores().position, MessageIndex(1), "for the question");
    story.gets();
    story.reply(2);
    assert!(!story.wants().contains(&"save".to_owned()), "there is more to come");
    story.reply(3);
    let position = story.stores().position;
    assert_eq!(position, MessageIndex(3), "who changes a scope knows that it was fetched");
    assert_eq!(story.gets()[0], "Ping 3 false");
    story.syncs(4, 0);
    story.reply(4);
    assert!(!story.wants().contains(&"save".to_owned()), "the rest has time until the next Ping");
}

#[test]
fn a_fetch_whose_scope_was_changed_is_acknowledged_with_the_change_that_was_answered() {
    for together in [false, true] {
        let (_, record) = fetched(Dialect::Original);
        let mut story = Story::restored(Dialect::Original, record);
        story.rejoins(0);
        story.reply(2);
        story.state(0, "\"state\":0");
        story.asks(2);
        story.gets();
        let sync = r#"{"type":"ScopeSync","index":2,"scopeIndex":0,"fragments":[5]}"#;
        if together {
            story.says(&format!("[{FETCH_A},{sync}]"));
        } else {
            story.says(FETCH_A);
            story.says(sync);
        }
        assert_eq!(story.stores().position, MessageIndex(2), "together: {together}");
    }
}

#[test]
fn nothing_is_acknowledged_piece_by_piece_while_messages_come_again() {
    let (_, mut record) = fetched(Dialect::Original);
    record.position = MessageIndex(1);
    let mut story = Story::restored(Dialect::Original, record);
    story.rejoins(0);
    for message in 2..=4 {
        story.reply(message);
    }
    story.state(0, "\"state\":0");
    story.asks(2);
    story.syncs(2, 0);
    assert_eq!(story.stores().position, MessageIndex(2), "for the question");
    story.syncs(3, 0);
    assert_eq!(story.wants(), [""; 0]);
    story.gets();
    story.syncs(4, 0);
    assert_eq!(story.stores().position, MessageIndex(4));
    assert_eq!(story.gets(), ["Ping 4 false"]);
}

#[test]
fn a_fetch_that_comes_again_gets_the_same_index_and_the_state_behind_it() {
    let (_, record) = fetched(Dialect::V1);
    let mut story = Story::restored(Dialect::V1, record);
    story.rejoins(0);
    story.state(0, "\"state\":1");
    story.asks(0);
    story.change(0, "[1]");
    assert_eq!(story.gets(), ["Ping 0 true"]);
    story.wants();
    story.says(FETCH_A);
    assert_eq!(story.wants(), ["resync 0"]);
    story.state(0, "\"state\":2");
    assert_eq!(story.gets(), ["FetchReply 1 to 1: scope 0", "State 2 of 0"]);
    story.says(r#"{"type":"ScopeFetch","index":2,"name":"B"}"#);
    story.accepts(2, "B");
    story.stores();
    assert_eq!(story.gets(), ["FetchReply 3 to 2: scope 1"]);
}

#[test]
fn a_scope_that_is_denied_now_is_gone() {
    let (_, mut record) = fetched(Dialect::V1);
    record.position = MessageIndex(1);
    let mut story = Story::restored(Dialect::V1, record);
    story.asks(2);
    story.handle(Input::RejoinDenied { scope: ScopeIndex(0) });
    assert_eq!(story.gets(), ["Ping 1 true"]);
    story.syncs(2, 0);
    let reply = story.gets();
    assert!(reply[0].contains("scope-index-not-found"), "{reply:?}");
    assert!(story.session.record().scopes.is_empty());
    assert_eq!(story.session.record().next_scope, ScopeIndex(1), "no index is used again");
}

#[test]
fn a_client_that_has_what_was_never_sent_is_refused() {
    let (_, record) = fetched(Dialect::V1);
    let mut story = Story::restored(Dialect::V1, record);
    story.asks(9_007_199_254_740_991);
    assert!(story.session.is_ended());
}
