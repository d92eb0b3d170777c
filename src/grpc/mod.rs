//! The gRPC face: `cvrsd.jobs.v1.JobService`, health and reflection.
//!
//! Generated types stop here; [`status`] turns a refusal into a `tonic::Status`.

mod body;
mod jobs;
mod message;
mod report;
mod server;
mod status;
pub(crate) mod upload;
mod watch;

pub use server::{Error, serve};
