//! Running jobs: lanes, workers, recovery, and the service that the faces call.
//!
//! ```text
//!  submit ─► journal ─► committed ─► scheduler ─► worker ─► validate ─► apply ─► complete
//!                           │            ▲           │
//!                           ▼            └── done ───┘
//!                         watch
//! ```
//!
//! One lane a tenant: its jobs run one after the other in submit order. Lanes run side by side. Small
//! jobs run in groups, which share their commits.

mod audited;
mod backup;
mod command;
mod explain;
mod group;
mod measure;
mod operate;
mod pauses;
mod pipe;
mod quota;
mod records;
mod recovery;
mod reports;
mod retention;
mod runtime;
mod scheduler;
mod service;
mod submit;
mod tally;
#[cfg(test)]
mod tests;
mod worker;

pub use crate::activity::ReportRow;
pub use explain::{Explanation, Wait};
pub use operate::{JobCounts, Overview};
pub use pauses::{Pause, check_pauses};
pub use quota::Use;
pub use records::Records;
pub use reports::ReportReader;
pub use runtime::{Engine, Error, Parts};
pub use scheduler::{LaneView, Place};
pub use service::{Cancel, JobPage, ListQuery, Phase, Service, Submission, SubmitRequest};
pub use submit::Submit;
