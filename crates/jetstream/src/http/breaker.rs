//! Stops asking a service that does not answer.

/// Counts failures one after the other. Past a number of them nobody is let through for a while; then one
/// call tries, and its outcome decides for the others.
#[derive(Debug)]
pub struct Breaker {
    failures_max: u32,
    pause_ms: u64,
    failures: u32,
    /// When it was opened, or when a call was last let through to try.
    opened_at: Option<u64>,
}

/// Nobody is let through at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open;

impl Breaker {
    /// A breaker that lets everybody through.
    pub const fn new(failures_max: u32, pause_ms: u64) -> Self {
        Self { failures_max, pause_ms, failures: 0, opened_at: None }
    }

    /// Asks to be let through at a time in milliseconds. Who is must tell how it went.
    ///
    /// # Errors
    ///
    /// The service has not answered lately.
    pub const fn enter(&mut self, now_ms: u64) -> Result<(), Open> {
        match self.opened_at {
            None => Ok(()),
            Some(at) if now_ms < at.saturating_add(self.pause_ms) => Err(Open),
            Some(_) => {
                // The others wait for this one, or for another pause if it never tells.
                self.opened_at = Some(now_ms);
                Ok(())
            }
        }
    }

    /// The service has answered.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
        self.opened_at = None;
    }

    /// It has not.
    pub const fn failed(&mut self, now_ms: u64) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.failures_max {
            self.opened_at = Some(now_ms);
        }
    }

    /// Whether it has stopped asking.
    pub const fn is_open(&self) -> bool {
        self.opened_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_does_not_answer_is_left_alone_and_tried_by_one() {
        let mut breaker = Breaker::new(3, 100);
        for now in 0..3 {
            assert_eq!(breaker.enter(now), Ok(()));
            breaker.failed(now);
        }
        assert_eq!(breaker.enter(101), Err(Open));
        assert_eq!(breaker.enter(102), Ok(()), "one may try");
        assert_eq!(breaker.enter(103), Err(Open), "the others wait for it");
        breaker.failed(150);
        assert_eq!(breaker.enter(249), Err(Open));
        assert_eq!(breaker.enter(250), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.enter(251), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn failures_count_only_one_after_the_other() {
        let mut breaker = Breaker::new(2, 100);
        for now in 0..10 {
            breaker.failed(now);
            breaker.succeeded();
            assert_eq!(breaker.enter(now), Ok(()));
        }
    }
}
