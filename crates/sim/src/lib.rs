//! How we know: the machines of `jetstream-core` in a hostile world that a seed decides.
//!
//! Nothing in here is random but the seed. Time is a number that jumps to the next event, the network is
//! a list of frames under way, and a seed that found a mistake finds it again.
//!
//! - [`crash`]: a server that dies at any moment, and its disk.
//! - [`dice`]: what a seed decides.
//! - [`workload`]: models, and ChangeSets that clients might send: sensible ones, clumsy ones, absurd ones.
//! - [`oracle`]: a scope in the obvious way, to compare the real one with.
//! - [`veil`]: rules that hide things from members.
//! - [`world`]: a server, clients, and a network between them that delays, cuts and loses.
//! - [`event`]: what happens in it.
//! - [`property`]: what must hold whatever happens.

pub mod crash;
pub mod dice;
pub mod event;
pub mod oracle;
pub mod property;
pub mod run;
pub mod veil;
pub mod workload;
pub mod world;
