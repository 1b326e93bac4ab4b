//! Which scope is to be told about next: a machine that is told the time.
//!
//! A bounded number of scopes is known at a time, however many have something to tell: the store has the
//! list of them all, which is read on as there is [room](Schedule::room). A scope whose news are not taken is
//! tried again after pauses that grow, and keeps no other from its turn.

use std::collections::{BTreeSet, HashMap, VecDeque};

use jetstream_core::ids::{Revision, ScopeName};
use jetstream_core::time::{Millis, Timestamp, sooner};

/// The scopes that have something for one consumer.
#[derive(Debug)]
pub(super) struct Schedule {
    scopes: HashMap<ScopeName, Known>,
    /// Whose turn it is, in order. Each is known.
    ready: VecDeque<ScopeName>,
    /// When those are tried again that failed.
    due: BTreeSet<(Millis, ScopeName)>,
    /// How many are being told about.
    active: usize,
    bounds: Bounds,
    /// Nobody has a turn before.
    paused_until: Millis,
    /// The store may have scopes that are not known here.
    more: bool,
    /// How many commits all known scopes lack together.
    lag: u64,
}

/// How many scopes are known, and how many are told about at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) known_max: usize,
    pub(super) active_max: usize,
}

#[derive(Debug)]
struct Known {
    state: State,
    /// How often the same was not taken.
    attempts: u32,
    /// Up to where it was not taken; the next attempt is about the same.
    until: Option<Revision>,
    got: Revision,
    last: Revision,
    /// When what is missing was begun to be made, as far as that is known.
    oldest: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// It is being told about; `again`: when something has come meanwhile.
    Active {
        again: Option<Timestamp>,
    },
    Failing(Millis),
}

/// A scope's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) scope: ScopeName,
    /// How often the same was not taken before.
    pub(super) attempts: u32,
    /// What is told ends here, if it was tried before.
    pub(super) until: Option<Revision>,
}

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The consumer has everything up to here, and nothing more was found.
    CaughtUp(Revision),
    /// The consumer has everything up to here, and there is more, made after this time.
    Went(Revision, Option<Timestamp>),
    /// It was not taken. Up to where, when the first of it was made, and when it is tried again.
    Failed { until: Revision, oldest: Option<Timestamp>, at: Millis },
    /// Nothing can be told to this consumer before; that is not the scope's fault.
    Away(Millis),
}

impl Schedule {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            scopes: HashMap::new(),
            ready: VecDeque::new(),
            due: BTreeSet::new(),
            active: 0,
            bounds,
            paused_until: Millis(0),
            // What an earlier server left.
            more: true,
            lag: 0,
        }
    }

    /// A scope has committed `last` just now.
    pub(super) fn wake(&mut self, now: Timestamp, scope: &ScopeName, last: Revision) {
        // One commit is the least that it can be.
        let before = Revision(last.0.saturating_sub(1));
        self.learn(scope, before, last, Some(now));
    }

    /// A scope of the store's list, and how far the consumer has got with it.
    pub(super) fn list(&mut self, scope: &ScopeName, got: Revision, last: Revision) {
        self.learn(scope, got, last, None);
    }

    fn learn(
        &mut self,
        scope: &ScopeName,
        got: Revision,
        last: Revision,
        oldest: Option<Timestamp>,
    ) {
        let is_full = self.scopes.len() >= self.bounds.known_max;
        match self.scopes.get_mut(scope) {
            Some(known) => {
                self.lag -= known.lag();
                known.last = known.last.max(last);
                self.lag += known.lag();
                if let State::Active { again } = &mut known.state {
                    *again = again.or(oldest);
                }
            }
            None if is_full => self.more = true,
            None => {
                let (state, attempts, until) = (State::Ready, 0, None);
                let known = Known { state, attempts, until, got, last, oldest };
                self.lag += known.lag();
                self.scopes.insert(scope.clone(), known);
                self.ready.push_back(scope.clone());
            }
        }
    }

    /// The next scope's turn, if there is one now. How it went has to be told.
    pub(super) fn take(&mut self, now: Millis) -> Option<Turn> {
        if self.active >= self.bounds.active_max || now < self.paused_until {
            return None;
        }
        let scope = match self.due.first() {
            Some((at, _)) if *at <= now => self.due.pop_first()?.1,
            _ => self.ready.pop_front()?,
        };
        let known = self.scopes.get_mut(&scope)?;
        known.state = State::Active { again: None };
        self.active += 1;
        Some(Turn { scope, attempts: known.attempts, until: known.until })
    }

    /// How a turn went.
    pub(super) fn done(&mut self, scope: &ScopeName, outcome: Outcome) {
        let Some(known) = self.scopes.get_mut(scope) else { return };
        let State::Active { again } = known.state else { return };
        self.active -= 1;
        self.lag -= known.lag();
        match outcome {
            Outcome::CaughtUp(_) if again.is_none() => {
                self.scopes.remove(scope);
                return;
            }
            Outcome::CaughtUp(got) => {
                known.went(got, again);
                self.ready.push_back(scope.clone());
            }
            Outcome::Went(got, oldest) => {
                known.went(got, oldest);
                self.ready.push_back(scope.clone());
            }
            Outcome::Failed { until, oldest, at } => {
                (known.until, known.oldest) = (Some(until), oldest);
                known.attempts = known.attempts.saturating_add(1);
                known.last = known.last.max(until);
                known.state = State::Failing(at);
                self.due.insert((at, scope.clone()));
            }
            Outcome::Away(until) => {
                self.paused_until = self.paused_until.max(until);
                known.state = State::Ready;
                self.ready.push_front(scope.clone());
            }
        }
        self.lag += known.lag();
    }

    /// Those that failed are tried at once.
    pub(super) fn hurry(&mut self) {
        for (_, scope) in std::mem::take(&mut self.due) {
            if let Some(known) = self.scopes.get_mut(&scope) {
                known.state = State::Ready;
                self.ready.push_back(scope);
            }
        }
        self.paused_until = Millis(0);
    }

    /// When [`take`](Self::take) may have something that it has not now.
    pub(super) fn deadline(&self) -> Option<Millis> {
        if self.active >= self.bounds.active_max {
            return None;
        }
        let due = self.due.first().map(|(at, _)| *at);
        let ready = (!self.ready.is_empty()).then_some(Millis(0));
        sooner(due, ready).map(|at| at.max(self.paused_until))
    }

    /// Whether the store may have scopes that are not known here; the list is read from now on.
    pub(super) fn take_more(&mut self) -> bool {
        std::mem::take(&mut self.more)
    }

    /// Scopes had something that nobody could note.
    pub(super) fn miss(&mut self) {
        self.more = true;
    }

    /// Whether the store may have scopes that are not known here.
    pub(super) const fn has_more(&self) -> bool {
        self.more
    }

    /// How many scopes of the store's list may become known now; none while others wait for their turn.
    pub(super) fn room(&mut self) -> usize {
        if !self.ready.is_empty() {
            return 0;
        }
        if self.scopes.len() >= self.bounds.known_max && self.active < self.bounds.active_max {
            // Those that fail must not keep the others from their turn: they come again with the list.
            for _ in 0..(self.bounds.known_max / 2).max(1) {
                let Some((_, scope)) = self.due.pop_last() else { break };
                if let Some(known) = self.scopes.remove(&scope) {
                    self.lag -= known.lag();
                    self.more = true;
                }
            }
        }
        self.bounds.known_max - self.scopes.len()
    }

    /// How many scopes are known to have something.
    pub(super) fn len(&self) -> usize {
        self.scopes.len()
    }

    /// How many commits these lack together.
    pub(super) const fn lag(&self) -> u64 {
        self.lag
    }

    /// When the oldest of these was made, as far as that is known.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.scopes.values().filter_map(|known| known.oldest).min()
    }
}

impl Known {
    /// It has got further, and there is more.
    fn went(&mut self, got: Revision, oldest: Option<Timestamp>) {
        (self.state, self.attempts, self.until, self.oldest) = (State::Ready, 0, None, oldest);
        (self.got, self.last) = (got, self.last.max(got.next()));
    }

    const fn lag(&self) -> u64 {
        self.last.0.saturating_sub(self.got.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(known_max: usize, active_max: usize) -> Schedule {
        let mut schedule = Schedule::new(Bounds { known_max, active_max });
        assert!(schedule.take_more(), "what an earlier server left");
        schedule
    }

    fn name(number: usize) -> ScopeName {
        format!("{number}").into()
    }

    fn wake(schedule: &mut Schedule, number: usize) {
        schedule.wake(Timestamp(3), &name(number), Revision(1));
    }

    fn turns(schedule: &mut Schedule, now: u64) -> Vec<String> {
        let turns = std::iter::from_fn(|| schedule.take(Millis(now)));
        turns.map(|turn| turn.scope.to_string()).collect()
    }

    fn failed(at: u64) -> Outcome {
        Outcome::Failed { until: Revision(1), oldest: Some(Timestamp(5)), at: Millis(at) }
    }

    const WENT: Outcome = Outcome::CaughtUp(Revision(1));

    #[test]
    fn scopes_have_their_turns_in_order_and_not_too_many_at_a_time() {
        let mut schedule = schedule(10, 2);
        (0..4).for_each(|number| wake(&mut schedule, number));
        assert_eq!(turns(&mut schedule, 0), ["0", "1"]);
        assert_eq!(schedule.deadline(), None, "there is no room");
        schedule.done(&name(1), WENT);
        assert_eq!(turns(&mut schedule, 0), ["2"]);
        schedule.done(&name(0), Outcome::Went(Revision(1), None));
        assert_eq!(turns(&mut schedule, 0), ["3"], "who has more waits behind the others");
        assert_eq!(schedule.lag(), 3);
    }

    #[test]
    fn a_scope_that_goes_on_while_it_is_told_about_has_another_turn() {
        let mut schedule = schedule(10, 2);
        wake(&mut schedule, 1);
        assert_eq!(turns(&mut schedule, 0), ["1"]);
        schedule.wake(Timestamp(4), &name(1), Revision(2));
        assert_eq!(turns(&mut schedule, 0), [""; 0], "never twice at a time");
        schedule.done(&name(1), WENT);
        assert_eq!(turns(&mut schedule, 0), ["1"]);
        schedule.done(&name(1), Outcome::CaughtUp(Revision(2)));
        assert_eq!((schedule.len(), schedule.lag(), schedule.deadline()), (0, 0, None));
    }

    #[test]
    fn what_failed_waits_for_its_time_and_is_then_the_same() {
        let mut schedule = schedule(10, 2);
        wake(&mut schedule, 1);
        let first = schedule.take(Millis(0)).unwrap();
        assert_eq!((first.attempts, first.until), (0, None));
        schedule.done(&name(1), failed(100));
        schedule.wake(Timestamp(4), &name(1), Revision(7));
        wake(&mut schedule, 2);
        assert_eq!(turns(&mut schedule, 99), ["2"], "others do not wait");
        assert_eq!(schedule.deadline(), Some(Millis(100)));
        assert_eq!((schedule.lag(), schedule.oldest()), (8, Some(Timestamp(3))));
        let again = schedule.take(Millis(100)).unwrap();
        assert_eq!((again.attempts, again.until), (1, Some(Revision(1))));
        schedule.done(&name(1), Outcome::Went(Revision(1), None));
        let next = schedule.take(Millis(100)).unwrap();
        assert_eq!((next.attempts, next.until), (0, None));
    }

    #[test]
    fn nobody_has_a_turn_while_the_consumer_is_away_and_nobody_lost_an_attempt() {
        let mut schedule = schedule(10, 2);
        (1..4).for_each(|number| wake(&mut schedule, number));
        assert_eq!(turns(&mut schedule, 0), ["1", "2"]);
        schedule.done(&name(2), Outcome::Away(Millis(50)));
        assert_eq!(turns(&mut schedule, 49), [""; 0]);
        assert_eq!(schedule.deadline(), Some(Millis(50)));
        assert_eq!(schedule.take(Millis(50)).unwrap().attempts, 0);
        schedule.done(&name(1), failed(1000));
        schedule.hurry();
        assert_eq!(turns(&mut schedule, 51), ["3"]);
    }

    #[test]
    fn what_there_is_no_room_for_comes_with_the_list() {
        let mut schedule = schedule(4, 2);
        (0..9).for_each(|number| wake(&mut schedule, number));
        assert_eq!((schedule.len(), schedule.room()), (4, 0), "these first");
        assert_eq!(turns(&mut schedule, 0), ["0", "1"]);
        schedule.done(&name(0), WENT);
        schedule.done(&name(1), WENT);
        assert_eq!(turns(&mut schedule, 0), ["2", "3"]);
        assert_eq!((schedule.take_more(), schedule.room()), (true, 2));
        schedule.list(&name(7), Revision(3), Revision(9));
        assert_eq!((schedule.lag(), schedule.has_more()), (8, false));
    }

    #[test]
    fn scopes_that_fail_do_not_keep_the_others_from_their_turn() {
        let mut schedule = schedule(4, 4);
        (0..4).for_each(|number| wake(&mut schedule, number));
        turns(&mut schedule, 0);
        for number in 0..4 {
            schedule.done(&name(number), failed(1000 + number as u64));
        }
        assert_eq!(schedule.room(), 2, "those that would wait longest make room");
        assert!(schedule.has_more());
        wake(&mut schedule, 4);
        assert_eq!(turns(&mut schedule, 0), ["4"]);
        assert_eq!(turns(&mut schedule, 2000), ["0", "1"], "and come again with the list");
    }
}
