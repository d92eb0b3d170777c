//! The admin face: metrics, probes and `cvrsd.admin.v1.AdminService` on one listener.
//!
//! Generated types stop here; [`status`] turns a refusal into a `tonic::Status`.

mod acts;
mod backup;
mod message;
mod probes;
mod records;
mod server;
mod status;

pub use acts::Operator;
pub use probes::Probes;
pub use server::serve;
