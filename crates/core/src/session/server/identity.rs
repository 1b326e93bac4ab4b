//! Up to when it is known who the client is: the end, the warning before it, and a new credential.
//!
//! What a credential says is for the shell to find out; here is only how long it is good, and who has to
//! be told. A client below 1.0 is told nothing: its session ends, and it starts over.

use crate::ids::MessageIndex;
use crate::model::{ErrorCode, Rejection};
use crate::session::Output;
use crate::session::outgoing::Outgoing;
use crate::time::{Millis, Now, Timestamp, sooner};
use crate::wire::message::Dialect;

use super::ServerSession;

/// How long what the client has shown is good. Most sessions have none of it.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// Then the session ends.
    ends_at: Option<Millis>,
    warning: Warning,
    /// The message with a new credential that is being looked at.
    renewing: Option<MessageIndex>,
}

/// Whether the client knows that its credential is about to expire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Warning {
    /// It is not to be told.
    #[default]
    None,
    /// It is to be told then.
    At(Millis),
    /// It is to be told as soon as it can be.
    Due,
    /// It was told on this connection.
    Given,
}

impl Identity {
    /// Good up to a moment. The warning comes `warning_ms` before that, but never before half of the time
    /// is over: whoever gets short-lived credentials would be warned without end.
    fn good_until(&mut self, ends_at: Option<Millis>, warning_ms: Option<u64>, now: Millis) {
        self.ends_at = ends_at;
        self.warning = match (ends_at, warning_ms) {
            (Some(at), Some(warning_ms)) => {
                let left = at.since(now);
                Warning::At(now.plus(left - warning_ms.min(left / 2)))
            }
            _ => Warning::None,
        };
    }

    /// Time has passed. True: the session is over.
    pub(super) fn tick(&mut self, now: Millis) -> bool {
        if matches!(self.warning, Warning::At(at) if at <= now) {
            self.warning = Warning::Due;
        }
        self.ends_at.is_some_and(|at| at <= now)
    }

    /// The client has another connection, and may not have heard what was said on the last one.
    pub(super) fn connected(&mut self) {
        if self.warning == Warning::Given {
            self.warning = Warning::Due;
        }
    }

    /// How many seconds the client has left, if it is to be told now; from now on it was.
    pub(super) fn take_warning(&mut self, now: Millis) -> Option<u64> {
        let ends_at = self.ends_at.filter(|_| self.warning == Warning::Due)?;
        self.warning = Warning::Given;
        Some(ends_at.since(now) / 1_000)
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let warning = match self.warning {
            Warning::At(at) => Some(at),
            Warning::None | Warning::Due | Warning::Given => None,
        };
        sooner(self.ends_at, warning)
    }
}

impl ServerSession {
    /// The same session, whose client has shown something that is good up to a moment; `None`: for as long
    /// as the session lives.
    #[must_use]
    pub fn known_until(mut self, now: Now, until: Option<Timestamp>) -> Self {
        if until.is_some() {
            self.good_until(now, until);
        }
        self
    }

    /// It is known anew who the client is, which has to be stored.
    pub(super) fn known(&mut self, now: Now, until: Option<Timestamp>) {
        if until.is_some() || self.identity.is_some() {
            self.good_until(now, until);
        }
        self.scopes_changed();
    }

    fn good_until(&mut self, now: Now, until: Option<Timestamp>) {
        let ends_at = until.map(|until| {
            let left_ms = u64::try_from(until.0.saturating_sub(now.wall.0)).unwrap_or_default();
            now.mono.plus(left_ms)
        });
        let warning_ms = (self.dialect >= Dialect::V1).then_some(self.limits.expiry_warning_ms);
        self.identity.get_or_insert_default().good_until(ends_at, warning_ms, now.mono);
    }

    /// The client shows a new credential. One at a time: each may cost a call to somebody else.
    pub(super) fn renew(
        &mut self,
        message: MessageIndex,
        params: serde_json::Map<String, serde_json::Value>,
        out: &mut Vec<Output>,
    ) {
        let identity = self.identity.get_or_insert_default();
        if identity.renewing.is_some() {
            let why = "another credential of this session is being looked at";
            return self.renewal_reply(message, Some(Rejection::new(ErrorCode::RateLimited, why)));
        }
        identity.renewing = Some(message);
        self.requests.renew(message);
        out.push(Output::Renew { message, params });
    }

    /// It was looked at.
    pub(super) fn renewed(&mut self, message: MessageIndex, result: Result<(), Rejection>) {
        let identity = self.identity.as_mut();
        let renewing = identity.and_then(|who| who.renewing.take_if(|asked| *asked == message));
        if renewing.is_some() && self.requests.answered(message) {
            self.renewal_reply(message, result.err());
        }
    }

    fn renewal_reply(&mut self, reply_to: MessageIndex, error: Option<Rejection>) {
        self.answers_itself(reply_to);
        self.queue(Outgoing::Reply { reply_to, error: error.map(Box::new) });
    }
}
