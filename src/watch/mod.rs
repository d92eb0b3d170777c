//! Watching jobs: every committed event, in order, to whoever asks.
//!
//! The [`Hub`] hears of a commit once it is durable. It keeps the newest state of each live job and a
//! short ring of states before it; a [`Watcher`] is pulled by its reader, so one that reads slowly holds
//! nothing but its position, and nothing that it does can slow the committer.

mod hub;
mod replay;
#[cfg(test)]
mod tests;
mod watcher;

pub use hub::Hub;
pub use watcher::{Message, Watcher};
