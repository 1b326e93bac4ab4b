//! A credential that runs out, and one that takes its place.

use super::*;
use crate::time::Timestamp;

impl Story {
    /// The client has shown something that is good for so long.
    fn known_for(dialect: Dialect, milliseconds: i64) -> Self {
        let mut story = Self::new(dialect, Limits::default());
        story.is_known_for(milliseconds);
        story
    }

    fn is_known_for(&mut self, milliseconds: i64) {
        // What a wall shows does not matter, only what it shows later.
        let until = Timestamp(self.now.wall.0 + milliseconds);
        self.handle(Input::Known { until: Some(until) });
    }

    /// The same, with both clocks.
    fn passes(&mut self, milliseconds: u64) {
        self.now.wall = Timestamp(self.now.wall.0 + milliseconds as i64);
        // One that is heard of now and then, or its silence would end it.
        self.says(r#"{"type":"Ping","index":0,"ack":0}"#);
        self.waits(milliseconds);
    }

    /// What goes out but for Pings.
    fn hears(&mut self) -> Vec<String> {
        let mut heard = self.gets();
        heard.retain(|message| !message.starts_with("Ping"));
        heard
    }

    fn renews(&mut self, index: u64) {
        self.says(&format!(
            r#"{{"type":"SessionRenew","index":{index},"params":{{"token":"t{index}"}}}}"#
        ));
    }

    fn renewed(&mut self, message: u64, result: Result<(), &str>) {
        let result = result.map_err(Rejection::message);
        self.handle(Input::Renewed { message: MessageIndex(message), result });
    }
}

#[test]
fn a_session_ends_with_its_credential_and_its_client_is_warned_a_minute_before() {
    let mut story = Story::known_for(Dialect::V1, 300_000);
    story.passes(239_999);
    assert_eq!(story.hears(), [""; 0]);
    story.passes(1);
    assert_eq!(story.hears(), ["Expiring 60"]);
    story.passes(59_999);
    assert_eq!((story.hears(), story.wants()), (vec![], vec![]), "once is enough");
    story.passes(1);
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
}

#[test]
fn an_original_client_is_not_warned() {
    let mut story = Story::known_for(Dialect::Original, 300_000);
    story.passes(299_999);
    assert_eq!(story.hears(), [""; 0]);
    story.passes(1);
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
}

#[test]
fn who_has_little_time_is_warned_when_half_of_it_is_over() {
    let mut story = Story::known_for(Dialect::V1, 30_000);
    story.passes(14_999);
    assert_eq!(story.hears(), [""; 0]);
    story.passes(1);
    assert_eq!(story.hears(), ["Expiring 15"]);
    // The same credential once more: no use, and no end of warnings either.
    story.is_known_for(15_000);
    assert_eq!(story.hears(), [""; 0]);
    story.passes(7_500);
    assert_eq!(story.hears(), ["Expiring 7"]);
}

#[test]
fn a_warning_that_may_be_lost_is_given_again_on_the_next_connection() {
    let mut story = Story::known_for(Dialect::V1, 200_000);
    story.passes(140_000);
    assert_eq!(story.hears(), ["Expiring 60"]);
    story.disconnect();
    story.passes(10_000);
    assert_eq!(story.hears(), [""; 0]);
    story.connect();
    assert_eq!(story.hears(), ["Expiring 50"]);
    // Told while nobody was there, it waits for somebody.
    let mut story = Story::known_for(Dialect::V1, 200_000);
    story.disconnect();
    story.passes(170_000);
    assert_eq!(story.hears(), [""; 0]);
    story.connect();
    assert_eq!(story.hears(), ["Expiring 30"]);
}

#[test]
fn a_new_credential_is_looked_at_while_the_session_goes_on() {
    let mut story = Story::fetched(Dialect::V1, Limits::default());
    story.is_known_for(100_000);
    story.renews(2);
    story.syncs(3, 0);
    assert_eq!(story.wants(), [r#"renew {"token":"t2"} for 2"#, "sync 0 for 3"]);
    story.reply(3);
    assert_eq!(story.hears(), ["SyncReply 3 to 3 [{}]"]);
    story.is_known_for(1_000_000);
    story.renewed(2, Ok(()));
    assert_eq!(story.hears(), ["Reply 4 to 2 null"]);
    story.renewed(2, Ok(()));
    assert_eq!(story.hears(), [""; 0], "answered once");
    story.passes(500_000);
    assert_eq!(story.wants(), [""; 0]);
}

#[test]
fn a_refused_credential_changes_nothing() {
    let mut story = Story::known_for(Dialect::V1, 10_000);
    story.renews(1);
    story.renews(2);
    assert_eq!(story.wants(), [r#"renew {"token":"t1"} for 1"#], "one at a time");
    let busy = "another credential of this session is being looked at";
    assert_eq!(story.hears(), [format!("Reply 1 to 2 {busy:?}")]);
    story.renewed(1, Err("no"));
    assert_eq!(story.hears(), ["Reply 2 to 1 \"no\""]);
    story.renews(3);
    assert_eq!(story.wants(), [r#"renew {"token":"t3"} for 3"#]);
    story.passes(10_000);
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
    story.renewed(3, Ok(()));
    assert_eq!(story.hears(), [""; 0]);
}

#[test]
fn an_unanswered_renewal_is_not_acknowledged() {
    let mut story = Story::v1();
    story.renews(1);
    story.asks(0);
    story.waits(1_000);
    assert_eq!(story.gets(), ["Ping 0 true"]);
    story.renewed(1, Ok(()));
    story.asks(0);
    assert_eq!(story.gets(), ["Ping 1 true", "Reply 1 to 1 null"]);
}

#[test]
fn an_original_client_cannot_renew() {
    let mut story = Story::original();
    story.renews(1);
    assert_eq!((story.wants(), story.hears()), (vec![], vec![]));
}

#[test]
fn whose_session_is_revoked_gets_nothing_of_what_waited() {
    let mut story = Story::fetched(Dialect::V1, Limits::default());
    story.change(0, "[1]");
    story.handle(Input::Revoke { message: "revoked".to_owned() });
    assert_eq!(story.wants(), ["close 1 with 4097", "ended"]);
    assert_eq!((story.gets(), story.session.backlog_bytes()), (vec![], 0));
}
