//! The bounds on what a session keeps for its client, and what becomes of what is too much.
//!
//! States and changes of scopes may be dropped, because a fresh state can stand for all of them.
//! Replies may not. What was sent already is dropped first: most clients have it and just did not say
//! so yet, and only one that asks for it again needs the fresh state.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::ids::ScopeIndex;
use crate::limits::Limit;
use crate::session::outgoing::Outgoing;
use crate::session::reliable::Keep;
use crate::wire::StateBody;

use super::ServerSession;

impl ServerSession {
    /// Puts a message behind the others and keeps the bound on what may be dropped. Whether something was.
    pub(super) fn queue(&mut self, message: Outgoing) -> bool {
        let state = match &message {
            Outgoing::State { at, body } => Some((at.scope, body.clone())),
            _ => None,
        };
        if let Outgoing::State { .. } | Outgoing::SyncReply { .. } = &message {
            self.asked_for(message.byte_length());
        }
        self.reliable.queue(message);
        if let Some(link) = &mut self.link {
            let may_lack = !self.reliable.is_acknowledged();
            link.open_for_news(may_lack, self.now);
        }
        if self.reliable.droppable_bytes() <= self.limits.backlog_bytes_max {
            return false;
        }
        self.met = Some(Limit::BacklogBytes);
        self.drop_sent();
        if self.reliable.droppable_bytes() > self.limits.backlog_bytes_max {
            self.drop_waiting(state);
        }
        true
    }

    /// Whether more is kept than a client that reads could ever need.
    pub(super) fn is_past_hard_bound(&self) -> bool {
        let droppable = self.reliable.droppable_bytes();
        let replies = self.reliable.bytes() - droppable;
        // A state that is longer than the bound is on its way out, and one of them at the most.
        let droppable = droppable.min(self.limits.backlog_bytes_max);
        replies + droppable > self.limits.backlog_bytes_hard_max
    }

    /// The scopes of messages that have to go out and that we do not have any more need their state
    /// afresh.
    pub(super) fn notice_lost(&mut self) {
        for scope in self.spread_loss() {
            self.mark_stale(scope);
        }
    }

    /// Drops what is to be sent on top of what was dropped. Back come the scopes that have no state
    /// behind that.
    fn spread_loss(&mut self) -> BTreeSet<ScopeIndex> {
        let mut broken = BTreeSet::new();
        self.reliable.replace_unacked(|message, goes_out, _| {
            match message {
                _ if !goes_out => {}
                Outgoing::Lost { at } => drop(broken.insert(at.scope)),
                Outgoing::State { at, .. } => drop(broken.remove(&at.scope)),
                // It builds on what is lost.
                Outgoing::Sync { at, .. } if broken.contains(&at.scope) => {
                    return ControlFlow::Continue(Some(Outgoing::Lost { at: *at }));
                }
                _ => {}
            }
            ControlFlow::Continue(None)
        });
        self.reliable.retain_waiting(|message| {
            if let Outgoing::State { at, .. } = message {
                broken.remove(&at.scope);
            }
            true
        });
        broken
    }

    /// Whether there is room for fresh states: a client that reads, and nothing before them.
    pub(super) fn wants_resync(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_open())
            && self.reliable.is_drained()
            && self.scopes.any_stale()
    }

    /// Drops what was sent, oldest first, and leaves some room so that this is not done every time.
    fn drop_sent(&mut self) {
        let enough = self.limits.backlog_bytes_max / 4 * 3;
        self.reliable.replace_unacked(|message, _, droppable_bytes| {
            if droppable_bytes <= enough {
                return ControlFlow::Break(());
            }
            let at = message.moment().filter(|_| message.droppable_scope().is_some());
            ControlFlow::Continue(at.map(|at| Outgoing::Lost { at }))
        });
        self.notice_lost();
    }

    /// Takes back what a client was told of a scope and may not have, because its rights have changed: what it
    /// lacks it gets as a fresh state.
    pub(super) fn recall(&mut self, scope: ScopeIndex) {
        self.reliable.replace_unacked(|message, _, _| {
            let is_told = message.droppable_scope() == Some(scope);
            let at = message.moment().filter(|_| is_told);
            ControlFlow::Continue(at.map(|at| Outgoing::Lost { at }))
        });
        self.notice_lost();
        let mut waits = false;
        self.reliable.retain_waiting(|message| {
            waits |= message.droppable_scope() == Some(scope);
            true
        });
        if waits {
            self.mark_stale(scope);
        }
    }

    /// Drops what waits, but for a state that has just come for a client that is there: however long
    /// it is, there is no other way to give it that scope.
    fn drop_waiting(&mut self, newest: Option<(ScopeIndex, StateBody)>) {
        let newest = newest.filter(|_| self.link.is_some());
        let mut dropped = BTreeSet::new();
        self.reliable.retain_waiting(|message| {
            let kept = match (message, &newest) {
                (Outgoing::State { body, .. }, Some((_, newest))) => body.is(newest),
                (message, _) => message.droppable_scope().is_none(),
            };
            if !kept {
                dropped.extend(message.droppable_scope());
            }
            kept
        });
        for scope in dropped {
            if newest.as_ref().is_none_or(|(newest, _)| *newest != scope) {
                self.scopes.mark_stale(scope);
            }
        }
    }

    fn mark_stale(&mut self, scope: ScopeIndex) {
        self.scopes.mark_stale(scope);
        self.reliable.retain_waiting(|message| message.droppable_scope() != Some(scope));
    }
}
