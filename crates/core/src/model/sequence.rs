//! An ordered collection of references in which places are found by element, not by number.
//!
//! Edits of collections say "behind this element" and "take out that element". In a plain `Vec` each
//! would be a search through all elements; here it costs the same in a collection of ten and of a
//! hundred thousand: the elements lie in chunks of bounded length, chained in order, and once there is
//! more than one chunk a map tells in which of them an element stands.

use std::collections::HashMap;
use std::hash::Hash;

use smallvec::SmallVec;

/// An ordered list that may hold an element more than once.
///
/// Where an element is addressed and stands more than once, its first place is meant.
#[derive(Debug, Clone)]
pub struct Sequence<T> {
    /// The chunks in no particular order; `first` and their `next` links make the order.
    chunks: Vec<Chunk<T>>,
    /// Chunks that are not in use.
    free: Vec<ChunkId>,
    first: ChunkId,
    last: ChunkId,
    length: usize,
    /// For each element, where it stands. Only kept while there is more than one chunk: most collections
    /// are small, and looking through a few elements is faster than hashing.
    places: Option<HashMap<T, Places>>,
}

type ChunkId = u32;

/// The chunks that an element stands in, in ascending order, each with how many times. By chunk and not
/// by place: an element that is repeated a hundred thousand times is still found at once.
type Places = SmallVec<[(ChunkId, u32); 1]>;

#[derive(Debug, Clone)]
struct Chunk<T> {
    items: Vec<T>,
    previous: Option<ChunkId>,
    next: Option<ChunkId>,
}

/// The most elements of a chunk; a longer one is split.
///
/// An edit moves up to this many elements of a few bytes, which is cheaper than following pointers.
const CHUNK_MAX: usize = 512;
/// A chunk with fewer elements is joined with its successor when they fit together.
const CHUNK_MIN: usize = CHUNK_MAX / 8;

impl<T: Copy + Eq + Hash> Default for Sequence<T> {
    fn default() -> Self {
        Self {
            chunks: vec![Chunk { items: Vec::new(), previous: None, next: None }],
            free: Vec::new(),
            first: 0,
            last: 0,
            length: 0,
            places: None,
        }
    }
}

impl<T: Copy + Eq + Hash> FromIterator<T> for Sequence<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut sequence = Self::default();
        for item in items {
            sequence.push(item);
        }
        sequence
    }
}

impl<T: Copy + Eq + Hash> Sequence<T> {
    /// Puts `item` at the end.
    pub fn push(&mut self, item: T) {
        self.insert_at(self.last, self.chunk(self.last).items.len(), item);
    }

    /// Puts `item` behind the first place of `after`; with `None` at the front. If `after` is not there,
    /// at the end.
    pub fn insert_after(&mut self, item: T, after: Option<T>) {
        match after {
            None => self.insert_at(self.first, 0, item),
            Some(after) => match self.find(after) {
                Some((chunk, place)) => self.insert_at(chunk, place + 1, item),
                None => self.push(item),
            },
        }
    }

    /// Takes out the first place of `item`. `false` if there is none.
    pub fn remove_first(&mut self, item: T) -> bool {
        let Some((chunk, place)) = self.find(item) else { return false };
        self.chunk_mut(chunk).items.remove(place);
        self.length -= 1;
        self.forget_place(item, chunk);
        self.tidy(chunk);
        true
    }

    /// Takes out every place of `item`. Tells how many there were.
    pub fn remove_all(&mut self, item: T) -> usize {
        let mut removed = 0;
        while self.remove_first(item) {
            removed += 1;
        }
        removed
    }

    /// How many elements there are, repeated ones counted each time.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no element.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many places `item` has.
    pub fn count(&self, item: T) -> usize {
        match &self.places {
            Some(places) => places
                .get(&item)
                .map_or(0, |chunks| chunks.iter().map(|(_, count)| *count as usize).sum()),
            None => self.chunk(self.first).items.iter().filter(|other| **other == item).count(),
        }
    }

    /// Whether `item` is there.
    pub fn contains(&self, item: T) -> bool {
        match &self.places {
            Some(places) => places.contains_key(&item),
            None => self.chunk(self.first).items.contains(&item),
        }
    }

    /// The element at a place counted from 0. Costs the number of chunks.
    pub fn get(&self, mut index: usize) -> Option<T> {
        let mut current = Some(self.first);
        while let Some(id) = current {
            let chunk = self.chunk(id);
            match chunk.items.get(index) {
                Some(item) => return Some(*item),
                None => index -= chunk.items.len(),
            }
            current = chunk.next;
        }
        None
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let chunks = std::iter::successors(Some(self.first), |id| self.chunk(*id).next);
        chunks.flat_map(|id| self.chunk(id).items.iter().copied())
    }

    fn chunk(&self, id: ChunkId) -> &Chunk<T> {
        &self.chunks[id as usize]
    }

    fn chunk_mut(&mut self, id: ChunkId) -> &mut Chunk<T> {
        &mut self.chunks[id as usize]
    }

    /// The chunk of an element's first place, and the place in it.
    fn find(&self, item: T) -> Option<(ChunkId, usize)> {
        let chunk = match &self.places {
            None => self.first,
            Some(places) => match places.get(&item)?.as_slice() {
                [(only, _)] => *only,
                // Which of several chunks comes first only the chain knows. Rare: repeated elements.
                several => std::iter::successors(Some(self.first), |id| self.chunk(*id).next)
                    .find(|id| several.binary_search_by_key(id, |(chunk, _)| *chunk).is_ok())?,
            },
        };
        let place = self.chunk(chunk).items.iter().position(|other| *other == item)?;
        Some((chunk, place))
    }

    fn insert_at(&mut self, chunk: ChunkId, place: usize, item: T) {
        self.chunk_mut(chunk).items.insert(place, item);
        self.length += 1;
        if let Some(places) = &mut self.places {
            note_place(places.entry(item).or_default(), chunk);
        }
        if self.chunk(chunk).items.len() > CHUNK_MAX {
            self.split(chunk);
        }
    }

    fn forget_place(&mut self, item: T, chunk: ChunkId) {
        let Some(places) = &mut self.places else { return };
        let Some(chunks) = places.get_mut(&item) else { return };
        forget_place(chunks, chunk);
        if chunks.is_empty() {
            places.remove(&item);
        }
    }

    /// Moves the second half of a chunk into a new one behind it.
    fn split(&mut self, id: ChunkId) {
        let next = self.chunk(id).next;
        // When elements are put in at the end one by one, full chunks are what should stay behind.
        let at = if next.is_none() { CHUNK_MAX * 7 / 8 } else { CHUNK_MAX / 2 };
        let items = self.chunk_mut(id).items.split_off(at);
        let moved = self.new_chunk(Chunk { items, previous: Some(id), next });
        self.chunk_mut(id).next = Some(moved);
        match next {
            Some(next) => self.chunk_mut(next).previous = Some(moved),
            None => self.last = moved,
        }
        if self.places.is_some() {
            self.move_places(id, moved);
        } else {
            self.index_places();
        }
    }

    fn new_chunk(&mut self, chunk: Chunk<T>) -> ChunkId {
        if let Some(id) = self.free.pop() {
            *self.chunk_mut(id) = chunk;
            return id;
        }
        self.chunks.push(chunk);
        ChunkId::try_from(self.chunks.len() - 1)
            .expect("fewer chunks than elements, which are bounded")
    }

    /// Notes that all elements of `to` came from `from`.
    fn move_places(&mut self, from: ChunkId, to: ChunkId) {
        let Some(places) = &mut self.places else { return };
        for item in &self.chunks[to as usize].items {
            let chunks = places.get_mut(item).expect("every element has a place");
            forget_place(chunks, from);
            note_place(chunks, to);
        }
    }

    fn index_places(&mut self) {
        let mut places: HashMap<T, Places> = HashMap::with_capacity(self.length);
        let mut current = Some(self.first);
        while let Some(id) = current {
            for item in &self.chunk(id).items {
                note_place(places.entry(*item).or_default(), id);
            }
            current = self.chunk(id).next;
        }
        self.places = Some(places);
    }

    /// Joins a chunk that has become short with its successor, so that what was taken out of a large
    /// collection does not stay behind as a long chain of nearly empty chunks.
    fn tidy(&mut self, id: ChunkId) {
        let length = self.chunk(id).items.len();
        if length >= CHUNK_MIN {
            return;
        }
        let (into, from) = match (self.chunk(id).previous, self.chunk(id).next) {
            (_, Some(next)) if self.chunk(next).items.len() + length <= CHUNK_MAX / 2 => (id, next),
            (Some(previous), _) if self.chunk(previous).items.len() + length <= CHUNK_MAX / 2 => {
                (previous, id)
            }
            _ => return,
        };
        let moved = std::mem::take(&mut self.chunk_mut(from).items);
        let next = self.chunk(from).next;
        if let Some(places) = &mut self.places {
            for item in &moved {
                let chunks = places.get_mut(item).expect("every element has a place");
                forget_place(chunks, from);
                note_place(chunks, into);
            }
        }
        let target = self.chunk_mut(into);
        target.items.extend(moved);
        target.next = next;
        match next {
            Some(next) => self.chunk_mut(next).previous = Some(into),
            None => self.last = into,
        }
        self.free.push(from);
        if self.first == self.last {
            self.places = None;
        }
    }
}

fn note_place(places: &mut Places, chunk: ChunkId) {
    match places.binary_search_by_key(&chunk, |(id, _)| *id) {
        Ok(at) => places[at].1 += 1,
        Err(at) => places.insert(at, (chunk, 1)),
    }
}

fn forget_place(places: &mut Places, chunk: ChunkId) {
    if let Ok(at) = places.binary_search_by_key(&chunk, |(id, _)| *id) {
        places[at].1 -= 1;
        if places[at].1 == 0 {
            places.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same in the obvious way.
    fn insert_after(list: &mut Vec<u16>, item: u16, after: Option<u16>) {
        let place = match after {
            None => 0,
            Some(after) => list.iter().position(|x| *x == after).map_or(list.len(), |i| i + 1),
        };
        list.insert(place, item);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16, Option<u16>),
        Push(u16),
        Remove(u16),
        RemoveAll(u16),
    }

    fn step(range: u16) -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..range, proptest::option::of(0..range)).prop_map(|(a, b)| Step::Insert(a, b)),
            2 => (0..range).prop_map(Step::Push),
            3 => (0..range).prop_map(Step::Remove),
            1 => (0..range).prop_map(Step::RemoveAll),
        ]
    }

    fn run(start: u16, steps: &[Step]) {
        let mut list: Vec<u16> = (0..start).collect();
        let mut sequence: Sequence<u16> = list.iter().copied().collect();
        for step in steps {
            match *step {
                Step::Insert(item, after) => {
                    insert_after(&mut list, item, after);
                    sequence.insert_after(item, after);
                }
                Step::Push(item) => {
                    list.push(item);
                    sequence.push(item);
                }
                Step::Remove(item) => {
                    let place = list.iter().position(|x| *x == item);
                    place.map(|place| list.remove(place));
                    assert_eq!(sequence.remove_first(item), place.is_some());
                }
                Step::RemoveAll(item) => {
                    let before = list.len();
                    list.retain(|x| *x != item);
                    assert_eq!(sequence.remove_all(item), before - list.len());
                }
            }
            assert_eq!(sequence.len(), list.len());
        }
        assert!(sequence.iter().eq(list.iter().copied()));
        for item in 0..start {
            let count = list.iter().filter(|x| **x == item).count();
            assert_eq!(sequence.count(item), count);
            assert_eq!(sequence.contains(item), count > 0);
        }
        for index in [0, 1, list.len() / 2, list.len().saturating_sub(1), list.len()] {
            assert_eq!(sequence.get(index), list.get(index).copied());
        }
    }

    proptest! {
        // Each case is thousands of steps beside a list that searches.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_small_sequence_is_a_list(steps in prop::collection::vec(step(12), 0..200)) {
            run(8, &steps);
        }

        #[test]
        fn a_sequence_of_many_chunks_is_a_list(steps in prop::collection::vec(step(3000), 0..400)) {
            run(2500, &steps);
        }

        #[test]
        fn a_sequence_that_shrinks_and_grows_is_a_list(
            keep in 0u16..3000, steps in prop::collection::vec(step(3000), 0..100),
        ) {
            let mut all: Vec<Step> = (0..3000).filter(|i| i % 97 != keep % 97).map(Step::Remove).collect();
            all.extend(steps);
            run(3000, &all);
        }
    }

    #[test]
    fn an_element_that_is_repeated_is_noted_once_for_each_chunk() {
        let mut sequence: Sequence<u16> = (0..2000).chain(std::iter::repeat_n(7, 20_000)).collect();
        let noted =
            |sequence: &Sequence<u16>| sequence.places.as_ref().map(|places| places[&7].len());
        assert!(noted(&sequence).unwrap() < sequence.chunks.len());
        assert_eq!(sequence.count(7), 20_001);
        for left in (15_000..20_001).rev() {
            sequence.remove_first(7);
            assert_eq!(sequence.count(7), left);
        }
        assert!(noted(&sequence).unwrap() < sequence.chunks.len());
    }

    #[test]
    fn the_middle_of_a_large_sequence_takes_thousands_of_insertions() {
        let steps: Vec<Step> = (5000..9000).map(|i| Step::Insert(i, Some(2000))).collect();
        run(5000, &steps);
    }
}
