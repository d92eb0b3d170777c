//! Receiving a body to a spool file, looking into a zip, and streaming lines out of a payload.
//!
//! ```text
//! body ──► Upload ──► writer thread: decode, bound, hash, write, inspect ──► Received ──► keep(id)
//!                                                                                           │
//! lines ◄── Lines ◄── reader thread: inflate, bound, checksum ◄── <data>/payloads/<id> ◄────┘
//! ```
//!
//! A small body meets the same checks but neither thread nor file: it stays in memory and goes into
//! the journal beside its job.
//!
//! A refused or broken upload leaves nothing behind: its file removes itself.

mod archive;
mod digest;
mod draft;
mod encoding;
mod lines;
mod reader;
mod room;
mod slots;
mod spool;
mod upload;
mod writer;

pub use digest::digest;
pub use encoding::{Encoding, decode};
pub use lines::{Line, Lines};
pub use reader::{Stored, TextLimits, probe};
pub use room::Disk;
pub use spool::{Spool, payload_path};
pub use upload::{Expected, Received, Upload, aborted};
pub use writer::Meter;

#[cfg(test)]
mod tests;
