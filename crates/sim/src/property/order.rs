//! A member is told the scope's revisions one after the other, none left out and none twice, and its own answers
//! stand among them where its ChangeSets stand.

use std::collections::BTreeMap;

use jetstream_core::ids::{Revision, ScopeIndex, SessionId};
use jetstream_core::wire::message::Dialect;

use super::Property;
use crate::event::{Event, News, Told};

#[derive(Debug, Default)]
pub(super) struct Order {
    dialects: BTreeMap<SessionId, Dialect>,
    told: BTreeMap<(SessionId, ScopeIndex), Revision>,
}

impl Property for Order {
    fn name(&self) -> &'static str {
        "revisions in order"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::SessionBegan { session, dialect } => {
                self.dialects.insert(*session, *dialect);
                Ok(())
            }
            Event::Told(told) => self.told(told),
            _ => Ok(()),
        }
    }
}

impl Order {
    fn told(&mut self, told: &Told) -> Result<(), String> {
        let key = (told.session, told.index);
        let Told { session, index, revision, .. } = told;
        let wrong = |what: &str, last: Revision| {
            Err(format!("session {session}, scope {index}: {what} {revision} after {last}"))
        };
        let Some(last) = self.told.get(&key).copied() else {
            self.told.insert(key, *revision);
            return match told.news {
                News::State(..) => Ok(()),
                _ => Err(format!("session {session}, scope {index}: no state at first")),
            };
        };
        // Below 1.0 a commit may have nothing to say, since what it changed left the scope with it; and an
        // answer may be followed by a repair.
        let original = self.dialects.get(session) == Some(&Dialect::Original);
        self.told.insert(key, *revision);
        match told.news {
            _ if *revision < last => wrong("goes back to", last),
            News::Sync(..) if *revision == last && !original => wrong("is told again of", last),
            News::Sync(..) | News::Reply(..) if original || *revision <= last.next() => Ok(()),
            News::State(..) => Ok(()),
            _ => wrong("skips to", last),
        }
    }
}
