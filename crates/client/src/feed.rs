//! A bounded queue from the session to one reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// One end of a queue; all clones are of the same one.
#[derive(Debug)]
pub(crate) struct Feed<T>(Arc<Mutex<Queue<T>>>);

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
    ended: bool,
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Feed<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Queue { items: VecDeque::new(), reader: None, ended: false })))
    }

    /// Puts an item behind the others. False if there is no room.
    pub(crate) fn push(&self, item: T) -> bool {
        let mut queue = self.0.lock();
        if queue.items.len() >= ITEMS_MAX {
            return false;
        }
        queue.items.push_back(item);
        wake(queue);
        true
    }

    /// Throws away what waits, and puts this in its place.
    pub(crate) fn replace(&self, item: Option<T>) {
        let mut queue = self.0.lock();
        queue.items.clear();
        queue.items.extend(item);
        wake(queue);
    }

    /// Nothing will come any more.
    pub(crate) fn end(&self) {
        let mut queue = self.0.lock();
        queue.ended = true;
        wake(queue);
    }

    /// Whether somebody has another end of it.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut queue = self.0.lock();
        match queue.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn wake<T>(mut queue: parking_lot::MutexGuard<'_, Queue<T>>) {
    let reader = queue.reader.take();
    drop(queue);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// How many items wait for a reader that is slow. What happens then is for the writer to say.
const ITEMS_MAX: usize = 4096;
