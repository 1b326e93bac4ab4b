//! A session that comes back after its server was gone.
//!
//! Its client counts on from where it was; what it is sent now are the answers that it may have missed and,
//! behind them, its scopes' states. Nothing of that goes out, and nothing new is taken up, before all of it
//! is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{MessageIndex, ScopeIndex, SessionId};
use crate::limits::Limits;
use crate::model::Schema;
use crate::session::Output;
use crate::time::Now;
use crate::wire::message::Dialect;

use super::ServerSession;
use super::keeping::{Keeping, Record};
use super::scopes::Scopes;

/// What a restored session waits for.
#[derive(Debug)]
pub(super) struct Restoring {
    /// Scopes whose state is not here yet.
    scopes: BTreeSet<ScopeIndex>,
    /// Messages that were answered before, and that the client may send again.
    answered: BTreeSet<MessageIndex>,
    /// What the client has is not known yet: neither what its next message from us is numbered.
    unnumbered: bool,
}

impl ServerSession {
    /// A session that was stored.
    ///
    /// Each of its scopes is asked for with an [`Output::Rejoin`]. The first Ping of the client says where
    /// the numbering stands.
    pub fn restored(
        id: SessionId,
        dialect: Dialect,
        limits: Arc<Limits>,
        jitter_seed: u64,
        now: Now,
        record: Record,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut session = Self::new(id, dialect, limits, jitter_seed, now);
        let Record { scopes, next_scope, position, .. } = record;
        session.has_met = true;
        session.reliable.received_up_to(position);
        session.keeping = Some(Keeping::from(position));
        session.restoring = Some(Box::new(Restoring {
            scopes: scopes.iter().map(|fetch| fetch.index).collect(),
            answered: BTreeSet::new(),
            unnumbered: true,
        }));
        out.extend(scopes.iter().map(|fetch| Output::Rejoin {
            scope: fetch.index,
            name: fetch.name.clone(),
            params: fetch.params.clone(),
        }));
        session.scopes = Scopes::restored(scopes, next_scope);
        session
    }

    /// Whether something of what was before is still missing.
    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.as_ref().is_some_and(|restoring| !restoring.scopes.is_empty())
    }

    /// Whether nothing with a number can go out yet.
    pub(super) fn holds_back(&self) -> bool {
        let holds = |restoring: &Restoring| restoring.unnumbered || !restoring.scopes.is_empty();
        self.restoring.as_deref().is_some_and(holds)
    }

    /// Whether messages that were answered before may still come again.
    pub(super) fn is_repeating(&self) -> bool {
        self.restoring.as_ref().is_some_and(|restoring| !restoring.answered.is_empty())
    }

    fn is_missing(&self, scope: ScopeIndex) -> bool {
        self.restoring.as_ref().is_some_and(|restoring| restoring.scopes.contains(&scope))
    }

    /// The application lets the session have a scope again, or not any more.
    pub(super) fn rejoined(
        &mut self,
        scope: ScopeIndex,
        schema: Option<Arc<Schema>>,
        out: &mut Vec<Output>,
    ) {
        if !self.is_missing(scope) {
            return;
        }
        match schema.and_then(|schema| self.scopes.rejoin(scope, schema)) {
            Some(message) => out.push(Output::Join { message, scope, returns: true }),
            None => {
                self.restored_scope(scope);
                if self.scopes.remove(scope) {
                    self.scopes_changed();
                }
            }
        }
    }

    /// A scope gives an answer again. True if the client is to have it.
    pub(super) fn answered_before(&mut self, scope: ScopeIndex, message: MessageIndex) -> bool {
        let again = self.is_missing(scope);
        if let Some(restoring) = &mut self.restoring
            && again
            && message > self.reliable.last_received()
        {
            restoring.answered.insert(message);
        }
        again
    }

    /// A scope's state is here, or the scope is gone. True if the client is to have the state now: else it
    /// will ask for the scope again, and gets it behind the answer.
    pub(super) fn restored_scope(&mut self, scope: ScopeIndex) -> bool {
        let Some(restoring) = &mut self.restoring else { return true };
        if !restoring.scopes.remove(&scope) {
            return true;
        }
        let asks_again = self.scopes.message(scope) > Some(self.reliable.last_received());
        if asks_again {
            self.scopes.mark_awaited(scope);
        }
        !asks_again
    }

    /// Whether a message that has just arrived was answered before the server was gone.
    pub(super) fn is_answered(&mut self, message: MessageIndex) -> bool {
        let Some(restoring) = &mut self.restoring else { return false };
        restoring.answered.remove(&message)
    }

    /// The client says what it has. False if that cannot be.
    pub(super) fn number(&mut self, ack: MessageIndex) -> bool {
        let Some(restoring) = self.restoring.as_mut().filter(|restoring| restoring.unnumbered)
        else {
            return true;
        };
        if ack > MESSAGES_MAX {
            return false;
        }
        restoring.unnumbered = false;
        self.reliable.begin_after(ack);
        true
    }
}

/// No client has got so many messages: a millennium's, if it gets a hundred thousand in a second.
const MESSAGES_MAX: MessageIndex = MessageIndex(1 << 52);
