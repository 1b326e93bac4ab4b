//! Stories of clients and a real server, over connections in memory that can be cut, and over sockets.

mod world;

mod changes;
mod connections;
mod converges;
mod credentials;
mod editing;
mod models;
mod sockets;
