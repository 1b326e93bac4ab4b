//! Wakes a session's task.

use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Wakes the one task that waits for it. Rung while nobody waits, it wakes the next who does.
#[derive(Debug, Default)]
pub(super) struct Alarm(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    has_rung: bool,
    waiting: Option<Waker>,
}

impl Alarm {
    pub(super) fn ring(&self) {
        let mut state = self.0.lock();
        state.has_rung = true;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Ready once for any number of rings since the last time.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if std::mem::take(&mut state.has_rung) {
            return Poll::Ready(());
        }
        // The same task asks again and again, between other things.
        if !state.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(context.waker())) {
            state.waiting = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn rung_before_or_after_somebody_waits_it_wakes_them_once() {
        let alarm = Arc::new(Alarm::default());
        alarm.ring();
        alarm.ring();
        poll_fn(|context| alarm.poll(context)).await;
        assert!(alarm.poll(&Context::from_waker(Waker::noop())).is_pending());
        let rings = tokio::spawn({
            let alarm = alarm.clone();
            async move { alarm.ring() }
        });
        poll_fn(|context| alarm.poll(context)).await;
        rings.await.unwrap();
    }
}
