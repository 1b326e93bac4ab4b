//! Nobody ever sees half a ChangeSet: what a 1.0 client has confirmed is some revision of the scope, exactly,
//! and it never goes back to an earlier one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jetstream_core::ids::{Revision, ScopeIndex, SessionId};
use jetstream_core::model::Graph;
use jetstream_core::scope::encode_state;

use super::Property;
use crate::event::{Event, ScopeId};
use crate::world::{Host, Settings};

#[derive(Debug)]
pub(super) struct Whole {
    /// What each scope was at each revision.
    history: Vec<Vec<u64>>,
    scopes: BTreeMap<(SessionId, ScopeIndex), ScopeId>,
    shown: BTreeMap<(SessionId, ScopeIndex), Revision>,
    /// No session can lose changes, so there is no excuse.
    lossless: bool,
}

impl Whole {
    pub(super) fn new(hosts: &[Host], settings: &Settings) -> Self {
        Self {
            history: hosts.iter().map(|host| vec![fingerprint(host.scope.graph())]).collect(),
            scopes: BTreeMap::new(),
            shown: BTreeMap::new(),
            lossless: settings.is_lossless(),
        }
    }

    fn shown(
        &mut self,
        session: SessionId,
        index: ScopeIndex,
        graph: &Graph,
    ) -> Result<(), String> {
        let Some(scope) = self.scopes.get(&(session, index)) else { return Ok(()) };
        let last = self.shown.entry((session, index)).or_default();
        let seen = fingerprint(graph);
        let since = &self.history[*scope][last.0 as usize..];
        match since.iter().position(|state| *state == seen) {
            Some(later) => last.0 += later as u64,
            // A slow client whose changes were dropped is nowhere until the next state.
            None if !self.lossless => {}
            None => {
                return Err(format!(
                    "session {session} has something of scope-{scope} that was never there, after {last}"
                ));
            }
        }
        Ok(())
    }
}

impl Property for Whole {
    fn name(&self) -> &'static str {
        "whole revisions"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Judged { scope, graph, revision, .. } => {
                let history = &mut self.history[*scope];
                if history.len() == revision.0 as usize {
                    history.push(fingerprint(graph));
                }
            }
            Event::Joined { session, index, scope } => {
                self.scopes.insert((*session, *index), *scope);
            }
            Event::Shown { session, index, confirmed } => {
                return self.shown(*session, *index, confirmed);
            }
            _ => {}
        }
        Ok(())
    }
}

fn fingerprint(graph: &Graph) -> u64 {
    let mut hasher = DefaultHasher::new();
    encode_state(graph).hash(&mut hasher);
    hasher.finish()
}
