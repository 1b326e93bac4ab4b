//! A server that syncs typed models between many clients.

pub use jetstream_core as core;

pub mod metrics;
pub mod transport;

mod future;

pub use future::BoxFuture;
pub use metrics::Metrics;
pub use transport::{ConnectInfo, MemoryTransport, Transport, WebSocket};
