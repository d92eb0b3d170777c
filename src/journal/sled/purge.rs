//! What a purge takes out of each tree.

use ::sled::Batch;

use super::{
    super::{Purge, Purged},
    keys,
};
use crate::domain::Job;

/// The removals of one purge, by tree, and what is purged after it.
#[derive(Default)]
pub(super) struct Removal {
    pub(super) requests: Batch,
    pub(super) tenants: Batch,
    pub(super) jobs: Batch,
    pub(super) events: Batch,
    pub(super) purged: Purged,
}

impl Removal {
    /// Of these jobs, which have ended.
    pub(super) fn new(before: &Purged, purge: &Purge, jobs: &[Job]) -> Self {
        let mut removal = Self { purged: before.after(purge, jobs), ..Self::default() };
        for job in jobs {
            let spec = &job.spec;
            if let Some(request_id) = &spec.request_id {
                removal.requests.remove(keys::request(&spec.tenant, request_id));
            }
            removal.tenants.remove(keys::tenant(&spec.tenant, spec.order));
            removal.jobs.remove(spec.id.as_bytes());
            for seq in 1..=job.seq {
                removal.events.remove(&keys::event(spec.id, seq));
            }
        }
        removal
    }
}
