//! What somebody has to decide about is applied after the decision and never against it; and however long
//! decisions take, a session's ChangeSets are applied and answered in the order in which they were sent.

use std::collections::{BTreeMap, BTreeSet};

use jetstream_core::ids::{MessageIndex, Origin, ScopeIndex, SessionId};

use super::Property;
use crate::event::{Event, News, ScopeId};

#[derive(Debug, Default)]
pub(super) struct Decided {
    refused: BTreeSet<(ScopeId, Origin)>,
    /// The last ChangeSet of each session that a scope applied. A session that fetched a scope twice has two
    /// lines of them, so this is only looked at where it did not.
    applied: BTreeMap<(ScopeId, SessionId), MessageIndex>,
    answered: BTreeMap<(SessionId, ScopeIndex), MessageIndex>,
    /// How often each session has joined each scope.
    joined: BTreeMap<(ScopeId, SessionId), usize>,
}

impl Property for Decided {
    fn name(&self) -> &'static str {
        "as it was decided, in order"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Joined { session, scope, .. } => {
                *self.joined.entry((*scope, *session)).or_default() += 1;
            }
            Event::Decided { scope, origin, refused: true } => {
                self.refused.insert((*scope, *origin));
            }
            Event::Committed { scope, origin } => return self.committed(*scope, *origin),
            Event::Told(told) => {
                if let News::Reply(message, _) = told.news {
                    let last = self.answered.insert((told.session, told.index), message);
                    if last.is_some_and(|last| last >= message) {
                        return Err(format!(
                            "session {}: {message} is answered after {last:?}",
                            told.session
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Decided {
    fn committed(&mut self, scope: ScopeId, origin: Origin) -> Result<(), String> {
        if self.refused.contains(&(scope, origin)) {
            return Err(format!("scope-{scope} applies {origin:?}, which was refused"));
        }
        let key = (scope, origin.session);
        let last = self.applied.insert(key, origin.message);
        let once = self.joined.get(&key) == Some(&1);
        if once && last.is_some_and(|last| last >= origin.message) {
            return Err(format!("scope-{scope} applies {origin:?} after {last:?}"));
        }
        Ok(())
    }
}
