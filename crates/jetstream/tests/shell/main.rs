//! Stories of a whole server: sessions, scopes and connections, through the public API.

mod client;
mod double;
mod world;

#[path = "../support/signer.rs"]
mod signer;

mod access;
mod application;
mod attacks;
mod binding;
mod crash;
mod credentials;
mod example;
mod families;
mod fragile;
mod hostile;
mod lifecycle;
mod notify;
mod resume;
mod services;
mod slow;
mod sync;
mod through;
