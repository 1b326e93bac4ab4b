//! What the server tells a session's task, in order.
//!
//! A channel of the runtime's would do, but it keeps two kilobytes for each session, and idle sessions are
//! many.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::alarm::Alarm;
use super::session_task::Order;

/// Orders that wait for a session's task.
pub(super) struct Orders {
    places: Semaphore,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Order>,
    /// The task takes no more.
    closed: bool,
}

impl Orders {
    pub(super) fn new() -> Self {
        Self { places: Semaphore::new(ORDERS_MAX), queue: Mutex::default() }
    }

    /// Puts an order behind the others, when there is a place for it.
    ///
    /// # Errors
    ///
    /// The order, if the task has ended.
    pub(super) async fn send(&self, order: Order, alarm: &Alarm) -> Result<(), Order> {
        let Ok(place) = self.places.acquire().await else { return Err(order) };
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                return Err(order);
            }
            queue.waiting.push_back(order);
        }
        place.forget();
        alarm.ring();
        Ok(())
    }

    /// The next order, for the task. It is to ask again until there is none.
    pub(super) fn take(&self) -> Option<Order> {
        let mut queue = self.queue.lock();
        let order = queue.waiting.pop_front()?;
        if queue.waiting.is_empty() {
            // Orders are rare.
            queue.waiting = VecDeque::new();
        }
        self.places.add_permits(1);
        Some(order)
    }

    /// The task has ended.
    pub(super) fn close(&self) {
        let left = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(left);
        self.places.close();
    }

    /// Waits until the task has ended.
    pub(super) async fn closed(&self) {
        // There are never so many, so nobody gets them; the wait ends with an error.
        let _ = self.places.acquire_many(ORDERS_MAX as u32 + 1).await;
    }
}

/// How many orders wait for a session. Beyond it, connections that name its token wait.
const ORDERS_MAX: usize = 8;
