//! The audit log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// How long entries are kept; whole segments are removed.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Bytes of a segment after which the next one begins.
    pub segment_bytes: u64,
    /// Records who reads jobs.
    pub job_reads: bool,
    /// How often the log says where the chain stands.
    #[serde(with = "humantime_serde")]
    pub anchor_interval: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            keep: Duration::from_hours(6 * 366 * 24),
            segment_bytes: 64 << 20,
            job_reads: true,
            anchor_interval: Duration::from_hours(1),
        }
    }
}
