//! Calls to other services over HTTP, by somebody who must not suffer when they do.
//!
//! A [`Service`] is one such service: a pool of connections, a limit on the time of a call and on how many
//! there are at a time, repeats with growing pauses, and a [`Breaker`] that stops asking who does not
//! answer. What is asked and what the answer means is for others to say.

mod breaker;
mod service;

pub use breaker::{Breaker, Open};
pub use service::{Answer, Outgoing, Service, ServiceError, ServiceOptions};
