//! The text of one outgoing frame, in parts.
//!
//! A broadcast's body is the same for all its receivers, so a frame does not copy it: it keeps the shared
//! text and only writes what stands around it. Short bodies are copied after all, because a part
//! costs more than it saves there.

use crate::ids::SharedText;
use crate::wire::{Piece, StateBody};

/// One outgoing frame: a JSON array of messages.
///
/// Meant to be reused: [`clear`](Self::clear) keeps what was allocated.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Everything that is not shared, one after the other.
    copied: String,
    /// Shared texts, each with the place in `copied` before which it stands; in ascending order.
    shared: Vec<(usize, Shared)>,
    shared_bytes: usize,
}

#[derive(Debug, Clone)]
enum Shared {
    Text(SharedText),
    Piece(Piece),
}

/// A stretch of a frame's text.
#[derive(Debug, Clone, Copy)]
pub enum FramePart<'a> {
    /// It lives in the frame and must be copied to outlive it.
    Copied(&'a str),
    /// It is shared and can be kept at the cost of a reference count.
    Shared(&'a SharedText),
    /// The same, and it is a piece of a state.
    Piece(&'a Piece),
}

impl<'a> FramePart<'a> {
    /// The text, wherever it lives.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Copied(text) => text,
            Self::Shared(text) => text,
            Self::Piece(piece) => piece,
        }
    }
}

impl Frame {
    /// From this length on, in bytes, a body is shared and not copied.
    pub const SHARED_FROM: usize = 1024;

    /// A frame that has become this long is sent, in bytes; the next message goes into another one.
    const ENOUGH: usize = 64 << 10;

    /// An empty frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all messages.
    pub fn clear(&mut self) {
        self.copied.clear();
        self.shared.clear();
        self.shared_bytes = 0;
    }

    /// Whether it holds no message.
    pub fn is_empty(&self) -> bool {
        self.copied.is_empty()
    }

    /// The length of the whole text, in bytes.
    pub fn byte_length(&self) -> usize {
        self.copied.len() + self.shared_bytes
    }

    /// The text, in order and without gaps; no part is empty.
    pub fn parts(&self) -> FrameParts<'_> {
        FrameParts { copied: &self.copied, from: 0, shared: self.shared.iter(), next: None }
    }

    /// The whole text in one piece.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.byte_length());
        text.extend(self.parts().map(FramePart::as_str));
        text
    }

    /// Whether another message may go in.
    pub(super) fn has_room(&self) -> bool {
        self.byte_length() < Self::ENOUGH
    }

    /// Begins a message: `write` gets the buffer to write its text, or the part before its body.
    pub(super) fn message(&mut self, write: impl FnOnce(&mut String)) {
        self.copied.push(if self.is_empty() { '[' } else { ',' });
        write(&mut self.copied);
    }

    /// A message's body and what stands behind it.
    pub(super) fn body(&mut self, body: &SharedText, tail: &str) {
        self.put(body, || Shared::Text(body.clone()));
        self.copied.push_str(tail);
    }

    /// A state's body and what stands behind it.
    pub(super) fn state(&mut self, body: &StateBody, tail: &str) {
        for piece in body.pieces() {
            self.put(piece, || Shared::Piece(piece.clone()));
        }
        self.copied.push_str(tail);
    }

    fn put(&mut self, text: &str, share: impl FnOnce() -> Shared) {
        if text.len() >= Self::SHARED_FROM {
            self.shared.push((self.copied.len(), share()));
            self.shared_bytes += text.len();
        } else {
            self.copied.push_str(text);
        }
    }

    /// Ends the array. Nothing may follow.
    pub(super) fn end(&mut self) {
        if !self.is_empty() {
            self.copied.push(']');
        }
    }
}

/// The parts of a frame. By hand: it is gone through for every frame that is sent, and nearly all of them
/// have a single part.
#[derive(Debug)]
pub struct FrameParts<'a> {
    copied: &'a str,
    /// How much of it there was.
    from: usize,
    shared: std::slice::Iter<'a, (usize, Shared)>,
    /// What stands behind the copied text that there was last.
    next: Option<&'a Shared>,
}

impl<'a> Iterator for FrameParts<'a> {
    type Item = FramePart<'a>;

    fn next(&mut self) -> Option<FramePart<'a>> {
        if self.next.is_none() {
            let mut to = self.copied.len();
            if let Some((at, shared)) = self.shared.next() {
                (to, self.next) = (*at, Some(shared));
            }
            let text = &self.copied[self.from..to];
            self.from = to;
            if !text.is_empty() {
                return Some(FramePart::Copied(text));
            }
        }
        Some(match self.next.take()? {
            Shared::Text(text) => FramePart::Shared(text),
            Shared::Piece(piece) => FramePart::Piece(piece),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_are_shared_and_short_ones_copied() {
        let long: SharedText = "x".repeat(Frame::SHARED_FROM).into();
        let mut frame = Frame::new();
        frame.message(|out| out.push_str("{a:"));
        frame.body(&"short".into(), "}");
        frame.message(|out| out.push_str("{b:"));
        frame.body(&long, "}");
        frame.message(|out| out.push_str("{c:"));
        frame.body(&long, "");
        frame.end();
        let shared = frame.parts().filter(|part| matches!(part, FramePart::Shared(_))).count();
        assert_eq!(shared, 2);
        assert_eq!(frame.to_text(), format!("[{{a:short}},{{b:{long}}},{{c:{long}]"));
        assert_eq!(frame.byte_length(), frame.to_text().len());
        frame.clear();
        assert!(frame.is_empty() && frame.parts().next().is_none());
        assert_eq!(frame.byte_length(), 0);
    }

    #[test]
    fn a_frame_without_messages_is_no_empty_array() {
        let mut frame = Frame::new();
        frame.end();
        assert!(frame.is_empty());
    }
}
