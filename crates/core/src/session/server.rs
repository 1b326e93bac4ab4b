//! The server's end of a session.

use std::mem::offset_of;
use std::sync::Arc;

use crate::ids::{ConnectionId, MessageIndex, Revision, ScopeIndex, ScopeName, SessionId};
use crate::limits::{Limit, Limits};
use crate::model::{ErrorCode, Rejection, Schema};
use crate::rate::Meter;
use crate::time::{Millis, Now, sooner};
use crate::wire::change_set::Typing;
use crate::wire::encode;
use crate::wire::message::{ClientBody, Dialect, FragmentReply};

use super::frame::Frame;
use super::jitter::Jitter;
use super::outgoing::{Moment, Outgoing};
use super::reliable::{GapWatch, Reliable};
use super::{CloseReason, Delivery, Input, Output};

mod backlog;
mod identity;
mod incoming;
mod keeping;
mod link;
mod pace;
mod requests;
mod restore;
mod scopes;
mod trust;

pub use keeping::{FetchRecord, Record};

use identity::Identity;
use keeping::Keeping;
use link::Link;
use requests::{Arrived, Requests};
use restore::Restoring;
use scopes::{Asked, Scopes};
use trust::Trust;

/// A client's standing with the server, from the accepted `SessionCreate` to its end.
///
/// It numbers and keeps what the client is sent, sorts what the client sends, answers what is about the
/// session itself and hands the rest on: fetches to the application, ChangeSets to scopes.
/// It outlives its connections; what it keeps for an absent or slow client is bounded.
///
/// What every delivery looks at stands first and together, and stays there: of a session whose turn comes,
/// nothing is in the processor's caches, and each of its lines has to be waited for.
#[derive(Debug)]
#[repr(C)]
pub struct ServerSession {
    now: Millis,
    limits: Arc<Limits>,
    reliable: Reliable<Outgoing>,
    link: Option<Link>,
    ended: bool,
    dialect: Dialect,
    /// Whether there was a connection before.
    has_met: bool,
    /// A bound that was met by what the client is sent, until it is told.
    met: Option<Limit>,
    heard_at: Millis,
    /// Up to when it is known who the client is; `None`: for as long as the session lives.
    identity: Option<Box<Identity>>,
    /// What it waits for if it was stored.
    restoring: Option<Box<Restoring>>,
    scopes: Scopes,
    /// What the client has used of its rates.
    meter: Meter,
    requests: Requests,
    gap: GapWatch,
    trust: Trust,
    jitter: Jitter,
    id: SessionId,
    /// What is stored of it; `None`: nothing.
    keeping: Option<Keeping>,
}

impl ServerSession {
    /// A session that was just accepted. It needs an [`Input::Connected`] to talk to somebody.
    ///
    /// `jitter_seed` keeps the Pings of sessions that began together apart.
    pub fn new(
        id: SessionId,
        dialect: Dialect,
        limits: Arc<Limits>,
        jitter_seed: u64,
        now: Now,
    ) -> Self {
        Self {
            id,
            dialect,
            limits,
            jitter: Jitter::new(jitter_seed),
            reliable: Reliable::default(),
            gap: GapWatch::default(),
            requests: Requests::default(),
            scopes: Scopes::default(),
            link: None,
            has_met: false,
            trust: Trust::default(),
            keeping: None,
            restoring: None,
            meter: Meter::default(),
            met: None,
            identity: None,
            heard_at: now.mono,
            ended: false,
            now: now.mono,
        }
    }

    /// How many of the session's first bytes a delivery looks at.
    pub const HOT_BYTES: usize = offset_of!(Self, requests);

    /// Has what else a delivery comes to, behind those, fetched from memory: a hint that changes nothing.
    pub fn prefetch(&self) {
        self.reliable.prefetch();
    }

    /// Takes an input in; all its consequences are in `out` when this returns, or come from
    /// [`next_frame`](Self::next_frame).
    ///
    /// After [`Output::Ended`] nothing has any consequence.
    pub fn handle(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        self.now = now.mono;
        let more_follows = match input {
            Input::Deliver { scope, delivery } => !self.ended && self.deliver(scope, delivery),
            Input::Disconnected { connection } => {
                self.disconnected(connection);
                true
            }
            input => {
                self.meter.pass(&self.limits, self.now);
                if !self.ended {
                    self.take(now, input, out);
                }
                true
            }
        };
        if more_follows {
            self.settle(out);
        }
    }

    /// Writes what the client can be sent now into `frame`; false if there is nothing.
    ///
    /// To be called when the connection has room, until it returns false. One call gives one frame of
    /// limited length, so that a slow connection is not given more than it can take.
    pub fn next_frame(&mut self, now: Now, frame: &mut Frame) -> bool {
        self.now = now.mono;
        frame.clear();
        let Some(link) = &mut self.link else { return false };
        let is_open = link.is_open();
        if let Some(resend_missing) = link.take_ping() {
            let ack = self.acknowledgeable();
            frame.message(|out| encode::ping(out, ack, resend_missing));
        }
        if let Some(seconds) = self.identity.as_mut().and_then(|who| who.take_warning(self.now)) {
            frame.message(|out| encode::session_expiring(out, seconds));
        }
        if is_open && !self.holds_back() {
            while frame.has_room()
                && let Some((index, message)) = self.reliable.pull()
            {
                message.write(index, frame);
            }
        }
        frame.end();
        !frame.is_empty()
    }

    /// When [`Input::Deadline`] is due. It can change with every call of `handle` and `next_frame`.
    pub fn deadline(&self) -> Option<Millis> {
        if self.ended {
            return None;
        }
        if self.wants_resync() {
            return Some(self.now);
        }
        let link = self.link.as_ref().and_then(Link::deadline);
        let identity = self.identity.as_ref().and_then(|who| who.deadline());
        let free_at = self.meter.free_at(&self.limits);
        [link, identity, free_at].into_iter().fold(Some(self.expires_at()), sooner)
    }

    /// Whether the transport should read further frames. False while too much of what the client has
    /// sent waits; what it sends then waits in the network.
    pub fn wants_frames(&self) -> bool {
        !self.ended && !self.is_slowed() && !self.requests.is_full(&self.limits)
    }

    /// The session's name inside the server.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// What the client speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The connection that the session talks over.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.link.as_ref().map(Link::connection)
    }

    /// Whether the session is over.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// What is kept for the client, sent or not, in bytes.
    pub fn backlog_bytes(&self) -> usize {
        self.reliable.bytes()
    }

    fn take(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Connected { connection } => self.connected(connection, out),
            Input::Frame { connection, text } => {
                if self.connection() == Some(connection) {
                    self.frame(text, out);
                }
            }
            Input::Overhead { connection, bytes } => {
                if self.connection() == Some(connection) {
                    self.sent(1, bytes, out);
                }
            }
            Input::FetchAccepted { message, scope, schema } => {
                self.fetch_accepted(message, scope, schema, out);
            }
            Input::FetchDenied { message, error } => {
                if self.requests.fetched(message).is_some() {
                    self.fetch_reply(message, Err(error));
                }
            }
            Input::RejoinAccepted { scope, schema } => self.rejoined(scope, Some(schema), out),
            Input::RejoinDenied { scope } => self.rejoined(scope, None, out),
            Input::Saved { position } => self.saved(position, out),
            Input::ScopeClosed { scope } => self.scope_closed(scope),
            Input::Known { until } => self.known(now, until),
            Input::Renewed { message, result } => self.renewed(message, result),
            Input::End { message } => self.end(CloseReason::SessionClosed { message }, out),
            Input::Revoke { message } => self.revoke(message, out),
            // Also with every other input: see `settle`.
            Input::Deadline | Input::Disconnected { .. } | Input::Deliver { .. } => {}
        }
    }

    /// Does everything that has become possible or due.
    fn settle(&mut self, out: &mut Vec<Output>) {
        // A frame can ask for many times its length in answers: the bound is looked at before each.
        while !self.ended
            && !self.is_restoring()
            && !self.is_past_hard_bound()
            && let Some(arrived) = self.requests.next(&self.limits, self.is_slowed())
        {
            self.request(arrived, out);
        }
        out.extend(self.met.take().map(Output::Limited));
        if self.ended {
            return;
        }
        if self.is_past_hard_bound() {
            self.reliable.clear();
            out.push(Output::Limited(Limit::BacklogBytesHard));
            let message = "too many answers were never acknowledged".to_owned();
            return self.end(CloseReason::SessionClosed { message }, out);
        }
        if self.expires_at() <= self.now {
            let message = "nothing was heard from the client for too long".to_owned();
            return self.end(CloseReason::SessionClosed { message }, out);
        }
        if self.identity.as_mut().is_some_and(|who| who.tick(self.now)) {
            return self.revoke("the credential has expired".to_owned(), out);
        }
        self.answer_resend();
        if let Some(link) = &mut self.link
            && link.tick(self.now, &mut self.jitter, &self.limits, self.gap.is_open())
        {
            // For the next Ping: this one says what is stored.
            self.want_position();
        }
        self.keep(out);
        if self.wants_resync() {
            out.extend(self.scopes.resync().map(|scope| Output::Resync { scope }));
        }
    }

    fn connected(&mut self, connection: ConnectionId, out: &mut Vec<Output>) {
        if let Some(old) = self.link.take() {
            let reason = CloseReason::Replaced;
            out.push(Output::Close { connection: old.connection(), reason });
        }
        let ping_at = self.now.plus(self.jitter.about(self.limits.ping_interval_ms));
        // On a resumed connection the client speaks first: only it knows what it has.
        self.link = Some(Link::new(connection, !self.has_met, ping_at));
        self.trust.resumed(self.reliable.last_sent());
        self.has_met = true;
        if let Some(identity) = &mut self.identity {
            identity.connected();
        }
        self.heard_at = self.now;
        self.reliable.forget_resend();
        self.gap.close();
    }

    fn disconnected(&mut self, connection: ConnectionId) {
        if self.connection() == Some(connection) {
            self.link = None;
            self.want_position();
            self.reliable.forget_resend();
            self.gap.close();
        }
    }

    /// Begins the resend that the client asked for, once everything before the question is answered:
    /// our Ping acknowledges what is answered, and the client sends the rest again.
    fn answer_resend(&mut self) {
        if self.is_restoring() {
            return;
        }
        if self.link.as_ref().is_some_and(Link::is_asked) {
            self.want_position();
        }
        let (settled, stores, now) = (self.settled(), self.waits_for_store(), self.now);
        let answered = self.link.as_mut().and_then(|link| link.answer_resend(settled, stores, now));
        if let Some(ack) = answered {
            self.reliable.resend_after(ack);
            self.asked_for(self.reliable.resent_bytes());
            self.notice_lost();
        }
    }

    fn request(&mut self, arrived: Arrived, out: &mut Vec<Output>) {
        let Arrived { message, body, beyond } = arrived;
        match body {
            ClientBody::ScopeFetch { name, params } => {
                self.fetch(message, (name, params), beyond, out);
            }
            ClientBody::ScopeSync { scope_index, fragments, atomic, procedure } => {
                let Some(schema) = self.scopes.schema(scope_index) else {
                    return self.refuse(message, scope_index, fragments.len());
                };
                // The scope says no, so that it stands in order with its other answers, and lasts.
                let changes = match beyond {
                    Some(limit) => pace::refused(fragments.len(), atomic, limit, &self.limits),
                    None => Typing { schema, dialect: self.dialect, limits: &self.limits }
                        .change_set(&fragments, atomic, procedure.as_deref()),
                };
                let bytes = fragments.iter().map(|fragment| fragment.get().len()).sum();
                self.requests.sync(message, scope_index, fragments.len(), bytes);
                let delivered = self.done_with(scope_index);
                out.push(Output::Sync { scope: scope_index, message, delivered, changes });
            }
            ClientBody::ScopeUnfetch { scope_index } => {
                if self.scopes.remove(scope_index) {
                    self.scopes_changed();
                    out.push(Output::Leave { scope: scope_index });
                }
            }
            ClientBody::SessionClose => {
                let message = "the client closed the session".to_owned();
                self.end(CloseReason::SessionClosed { message }, out);
            }
            ClientBody::SessionRenew { params } => self.renew(message, params, out),
            ClientBody::SessionCreate { .. }
            | ClientBody::Ping { .. }
            | ClientBody::Reply { .. } => {}
        }
    }

    fn fetch(
        &mut self,
        message: MessageIndex,
        (name, params): (String, serde_json::Map<String, serde_json::Value>),
        beyond: Option<Limit>,
        out: &mut Vec<Output>,
    ) {
        if let Some(scope) = self.scopes.asked_by(message) {
            // It was accepted before the server was gone.
            self.scopes.refetched(scope);
            self.fetch_reply(message, Ok(scope));
            self.confirm_named(scope);
            return out.push(Output::Resync { scope });
        }
        if let Some(limit) = beyond {
            let error = pace::refusal(limit, &self.limits);
            out.push(Output::Limited(limit));
            return self.fetch_reply(message, Err(error));
        }
        let max = self.limits.session_scopes_max;
        if self.scopes.len() >= max && self.refetched(&name).is_none() {
            let text = format!("a session fetches at most {max} scopes at a time");
            let error = Rejection::beyond(Limit::SessionScopes, text);
            out.push(Output::Limited(Limit::SessionScopes));
            return self.fetch_reply(message, Err(error));
        }
        let asked = Asked { message, name: name.clone(), params: params.clone() };
        self.requests.fetch(asked);
        out.push(Output::Fetch { message, name, params });
    }

    /// The index that an original client gets again when it fetches a scope again.
    fn refetched(&self, name: &str) -> Option<ScopeIndex> {
        self.scopes.find(name).filter(|_| self.dialect < Dialect::V1)
    }

    fn fetch_accepted(
        &mut self,
        message: MessageIndex,
        name: ScopeName,
        schema: Arc<Schema>,
        out: &mut Vec<Output>,
    ) {
        if self.requests.is_fetching(message) {
            match self.refetched(name.as_str()) {
                Some(scope) => {
                    self.requests.fetched(message);
                    out.push(Output::Resync { scope });
                    self.fetch_reply(message, Ok(scope));
                }
                None => self.fetch_scope(message, name, schema, out),
            }
        }
    }

    /// Gives a scope its index. Where sessions are kept, the client is told when that is stored: what it
    /// then sends to the scope must find it after a crash.
    fn fetch_scope(
        &mut self,
        message: MessageIndex,
        name: ScopeName,
        schema: Arc<Schema>,
        out: &mut Vec<Output>,
    ) {
        let asked = self.requests.asked(message);
        let scope = self.scopes.insert(asked, name, schema);
        match &mut self.keeping {
            Some(keeping) => {
                keeping.fetched = Some((message, scope));
                keeping.scopes_changed();
            }
            None => self.fetch_answered(message, scope, out),
        }
    }

    fn fetch_answered(&mut self, message: MessageIndex, scope: ScopeIndex, out: &mut Vec<Output>) {
        if self.requests.fetched(message).is_some() {
            out.push(Output::Join { message, scope, returns: false });
            self.fetch_reply(message, Ok(scope));
        }
    }

    fn fetch_reply(&mut self, reply_to: MessageIndex, result: Result<ScopeIndex, Rejection>) {
        self.answers_itself(reply_to);
        self.queue(Outgoing::FetchReply { reply_to, result: result.map_err(Box::new) });
    }

    /// No store knows of the answer to this message.
    fn answers_itself(&mut self, message: MessageIndex) {
        if let Some(keeping) = &mut self.keeping {
            keeping.answers(message);
        }
    }

    fn scopes_changed(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.scopes_changed();
        }
    }

    /// Takes in what a scope has for the client. Whether something can follow from that.
    ///
    /// Changes of others are the hot path, once for each member of a scope and change. They answer
    /// nothing, so nothing that waits for an answer can go on, and what is due by the clock is done at the
    /// deadline: only the bounds are looked at.
    fn deliver(&mut self, scope: ScopeIndex, delivery: Delivery) -> bool {
        match delivery {
            Delivery::Sync { revision, body } => {
                if !self.scopes.is_fresh(scope) {
                    return false;
                }
                let at = Moment { scope, revision };
                let something_was_dropped = self.queue(Outgoing::Sync { at, body });
                return something_was_dropped || self.is_past_hard_bound();
            }
            Delivery::Reply { message, revision, lasting, body } => {
                // A scope that was closed in the meantime has been answered for.
                if self.answered_before(scope, message) || self.requests.answered(message) {
                    if !lasting {
                        self.answers_itself(message);
                    }
                    let at = Moment { scope, revision };
                    self.queue(Outgoing::SyncReply { at, reply_to: message, body });
                }
            }
            Delivery::Recall => self.recall(scope),
            Delivery::State { revision, body } => {
                if self.restored_scope(scope) && self.scopes.schema(scope).is_some() {
                    self.scopes.refreshed(scope);
                    self.queue(Outgoing::State { at: Moment { scope, revision }, body });
                }
            }
        }
        true
    }

    fn scope_closed(&mut self, scope: ScopeIndex) {
        self.restored_scope(scope);
        if self.scopes.remove(scope) {
            self.scopes_changed();
            self.trust.forget(scope);
            for abandoned in self.requests.abandon(scope) {
                self.refuse(abandoned.message, scope, abandoned.fragments);
            }
        }
    }

    /// Answers a ScopeSync to a scope that is not there.
    fn refuse(&mut self, message: MessageIndex, scope: ScopeIndex, fragments: usize) {
        let text = format!("Scope at index {scope} was not found");
        let error = Some(Rejection::new(ErrorCode::ScopeIndexNotFound, text));
        let replies = vec![FragmentReply { error, modifications: None }; fragments];
        let body = encode::fragment_replies(&replies);
        let at = Moment { scope, revision: Revision(0) };
        self.answers_itself(message);
        self.queue(Outgoing::SyncReply { at, reply_to: message, body });
    }

    fn deny(&mut self, code: ErrorCode, message: String, out: &mut Vec<Output>) {
        self.end(CloseReason::Denied { code, message }, out);
    }

    /// Ends the session of somebody who may not have it any more: what waits for the client, it does not get.
    fn revoke(&mut self, message: String, out: &mut Vec<Output>) {
        self.reliable.clear();
        self.end(CloseReason::SessionClosed { message }, out);
    }

    fn end(&mut self, reason: CloseReason, out: &mut Vec<Output>) {
        self.ended = true;
        self.identity = None;
        self.requests = Requests::default();
        self.scopes.clear();
        if let Some(connection) = self.connection() {
            out.push(Output::Close { connection, reason });
        }
        out.push(Output::Ended);
    }

    fn expires_at(&self) -> Millis {
        self.heard_at.plus(self.limits.session_timeout_ms)
    }
}

#[cfg(test)]
mod tests;
