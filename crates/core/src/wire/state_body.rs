//! The body of a `ScopeState`, in pieces that many bodies share.
//!
//! A state can be longer than everything else that a scope ever says together, and two states of one scope
//! differ in the few objects that have changed in between. So a body is a list of texts, each of some objects,
//! and those that are the same are one text in memory, however many states and members have it.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::ids::SharedText;

/// `"rootUUID":…,"fragments":[…]`, in pieces. Cheap to clone.
#[derive(Clone)]
pub struct StateBody(Arc<Pieces>);

struct Pieces {
    pieces: Box<[Piece]>,
    byte_length: usize,
}

/// Some objects of a state as text, which many states and sessions share.
#[derive(Clone)]
pub struct Piece(Arc<PieceText>);

struct PieceText {
    text: Box<str>,
    packed: OnceLock<Box<[u8]>>,
}

impl Piece {
    /// Whether both are the same in memory.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether somebody has asked for the form of [`packed`](Self::packed).
    pub fn is_packed(&self) -> bool {
        self.0.packed.get().is_some()
    }

    /// The text in the form in which a transport sends it, if that is another one: made by the first that
    /// asks, and kept as long as the text for the others. All have to mean the same form.
    pub fn packed(&self, pack: impl FnOnce(&str) -> Box<[u8]>) -> &[u8] {
        self.0.packed.get_or_init(|| pack(&self.0.text))
    }
}

impl Deref for Piece {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self(Arc::new(PieceText { text: text.into(), packed: OnceLock::new() }))
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl StateBody {
    /// Puts pieces together.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let pieces: Box<[Piece]> = pieces.into_iter().collect();
        let byte_length = pieces.iter().map(|piece| piece.len()).sum();
        Self(Arc::new(Pieces { pieces, byte_length }))
    }

    /// The texts that make the body, one behind the other.
    pub fn pieces(&self) -> &[Piece] {
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
        Self::new([Piece::from(&*text.into())])
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
