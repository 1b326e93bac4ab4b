//! Every message of a client is processed once and in the order in which it was asked; every message of
//! a server arrives once and in order.

use std::collections::{BTreeMap, BTreeSet};

use jetstream_core::ids::{MessageIndex, ScopeIndex, SessionId};

use super::Property;
use crate::event::{Event, Request};

#[derive(Debug, Default)]
pub(super) struct Once {
    sessions: BTreeMap<SessionId, Talk>,
}

#[derive(Debug, Default)]
struct Talk {
    asked: BTreeMap<MessageIndex, Request>,
    processed: MessageIndex,
    received: MessageIndex,
    left: BTreeSet<ScopeIndex>,
}

impl Property for Once {
    fn name(&self) -> &'static str {
        "each message once and in order"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Asked { session, message, request } => {
                let talk = self.sessions.entry(*session).or_default();
                let expected = talk.asked.keys().next_back().copied().unwrap_or_default().next();
                if *message != expected {
                    return Err(format!("the client's {message} should be {expected}"));
                }
                talk.asked.insert(*message, request.clone());
                Ok(())
            }
            Event::Processed { session, message, request } => {
                self.sessions.entry(*session).or_default().process(*message, request)
            }
            Event::Received { session, message, .. } => {
                let talk = self.sessions.entry(*session).or_default();
                let expected = talk.received.next();
                if *message != expected {
                    return Err(format!("session {session} got {message} instead of {expected}"));
                }
                talk.received = *message;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Talk {
    fn process(&mut self, message: MessageIndex, request: &Request) -> Result<(), String> {
        if message <= self.processed {
            return Err(format!("{message} is processed again or late, after {}", self.processed));
        }
        if self.asked.get(&message) != Some(request) {
            return Err(format!("{message} was {:?}, not {request:?}", self.asked.get(&message)));
        }
        for (skipped, request) in self.asked.range(self.processed.next()..message) {
            match request {
                // Answered or carried out by the session itself.
                Request::Unfetch(index) => drop(self.left.insert(*index)),
                Request::Fetch(_) => {}
                Request::Sync(index, _) if self.left.contains(index) => {}
                Request::Sync(..) | Request::Close => {
                    return Err(format!("{skipped} is skipped by {message}"));
                }
            }
        }
        self.processed = message;
        Ok(())
    }
}
