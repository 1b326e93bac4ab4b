//! A queue that grows without moving more than a piece of what is in it.
//!
//! Sessions of one scope are sent the same, so their queues grow alike. One that grows by doubling would copy
//! all of them at the same moment, for as long as that takes; this one grows by a piece at a time.

use std::collections::VecDeque;

/// What waits, oldest first, in pieces of [`PIECE`].
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// All but the first and the last are full; none is empty.
    pieces: VecDeque<VecDeque<T>>,
    length: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), length: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn push_back(&mut self, item: T) {
        self.length += 1;
        match self.pieces.back_mut() {
            Some(last) if last.len() < PIECE => last.push_back(item),
            // Whoever has filled a piece will fill another.
            Some(_) => {
                let mut piece = VecDeque::with_capacity(PIECE);
                piece.push_back(item);
                self.pieces.push_back(piece);
            }
            None => self.pieces.push_back([item].into()),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.pieces.front_mut()?;
        let item = first.pop_front();
        if first.is_empty() {
            self.pieces.pop_front();
        }
        self.length -= 1;
        // Silent clients are many, and keep no room.
        if self.length == 0 {
            self.pieces = VecDeque::new();
        }
        item
    }

    /// Takes everything from a place on out of it, in its order.
    pub(super) fn split_off(&mut self, at: usize) -> Vec<T> {
        let mut rest = Vec::with_capacity(self.length.saturating_sub(at));
        while self.length > at
            && let Some(last) = self.pieces.back_mut()
        {
            rest.extend(last.pop_back());
            if last.is_empty() {
                self.pieces.pop_back();
            }
            self.length -= 1;
        }
        if self.length == 0 {
            self.pieces = VecDeque::new();
        }
        rest.reverse();
        rest
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        let (piece, place) = self.find(place)?;
        self.pieces.get(piece)?.get(place)
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        let (piece, place) = self.find(place)?;
        self.pieces.get_mut(piece)?.get_mut(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten()
    }

    /// Which piece, and where in it.
    fn find(&self, place: usize) -> Option<(usize, usize)> {
        let first = self.pieces.front()?.len();
        Some(match place.checked_sub(first) {
            None => (0, place),
            Some(behind) => (1 + behind / PIECE, behind % PIECE),
        })
    }
}

/// How many items a piece has: three kilobytes of messages.
const PIECE: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
                prop_assert!(queue.pieces.iter().all(|piece| piece.capacity() <= PIECE));
                prop_assert!(!plain.is_empty() || queue.pieces.capacity() == 0);
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
        assert_eq!(queue.pieces.capacity(), 0);
    }
}
