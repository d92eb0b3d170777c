//! TLS of the listeners: certificates out of files, taken anew while the daemon runs.
//!
//! A handshake takes what is in force when it begins; connections that are there keep what they have.

mod files;
mod identity;
mod server;
#[cfg(test)]
mod tests;

pub use files::Error;
pub use server::{Handshake, Protocols, Tls};
