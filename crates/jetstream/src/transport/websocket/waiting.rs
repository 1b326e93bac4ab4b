//! What a socket did not take: bytes in order, some of them shared with other connections.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::Waker;

use jetstream_core::ids::SharedText;
use jetstream_core::wire::Piece;
use smallvec::SmallVec;

use super::part::Part;

/// Bytes that wait. Shared texts stay shared: a large state that many slow members wait for is kept once.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    chunks: VecDeque<Chunk>,
    /// How many bytes of the first chunk are written.
    start: usize,
    bytes: usize,
    /// Who wants to know when a frame that is on its way has landed.
    pub(super) waker: Option<Waker>,
}

#[derive(Debug)]
enum Chunk {
    Copied(Vec<u8>),
    Shared(SharedText),
    Piece(Piece),
    /// A piece that goes compressed.
    Packed(Piece),
}

impl Chunk {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(text) => Part::Shared(text).as_bytes(),
            Self::Piece(piece) => Part::Piece(piece).as_bytes(),
            Self::Packed(piece) => Part::Packed(piece).as_bytes(),
        }
    }
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// How many bytes wait.
    pub(super) fn byte_length(&self) -> usize {
        self.bytes
    }

    /// Keeps a frame, of which the first `written` bytes are written already. That is possible only if
    /// nothing waited before it.
    pub(super) fn keep<'a>(
        &mut self,
        head: &[u8],
        parts: impl Iterator<Item = Part<'a>>,
        written: usize,
    ) {
        debug_assert!(written == 0 || self.is_empty(), "frames are written one after the other");
        let mut skip = written;
        self.copy(rest(head, &mut skip));
        for part in parts {
            let left = rest(part.as_bytes(), &mut skip);
            let chunk = match part {
                Part::Bytes(_) => {
                    self.copy(left);
                    continue;
                }
                Part::Shared(text) => Chunk::Shared(text.clone()),
                Part::Piece(piece) => Chunk::Piece(piece.clone()),
                Part::Packed(piece) => Chunk::Packed(piece.clone()),
            };
            if !left.is_empty() {
                // Only the first chunk can be cut, and then nothing waited before.
                self.start += part.as_bytes().len() - left.len();
                self.bytes += left.len();
                self.chunks.push_back(chunk);
            }
        }
    }

    /// Keeps what is left of a frame that was on its way when the others came. Nothing of those is written.
    pub(super) fn keep_first(&mut self, bytes: &[u8]) {
        debug_assert!(self.start == 0, "what comes later is not written before");
        self.bytes += bytes.len();
        self.chunks.push_front(Chunk::Copied(bytes.to_vec()));
    }

    fn copy(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        match self.chunks.back_mut() {
            Some(Chunk::Copied(last)) => last.extend_from_slice(bytes),
            _ => self.chunks.push_back(Chunk::Copied(bytes.to_vec())),
        }
    }

    /// What to write next.
    pub(super) fn slices(&self) -> SmallVec<[IoSlice<'_>; 16]> {
        let mut start = self.start;
        let chunks = self.chunks.iter().take(SLICES_MAX);
        chunks.map(|chunk| IoSlice::new(&chunk.as_bytes()[std::mem::take(&mut start)..])).collect()
    }

    /// So many bytes are written.
    pub(super) fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.start += written;
        while let Some(first) = self.chunks.front().map(|chunk| chunk.as_bytes().len())
            && self.start >= first
        {
            self.start -= first;
            self.chunks.pop_front();
        }
    }
}

/// The bytes without the first `skip`, which counts down by those that are left out.
fn rest<'a>(bytes: &'a [u8], skip: &mut usize) -> &'a [u8] {
    let skipped = bytes.len().min(*skip);
    *skip -= skipped;
    &bytes[skipped..]
}

/// As many as one write takes with profit.
const SLICES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes out everything, so many bytes at a time.
    fn drain(waiting: &mut Waiting, step: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while !waiting.is_empty() {
            let next: Vec<u8> = waiting.slices().iter().flat_map(|slice| slice.to_vec()).collect();
            let step = step.min(next.len());
            taken.extend(&next[..step]);
            waiting.advance(step);
        }
        taken
    }

    #[test]
    fn wherever_a_frame_is_cut_the_rest_comes_out_as_it_is() {
        let shared: SharedText = "shared".into();
        let piece: Piece = "piece".into();
        let parts = || {
            let ends = [Part::Bytes(b"ab"), Part::Shared(&shared), Part::Piece(&piece)];
            ends.into_iter().chain([Part::Bytes(b"yz")])
        };
        let whole = b"headabsharedpieceyz";
        for written in 0..=whole.len() {
            for step in [1, 3, 100] {
                let mut waiting = Waiting::default();
                waiting.keep(b"head", parts(), written);
                assert_eq!(waiting.byte_length(), whole.len() - written);
                waiting.keep(b"next", [Part::Shared(&shared)].into_iter(), 0);
                let expected = [&whole[written..], b"nextshared"].concat();
                assert_eq!(drain(&mut waiting, step), expected, "cut at {written}, by {step}");
            }
        }
    }

    #[test]
    fn what_is_left_of_a_frame_that_was_on_its_way_goes_first() {
        let mut waiting = Waiting::default();
        waiting.keep(b"after", [Part::Bytes(b"wards")].into_iter(), 0);
        waiting.keep_first(b"before");
        assert_eq!(waiting.byte_length(), 16);
        assert_eq!(drain(&mut waiting, 4), b"beforeafterwards");
    }

    #[test]
    fn a_shared_text_is_not_copied() {
        let shared: SharedText = "shared".into();
        let mut waiting = Waiting::default();
        waiting.keep(b"", [Part::Shared(&shared)].into_iter(), 2);
        assert_eq!(std::sync::Arc::strong_count(&shared), 2);
        drain(&mut waiting, 1);
        assert_eq!(std::sync::Arc::strong_count(&shared), 1);
    }
}
