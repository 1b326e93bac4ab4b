//! The killer: a server with a durable store, clients that write all the time, and `kill -9` at random
//! moments. Whatever was acknowledged has to be there exactly once and in order, whatever was refused must
//! not, and everybody has to see the same in the end.
//!
//! `KILLER_ROUNDS=2000 cargo test --test killer` makes it longer, `KILLER_SEED` chooses the moments.
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the seed, and what a long run was about")]

mod author;
mod board;
mod campaign;
mod link;
#[path = "../support/postgres.rs"]
mod postgres;
mod server;

use campaign::Campaign;
use postgres::Cluster;
use server::{Server, Store};

fn rounds(usual: usize) -> usize {
    let asked = std::env::var("KILLER_ROUNDS").ok();
    asked.map_or(usual, |rounds| rounds.parse().expect("KILLER_ROUNDS is a number"))
}

fn seed() -> u64 {
    let chosen = std::env::var("KILLER_SEED").ok();
    chosen.map_or_else(rand_seed, |seed| seed.parse().expect("KILLER_SEED is a number"))
}

fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

async fn carry_out(name: &str, store: Store, rounds: usize) -> Vec<String> {
    let server = Server::new(name, store);
    Campaign::new(server, seed()).run(rounds).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let found = carry_out("embedded", Store::Embedded, rounds(200)).await;
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_over_postgres_is_killed() {
    let found = carry_out("postgres", Store::Postgres(Cluster::start()), rounds(200)).await;
    assert!(found.is_empty(), "{found:#?}");
}

/// The killer can fail: what a store forgets is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_forgets_is_found_out() {
    let found = carry_out("forgetful", Store::Forgetful, 6).await;
    assert!(found.iter().any(|what| what.contains("has changed")), "{found:#?}");
}
