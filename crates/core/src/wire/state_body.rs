//! The body of a `ScopeState`, in pieces that many bodies share.
//!
//! A state can be longer than everything else that a scope ever says together, and two states of one scope
//! differ in the few objects that have changed in between. So a body is a list of texts, each of some objects,
//! and those that are the same are one text in memory, however many states and members have it.

use std::fmt;
use std::sync::Arc;

use crate::ids::SharedText;

/// `"rootUUID":…,"fragments":[…]`, in pieces. Cheap to clone.
#[derive(Clone)]
pub struct StateBody(Arc<Pieces>);

struct Pieces {
    pieces: Box<[SharedText]>,
    byte_length: usize,
}

impl StateBody {
    /// Puts pieces together.
    pub fn new(pieces: impl IntoIterator<Item = SharedText>) -> Self {
        let pieces: Box<[SharedText]> = pieces.into_iter().collect();
        let byte_length = pieces.iter().map(|piece| piece.len()).sum();
        Self(Arc::new(Pieces { pieces, byte_length }))
    }

    /// The texts that make the body, one behind the other.
    pub fn pieces(&self) -> &[SharedText] {
        &self.0.pieces
    }

    /// How long the whole is, in bytes.
    pub fn byte_length(&self) -> usize {
        self.0.byte_length
    }

    /// Whether both are the same in memory.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The whole in one piece.
    pub fn to_text(&self) -> SharedText {
        let mut text = String::with_capacity(self.byte_length());
        text.extend(self.pieces().iter().map(|piece| &**piece));
        text.into()
    }
}

impl<T: Into<SharedText>> From<T> for StateBody {
    fn from(text: T) -> Self {
        Self::new([text.into()])
    }
}

impl fmt::Display for StateBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().iter().try_for_each(|piece| f.write_str(piece))
    }
}

impl fmt::Debug for StateBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in {} pieces", self.byte_length(), self.pieces().len())
    }
}
