//! How long changes take to arrive, as a histogram: each bucket a sixteenth wider than the one before.

/// A histogram of microseconds.
#[derive(Debug, Clone)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

/// Buckets for each doubling.
const STEPS: u32 = 16;

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; 32 * STEPS as usize], count: 0 }
    }
}

impl Latencies {
    pub fn note(&mut self, microseconds: u32) {
        self.buckets[bucket(microseconds)] += 1;
        self.count += 1;
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The time that this share of the changes needed at most, in milliseconds.
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut below = 0;
        for (place, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank && below > 0 {
                return f64::from(upper_end(place as u32)) / 1000.0;
            }
        }
        0.0
    }
}

fn bucket(microseconds: u32) -> usize {
    let doubling = microseconds.max(STEPS).ilog2() - STEPS.ilog2();
    (doubling * STEPS + (microseconds >> doubling)) as usize
}

fn upper_end(bucket: u32) -> u32 {
    let (doubling, step) = match bucket / STEPS {
        0 => (0, bucket),
        row => (row - 1, bucket % STEPS + STEPS),
    };
    ((step + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_its_bucket_to_a_sixteenth() {
        for microseconds in (0..5000).chain([65_535, 1_000_000, 59_000_000]) {
            let end = upper_end(bucket(microseconds) as u32);
            assert!(
                microseconds <= end && end - microseconds <= microseconds / 16,
                "{microseconds}"
            );
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_noted() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|milliseconds| latencies.note(milliseconds * 1000));
        let (half, most) = (latencies.quantile(0.5), latencies.quantile(0.99));
        assert!((500.0..535.0).contains(&half) && (990.0..1060.0).contains(&most), "{half} {most}");
    }
}
