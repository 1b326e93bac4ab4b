//! What is stored of a session, and what waits for that.
//!
//! A client never sends again what the server has acknowledged. So the server acknowledges only what it
//! will still know after a crash: up to a position that is stored, and not past an answer that only the
//! session itself has given and that the client may not have.

use std::collections::BTreeSet;

use crate::ids::{MessageIndex, ScopeIndex};
use crate::session::Output;

use super::ServerSession;

/// A session as it has to be stored, so that its client can resume after a crash.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The scopes that it has fetched and not left.
    pub scopes: Vec<FetchRecord>,
    /// The index of the scope that it fetches next.
    pub next_scope: ScopeIndex,
    /// What the client sent up to here is done with, whatever happens.
    pub position: MessageIndex,
    /// How long the client may still stay away, in milliseconds.
    pub remaining_ms: u64,
}

/// A scope that a session has fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchRecord {
    /// What the session calls it.
    pub index: ScopeIndex,
    /// The message that asked.
    pub message: MessageIndex,
    /// The name that was asked for.
    pub name: String,
    /// What the client added for the application.
    pub params: serde_json::Map<String, serde_json::Value>,
}

/// How far a session is stored.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// The position that is stored.
    stored: MessageIndex,
    /// The shell is storing the session.
    saving: bool,
    /// What is stored is not what is, in other ways than by the position.
    changed: bool,
    /// The position is wanted: it will be acknowledged.
    wanted: bool,
    /// Whether the server was gone and the client does not know yet what it need not send again.
    catching_up: CatchingUp,
    /// The last attempt failed. There is another with the next Ping.
    unsaved: bool,
    /// Messages that the session itself has answered, and whose answers the client may not have.
    unconfirmed: BTreeSet<MessageIndex>,
    /// A fetch that was accepted. It is answered when it is stored.
    pub(super) fetched: Option<(MessageIndex, ScopeIndex)>,
}

/// A client whose server was gone sends again what it has no acknowledgement for. It learns as soon as
/// possible how much of that is stored, and not with the next Ping: an original client that resumes without
/// an acknowledgement sends everything twice as often the next time.
#[derive(Debug, Default, PartialEq, Eq)]
enum CatchingUp {
    #[default]
    No,
    /// What it sends again is not answered yet.
    Answering,
    /// It is, and that is being stored.
    Storing,
}

impl Keeping {
    /// A session that comes back, and of which this much is stored.
    pub(super) fn from(stored: MessageIndex) -> Self {
        Self { stored, catching_up: CatchingUp::Answering, ..Self::default() }
    }

    /// The session itself has answered a message.
    pub(super) fn answers(&mut self, message: MessageIndex) {
        self.unconfirmed.insert(message);
    }

    /// The client has the answer.
    pub(super) fn confirmed(&mut self, message: MessageIndex) {
        self.unconfirmed.remove(&message);
    }

    /// The scopes of the session have changed.
    pub(super) fn scopes_changed(&mut self) {
        self.changed = true;
    }

    /// What may be stored as done with, if everything up to `settled` is answered.
    fn position(&self, settled: MessageIndex) -> MessageIndex {
        let first = self.unconfirmed.first();
        first.map_or(settled, |first| settled.min(MessageIndex(first.0.saturating_sub(1))))
    }
}

impl ServerSession {
    /// The same session, which its shell keeps in a store: [`Output::Save`]. `is_stored`: its beginning is
    /// stored already.
    #[must_use]
    pub fn kept(mut self, is_stored: bool) -> Self {
        self.keeping = Some(Keeping { changed: !is_stored, ..Keeping::default() });
        self
    }

    /// What has to be stored of the session at the moment.
    pub fn record(&self) -> Record {
        let settled = self.settled();
        let position = self.keeping.as_ref().map_or(settled, |keeping| keeping.position(settled));
        Record {
            scopes: self.scopes.records().collect(),
            next_scope: self.scopes.next_index(),
            position,
            remaining_ms: self.expires_at().since(self.now),
        }
    }

    /// Up to where the client's messages are answered.
    pub(super) fn settled(&self) -> MessageIndex {
        self.requests.settled(self.reliable.last_received())
    }

    /// Up to where they are acknowledged.
    pub(super) fn acknowledgeable(&self) -> MessageIndex {
        let settled = self.settled();
        self.keeping.as_ref().map_or(settled, |keeping| settled.min(keeping.stored))
    }

    /// Up to which message nobody will ask for a scope's answers again: the client has them, and will not
    /// send the messages again after a crash.
    pub(super) fn done_with(&self, scope: ScopeIndex) -> MessageIndex {
        let delivered = self.scopes.delivered(scope);
        self.keeping.as_ref().map_or(delivered, |keeping| delivered.min(keeping.stored))
    }

    /// The client has sent something to this scope: so it has the answer that told it the index.
    pub(super) fn named(&mut self, scope: ScopeIndex) {
        if self.keeping.is_some() && self.scopes.named(scope) {
            self.confirm_named(scope);
        }
    }

    /// The answer to the fetch of a scope that the client has named is not news to it.
    pub(super) fn confirm_named(&mut self, scope: ScopeIndex) {
        if let (Some(keeping), Some(fetch)) = (&mut self.keeping, self.scopes.named_by(scope)) {
            keeping.confirmed(fetch);
        }
    }

    /// Whether more could be acknowledged if it was stored.
    pub(super) fn waits_for_store(&self) -> bool {
        let settled = self.settled();
        self.keeping.as_ref().is_some_and(|keeping| keeping.stored < keeping.position(settled))
    }

    /// The position is to be stored before long: the client waits for an acknowledgement.
    pub(super) fn want_position(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.wanted = true;
            keeping.changed |= std::mem::take(&mut keeping.unsaved);
        }
    }

    /// Has the session stored if that is due and not being done.
    pub(super) fn keep(&mut self, out: &mut Vec<Output>) {
        let advanced = self.waits_for_store();
        let is_idle = self.requests.is_empty() && !self.is_repeating();
        let settled = self.settled();
        let Some(keeping) = &mut self.keeping else { return };
        // Not message by message: what is sent again comes in one go.
        let is_enough = is_idle || settled.0 >= keeping.stored.0 + CAUGHT_UP_MESSAGES;
        let has_caught_up = keeping.catching_up == CatchingUp::Answering && is_enough;
        let wanted = keeping.wanted || has_caught_up;
        if !keeping.saving && (keeping.changed || wanted && advanced) {
            if has_caught_up && advanced {
                keeping.catching_up = CatchingUp::Storing;
            }
            keeping.saving = true;
            keeping.changed = false;
            keeping.wanted = false;
            out.push(Output::Save);
        }
    }

    /// The shell has stored the session, or could not.
    pub(super) fn saved(&mut self, position: Option<MessageIndex>, out: &mut Vec<Output>) {
        let Some(keeping) = &mut self.keeping else { return };
        keeping.saving = false;
        match position {
            Some(position) => {
                keeping.stored = keeping.stored.max(position);
                if keeping.catching_up == CatchingUp::Storing {
                    keeping.catching_up = CatchingUp::No;
                    self.link.iter_mut().for_each(|link| link.ping(false));
                }
            }
            // Once more before long; but a client that only reads does not wait for a full disk.
            None => keeping.unsaved = true,
        }
        if let Some((message, scope)) = keeping.fetched.take_if(|_| !keeping.changed) {
            self.fetch_answered(message, scope, out);
        }
    }
}

/// Of a client that never pauses so many messages are enough to acknowledge what it sent again.
const CAUGHT_UP_MESSAGES: u64 = 64;
