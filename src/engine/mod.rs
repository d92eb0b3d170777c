//! Placeholder of the engine's service, for its signatures only.

mod service;

pub use service::{
    Cancel, JobPage, ListQuery, Phase, Records, ReportReader, ReportRow, Service, Submission,
    Submit, SubmitRequest,
};
