//! A stretch of what goes to a socket: text of a frame, or the bytes that stand for it.

use jetstream_core::ids::SharedText;
use jetstream_core::wire::Piece;

use super::deflate::pack;
use crate::transport::FramePart;

/// Some bytes in order. What is shared can be kept at the cost of a reference count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// They live somewhere else, and have to be copied to be kept.
    Bytes(&'a [u8]),
    /// A text that is shared.
    Shared(&'a SharedText),
    /// A piece of a state.
    Piece(&'a Piece),
    /// The same, compressed.
    Packed(&'a Piece),
}

impl<'a> Part<'a> {
    pub(super) fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Shared(text) => text.as_bytes(),
            Self::Piece(piece) => piece.as_bytes(),
            Self::Packed(piece) => piece.packed(pack),
        }
    }

    pub(super) fn byte_length(self) -> usize {
        self.as_bytes().len()
    }
}

impl<'a> From<FramePart<'a>> for Part<'a> {
    fn from(part: FramePart<'a>) -> Self {
        match part {
            FramePart::Copied(text) => Self::Bytes(text.as_bytes()),
            FramePart::Shared(text) => Self::Shared(text),
            FramePart::Piece(piece) => Self::Piece(piece),
        }
    }
}
