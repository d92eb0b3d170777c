//! TLS of the listeners: certificates out of files, taken anew while the daemon runs.
//!
//! A handshake takes what is in force when it begins; connections that are there keep what they have, but the
//! certificate of a client is held to the authorities in force at each of its calls.

mod files;
mod identity;
mod server;
#[cfg(test)]
mod tests;

pub use files::Error;
pub use server::{Handshake, Presented, Protocols, Tls};
