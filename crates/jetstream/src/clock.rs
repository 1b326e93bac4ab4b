//! The process's clock, as machines are told it.
//!
//! Sessions and scopes compare what they are told with each other, so all of them read this one.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jetstream_core::time::{Millis, Now, Timestamp};
use tokio::time::Instant;

/// The present moment.
pub(crate) fn now() -> Now {
    let mono = Millis(Instant::now().duration_since(origin()).as_millis() as u64);
    let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    };
    Now { mono, wall: Timestamp(wall) }
}

/// When the clock will show this; never before it does.
pub(crate) fn instant(at: Millis) -> Instant {
    origin() + Duration::from_millis(at.0)
}

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}
