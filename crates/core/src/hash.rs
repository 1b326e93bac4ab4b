//! Hashing for maps whose keys are the server's own.

/// For keys that the server numbers itself and names that a schema gives: a client can ask for them, but not
/// put any into the map, so it cannot make them collide, and they need no hash that withstands that.
///
/// What clients choose, such as an [`ObjectId`](crate::ids::ObjectId), stays with the standard library's
/// SipHash. This one is foldhash (<https://github.com/orlp/foldhash>), with a seed of its own for each map.
pub type OwnState = foldhash::fast::RandomState;
