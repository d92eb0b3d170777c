//! The REST face: the documented paths and ours beside them.
//!
//! Its bodies stop here; [`problem`] turns a refusal into `application/problem+json`.

mod batch;
mod docs;
mod errors;
mod events;
mod format;
mod inline;
mod job;
mod list;
mod openapi;
mod origin;
mod problem;
mod request;
mod routes;
mod server;
mod submit;
pub(crate) mod token;
mod view;

pub use server::serve;

/// Path of all jobs; one job is below it.
const JOBS: &str = "/v0/async/cvrs/jobs";
/// Path of the synchronous uploads.
const BATCH: &str = "/v0/upload/cvrs/batch";
