//! The command `jetstream` from outside: a process, its output, its exit code, its sockets.
#![cfg(unix)]

mod access;
mod check;
mod copies;
mod durable;
mod faults;
mod history;
mod inspector;
mod notify;
mod peer;
mod process;
mod serve;
mod service;
mod tail;
mod types;
