//! Every metric, in one list: what is exported, described and documented. Labels come from closed sets; none
//! names a tenant, a client or a job.

use metrics::Unit;

use crate::{
    domain::{Operation, Outcome},
    error::{Code, Kind as Class},
};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with the unit where it has one.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Names of its labels, with commas.
    pub labels: &'static str,
    /// What it tells, as a sentence.
    pub meaning: &'static str,
}

impl Metric {
    /// What its value counts, as its name says.
    #[must_use]
    pub fn unit(&self) -> Unit {
        let name = self.name.trim_end_matches("_total");
        match name.rsplit('_').next() {
            Some("seconds") => Unit::Seconds,
            Some("bytes") => Unit::Bytes,
            _ => Unit::Count,
        }
    }
}

macro_rules! metrics_table {
    ($($kind:ident $name:literal [$labels:literal] $meaning:literal;)*) => {
        /// Every metric.
        pub const METRICS: &[Metric] = &[$(
            Metric { name: $name, kind: Kind::$kind, labels: $labels, meaning: $meaning },
        )*];
    };
}

metrics_table! {
    Gauge "cvrsd_build_info" ["version"] "1, with the version that runs.";
    Counter "cvrsd_traces_dropped_total" [""] "Spans that could not be exported, or jobs and requests whose spans found no room.";
    Gauge "cvrsd_jobs" ["status"] "Jobs that have not ended, by status.";
    Gauge "cvrsd_jobs_held" [""] "Jobs that used up their attempts and wait for an operator.";
    Gauge "cvrsd_jobs_stalled" [""] "Jobs that a worker took, neither held nor waiting for another attempt or its turn, without a durable step for 10 minutes.";
    Gauge "cvrsd_ready" [""] "1 while jobs are taken; 0 while the daemon starts, drains or stops.";
    Gauge "cvrsd_paused" [""] "Pauses that an operator has to end: one of everything at most, and one of each tenant.";
    Gauge "cvrsd_oldest_queued_job_age_seconds" [""] "Time since the oldest job that no worker took yet was accepted; 0 without one.";
    Counter "cvrsd_jobs_submitted_total" ["operation"] "Jobs accepted.";
    Counter "cvrsd_jobs_completed_total" ["outcome"] "Jobs ended.";
    Histogram "cvrsd_job_step_seconds" ["step"] "Duration of a step of a job: `validate`, `apply`, `stage` (a part of `apply`) or `complete`. Small jobs that run together count as one.";
    Counter "cvrsd_rows_validated_total" [""] "Rows checked, at the durable points of their jobs.";
    Counter "cvrsd_rows_applied_total" [""] "Valid rows applied or found without effect, at the durable points of their jobs.";
    Counter "cvrsd_purged_total" ["what"] "What retention removed: `payloads`, `reports` or `jobs`.";
    Histogram "cvrsd_journal_group_commands" [""] "Commands that the journal commits together.";
    Counter "cvrsd_journal_commits_total" [""] "Commits of the journal.";
    Histogram "cvrsd_journal_commit_seconds" [""] "Duration of a commit of the journal, its sync included.";
    Histogram "cvrsd_journal_sync_seconds" [""] "Duration of the sync of the journal's file.";
    Histogram "cvrsd_records_commit_seconds" [""] "Duration of a commit of the record store, its sync included.";
    Gauge "cvrsd_journal_size_bytes" [""] "Bytes of the files of the journal.";
    Gauge "cvrsd_records_size_bytes" [""] "Bytes of the files of the record store.";
    Gauge "cvrsd_spool_size_bytes" [""] "Bytes of the files of uploads and of payloads that are kept, looked at every 5 minutes.";
    Gauge "cvrsd_reports_size_bytes" [""] "Bytes of the files of reports, looked at every 5 minutes.";
    Gauge "cvrsd_payload_bytes" [""] "Bytes of the payloads of jobs that have not ended.";
    Gauge "cvrsd_disk_free_bytes" [""] "Bytes of the data directory's disk that are free.";
    Gauge "cvrsd_disk_reserve_bytes" [""] "Bytes of that disk that are kept for running jobs: `data.reserve_bytes`.";
    Gauge "cvrsd_uploads" [""] "Uploads that run.";
    Counter "cvrsd_upload_received_bytes_total" [""] "Bytes of bodies received, as sent.";
    Gauge "cvrsd_watchers" [""] "Watchers of jobs.";
    Gauge "cvrsd_connections" ["listener"] "Connections that are open.";
    Counter "cvrsd_requests_total" ["face, method, status"] "Requests, by how their answer begins: a gRPC status, or the class of an HTTP status.";
    Counter "cvrsd_refusals_total" ["face, code"] "Refusals, by stable code and by the listener that told them.";
    Histogram "cvrsd_backup_pause_seconds" [""] "Time for which a backup holds up commits.";
    Counter "cvrsd_tls_handshake_failures_total" [""] "TLS handshakes that failed.";
    Gauge "cvrsd_tls_certificate_expiry_seconds" [""] "When the certificate that is served expires, in seconds since the Unix epoch; only with TLS.";
    Gauge "process_start_time_seconds" [""] "When the process started, in seconds since the Unix epoch.";
    Gauge "process_resident_memory_bytes" [""] "Memory of the process that is resident.";
    Gauge "process_open_fds" [""] "Files that the process has open, connections included.";
    Gauge "process_max_fds" [""] "Files that it may have open.";
}

/// Describes every metric, and shows at 0 what counts: a rate needs a value from before the first event.
pub(super) fn describe() {
    for Metric { name, kind, labels, meaning } in METRICS.iter().copied() {
        let unit = Metric { name, kind, labels, meaning }.unit();
        match kind {
            Kind::Counter => metrics::describe_counter!(name, unit, meaning),
            Kind::Gauge => metrics::describe_gauge!(name, unit, meaning),
            Kind::Histogram => metrics::describe_histogram!(name, unit, meaning),
        }
        match kind {
            Kind::Counter if labels.is_empty() => metrics::counter!(name).absolute(0),
            Kind::Histogram if labels.is_empty() => drop(metrics::histogram!(name)),
            _ => {}
        }
    }
    metrics::gauge!("cvrsd_watchers").set(0.0);
    metrics::gauge!("cvrsd_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    for operation in Operation::ALL {
        let operation = operation.as_str();
        metrics::counter!("cvrsd_jobs_submitted_total", "operation" => operation).absolute(0);
    }
    for outcome in Outcome::ALL {
        let outcome = outcome.as_str();
        metrics::counter!("cvrsd_jobs_completed_total", "outcome" => outcome).absolute(0);
    }
    for what in ["payloads", "reports", "jobs"] {
        metrics::counter!("cvrsd_purged_total", "what" => what).absolute(0);
    }
    let codes = Code::ALL.iter().filter(|code| code.kind() != Class::Job);
    for (face, code) in codes.flat_map(|code| ["admin", "grpc", "rest"].map(|face| (face, code))) {
        let labels = [("face", face), ("code", code.as_str())];
        metrics::counter!("cvrsd_refusals_total", &labels).absolute(0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_stands_once_and_a_counter_ends_in_total() {
        let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for Metric { name, kind, .. } in METRICS {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        }
    }
}
