//! What a scope tells a session reaches its client, in order. Only states and changes may be missing, and only
//! if a later state makes up for them.

use std::collections::{BTreeMap, BTreeSet};

use jetstream_core::ids::{ScopeIndex, SessionId};

use super::Property;
use crate::event::{Event, News, Request};
use crate::world::World;

#[derive(Debug, Default)]
pub(super) struct ToldOnce {
    sessions: BTreeMap<SessionId, Way>,
}

#[derive(Debug)]
struct Way {
    told: Vec<News>,
    /// How what was received may be matched with what was told. One way as a rule; but a state can be the
    /// same as one before it, and then only what comes next shows which of them was sent.
    matches: BTreeSet<Match>,
    left: BTreeSet<ScopeIndex>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    /// How much of what was told was received or left out.
    done: usize,
    /// Scopes in which something was left out since the last state.
    lacking: BTreeSet<ScopeIndex>,
}

impl Property for ToldOnce {
    fn name(&self) -> &'static str {
        "what was told arrives"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Told(told) => {
                self.sessions.entry(told.session).or_default().told.push(told.news.clone());
            }
            Event::Received { session, news: Some(news), .. } => {
                let way = self.sessions.entry(*session).or_default();
                return way.receive(news).map_err(|why| format!("session {session}: {why}"));
            }
            Event::Asked { session, request: Request::Unfetch(index), .. } => {
                self.sessions.entry(*session).or_default().left.insert(*index);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, world: &World) -> Result<(), String> {
        let clients = world.clients().iter().filter(|client| !client.has_deserted());
        let present: BTreeSet<SessionId> = clients.filter_map(|client| client.session()).collect();
        for (session, way) in self.sessions.iter().filter(|(id, _)| present.contains(id)) {
            let ends = way.matches.iter().map(|one| one.end(&way.told));
            if !ends.flatten().any(|lacking| lacking.is_subset(&way.left)) {
                return Err(format!("session {session} lacks something of {:?}", way.matches));
            }
        }
        Ok(())
    }
}

impl Default for Way {
    fn default() -> Self {
        Self {
            told: Vec::new(),
            matches: BTreeSet::from([Match::default()]),
            left: BTreeSet::new(),
        }
    }
}

impl Way {
    fn receive(&mut self, news: &News) -> Result<(), String> {
        // An empty change holds the place of what was dropped.
        if matches!(news, News::Sync(_, text) if &**text == "[]") {
            return Ok(());
        }
        let told = &self.told;
        self.matches = self.matches.iter().flat_map(|one| one.receive(told, news)).collect();
        match self.matches.is_empty() {
            true => Err(format!("nothing that was told makes sense of {news:?}")),
            false => Ok(()),
        }
    }
}

impl Match {
    /// Where what was received can stand in what was told.
    fn receive(&self, told: &[News], news: &News) -> Vec<Self> {
        let mut here = self.clone();
        let mut found = Vec::new();
        for next in &told[self.done..] {
            here.done += 1;
            if next == news {
                let mut taken = here.clone();
                match news {
                    News::State(index, _) => drop(taken.lacking.remove(index)),
                    // A change on top of what is lacking makes no sense to a client.
                    News::Sync(index, _) if taken.lacking.contains(index) => return found,
                    News::Sync(..) | News::Reply(..) => {}
                }
                found.push(taken);
                if !matches!(news, News::State(..)) {
                    return found;
                }
            }
            if !here.leave_out(next) {
                return found;
            }
        }
        found
    }

    /// What is lacking if nothing more is received.
    fn end(&self, told: &[News]) -> Option<BTreeSet<ScopeIndex>> {
        let mut here = self.clone();
        told[self.done..].iter().all(|next| here.leave_out(next)).then_some(here.lacking)
    }

    /// False if it may not be left out.
    fn leave_out(&mut self, news: &News) -> bool {
        match news {
            News::State(index, _) | News::Sync(index, _) => {
                self.lacking.insert(*index);
                true
            }
            News::Reply(..) => false,
        }
    }
}
