//! One file for each measurement.

pub mod create;
pub mod crowd;
pub mod delete;
pub mod growth;
pub mod jobs;
pub mod latency;
pub mod memory;
pub mod plot;
pub mod share;
pub mod stalls;
pub mod start;
pub mod submit;
pub mod sync_jobs;
pub mod trickle;
pub mod validate;
pub mod watch;
