//! How we know: the machines of `jetstream-core` in a hostile world that a seed decides.
//!
//! Nothing in here is random but the seed. Time is a number that jumps to the next event, the network is
//! a list of frames under way, and a seed that found a mistake finds it again.
//!
//! - [`dice`]: what a seed decides.
//! - [`workload`]: models, and ChangeSets that clients might send: sensible ones, clumsy ones, absurd ones.
//! - [`oracle`]: a scope in the obvious way, to compare the real one with.

pub mod dice;
pub mod oracle;
pub mod workload;
