//! What the engine knows, as messages.

use prost_types::Timestamp;

use crate::{
    config::Quota,
    domain::Status,
    engine::{Explanation, LaneView, Overview, Pause, Phase, Wait},
    limits::OVERVIEW_LANES_MAX,
    proto::admin as proto,
};

fn time(us: i64) -> Timestamp {
    let nanos = i32::try_from(us.rem_euclid(1_000_000)).unwrap_or(0) * 1_000;
    Timestamp { seconds: us.div_euclid(1_000_000), nanos }
}

/// A figure that is far below its bound.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn pause(pause: &Pause) -> proto::Pause {
    proto::Pause {
        tenant: pause.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
        since: Some(time(pause.since_us)),
        by: pause.by.clone(),
        reason: pause.reason.clone(),
    }
}

pub(super) fn explanation(explained: &Explanation, quota: Quota) -> proto::ExplainJobResponse {
    let job = &explained.job;
    let failure = job.failure.as_ref();
    proto::ExplainJobResponse {
        summary: explained.to_string(),
        reason: reason(explained.wait()).into(),
        job_id: job.spec.id.to_string(),
        tenant: job.spec.tenant.to_string(),
        status: job.status().to_string(),
        cancel_requested: job.cancel_requested,
        jobs_ahead: explained.place.map(|place| place.ahead as u64),
        first_job_id: explained.place.map_or(String::new(), |place| place.first.to_string()),
        pauses: explained.pauses.iter().map(pause).collect(),
        held: job.held,
        attempt: job.attempt,
        attempts_max: explained.attempts_max,
        retry_time: explained.retry_at_us().map(time),
        failure_code: failure.map_or(String::new(), |f| f.code.to_string()),
        failure_message: failure.map_or(String::new(), |f| f.message.clone()),
        workers_busy: count(explained.workers_busy),
        workers: count(explained.workers),
        quota: Some(quota_use(explained, quota)),
        below_disk_reserve: explained.below_reserve,
    }
}

fn quota_use(explained: &Explanation, quota: Quota) -> proto::QuotaUse {
    let used = explained.used;
    proto::QuotaUse {
        client: explained.job.spec.client.clone(),
        uploads: used.uploads,
        jobs: used.places,
        spool_bytes: used.bytes,
        uploads_max: quota.uploads_max,
        jobs_max: quota.jobs_queued_max,
        spool_bytes_max: quota.spool_bytes_max,
    }
}

fn reason(wait: Wait) -> proto::WaitReason {
    match wait {
        Wait::Ended => proto::WaitReason::Ended,
        Wait::Draining => proto::WaitReason::Draining,
        Wait::Running => proto::WaitReason::Running,
        Wait::Paused => proto::WaitReason::Paused,
        Wait::Held => proto::WaitReason::Held,
        Wait::Retry => proto::WaitReason::Retry,
        Wait::HeldAhead => proto::WaitReason::HeldAhead,
        Wait::QueuedBehind => proto::WaitReason::QueuedBehind,
        Wait::WorkersBusy => proto::WaitReason::WorkersBusy,
        Wait::Ready => proto::WaitReason::Ready,
    }
}

pub(super) fn overview(overview: &Overview) -> proto::GetOverviewResponse {
    let [succeeded, partial, failed, cancelled] = overview.totals.ended;
    let listed = overview.lanes.iter().take(OVERVIEW_LANES_MAX);
    proto::GetOverviewResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        phase: phase(overview.phase).to_owned(),
        start_time: Some(time(overview.start_time_us)),
        jobs: Some(jobs(overview)),
        workers_busy: count(overview.workers_busy),
        workers: count(overview.workers),
        rows_checked: overview.totals.rows_checked,
        rows_processed: overview.totals.rows_processed,
        jobs_succeeded: succeeded,
        jobs_partial: partial,
        jobs_failed: failed,
        jobs_cancelled: cancelled,
        disk_free_bytes: overview.disk.free_bytes,
        disk_reserve_bytes: overview.disk.reserve_bytes,
        journal_bytes: overview.journal_bytes,
        records_bytes: overview.records_bytes,
        uploads: count(overview.uploads),
        watchers: count(overview.watchers),
        lanes_total: overview.lanes.len() as u64,
        lanes: listed.map(lane).collect(),
        pauses: overview.pauses.iter().map(pause).collect(),
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Serving => "serving",
        Phase::Draining => "draining",
    }
}

fn jobs(overview: &Overview) -> proto::JobCounts {
    let counts = &overview.jobs;
    let of = |status: Status| {
        let all = Status::ALL.iter().zip(counts.by_status);
        all.filter(|(s, _)| **s == status).map(|(_, count)| count).sum()
    };
    proto::JobCounts {
        queued: of(Status::Queued),
        de_queued: of(Status::DeQueued),
        validating: of(Status::Validating),
        processing: of(Status::Processing),
        held: counts.held,
        retrying: counts.retrying,
        oldest_queued: counts.oldest_queued_us.map(time),
    }
}

fn lane(lane: &LaneView) -> proto::Lane {
    proto::Lane {
        tenant: lane.tenant.to_string(),
        waiting: lane.waiting as u64,
        running: lane.running as u64,
        first_job_id: lane.first.map(|id| id.to_string()).unwrap_or_default(),
        held: lane.held,
        retrying: lane.retries,
        paused: lane.paused,
    }
}
