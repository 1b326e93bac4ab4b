//! How long to wait before the next connection.

use std::time::Duration;

/// Waits that grow with each failure and differ between clients.
///
/// When a server comes back, all its clients want to connect. So each waits a random part of an
/// interval that doubles, up to a bound.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    longest_ms: u64,
}

impl Backoff {
    /// Waits no longer than this.
    pub(crate) fn up_to(longest: Duration) -> Self {
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Self { failures: 0, longest_ms }
    }

    /// The connection was a good one: the next wait is short again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait; `random` is any number.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let interval = (FIRST_MS << self.failures.min(16)).min(self.longest_ms);
        self.failures = self.failures.saturating_add(1);
        // At least half of it: a wait of nothing would be no wait.
        Duration::from_millis(interval / 2 + random % (interval / 2 + 1))
    }
}

/// The first interval, in milliseconds: a lost connection is often back at once.
const FIRST_MS: u64 = 200;

/// The longest interval, unless told otherwise: a person who looks at a dead screen waits no longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::up_to(LONGEST);
        let longest: Vec<_> = (0..10).map(|_| backoff.next(u64::MAX - 1).as_millis()).collect();
        assert!(longest.iter().all(|wait| (100..=30_000).contains(wait)), "{longest:?}");
        let shortest: Vec<_> = {
            backoff.reset();
            (0..10).map(|_| backoff.next(0).as_millis()).collect()
        };
        assert_eq!(shortest, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
    }
}
