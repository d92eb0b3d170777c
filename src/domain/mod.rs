//! What a job is and the one function that moves it.
//!
//! Nothing here knows of threads, transports or stores.

mod event;
mod failure;
mod ids;
mod job;
mod operation;
mod origin;
mod purged;
mod scope;
mod status;
mod storage;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod trace;

pub use event::{Applied, Ending, Event, EventKind, MediaType, Payload, Submitted, Validated};
pub use failure::Failure;
pub use ids::{InvalidTenant, JobId, Tenant, is_name};
pub use job::{IllegalTransition, Job};
pub use operation::Operation;
pub use origin::{Face, Origin};
pub use purged::PurgedJob;
pub use scope::{Scope, ScopeSet};
pub use status::{Outcome, Status};
pub use storage::{PerStorage, Storage, StorageSet};
pub use trace::Trace;
