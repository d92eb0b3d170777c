//! The two long steps of a job, each a plain function that resumes from its last durable point:
//! [`validate`] reads the payload, [`apply`] changes the records, [`finish`] completes the report.
//! A small job is validated in memory by [`validate_small`], and applied in one batch.

mod apply;
mod finish;
mod keys;
mod pace;
mod payload;
mod report;
mod small;
mod sort;
mod stage;
mod stop;
#[cfg(test)]
mod tests;
mod validate;
mod workspace;

pub use apply::apply;
pub use finish::{abandon, fail, finish, unlisted};
pub use keys::{KeyEntry, check_keys};
pub use pace::Pace;
pub use payload::check_payload;
pub use report::{ReportReader, ReportRow, check_report};
pub use small::{Shared, Small, count_small, validate_small};
pub use stop::{Stop, StopReason};
pub use validate::{Validation, validate};
pub use workspace::Workspace;

use std::io;

use crate::{
    config,
    domain::{EventKind, Failure, Job},
    error::Code,
    intake::Stored,
    journal, records,
    records::RecordStore,
};

/// Why a step did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Told to stop; what is durable stays and the step resumes from there.
    #[error("stopped")]
    Stopped(StopReason),
    /// The file is at fault: trying again would find the same.
    #[error("{}", .0.message)]
    File(Failure),
    /// A file of the job could not be read or written; trying again may help.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The journal did not take an event.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The record store failed.
    #[error(transparent)]
    Records(#[from] records::Error),
}

impl Error {
    /// The file is at fault.
    pub fn file(code: Code, message: impl Into<String>) -> Self {
        Self::File(Failure::new(code, message))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        if failure.code == Code::JobIo {
            let source = io::Error::other(failure.message);
            return Self::Io { what: "cannot read the payload", source };
        }
        Self::File(failure)
    }
}

/// Names what was being done when the system refused.
trait Context<T> {
    fn context(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, io::Error> {
    fn context(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what, source })
    }
}

/// What a step works with.
pub struct Step<'a> {
    /// The job as it stood when the step began.
    pub job: &'a Job,
    /// Its body.
    pub payload: Stored<'a>,
    /// Its files.
    pub workspace: &'a Workspace,
    /// Where records live.
    pub store: &'a dyn RecordStore,
    /// Bounds of the file.
    pub intake: &'a config::Intake,
    /// Batch size and sort memory.
    pub engine: &'a config::Engine,
    /// Whether to stop.
    pub stop: &'a Stop,
    /// Takes the durable points; returns once they are committed.
    pub record: &'a dyn Fn(EventKind) -> Result<(), Error>,
}
