//! Why a job failed, waits or is held.

use crate::error::Code;

/// A stable code and one lower-case sentence. Never holds a row's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable code.
    pub code: Code,
    /// One sentence; names the line or the limit.
    pub message: String,
}

impl Failure {
    /// A failure with that code and sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
