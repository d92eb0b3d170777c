//! Gauges that are looked at when somebody asks for the metrics, and how long steps take.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{
    operate::bytes_below,
    runtime::Engine,
    tally::{Standing, Totals},
};
use crate::{
    clock,
    domain::{Status, Tenant},
    limits::SIZES_LOOK_INTERVAL,
    telemetry::as_gauge,
};

/// When the sizes of the directories with a file for each job were looked at.
#[derive(Debug, Default)]
pub(super) struct Sizes(Mutex<Option<Instant>>);

impl Engine {
    /// Sets the gauges of jobs, stores and uploads. The cost is that of the jobs that workers have, however
    /// many wait or have ended. Blocks: it looks at the sizes of files.
    pub fn measure(&self) {
        let has_to_wait = |tenant: &Tenant, job| self.scheduler.has_to_wait(tenant, job);
        self.tally.standing(Instant::now(), has_to_wait).show();
        metrics::gauge!("cvrsd_paused").set(as_gauge(self.pauses.list().len() as u64));
        let Totals { rows_checked, rows_processed, .. } = self.tally.totals();
        metrics::counter!("cvrsd_rows_validated_total").absolute(rows_checked);
        metrics::counter!("cvrsd_rows_applied_total").absolute(rows_processed);
        metrics::gauge!("cvrsd_uploads").set(as_gauge(self.spool.uploads() as u64));
        let bytes = |dir| as_gauge(bytes_below(&self.data_dir.join(dir)));
        metrics::gauge!("cvrsd_journal_size_bytes").set(bytes("journal"));
        metrics::gauge!("cvrsd_records_size_bytes").set(bytes("records"));
        if self.sizes.are_due() {
            metrics::gauge!("cvrsd_spool_size_bytes").set(bytes("spool") + bytes("payloads"));
            metrics::gauge!("cvrsd_reports_size_bytes").set(bytes("reports"));
        }
    }
}

impl Sizes {
    /// Whether to look at every file again, which is then done.
    fn are_due(&self) -> bool {
        let mut looked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked.is_none_or(|at| at.elapsed() >= SIZES_LOOK_INTERVAL);
        if is_due {
            *looked = Some(Instant::now());
        }
        is_due
    }
}

impl Standing {
    fn show(&self) {
        for (status, jobs) in Status::ALL.into_iter().zip(self.by_status) {
            if status != Status::Completed {
                metrics::gauge!("cvrsd_jobs", "status" => status.as_str()).set(as_gauge(jobs));
            }
        }
        metrics::gauge!("cvrsd_jobs_held").set(as_gauge(self.held));
        metrics::gauge!("cvrsd_jobs_stalled").set(as_gauge(self.stalled));
        metrics::gauge!("cvrsd_payload_bytes").set(as_gauge(self.payload_bytes));
        let age_us = self.oldest_queued_us.map_or(0, |at_us| clock::now_us().saturating_sub(at_us));
        let age = as_gauge(u64::try_from(age_us).unwrap_or(0)) / 1e6;
        metrics::gauge!("cvrsd_oldest_queued_job_age_seconds").set(age);
    }
}

/// Measures a step of a job, also one that is cut short.
pub(super) fn timed<T>(step: &'static str, run: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = run();
    metrics::histogram!("cvrsd_job_step_seconds", "step" => step).record(began.elapsed());
    done
}
