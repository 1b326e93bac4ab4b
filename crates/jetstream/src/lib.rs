//! A server that syncs typed models between many clients.

pub use jetstream_core as core;

#[cfg(feature = "config")]
pub mod config;
pub mod metrics;
pub mod transport;

mod future;

pub use future::BoxFuture;
pub use metrics::Metrics;
pub use transport::{ConnectInfo, MemoryTransport, Transport, WebSocket};
