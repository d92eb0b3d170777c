//! The form of a backup: one stream of parts, each with its length and BLAKE3, and a manifest of all of them.
//!
//! ```text
//! "cvrsd backup 1\n"
//! frames: kind (1 byte), length (4 bytes, big-endian), content
//!   1  a part begins: its name
//!   2  bytes of the part
//!   3  the part ends: its length (8 bytes) and its BLAKE3
//!   4  the manifest: JSON with the same of every part
//!   5  the BLAKE3 of the manifest; the last bytes of the stream
//! ```
//!
//! The parts are [`JOURNAL`], [`RECORDS`] and [`FILES`], in this order: entries of the two stores, then what is
//! paused, payloads, keys and reports.

mod entry;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use entry::{Entry, FileEntry};
pub use read::{PartReader, Reader};
pub use write::Writer;

use std::io;

use serde::{Deserialize, Serialize};

/// What every backup begins with; another version is refused.
const MAGIC: &[u8] = b"cvrsd backup 1\n";
/// The part with the entries of the journal.
pub const JOURNAL: &str = "journal";
/// The part with those of the record store.
pub const RECORDS: &str = "records";
/// The part with files.
pub const FILES: &str = "files";
/// What is paused: the one file that is of no job.
pub const PAUSES: &str = "paused.json";
/// Bytes of a length and a BLAKE3.
const END_BYTES: usize = 40;
/// Bytes of the name of a part.
const NAME_BYTES_MAX: usize = 255;

/// Kinds of frames.
const BEGIN: u8 = 1;
const BYTES: u8 = 2;
const END: u8 = 3;
const MANIFEST: u8 = 4;
const SEAL: u8 = 5;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program that made it.
    pub version: String,
    /// The moment that it is of: microseconds since the Unix epoch.
    pub taken_us: i64,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// One part of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Their BLAKE3 in hexadecimal digits.
    pub blake3: String,
}

impl Manifest {
    /// Bytes of all parts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// Reads a whole backup and holds it against its checksums. Blocks.
///
/// # Errors
/// When it cannot be read, or is not whole.
pub fn check(from: impl io::Read) -> io::Result<Manifest> {
    let mut reader = Reader::new(from)?;
    while let Some(mut part) = reader.next_part()? {
        io::copy(&mut part, &mut io::sink())?;
    }
    reader.finish()
}

fn damaged(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the backup is damaged: {what}"))
}
