//! How the process ends.

use std::process::ExitCode;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The job or the request failed.
    Failed = 1,
    /// Bad usage or configuration; no port was opened.
    Usage = 64,
    /// The server cannot be reached, or does not serve yet or any more.
    Unreachable = 69,
    /// Stopped after an internal or storage failure, or as the machine does not have an address to listen on.
    Stopped = 70,
    /// The data directory is in use.
    InUse = 75,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
