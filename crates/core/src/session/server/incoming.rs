//! Frames into messages, and messages into requests: repetitions, gaps, acknowledgements and Pings.

use std::collections::BTreeMap;

use crate::ids::{MessageIndex, Revision, ScopeIndex};
use crate::limits::Limit;
use crate::model::ErrorCode;
use crate::session::Output;
use crate::session::outgoing::Outgoing;
use crate::session::reliable::{Arrival, GapAction};
use crate::wire::decode::{self, Unreadable};
use crate::wire::message::{ClientBody, ClientMessage, Dialect};

use super::ServerSession;
use super::requests::Arrived;

impl ServerSession {
    /// Takes a frame of the present connection in.
    pub(super) fn frame(&mut self, text: &str, out: &mut Vec<Output>) {
        let messages = match decode::frame(text, &self.limits) {
            Ok(messages) => messages,
            Err(error) => {
                out.push(Output::Limited(Limit::FrameMessages));
                return self.deny(ErrorCode::TooLarge, error.to_string(), out);
            }
        };
        // A frame without a message is read like one with a message.
        self.sent(usize::from(messages.is_empty()), text.len(), out);
        let mut acknowledged = MessageIndex(0);
        for message in messages {
            self.sent(1, 0, out);
            if self.ended {
                return;
            }
            match message {
                Ok(message) if self.knows(&message.body) => {
                    if !self.learn_numbering(&message) {
                        let message = "the acknowledged message was never sent".to_owned();
                        return self.deny(ErrorCode::Rejected, message, out);
                    }
                    acknowledged = acknowledged.max(self.acknowledged_by(&message));
                    self.message(message, out);
                }
                Ok(message) => self.unreadable(Some(message.index), "unknown message type", out),
                Err(Unreadable { index, fault }) => {
                    self.unreadable(index, &fault.to_string(), out);
                }
            }
            if self.ended {
                return;
            }
        }
        // Once for all its messages: what it costs depends on how much is kept.
        if acknowledged > MessageIndex(0) {
            self.acknowledge(acknowledged, out);
        }
        self.requests.frame_was_read(text.len());
    }

    /// Up to where the client has what we sent, as far as this message says so; 0: it does not.
    fn acknowledged_by(&self, message: &ClientMessage) -> MessageIndex {
        let counts = self.dialect >= Dialect::V1 || matches!(message.body, ClientBody::Ping { .. });
        let ack = message.ack.filter(|ack| counts && *ack <= self.reliable.last_sent());
        ack.unwrap_or_default()
    }

    /// A restored session hears from its client what it has. False if that cannot be.
    fn learn_numbering(&mut self, message: &ClientMessage) -> bool {
        let says = matches!(message.body, ClientBody::Ping { .. });
        !says || self.number(message.ack.unwrap_or_default())
    }

    /// Whether the client's dialect has this message.
    fn knows(&self, body: &ClientBody) -> bool {
        let is_addition = matches!(
            body,
            ClientBody::ScopeUnfetch { .. }
                | ClientBody::SessionClose
                | ClientBody::SessionRenew { .. }
        );
        self.dialect >= Dialect::V1 || !is_addition
    }

    fn message(&mut self, message: ClientMessage, out: &mut Vec<Output>) {
        self.heard_at = self.now;
        if message.index == MessageIndex(0) {
            // Outside the numbering there are only SessionCreate, which this session has had, and Ping.
            return self.ping(&message);
        }
        if !matches!(message.body, ClientBody::Ping { .. })
            && let Some(link) = &mut self.link
        {
            link.goes_on();
        }
        match self.reliable.receive(message.index) {
            Arrival::Repeated => self.gap.repeated(),
            Arrival::Gap { expected } => match self.gap.behind(expected, message.index) {
                GapAction::Wait => {}
                GapAction::Ask => self.ask_for_resend(),
                GapAction::GiveUp => {
                    let message = format!("message {expected} is missing or cannot be read");
                    self.deny(ErrorCode::Rejected, message, out);
                }
            },
            Arrival::New => {
                self.gap.close();
                if let ClientBody::ScopeSync { scope_index, .. } = &message.body {
                    self.named(*scope_index);
                }
                if self.is_answered(message.index) {
                    return;
                }
                match message.body {
                    ClientBody::Ping { .. } => self.ping(&message),
                    // Read, and of no consequence.
                    ClientBody::SessionCreate { .. } | ClientBody::Reply { .. } => {}
                    body => {
                        let beyond = self.refused_for();
                        self.requests.push(Arrived { message: message.index, body, beyond });
                    }
                }
            }
        }
    }

    /// Forgets what the client has, and tells the scopes if they want to know.
    fn acknowledge(&mut self, ack: MessageIndex, out: &mut Vec<Output>) {
        let mut seen: BTreeMap<ScopeIndex, Revision> = BTreeMap::new();
        let (scopes, keeping) = (&mut self.scopes, &mut self.keeping);
        self.reliable.acknowledge_each(ack, |message| {
            match message {
                Outgoing::SyncReply { at, reply_to, .. } => {
                    scopes.deliver(at.scope, *reply_to);
                    keeping.iter_mut().for_each(|keeping| keeping.confirmed(*reply_to));
                }
                Outgoing::FetchReply { reply_to, .. } | Outgoing::Reply { reply_to, .. } => {
                    keeping.iter_mut().for_each(|keeping| keeping.confirmed(*reply_to));
                }
                _ => {}
            }
            seen.extend(message.moment().map(|at| (at.scope, at.revision)));
        });
        if self.dialect >= Dialect::V1 {
            return;
        }
        for message in self.reliable.unacknowledged() {
            // Of a revision that comes in several messages the client may have the first only.
            if let Some(at) = message.moment()
                && let Some(seen) = seen.get_mut(&at.scope)
                && *seen >= at.revision
            {
                *seen = Revision(at.revision.0.saturating_sub(1));
            }
        }
        let seen = self.trust.acknowledged(ack, seen);
        out.extend(seen.into_iter().map(|(scope, revision)| Output::Seen { scope, revision }));
    }

    fn unreadable(&mut self, index: Option<MessageIndex>, fault: &str, out: &mut Vec<Output>) {
        if self.gap.unreadable(index) {
            let index = index.unwrap_or_default();
            let message = format!("message {index} cannot be read: {fault}");
            self.deny(ErrorCode::Rejected, message, out);
        }
    }

    fn ping(&mut self, message: &ClientMessage) {
        if let ClientBody::Ping { resend_missing: true } = message.body
            && let Some(link) = &mut self.link
        {
            let ack = message.ack.unwrap_or_default();
            self.trust.asked(ack);
            link.asked(ack, self.reliable.last_received(), self.now.plus(ANSWER_WAIT_MS));
        }
    }

    fn ask_for_resend(&mut self) {
        if let Some(link) = &mut self.link
            && !link.take_asked_back()
        {
            link.ping(true);
        }
    }
}

/// How long the answer to a Ping that asks for a resend waits for the answers to what came before it, in
/// milliseconds.
///
/// The client learns from it what it must send again. A procedure may take longer than this; then
/// the client sends again what we have, and that does no harm.
const ANSWER_WAIT_MS: u64 = 1_000;
