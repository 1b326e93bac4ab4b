//! A server that syncs typed models between many clients.

pub use jetstream_core as core;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "config")]
pub mod config;
pub mod metrics;
pub mod scope;
pub mod server;
pub mod storage;
pub mod transport;
pub mod typed;

mod clock;
mod future;

pub use future::BoxFuture;
pub use jetstream_derive::Model;
pub use metrics::Metrics;
pub use scope::{Changes, Lagged, OpenError, Scope, ScopeError, Scopes, Updated};
pub use server::{
    FetchRequest, FetchVerdict, Health, Server, ServerBuilder, ServerHandle, SessionInfo,
    SessionRequest, SessionStatus, SessionVerdict,
};
pub use storage::{MemoryStorage, Storage};
pub use transport::{ConnectInfo, MemoryTransport, Transport, WebSocket};
pub use typed::{Id, Model, SchemaExt, TypedScope, UpdateError};
