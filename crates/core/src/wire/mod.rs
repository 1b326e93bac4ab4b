//! JSON, in and out: the only place that knows it.
//!
//! - [`message`]: the messages of the protocol as data.
//! - [`decode`]: a frame's text into messages; raw fragments into a typed
//!   [`ChangeSet`](crate::model::ChangeSet).
//! - [`encode`]: messages, fragments and states into text.

pub mod message;
