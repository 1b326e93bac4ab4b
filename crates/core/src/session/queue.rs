//! A queue that grows without moving more than a piece of what is in it.
//!
//! Sessions of one scope are sent the same, so their queues grow alike. One that grows by doubling would copy
//! all of them at the same moment, for as long as that takes; this one grows by a piece at a time.

use std::collections::VecDeque;
use std::slice::from_ref;

use prefetch_index::prefetch_index;

/// What waits, oldest first, in pieces of [`PIECE`].
#[derive(Debug)]
#[repr(C)]
pub(super) struct Queue<T> {
    length: usize,
    /// The newest piece. It alone is looked at when something is put in, and mostly there is no other, so it
    /// stands here and not among the others.
    last: VecDeque<T>,
    /// The pieces before it. All but the first are full; none is empty.
    before: VecDeque<VecDeque<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { last: VecDeque::new(), before: VecDeque::new(), length: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn push_back(&mut self, item: T) {
        if self.last.len() == PIECE {
            // Whoever has filled a piece will fill another.
            let full = std::mem::replace(&mut self.last, VecDeque::with_capacity(PIECE));
            self.before.push_back(full);
        }
        self.last.push_back(item);
        self.length += 1;
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let Some(first) = self.before.front_mut() else {
            let item = self.last.pop_front()?;
            self.shrunk_by(1);
            return Some(item);
        };
        let item = first.pop_front();
        if first.is_empty() {
            self.before.pop_front();
        }
        self.shrunk_by(1);
        item
    }

    /// Takes everything from a place on out of it, in its order.
    pub(super) fn split_off(&mut self, at: usize) -> Vec<T> {
        let count = self.length.saturating_sub(at);
        let mut rest = Vec::with_capacity(count);
        while rest.len() < count {
            if self.last.is_empty() {
                self.last = self.before.pop_back().unwrap_or_default();
            }
            rest.extend(self.last.pop_back());
        }
        rest.reverse();
        self.shrunk_by(count);
        rest
    }

    /// Has the place fetched from memory where the next item comes to stand.
    pub(super) fn prefetch(&self) {
        if let Some(newest) = self.last.back() {
            prefetch_index(from_ref(newest), 1);
        }
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        match self.find(place) {
            (None, place) => self.last.get(place),
            (Some(piece), place) => self.before.get(piece)?.get(place),
        }
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        match self.find(place) {
            (None, place) => self.last.get_mut(place),
            (Some(piece), place) => self.before.get_mut(piece)?.get_mut(place),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.before.iter().flatten().chain(&self.last)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.before.iter_mut().flatten().chain(&mut self.last)
    }

    /// Which of the pieces before the last, and where in it; `None`: the last. Found from the newest on: what
    /// was put in just now is mostly what is asked for.
    fn find(&self, place: usize) -> (Option<usize>, usize) {
        let last = self.length - self.last.len();
        if let Some(place) = place.checked_sub(last) {
            return (None, place);
        }
        let first = self.before.front().map_or(0, VecDeque::len);
        match place.checked_sub(first) {
            None => (Some(0), place),
            Some(behind) => (Some(1 + behind / PIECE), behind % PIECE),
        }
    }

    /// So many items were taken out. Silent clients are many, and keep no room.
    fn shrunk_by(&mut self, count: usize) {
        self.length -= count;
        if self.length == 0 {
            *self = Self::default();
        }
    }
}

/// How many items a piece has: three kilobytes of messages.
const PIECE: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keeps_room<T>(queue: &Queue<T>) -> bool {
        queue.before.capacity() + queue.last.capacity() > 0
    }

    proptest! {
        #[test]
        fn it_is_a_queue(steps in proptest::collection::vec((0u8..4, 0usize..200), 0..60)) {
            let (mut queue, mut plain) = (Queue::default(), VecDeque::new());
            let mut next = 0;
            for (step, count) in steps {
                match step {
                    0 | 1 => for _ in 0..count {
                        queue.push_back(next);
                        plain.push_back(next);
                        next += 1;
                    },
                    2 => for _ in 0..count {
                        prop_assert_eq!(queue.pop_front(), plain.pop_front());
                    },
                    _ => {
                        let at = count.min(plain.len());
                        prop_assert_eq!(queue.split_off(at), Vec::from(plain.split_off(at)));
                    }
                }
                prop_assert_eq!(queue.len(), plain.len());
                prop_assert!(queue.iter().eq(&plain));
                prop_assert!(queue.last.capacity() <= PIECE);
                prop_assert!(queue.before.iter().all(|piece| piece.capacity() <= PIECE));
                prop_assert!(queue.before.iter().skip(1).all(|piece| piece.len() == PIECE));
                prop_assert!(queue.before.iter().all(|piece| !piece.is_empty()));
                prop_assert!(!plain.is_empty() || !keeps_room(&queue));
                prop_assert!(queue.iter_mut().map(|item| &*item).eq(&plain));
                for place in [0, count, plain.len().saturating_sub(1), plain.len()] {
                    prop_assert_eq!(queue.get(place), plain.get(place));
                    prop_assert_eq!(queue.get_mut(place).copied(), plain.get(place).copied());
                }
            }
        }
    }

    #[test]
    fn an_empty_one_keeps_nothing() {
        let mut queue = Queue::default();
        (0..1_000).for_each(|item| queue.push_back(item));
        while queue.pop_front().is_some() {}
        assert!(!keeps_room(&queue));
    }
}
