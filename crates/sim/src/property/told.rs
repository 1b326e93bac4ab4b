//! What a scope tells a session reaches its client, in order. Only states and changes may be missing, and only
//! if a later state makes up for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jetstream_core::ids::{ScopeIndex, SessionId};

use super::Property;
use crate::event::{Event, News};
use crate::world::World;

#[derive(Debug, Default)]
pub(super) struct ToldOnce {
    sessions: BTreeMap<SessionId, Way>,
}

#[derive(Debug, Default)]
struct Way {
    /// Told and not received.
    under_way: VecDeque<News>,
    /// Scopes in which something was left out since the last state.
    lacking: BTreeSet<ScopeIndex>,
    left: BTreeSet<ScopeIndex>,
    /// What was taken last of a scope, if it was a state: the same again may be left out.
    states: BTreeMap<ScopeIndex, News>,
}

impl Property for ToldOnce {
    fn name(&self) -> &'static str {
        "what was told arrives"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Told(told) => {
                let way = self.sessions.entry(told.session).or_default();
                way.under_way.push_back(told.news.clone());
            }
            Event::Received { session, news: Some(news), .. } => {
                let way = self.sessions.entry(*session).or_default();
                return way.receive(news).map_err(|why| format!("session {session}: {why}"));
            }
            Event::Asked { session, request: crate::event::Request::Unfetch(index), .. } => {
                self.sessions.entry(*session).or_default().left.insert(*index);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, world: &World) -> Result<(), String> {
        let sessions: BTreeSet<SessionId> = present(world);
        for (session, way) in self.sessions.iter_mut().filter(|(id, _)| sessions.contains(id)) {
            while let Some(news) = way.under_way.pop_front() {
                way.skip(&news).map_err(|why| format!("session {session}: {why}"))?;
            }
            if let Some(index) = way.lacking.difference(&way.left).next() {
                return Err(format!("session {session} never got what it lacks of {index}"));
            }
        }
        Ok(())
    }
}

/// The sessions of clients that are still there.
fn present(world: &World) -> BTreeSet<SessionId> {
    let clients = world.clients().iter().filter(|client| !client.has_deserted());
    clients.filter_map(|client| client.session()).collect()
}

impl Way {
    fn receive(&mut self, news: &News) -> Result<(), String> {
        if let News::Sync(_, text) = news
            && &**text == "[]"
        {
            // It holds the place of what was dropped.
            return Ok(());
        }
        while let Some(next) = self.under_way.pop_front() {
            if next == *news {
                return self.take(news);
            }
            self.skip(&next)?;
        }
        Err(format!("received what nobody told, or what it had: {news:?}"))
    }

    fn take(&mut self, news: &News) -> Result<(), String> {
        match news {
            News::State(index, _) => {
                self.lacking.remove(index);
                self.states.insert(*index, news.clone());
            }
            News::Sync(index, _) if self.lacking.contains(index) => {
                return Err(format!("a change of {index} on top of what is lacking"));
            }
            News::Sync(index, _) => drop(self.states.remove(index)),
            News::Reply(..) => {}
        }
        Ok(())
    }

    fn skip(&mut self, news: &News) -> Result<(), String> {
        match news {
            News::State(index, _) if self.states.get(index) == Some(news) => Ok(()),
            News::State(index, _) | News::Sync(index, _) => {
                self.states.remove(index);
                self.lacking.insert(*index);
                Ok(())
            }
            News::Reply(message, _) => Err(format!("the answer to {message} was left out")),
        }
    }
}
