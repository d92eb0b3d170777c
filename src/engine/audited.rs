//! Every job that was accepted gets its entry in the audit log: as its commit is told, or else at the next start.
//!
//! The journal has all that the entry says, so nobody waits for a second sync at a submit. After a crash the jobs that
//! came behind the newest one in the log are recorded before any of them goes on.

use std::sync::Arc;

use crate::{
    audit::{self, Entry, Kind},
    domain::{EventKind, Job},
    journal::{Committed, Journal, Observer},
    poison::Poison,
};

/// Records submits as they are committed.
pub(super) struct Submits {
    audit: audit::Log,
    poison: Poison,
}

impl Submits {
    pub(super) fn new(audit: audit::Log, poison: Poison) -> Arc<Self> {
        Arc::new(Self { audit, poison })
    }
}

impl Observer for Submits {
    fn committed(&self, group: &[Committed]) {
        for event in group.iter().flat_map(|committed| &committed.events) {
            let EventKind::Submitted(spec) = &event.kind else { continue };
            if let Err(error) = self.audit.queue_blocking(Entry::submitted(spec)) {
                self.poison.trip(error.to_string());
            }
        }
    }
}

/// Verifies the journal, and records what a crash kept from the audit log. Returns how many jobs there are. Blocks.
pub(super) fn verify(journal: &dyn Journal, audit: &audit::Log) -> Result<u64, super::Error> {
    let known = audit.newest_order();
    let (mut missing, mut newest) = (Vec::new(), 0);
    let mut each = |job: &Job| {
        let order = job.spec.order;
        newest = newest.max(order);
        if known.is_some_and(|known| order > known) {
            missing.push((order, job.spec.id));
        }
    };
    let jobs = journal.verify_each(&mut each)?;
    // In their order, which is not that of ids: a start that is cut off goes on where the log ends.
    missing.sort_unstable();
    for (_, id) in missing {
        if let Some(job) = journal.job(id)? {
            audit.queue_blocking(Entry::submitted(&job.spec).saying("recorded at a start"))?;
        }
    }
    let newest = newest.max(journal.last_order()?);
    let entry = Entry { count: Some(jobs), order: Some(newest), ..Entry::new(Kind::Journal) };
    audit.record_blocking(entry)?;
    Ok(jobs)
}
