//! A server that syncs typed models between many clients.

pub use jetstream_core as core;
