//! The interface for programs, over HTTP, with servers from configurations.

#![allow(
    unreachable_pub,
    reason = "in a test everything is private; `pub` says what a module offers"
)]

mod book;
mod connections;
mod follow;
mod http;
mod refusals;
mod scopes;
mod sessions;
mod world;

#[allow(dead_code, reason = "each test uses the part that it needs")]
#[path = "../support/websocket.rs"]
mod websocket;
