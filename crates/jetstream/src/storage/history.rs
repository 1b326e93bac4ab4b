//! How far back a scope's states can be asked for.

use jetstream_core::ids::Revision;
use jetstream_core::time::Timestamp;

/// A moment in a scope's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the commit of this revision.
    Revision(Revision),
    /// At this time.
    Time(Timestamp),
}

/// How much of the past a store keeps for each scope. What is needed for the present is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The past of the last so many milliseconds.
    pub age_ms_max: u64,
    /// At most so many bytes of it.
    pub bytes_max: u64,
}

impl Retention {
    /// No past at all.
    pub const NONE: Self = Self { age_ms_max: 0, bytes_max: 0 };

    /// What may be forgotten now.
    pub const fn horizon(&self, now: Timestamp) -> Horizon {
        // A store that keeps nothing does so whatever the clock says.
        let since = if self.age_ms_max == 0 {
            i64::MAX
        } else {
            let age =
                if self.age_ms_max > i64::MAX as u64 { i64::MAX } else { self.age_ms_max as i64 };
            now.0.saturating_sub(age)
        };
        Horizon { since: Timestamp(since), bytes_max: self.bytes_max }
    }
}

impl Default for Retention {
    /// A month, and not more than 16 MiB: a scope that is edited all day must not fill the disk.
    fn default() -> Self {
        Self { age_ms_max: 30 * 24 * 60 * 60 * 1000, bytes_max: 16 << 20 }
    }
}

/// Where the past ends that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// What was made before may be forgotten.
    pub since: Timestamp,
    /// What is older than the newest so many bytes may be forgotten.
    pub bytes_max: u64,
}

impl Horizon {
    /// Nothing is kept but the present.
    pub const NOW: Self = Self { since: Timestamp(i64::MAX), bytes_max: 0 };

    /// Which snapshot is to be the oldest.
    ///
    /// Snapshots come oldest first; the newest always stays.
    pub fn oldest_kept(&self, snapshots: &[Kept]) -> usize {
        let newest = snapshots.len().saturating_sub(1);
        // The state at the horizon is that of the last snapshot before it, with what follows.
        let by_age = snapshots.iter().rposition(|kept| kept.time < self.since).unwrap_or(0);
        let by_size = snapshots.iter().position(|kept| kept.bytes <= self.bytes_max);
        by_age.max(by_size.unwrap_or(newest)).min(newest)
    }
}

/// A snapshot that a store may have to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// When the last commit in it was made.
    pub time: Timestamp,
    /// The bytes of this snapshot and of everything behind it.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOTS: [Kept; 3] = [
        Kept { time: Timestamp(100), bytes: 90 },
        Kept { time: Timestamp(200), bytes: 60 },
        Kept { time: Timestamp(300), bytes: 30 },
    ];

    #[test]
    fn the_state_at_the_horizon_can_still_be_told() {
        for (since, oldest) in
            [(0, 0), (100, 0), (101, 0), (200, 0), (201, 1), (301, 2), (i64::MAX, 2)]
        {
            let horizon = Horizon { since: Timestamp(since), bytes_max: u64::MAX };
            assert_eq!(horizon.oldest_kept(&SNAPSHOTS), oldest, "{since}");
        }
    }

    #[test]
    fn what_is_past_the_bytes_goes_but_for_the_newest_snapshot() {
        for (bytes_max, oldest) in [(90, 0), (89, 1), (60, 1), (59, 2), (0, 2)] {
            let horizon = Horizon { since: Timestamp(0), bytes_max };
            assert_eq!(horizon.oldest_kept(&SNAPSHOTS), oldest, "{bytes_max}");
        }
        assert_eq!(Horizon::NOW.oldest_kept(&[]), 0);
    }

    #[test]
    fn a_retention_of_nothing_keeps_the_present_whatever_the_clock_says() {
        assert_eq!(Retention::NONE.horizon(Timestamp(5)), Horizon::NOW);
        let day = Retention { age_ms_max: 1000, bytes_max: 7 };
        assert_eq!(day.horizon(Timestamp(1500)), Horizon { since: Timestamp(500), bytes_max: 7 });
    }
}
