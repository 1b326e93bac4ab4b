//! Members that wait for a state.
//!
//! A long state is written in steps, so that the members who are there do not wait for one who comes. What is
//! changed meanwhile is in the state when it is finished, so a member is told nothing before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::kept_state::KeptState;
use super::members::Member;
use super::{Output, Scope};
use crate::ids::MemberId;
use crate::time::{Millis, Now};
use crate::wire::StateBody;
use crate::wire::message::Dialect;

/// Who waits for a state, the first in front.
#[derive(Debug, Default)]
pub(super) struct Awaiting {
    queue: VecDeque<MemberId>,
    /// Whether it is the member's first state.
    members: BTreeMap<MemberId, bool>,
    /// Since when.
    since: Millis,
}

impl Awaiting {
    /// When to go on: at once, if somebody waits.
    pub(super) fn deadline(&self) -> Option<Millis> {
        (!self.is_empty()).then_some(self.since)
    }

    pub(super) fn leave(&mut self, member: MemberId) {
        self.members.remove(&member);
        if self.members.is_empty() {
            self.queue.clear();
        }
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn add(&mut self, member: MemberId, is_first: bool, now: Now) {
        if self.is_empty() {
            self.since = now.mono;
        }
        match self.members.get_mut(&member) {
            Some(first) => *first |= is_first,
            None => {
                self.members.insert(member, is_first);
                self.queue.push_back(member);
            }
        }
    }

    /// The next one. Who has left in the meantime is forgotten.
    fn front(&mut self) -> Option<MemberId> {
        while let Some(member) = self.queue.front() {
            if self.members.contains_key(member) {
                return Some(*member);
            }
            self.queue.pop_front();
        }
        None
    }

    /// The output without those to whom it means nothing yet: what they are told begins with their state.
    pub(super) fn admit(&self, output: Output) -> Option<Output> {
        if self.is_empty() {
            return Some(output);
        }
        let is_told = |member: &MemberId| self.members.get(member) != Some(&true);
        match output {
            Output::Repair { member, .. } if !is_told(&member) => None,
            Output::Sync { to, revision, body } => {
                let to: Arc<[MemberId]> = to.iter().copied().filter(is_told).collect();
                (!to.is_empty()).then_some(Output::Sync { to, revision, body })
            }
            _ => Some(output),
        }
    }
}

impl Scope {
    /// Gives a member the state, now or when it is written. `is_first`: it has none yet.
    pub(super) fn tell_state(
        &mut self,
        now: Now,
        member: MemberId,
        is_first: bool,
        out: &mut Vec<Output>,
    ) {
        let others_wait = !self.awaiting.is_empty();
        self.awaiting.add(member, is_first, now);
        if !others_wait {
            self.tell_states(now, out);
        }
    }

    /// Goes on with the states that somebody waits for.
    pub(super) fn tell_states(&mut self, now: Now, out: &mut Vec<Output>) {
        let step = self.options.state_step_bytes;
        let mut room = if step == 0 { usize::MAX } else { step };
        while let Some(member) = self.awaiting.front() {
            let Some(body) = self.state(member, &mut room) else { return };
            self.awaiting.queue.pop_front();
            let is_first = self.awaiting.members.remove(&member).unwrap_or_default();
            let revision = self.revision;
            let original = self.members.get(member).filter(|one| one.dialect == Dialect::Original);
            if let Some(Member { returns, .. }) = original.filter(|_| is_first) {
                self.told.join(member, revision, returns);
            } else if !is_first {
                self.told.tell_state(member, revision);
            }
            self.pass(Output::State { member, revision, body }, out);
            if self.options.state_kept_ms > 0 {
                self.states_kept_until = Some(now.mono.plus(self.options.state_kept_ms));
            }
        }
    }

    /// The whole state, for who looks at the scope from outside. What is not written yet is written now.
    pub fn whole_state(&mut self, now: Now) -> StateBody {
        if self.options.state_kept_ms > 0 {
            self.states_kept_until = Some(now.mono.plus(self.options.state_kept_ms));
        }
        let body = self.state.body(&self.graph, None, &mut { usize::MAX });
        body.expect("there was room for all of it")
    }

    /// Lets go of texts that nobody has needed for a while.
    pub(super) fn forget_states(&mut self, now: Now) {
        if self.awaiting.is_empty() && self.states_kept_until.is_some_and(|until| until <= now.mono)
        {
            self.states_kept_until = None;
            self.state = KeptState::default();
            if let Some(classes) = &mut self.classes {
                classes.forget_states();
            }
        }
    }

    /// Whether the texts that are kept are what would be written afresh. Writes what is missing of them: for
    /// tests and fuzzing.
    ///
    /// # Errors
    ///
    /// What is kept, and what it should be.
    pub(crate) fn check_states(&mut self) -> Result<(), String> {
        self.state.check(&self.graph, None)?;
        match &mut self.classes {
            Some(classes) => classes.check_states(&self.graph),
            None => Ok(()),
        }
    }

    /// The state as a member sees it; `None`: there was not room enough to write all of it.
    fn state(&mut self, member: MemberId, room: &mut usize) -> Option<StateBody> {
        let seen = self.classes.as_mut().and_then(|classes| classes.state(member));
        match seen {
            Some((state, sight)) => state.body(&self.graph, Some(sight), room),
            None => self.state.body(&self.graph, None, room),
        }
    }
}
