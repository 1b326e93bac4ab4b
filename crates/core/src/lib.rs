//! The deterministic heart of Jetstream: models, scopes, sessions and replicas.
//!
//! Everything in this crate is plain data and plain state machines. Nothing here knows a socket, a
//! clock, a thread or a source of randomness: machines are *told* the time and answer with outputs,
//! which is what makes the simulator possible and the rules of the protocol testable in two lines.
//!
//! The rooms, in the order to read them:
//!
//! - [`ids`], [`time`], [`limits`], [`rate`]: the words that everything else is written in.
//! - [`model`]: schemas, values, fragments, the object graph and how a ChangeSet is judged.
//! - [`wire`]: JSON, in and out. The only place that knows JSON.
//! - [`session`]: numbering, acknowledgement and resend; a client's standing with the server.
//! - [`scope`]: one shared tree of objects, its members and its revisions.
//! - [`replica`]: a client's copy of a scope: confirmed state and pending ChangeSets.

pub mod hash;
pub mod ids;
pub mod limits;
pub mod rate;
pub mod time;

pub mod model;
pub mod replica;
pub mod scope;
pub mod session;
pub mod wire;

#[doc(hidden)]
pub mod fuzzing;
