//! Intervals that are a little longer or shorter each time, from a seed.

/// A small generator of numbers that look random. It keeps sessions that began together from acting
/// together, and needs to do nothing else: it keeps no secrets.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `mean`, up to a tenth more or less.
    pub(crate) fn about(&mut self, mean: u64) -> u64 {
        let spread = mean / 5;
        mean - mean / 10 + self.next() % (spread + 1)
    }

    /// SplitMix64: a counter, and a hash that spreads its bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_differ_by_up_to_a_tenth() {
        let mut jitter = Jitter::new(1);
        let drawn: Vec<_> = (0..1000).map(|_| jitter.about(10_000)).collect();
        assert!(drawn.iter().all(|interval| (9_000..=11_000).contains(interval)));
        assert!(drawn.iter().min().unwrap() < &9_100 && drawn.iter().max().unwrap() > &10_900);
        assert_eq!(jitter.about(0), 0);
    }
}
