//! JSON, in and out: the only place that knows it.
//!
//! - [`message`]: the messages of the protocol as data.
//! - [`decode`]: a frame's text into messages.
//! - [`change_set`]: raw fragments into a typed [`ChangeSet`](crate::model::ChangeSet).
//! - [`update`]: what a backend wants to have changed, by paths, into a ChangeSet.
//! - [`encode`]: messages, fragments and states into text.
//! - [`StateBody`]: a state as text, in pieces that many states share.
//! - [`mod@print`]: numbers and texts as JavaScript would print them.

pub mod message;

pub mod change_set;
pub mod decode;
pub mod encode;
mod json;
pub mod print;
mod state_body;
pub mod update;

pub use state_body::{Piece, StateBody};
