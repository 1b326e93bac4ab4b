//! The gate: what depends on entries that are not durable yet waits behind it, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Listeners, Output, Visible};
use crate::ids::{MemberId, Position};

/// Holds outputs back until the entries before them are durable.
#[derive(Debug)]
pub(super) struct Gate {
    visible: Visible,
    /// The last entry that was handed out.
    last: Position,
    /// The last that is durable.
    stored: Position,
    /// In order, each with the entry that it waits for.
    held: VecDeque<(Position, Output)>,
    /// The members for whom something waits, and how much. What comes next for them waits, too: an answer
    /// has its place among the changes of others.
    waiting: BTreeMap<MemberId, usize>,
}

impl Gate {
    /// A gate behind an entry that is durable.
    pub(super) fn new(stored: Position, visible: Visible) -> Self {
        let (held, waiting) = (VecDeque::new(), BTreeMap::new());
        Self { visible, last: stored, stored, held, waiting }
    }

    /// The place of the last entry that was handed out.
    pub(super) const fn last_entry(&self) -> Position {
        self.last
    }

    /// The next entry's place.
    pub(super) fn next_entry(&mut self) -> Position {
        self.last = self.last.next();
        self.last
    }

    /// Lets an output out now, or when what it depends on is durable.
    pub(super) fn pass(&mut self, output: Output, out: &mut Vec<Output>) {
        if self.held.is_empty() && self.last <= self.stored {
            out.push(output);
        } else if self.visible == Visible::AtOnce {
            self.pass_at_once(output, out);
        } else {
            self.hold(output);
        }
    }

    /// Entries are durable up to this one.
    pub(super) fn open(&mut self, stored: Position, out: &mut Vec<Output>) {
        self.stored = self.stored.max(stored.min(self.last));
        while let Some((position, _)) = self.held.front()
            && *position <= self.stored
            && let Some((_, output)) = self.held.pop_front()
        {
            self.count(&output, |count| count - 1);
            out.push(output);
        }
    }

    /// What will never be let out, because what it depends on could not be stored.
    pub(super) fn into_held(self) -> impl Iterator<Item = Output> {
        self.held.into_iter().map(|(_, output)| output)
    }

    /// States, changes and repairs go out before they are durable, except to those who wait.
    fn pass_at_once(&mut self, output: Output, out: &mut Vec<Output>) {
        match output {
            Output::Broadcast { commit, to, bodies } if !self.waiting.is_empty() => {
                let all = self.waiting.keys().copied();
                let waiting: Arc<BTreeSet<_>> = Arc::new(all.filter(|id| to.has(*id)).collect());
                let except = match to {
                    Listeners::AllBut(author) => Listeners::AllButThese(Arc::new(
                        waiting.iter().copied().chain([author]).collect(),
                    )),
                    _ => Listeners::AllButThese(waiting.clone()),
                };
                let (now, bodies_now) = (commit.clone(), bodies.clone());
                out.push(Output::Broadcast { commit: now, to: except, bodies: bodies_now });
                if !waiting.is_empty() {
                    self.hold(Output::Broadcast { commit, to: Listeners::Only(waiting), bodies });
                }
            }
            Output::Broadcast { .. } => out.push(output),
            Output::State { member, .. } | Output::Repair { member, .. }
                if !self.waiting.contains_key(&member) =>
            {
                out.push(output);
            }
            _ => self.hold(output),
        }
    }

    fn hold(&mut self, output: Output) {
        self.count(&output, |count| count + 1);
        self.held.push_back((self.last, output));
    }

    /// Counts what waits for members; only where that is of consequence.
    fn count(&mut self, output: &Output, step: impl Fn(usize) -> usize) {
        if self.visible == Visible::Durable {
            return;
        }
        let mut count = |member: MemberId| {
            let waiting = self.waiting.entry(member).or_default();
            *waiting = step(*waiting);
            if *waiting == 0 {
                self.waiting.remove(&member);
            }
        };
        match output {
            Output::State { member, .. }
            | Output::Repair { member, .. }
            | Output::Reply { member, .. }
            | Output::Dismissed { member, .. } => count(*member),
            Output::Broadcast { to: Listeners::Only(members), .. } => {
                members.iter().copied().for_each(count);
            }
            Output::Sync { to, .. } | Output::Recall { to } => to.iter().copied().for_each(count),
            Output::Broadcast { .. }
            | Output::Call(_)
            | Output::Limited(_)
            | Output::Persist { .. }
            | Output::Committed(_)
            | Output::Updated { .. } => {}
        }
    }
}
