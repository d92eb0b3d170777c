//! The audit log: who did or read what, when and from where. Only ever appended to, each entry chained to the
//! one before by its hash, and kept apart from jobs and their retention. `docs/AUDIT.md` has the format.
//!
//! No value of a row is in it, no secret, and no text that a caller chose but its bounded `Forwarded`.

mod chain;
mod entry;
mod log;
mod refusals;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::{io, path::Path};

pub use entry::{Entry, Kind};
pub use log::Log;
pub use verify::{Broken, Summary, verify};

/// Folder of the log below the data directory.
pub const FOLDER: &str = "audit";

/// Why the audit log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error("audit log: {0}")]
    Io(#[from] io::Error),
    /// What is stored does not hold together.
    #[error("audit log: {0}; `cvrsd audit verify` shows where it is sound")]
    Broken(#[from] Broken),
    /// It failed before, and the process stops.
    #[error("the audit log failed, the process stops")]
    Stopped,
}

/// So that a folder knows of its new file, or of one that is gone.
fn sync_folder(dir: &Path) -> io::Result<()> {
    std::fs::File::open(dir)?.sync_all()
}
