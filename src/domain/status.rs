//! Where a job stands and how it ended.

use std::fmt;

/// The five documented statuses, in the order in which a job goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Durable, waiting for its turn.
    Queued,
    /// Taken by a worker.
    DeQueued,
    /// Rows are being checked; nothing has changed.
    Validating,
    /// Valid rows are being applied.
    Processing,
    /// Terminal.
    Completed,
}

impl Status {
    /// Every status, in order.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::DeQueued, Self::Validating, Self::Processing, Self::Completed];

    /// The documented spelling, with the hyphen of `DE-QUEUED`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::DeQueued => "DE-QUEUED",
            Self::Validating => "VALIDATING",
            Self::Processing => "PROCESSING",
            Self::Completed => "COMPLETED",
        }
    }

    /// The status of that documented spelling, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Every row was valid and took effect in every storage; also a file without rows.
    Succeeded,
    /// The file was processed; some or all rows were refused.
    Partial,
    /// Nothing was processed.
    Failed,
    /// Cancelled; what was applied before stays applied.
    Cancelled,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Partial, Self::Failed, Self::Cancelled];

    /// Upper-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Partial => "PARTIAL",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
