//! What a client has asked and was not answered yet.

use std::collections::VecDeque;

use crate::ids::{MessageIndex, ScopeIndex};
use crate::limits::{Limit, Limits};
use crate::wire::message::ClientBody;

use super::scopes::Asked;

/// A client's messages from their arrival to their answer.
///
/// Messages are taken up in order, one after the other, but not all at once: while a fetch is being
/// decided the later ones wait, because they may be about the scope that is fetched.
#[derive(Debug)]
pub(super) struct Requests {
    inbox: VecDeque<Arrived>,
    /// The length of the frames that the inbox came from, at least.
    inbox_bytes: usize,
    /// In ascending order of their messages.
    unanswered: VecDeque<Unanswered>,
    /// The length of the fragments that were handed to scopes and are not answered.
    unanswered_bytes: usize,
    fetching: Option<Asked>,
}

/// A message that was not taken up yet.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) message: MessageIndex,
    pub(super) body: ClientBody,
    /// What its client has met so far beyond that it is refused.
    pub(super) beyond: Option<Limit>,
}

/// A request that was taken up.
#[derive(Debug, PartialEq)]
pub(super) struct Unanswered {
    pub(super) message: MessageIndex,
    /// The scope of a ScopeSync; `None`: a ScopeFetch or a SessionRenew.
    pub(super) scope: Option<ScopeIndex>,
    /// How many replies a ScopeSync gets.
    pub(super) fragments: usize,
    /// How long they were.
    bytes: usize,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            inbox: VecDeque::with_capacity(QUIET_CAPACITY),
            inbox_bytes: 0,
            unanswered: VecDeque::with_capacity(QUIET_CAPACITY),
            unanswered_bytes: 0,
            fetching: None,
        }
    }
}

impl Requests {
    /// Puts a message behind the others.
    pub(super) fn push(&mut self, arrived: Arrived) {
        self.inbox.push_back(arrived);
    }

    /// A whole frame was read.
    pub(super) fn frame_was_read(&mut self, bytes: usize) {
        if !self.inbox.is_empty() {
            self.inbox_bytes += bytes;
        }
    }

    /// The next message that can be taken up now. `slowed`: the client is to wait for what it asks for.
    pub(super) fn next(&mut self, limits: &Limits, slowed: bool) -> Option<Arrived> {
        let first = self.inbox.front()?;
        let waits = match &first.body {
            _ if self.fetching.is_some() => true,
            // A short question that has a long answer: what it costs is known afterwards.
            ClientBody::ScopeFetch { .. } => slowed && first.beyond.is_none(),
            // Others have something in the scope's mailbox, too.
            ClientBody::ScopeSync { .. } => self.unanswered.len() >= limits.session_requests_max,
            // What was sent to a scope before leaving it is still answered.
            ClientBody::ScopeUnfetch { scope_index } => {
                self.unanswered.iter().any(|one| one.scope == Some(*scope_index))
            }
            _ => false,
        };
        if waits {
            return None;
        }
        let next = self.inbox.pop_front();
        if self.inbox.is_empty() {
            self.inbox_bytes = 0;
            // Mostly one message comes at a time: after several, the room that they took is let go of.
            if self.inbox.capacity() > QUIET_CAPACITY {
                self.inbox = VecDeque::with_capacity(QUIET_CAPACITY);
            }
        }
        next
    }

    /// A fetch was handed to the application.
    pub(super) fn fetch(&mut self, asked: Asked) {
        let message = asked.message;
        self.fetching = Some(asked);
        self.unanswered.push_back(Unanswered { message, scope: None, fragments: 0, bytes: 0 });
    }

    /// Whether this fetch is being decided.
    pub(super) fn is_fetching(&self, message: MessageIndex) -> bool {
        self.fetching.as_ref().is_some_and(|asked| asked.message == message)
    }

    /// What the fetch that is being decided asked for.
    pub(super) fn asked(&self, message: MessageIndex) -> Asked {
        let asked = self.fetching.as_ref().filter(|asked| asked.message == message);
        asked.cloned().unwrap_or_default()
    }

    /// A fetch has its answer. `None` if it is another than the one that is being decided.
    pub(super) fn fetched(&mut self, message: MessageIndex) -> Option<Asked> {
        let asked = self.fetching.take_if(|asked| asked.message == message);
        if asked.is_some() {
            self.answered(message);
        }
        asked
    }

    /// A new credential was handed to whoever looks at it.
    pub(super) fn renew(&mut self, message: MessageIndex) {
        self.unanswered.push_back(Unanswered { message, scope: None, fragments: 0, bytes: 0 });
    }

    /// A ScopeSync was handed to its scope.
    pub(super) fn sync(
        &mut self,
        message: MessageIndex,
        scope: ScopeIndex,
        fragments: usize,
        bytes: usize,
    ) {
        self.unanswered_bytes += bytes;
        self.unanswered.push_back(Unanswered { message, scope: Some(scope), fragments, bytes });
    }

    /// A request has its answer. False if it had one already.
    pub(super) fn answered(&mut self, message: MessageIndex) -> bool {
        let place = self.unanswered.binary_search_by_key(&message, |one| one.message);
        let answered = place.ok().and_then(|place| self.unanswered.remove(place));
        self.unanswered_bytes -= answered.as_ref().map_or(0, |one| one.bytes);
        answered.is_some()
    }

    /// Takes out all requests to a scope that will not answer any more.
    pub(super) fn abandon(&mut self, scope: ScopeIndex) -> VecDeque<Unanswered> {
        let (abandoned, others) = std::mem::take(&mut self.unanswered)
            .into_iter()
            .partition(|one: &Unanswered| one.scope == Some(scope));
        self.unanswered = others;
        self.unanswered_bytes = self.unanswered.iter().map(|one| one.bytes).sum();
        abandoned
    }

    /// The highest index up to which everything that was received has its answer.
    ///
    /// Only that is acknowledged: a message that is acknowledged is never sent again, so what was
    /// lost with a crash between message and answer could not be made good.
    pub(super) fn settled(&self, last_received: MessageIndex) -> MessageIndex {
        let unanswered = self.unanswered.front().map(|one| one.message);
        let waiting = self.inbox.front().map(|arrived| arrived.message);
        match [unanswered, waiting].into_iter().flatten().min() {
            Some(first) => MessageIndex(first.0 - 1),
            None => last_received,
        }
    }

    /// Whether everything that came is answered.
    pub(super) fn is_empty(&self) -> bool {
        self.inbox.is_empty() && self.unanswered.is_empty()
    }

    /// Whether so much waits that the client must wait, too.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.inbox.len() >= limits.inbox_messages_max
            || self.unanswered.len() >= limits.inbox_messages_max
            || self.inbox_bytes >= limits.message_bytes_max
            || self.unanswered_bytes >= limits.message_bytes_max
    }
}

/// For how many requests a session keeps room that has none: idle sessions are many.
const QUIET_CAPACITY: usize = 1;
