//! What happens at start, before anything is served.

use std::{collections::HashSet, io};

use super::{retention, runtime::Error, scheduler::Scheduler, worker};
use crate::{
    activity::Workspace, domain::JobId, intake::Spool, journal, records::RecordStore, watch::Hub,
};

/// Sweeps what a crash left behind and puts every unfinished job back into its lane.
///
/// # Errors
/// When a directory or a store cannot be read.
pub fn recover(
    journal: &dyn journal::Journal,
    handle: &journal::Handle,
    store: &dyn RecordStore,
    spool: &Spool,
    workspace: &Workspace,
    scheduler: &Scheduler,
    hub: &Hub,
) -> Result<(), Error> {
    let unfinished = handle.unfinished();
    let keep: HashSet<JobId> = unfinished.iter().map(|job| job.spec.id).collect();
    for id in workspace.jobs()? {
        if keep.contains(&id) {
            continue;
        }
        match journal.job(id)? {
            Some(job) => worker::cleanup(&job, store, spool, workspace)?,
            None => workspace.clear(id)?,
        }
    }
    for id in store.remembered()? {
        if !keep.contains(&id) {
            store.forget(id)?;
        }
    }
    retention::finish(&journal.purged()?.newest, store, spool, workspace)?;
    let orphans = spool.sweep(&with_payload(journal, spool, keep)?)?;
    for job in &unfinished {
        // Of those in the journal it has been verified.
        if !job.spec.payload.inline {
            check_payload(spool, job.spec.id)?;
        }
        hub.seed(job);
        scheduler.seed(job);
    }
    tracing::info!(jobs = unfinished.len(), orphans, "recovered");
    Ok(())
}

/// The jobs whose payloads stay: those that have not ended, and where payloads are kept, the others too.
fn with_payload(
    journal: &dyn journal::Journal,
    spool: &Spool,
    mut unfinished: HashSet<JobId>,
) -> Result<HashSet<JobId>, Error> {
    if spool.keeps_ended() {
        for id in spool.jobs()? {
            if journal.job(id)?.is_some() {
                unfinished.insert(id);
            }
        }
    }
    Ok(unfinished)
}

/// An accepted payload that is gone is a loss to be told, not a job to be failed quietly: its job
/// fails with its reason when it runs.
fn check_payload(spool: &Spool, job: JobId) -> io::Result<()> {
    if !spool.path(job).try_exists()? {
        tracing::error!(%job, "the payload of an unfinished job is missing");
    }
    Ok(())
}
