//! Rates: how much somebody may do in a time, some of it at once.
//!
//! A bucket of tokens, told by a single number: the moment at which everything that was taken is paid for.
//! Ahead of the present by no more than the burst, somebody goes on as they like; further ahead they are
//! slowed, then refused, then sent away. The number is told the time and never asks.
//!
//! - [`Rate`]: what a second is worth.
//! - [`Meter`]: what one session has taken.
//! - [`SharedMeter`]: what all sessions of one principal have taken together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{Limit, Limits};
use crate::time::Millis;

/// So much in a second, and what may be ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: u64,
    burst_ns: u64,
}

impl Rate {
    /// A number of things in a second; those of `burst_ms` may come at once. [`Limits::NONE`] of them
    /// is no bound.
    pub const fn new(per_second: usize, burst_ms: u64) -> Self {
        let burst_ns = burst_ms.saturating_mul(NANOS_PER_MILLI);
        Self { per_second: per_second as u64, burst_ns }
    }

    const fn is_none(self) -> bool {
        self.per_second == Limits::NONE as u64
    }

    /// How long it takes until so much is paid for.
    fn nanos(self, amount: u64) -> u64 {
        amount.saturating_mul(NANOS_PER_SECOND) / self.per_second.max(1)
    }

    /// How far ahead of what is paid for somebody is.
    const fn standing(self, ahead_ns: u64) -> Standing {
        if ahead_ns <= self.burst_ns {
            Standing::Free
        } else if ahead_ns <= self.burst_ns.saturating_mul(REFUSED_BURSTS) {
            Standing::Slowed
        } else if ahead_ns <= self.burst_ns.saturating_mul(CLOSED_BURSTS) {
            Standing::Refused
        } else {
            Standing::Closed
        }
    }
}

/// What may be done about somebody who takes too much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing.
    #[default]
    Free,
    /// Nothing more is read from it until what it took is paid for.
    Slowed,
    /// What it asks is refused.
    Refused,
    /// It is sent away.
    Closed,
}

/// Why something is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The client sends it: it knows how much that is.
    Sent,
    /// It is sent to the client, who asked for it without knowing how much that would be. It slows, but no
    /// client is refused for the size of what others made.
    Asked,
}

/// The moment, in nanoseconds, at which all that was taken is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bucket(u64);

impl Bucket {
    #[must_use]
    fn take(self, rate: Rate, amount: u64, kind: Kind, now_ns: u64) -> Self {
        // Beyond this nothing gets worse, and the way back has an end.
        let most = match kind {
            Kind::Sent => rate.burst_ns.saturating_mul(CLOSED_BURSTS).saturating_add(1),
            // What is read from the client before it is slowed must not be refused for this.
            Kind::Asked => rate.burst_ns.saturating_add(rate.burst_ns / 2),
        };
        let most = now_ns.saturating_add(most);
        let from = self.0.max(now_ns);
        Self(from.saturating_add(rate.nanos(amount)).min(most.max(from)))
    }

    const fn standing(self, rate: Rate, now_ns: u64) -> Standing {
        rate.standing(self.0.saturating_sub(now_ns))
    }

    /// When it is within the burst again.
    const fn free_at(self, rate: Rate) -> Millis {
        Millis(self.0.saturating_sub(rate.burst_ns).div_ceil(NANOS_PER_MILLI))
    }
}

/// The two rates of a session, or of a principal.
#[derive(Debug, Clone, Copy)]
struct Rates {
    messages: Rate,
    bytes: Rate,
}

impl Rates {
    const fn of_session(limits: &Limits) -> Self {
        Self {
            messages: Rate::new(limits.session_messages_per_second_max, limits.rate_burst_ms),
            bytes: Rate::new(limits.session_bytes_per_second_max, limits.rate_burst_ms),
        }
    }

    const fn of_principal(limits: &Limits) -> Self {
        Self {
            messages: Rate::new(limits.principal_messages_per_second_max, limits.rate_burst_ms),
            bytes: Rate::new(limits.principal_bytes_per_second_max, limits.rate_burst_ms),
        }
    }
}

/// What all sessions of one principal have taken together. Theirs to share between threads.
#[derive(Debug, Default)]
pub struct SharedMeter {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl SharedMeter {
    fn take(place: &AtomicU64, rate: Rate, amount: u64, kind: Kind, now_ns: u64) {
        if amount > 0 && !rate.is_none() {
            let taken = |before| Some(Bucket(before).take(rate, amount, kind, now_ns).0);
            // It never refuses, so it cannot fail.
            let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        }
    }

    /// Whether everything is paid for, so that it can be forgotten.
    pub fn is_settled(&self, now: Millis) -> bool {
        self.messages().0.max(self.bytes().0) <= nanos(now)
    }

    fn messages(&self) -> Bucket {
        Bucket(self.messages.load(Ordering::Relaxed))
    }

    fn bytes(&self) -> Bucket {
        Bucket(self.bytes.load(Ordering::Relaxed))
    }
}

/// What a session has taken: messages and bytes that its client sent, and bytes that it asked for.
#[derive(Debug, Default)]
pub struct Meter {
    messages: Bucket,
    bytes: Bucket,
    shared: Option<Arc<SharedMeter>>,
    standing: Standing,
}

impl Meter {
    /// Counts with others from now on, beside what it counts for itself.
    pub fn share(&mut self, shared: Arc<SharedMeter>) {
        self.shared = Some(shared);
    }

    /// The client has sent so much. What it has met by that, if its standing got worse.
    pub fn sent(
        &mut self,
        messages: usize,
        bytes: usize,
        limits: &Limits,
        now: Millis,
    ) -> Option<Limit> {
        self.take(messages as u64, bytes as u64, Kind::Sent, limits, now)
    }

    /// The client is sent so much that it asked for. What it has met by that, if its standing got worse.
    pub fn asked(&mut self, bytes: usize, limits: &Limits, now: Millis) -> Option<Limit> {
        self.take(0, bytes as u64, Kind::Asked, limits, now)
    }

    /// Time has passed.
    pub fn pass(&mut self, limits: &Limits, now: Millis) {
        if self.standing > Standing::Free || self.shared.is_some() {
            self.standing = self.look(limits, nanos(now)).0;
        }
    }

    /// What may be done about the client.
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// When nothing may be done about it any more; `None`: now.
    pub fn free_at(&self, limits: &Limits) -> Option<Millis> {
        if self.standing == Standing::Free {
            return None;
        }
        let rates = Rates::of_session(limits);
        let own = self.messages.free_at(rates.messages).max(self.bytes.free_at(rates.bytes));
        let shared = self.shared.as_ref().map(|shared| {
            let rates = Rates::of_principal(limits);
            shared.messages().free_at(rates.messages).max(shared.bytes().free_at(rates.bytes))
        });
        shared.map_or(Some(own), |shared| Some(own.max(shared)))
    }

    fn take(
        &mut self,
        messages: u64,
        bytes: u64,
        kind: Kind,
        limits: &Limits,
        now: Millis,
    ) -> Option<Limit> {
        let now_ns = nanos(now);
        let rates = Rates::of_session(limits);
        if !rates.messages.is_none() {
            self.messages = self.messages.take(rates.messages, messages, kind, now_ns);
        }
        if !rates.bytes.is_none() {
            self.bytes = self.bytes.take(rates.bytes, bytes, kind, now_ns);
        }
        if let Some(shared) = &self.shared {
            let rates = Rates::of_principal(limits);
            SharedMeter::take(&shared.messages, rates.messages, messages, kind, now_ns);
            SharedMeter::take(&shared.bytes, rates.bytes, bytes, kind, now_ns);
        }
        let before = self.standing;
        let (standing, limit) = self.look(limits, now_ns);
        self.standing = standing;
        (standing > before).then_some(limit)
    }

    /// The worst of the standings, and whose it is.
    fn look(&self, limits: &Limits, now_ns: u64) -> (Standing, Limit) {
        let rates = Rates::of_session(limits);
        let messages = self.messages.standing(rates.messages, now_ns);
        let mut worst = (messages, Limit::SessionMessagesPerSecond);
        let bytes = self.bytes.standing(rates.bytes, now_ns);
        if bytes > worst.0 {
            worst = (bytes, Limit::SessionBytesPerSecond);
        }
        if let Some(shared) = &self.shared {
            let rates = Rates::of_principal(limits);
            let messages = shared.messages().standing(rates.messages, now_ns);
            let bytes = shared.bytes().standing(rates.bytes, now_ns);
            // Nobody is sent away for what others of the same name have done.
            for (standing, limit) in [
                (messages.min(Standing::Refused), Limit::PrincipalMessagesPerSecond),
                (bytes.min(Standing::Refused), Limit::PrincipalBytesPerSecond),
            ] {
                if standing > worst.0 {
                    worst = (standing, limit);
                }
            }
        }
        worst
    }

    /// The bound that stands behind the present standing.
    pub fn limit(&self, limits: &Limits, now: Millis) -> Limit {
        self.look(limits, nanos(now)).1
    }
}

/// Things that may come in a time, and nobody is slowed: what is beyond is turned away. For what costs
/// before anything can wait, such as connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowance(Bucket);

impl Allowance {
    /// Takes one. False: it is too much.
    pub fn take(&mut self, rate: Rate, now: Millis) -> bool {
        if rate.is_none() {
            return true;
        }
        let taken = self.0.take(rate, 1, Kind::Sent, nanos(now));
        let fits = taken.standing(rate, nanos(now)) == Standing::Free;
        if fits {
            self.0 = taken;
        }
        fits
    }

    /// Whether nothing of it is in use, so that it can be forgotten.
    pub const fn is_full(&self, now: Millis) -> bool {
        self.0.0 <= nanos(now)
    }
}

const fn nanos(now: Millis) -> u64 {
    now.0.saturating_mul(NANOS_PER_MILLI)
}

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Ahead by more bursts than this, a client is refused. Slowing keeps whoever sends one thing after the
/// other below it; above come those who put more into one frame than they are given in twice the time of a
/// burst.
const REFUSED_BURSTS: u64 = 2;

/// Ahead by more bursts than this, a client is sent away: it was refused two bursts long and went on.
pub const CLOSED_BURSTS: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Millis = Millis(1_000);

    /// Ten messages and a thousand bytes a second, of which two seconds' may come at once.
    fn limits() -> Limits {
        Limits {
            session_messages_per_second_max: 10,
            session_bytes_per_second_max: 1_000,
            principal_messages_per_second_max: 20,
            principal_bytes_per_second_max: Limits::NONE,
            rate_burst_ms: 2_000,
            ..Limits::default()
        }
    }

    fn standing(meter: &mut Meter, now: Millis) -> Standing {
        meter.pass(&limits(), now);
        meter.standing()
    }

    #[test]
    fn a_burst_is_free_and_what_is_beyond_slows_then_is_refused_then_sent_away() {
        let mut meter = Meter::default();
        let mut at = Vec::new();
        for sent in 1..=100 {
            let before = meter.standing();
            meter.sent(1, 0, &limits(), SECOND);
            if meter.standing() != before {
                at.push((sent, meter.standing()));
            }
        }
        let expected = [(21, Standing::Slowed), (41, Standing::Refused), (81, Standing::Closed)];
        assert_eq!(at, expected);
    }

    #[test]
    fn who_stays_within_the_rate_is_never_slowed() {
        let mut meter = Meter::default();
        for turn in 0..10_000 {
            assert_eq!(meter.sent(1, 100, &limits(), Millis(turn * 100)), None);
        }
    }

    #[test]
    fn what_was_taken_is_paid_for_at_the_rate_and_the_moment_is_told() {
        let mut meter = Meter::default();
        assert_eq!(meter.free_at(&limits()), None);
        let met = meter.sent(30, 0, &limits(), SECOND);
        assert_eq!(met, Some(Limit::SessionMessagesPerSecond));
        let free = meter.free_at(&limits()).unwrap();
        assert_eq!(free, Millis(2_000), "ten more than the burst take a second");
        assert_eq!(standing(&mut meter, Millis(1_999)), Standing::Slowed);
        assert_eq!(standing(&mut meter, free), Standing::Free);
        assert_eq!(meter.free_at(&limits()), None);
    }

    #[test]
    fn bytes_count_beside_messages_and_the_worse_counts() {
        let mut meter = Meter::default();
        let met = meter.sent(1, 2_500, &limits(), SECOND);
        assert_eq!(met, Some(Limit::SessionBytesPerSecond));
        assert_eq!(meter.free_at(&limits()), Some(Millis(1_500)));
        assert_eq!(meter.limit(&limits(), SECOND), Limit::SessionBytesPerSecond);
    }

    #[test]
    fn what_a_client_asks_for_slows_it_and_no_size_of_it_refuses() {
        let mut meter = Meter::default();
        meter.asked(1 << 40, &limits(), SECOND);
        assert_eq!(meter.standing(), Standing::Slowed);
        assert_eq!(meter.free_at(&limits()), Some(Millis(2_000)), "half a burst at the most");
        meter.asked(1 << 40, &limits(), SECOND);
        assert_eq!(meter.standing(), Standing::Slowed);
        meter.sent(1, 900, &limits(), SECOND);
        assert_eq!(meter.standing(), Standing::Slowed);
        meter.sent(1, 200, &limits(), SECOND);
        assert_eq!(meter.standing(), Standing::Refused, "but what it sends on top of that does");
    }

    #[test]
    fn the_way_back_from_whatever_was_taken_has_an_end() {
        let mut meter = Meter::default();
        meter.sent(usize::MAX, usize::MAX, &limits(), SECOND);
        assert_eq!(meter.standing(), Standing::Closed);
        assert_eq!(meter.free_at(&limits()), Some(Millis(7_001)), "four bursts ahead, less one");
    }

    #[test]
    fn sessions_of_one_principal_share_and_are_not_sent_away_for_each_other() {
        let shared = Arc::new(SharedMeter::default());
        let mut meters: Vec<Meter> = (0..20).map(|_| Meter::default()).collect();
        for meter in &mut meters {
            meter.share(shared.clone());
        }
        for meter in &mut meters[1..] {
            meter.sent(20, 0, &limits(), SECOND);
        }
        let mut quiet = meters.swap_remove(0);
        assert_eq!(standing(&mut quiet, SECOND), Standing::Refused);
        assert_eq!(quiet.limit(&limits(), SECOND), Limit::PrincipalMessagesPerSecond);
        let free = quiet.free_at(&limits()).unwrap();
        assert_eq!(standing(&mut quiet, free), Standing::Free);
    }

    #[test]
    fn no_rate_is_no_bound() {
        let limits = Limits {
            session_messages_per_second_max: Limits::NONE,
            session_bytes_per_second_max: Limits::NONE,
            principal_messages_per_second_max: Limits::NONE,
            ..limits()
        };
        let mut meter = Meter::default();
        meter.share(Arc::default());
        assert_eq!(meter.sent(usize::MAX, usize::MAX, &limits, SECOND), None);
        assert_eq!(meter.asked(usize::MAX, &limits, SECOND), None);
    }

    #[test]
    fn an_allowance_turns_away_what_is_too_much_and_forgives_with_time() {
        let rate = Rate::new(10, 500);
        let mut allowance = Allowance::default();
        assert!(allowance.is_full(SECOND));
        let taken = (0..100).filter(|_| allowance.take(rate, SECOND)).count();
        assert_eq!(taken, 5, "what is turned away is not counted");
        assert!(!allowance.take(rate, Millis(1_099)));
        assert!(allowance.take(rate, Millis(1_100)));
        assert!(!allowance.is_full(Millis(1_500)));
        assert!(allowance.is_full(Millis(1_600)));
        assert!((0..1_000).all(|_| allowance.take(Rate::new(Limits::NONE, 1), SECOND)));
    }
}
