//! A server that keeps typed models in sync between many clients.
//!
//! Describe your data as models. Clients fetch a *scope*, a shared tree of objects, and from then on see
//! each other's changes; so does the application. The server numbers, resends, resumes and repairs, so
//! that everybody ends in the same state, whatever happens to the network. It speaks the Jetstream Sync
//! protocol: clients of the original Jetstream work unmodified.
//!
//! # A server in twenty lines
//!
//! ```no_run
//! use jetstream::{Model, Scope, Server, WebSocket};
//!
//! #[derive(Model)]
//! struct Shape { x: f64, y: f64, width: f64, height: f64, kind: f64 }
//!
//! #[derive(Model)]
//! struct Canvas { name: String, shapes: Vec<Shape> }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let scope = Scope::with_root(
//!         "ShapesDemo",
//!         Canvas { name: "Shapes Demo".into(), ..Default::default() },
//!     );
//!     Server::builder()
//!         .transport(WebSocket::bind("0.0.0.0:3000"))
//!         .on_session(|session| session.accept())
//!         .on_fetch(move |fetch| {
//!             if fetch.name() == "ShapesDemo" {
//!                 fetch.accept(&scope)
//!             } else {
//!                 fetch.deny("no such scope")
//!             }
//!         })
//!         .run()
//!         .await
//! }
//! ```
//!
//! # Who may what
//!
//! A handler sees what the client said (parameters, headers, version, address) and gives a verdict, or
//! a future of one: [`ServerBuilder::on_session`], [`ServerBuilder::on_fetch`]. What is known of a user is
//! kept with the session ([`SessionRequest::accept_with`]) and found again at each fetch
//! ([`SessionInfo::data`]). A handler that panics denies that one request.
//!
//! # The application takes part
//!
//! ```
//! # use jetstream::{Model, Scope};
//! # #[derive(Model)] struct Shape { x: f64 }
//! # #[derive(Model)] struct Canvas { name: String, shapes: Vec<Shape> }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let canvas = Scope::with_root("Canvas", Canvas { name: "Demo".into(), ..Default::default() });
//! // One transaction: everybody sees all of it, or, if it is refused, nothing.
//! canvas.update(|canvas| canvas.shapes_mut().push(Shape { x: 10.0 })).await?;
//! let count = canvas.read(|canvas| canvas.shapes().len()).await?;
//! assert_eq!(count, 1);
//! # Ok(()) }
//! ```
//!
//! [`typed`] has the whole of it, changes as a stream included. Below the types, a [`Scope`] is read and
//! changed by ChangeSets ([`Scope::update`], [`Scope::update_with`]) and followed by its commits
//! ([`Scope::changes`]); that is for models that are only known at run time.
//!
//! # Scopes by name
//!
//! [`Scopes`] opens scopes by name, among them families such as `boards/{id}`, whose scopes are made at the
//! first fetch, closed when idle, and come back from their [`Storage`]:
//!
//! ```
//! # use std::sync::Arc;
//! # use jetstream::core::model::{Graph, Schema};
//! use jetstream::{MemoryStorage, Scopes, Server};
//!
//! # let schema = Arc::new(Schema::builder().model("Board", |m| m).build().unwrap());
//! # let root = "b0000000-0000-4000-8000-000000000001".parse().unwrap();
//! let scopes = Scopes::builder()
//!     .storage(MemoryStorage::new())
//!     .scope("boards/{id}", move |asked| {
//!         println!("a new board: {}", asked.parameter("id").unwrap_or_default());
//!         let (model, _) = schema.find("Board").expect("it is in the schema");
//!         Ok(Graph::new(schema.clone(), root, model))
//!     })
//!     .build()?;
//! let server = Server::builder().scopes(scopes);
//! # Ok::<(), jetstream::scope::TemplateError>(())
//! ```
//!
//! # Running it
//!
//! [`ServerBuilder::start`] gives a [`ServerHandle`]: the address that was taken, the sessions, health,
//! [`Metrics`], and [`shutdown`](ServerHandle::shutdown), after which clients resume elsewhere.
//! [`ServerBuilder::admin`] serves metrics and health to operators. Every bound on memory and time is a
//! number in [`Limits`](core::limits::Limits), with a word for what happens when it is reached.
//! [`MemoryTransport`] drives a server without a socket, in tests or inside another program.
//!
//! # What is where
//!
//! - [`server`], [`scope`], [`typed`]: what an application uses.
//! - [`notify`]: telling others of changes after they have happened.
//! - [`transport`], [`storage`], [`procedure`]: the seams, each with its contract as a suite for other implementations
//!   (feature `contract`).
//! - [`core`]: models, messages, and the rules of sessions and scopes as machines without a clock, a socket
//!   or a thread.

pub use jetstream_core as core;

pub mod access;
pub mod api;
pub mod authentication;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "config")]
pub mod config;
pub mod expression;
pub mod http;
pub mod load;
pub mod metrics;
pub mod notify;
pub mod operations;
pub mod procedure;
pub mod scope;
pub mod server;
pub mod storage;
pub mod transport;
pub mod typed;

mod clock;
mod future;
mod quota;
mod secret;

pub use api::{Api, ApiToken, Role};
pub use future::BoxFuture;
pub use jetstream_derive::Model;
pub use metrics::Metrics;
pub use scope::{Changes, Lagged, OpenError, Scope, ScopeError, Scopes, Updated};
pub use secret::Secret;
pub use server::{
    FetchRequest, FetchVerdict, Health, Inspected, Recorded, Server, ServerBuilder, ServerHandle,
    SessionInfo, SessionRequest, SessionStatus, SessionVerdict, Way,
};
pub use storage::{MemoryStorage, Storage};
pub use transport::{ConnectInfo, MemoryTransport, Proxies, Transport, WebSocket};
pub use typed::{Id, Model, SchemaExt, TypedScope, UpdateError};
