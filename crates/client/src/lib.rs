//! The Rust client of Jetstream: live copies of a server's scopes, typed, editable at any time.
//!
//! ```no_run
//! use jetstream_client::Model;
//!
//! #[derive(Model)]
//! struct Shape { x: f64, y: f64 }
//!
//! #[derive(Model)]
//! struct Canvas { name: String, shapes: Vec<Shape> }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = jetstream_client::connect("ws://localhost:3000").await?;
//! let canvas = session.fetch::<Canvas>("Canvas").await?;
//!
//! // Shown at once; the server's answer comes later, and need not be waited for.
//! let pending = canvas.update(|canvas| canvas.shapes_mut().push(Shape { x: 1.0, y: 2.0 }))?;
//! let shape = *pending.value();
//! canvas.update(|canvas| canvas.find(shape).map(|mut shape| shape.set_x(3.0)))?;
//! println!("{} shapes", canvas.read(|canvas| canvas.shapes().len()));
//! pending.await?;
//!
//! // What we and others do from now on.
//! let mut changes = canvas.changes();
//! while let Some(changed) = changes.next().await {
//!     for shape in changed.added::<Shape>() {
//!         println!("{:?}", canvas.read(|canvas| canvas.find(shape).map(|shape| (shape.x(), shape.y()))));
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! - [`Session`]: a standing with a server that outlives connections. Lost ones are made anew, with waits
//!   that grow; nothing that was edited is lost or sent twice.
//! - [`TypedScope`]: a scope as derived models, [`Scope`] with a schema known only at run time,
//!   [`RawScope`] without any.
//! - [`Pending`]: an edit on its way. What becomes of it is said exactly once.
//! - [`Changes`]: which objects came, changed and left, ours and others' told apart.
//! - [`Transport`], [`Link`]: connections that are no WebSocket.
//! - [`Client`]: all of it as a plain machine, without tasks, sockets and clocks.
//!
//! Reading and editing is synchronous: it is a matter of this program's memory, with or without a
//! connection.

pub use jetstream_core as core;
pub use jetstream_model as typed;

mod changes;
mod raw;
mod scope;
mod session;

mod link;
mod websocket;

mod backoff;
mod client;
mod driver;
mod feed;
mod renewal;
mod shared;

pub use changes::{Changed, Changes};
pub use client::{Client, CopyId, Event, NotApplied, Origin, PENDING_MAX, Params, RawNews};
pub use jetstream_derive::ClientModel as Model;
pub use jetstream_model::{Id, Model};
pub use link::{BoxFuture, Introduction, Link, Received, Transport};
pub use raw::RawScope;
pub use scope::{Pending, Scope, TypedScope, UpdateError};
pub use session::{ConnectError, Connector, FetchError, Session, SessionState, connect};
pub use websocket::{UrlError, WebSocket};

/// The examples of the book's page on this client.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/rust-client.md")]
struct Guide;
