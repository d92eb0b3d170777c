//! The life of a job as spans, made of its events.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    KeyValue,
    trace::{Event as SpanEvent, SpanKind},
};
use opentelemetry_sdk::trace::SpanData;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::span::{Told, span};
use crate::domain::{Event, EventKind, Job, JobId, Outcome, Trace};

/// The job, and below it the steps that it came to. Made again, they have the same ids.
pub(super) fn spans(job: &Job, events: &[Event]) -> Vec<SpanData> {
    let (Some(submit), Some(end_us)) = (job.spec.origin.trace, job.end_time_us) else {
        return Vec::new();
    };
    let own = place(submit, job.spec.id, 0);
    let of = |wanted: fn(&EventKind) -> bool| {
        events.iter().find(|event| wanted(&event.kind)).map(|event| event.time_us)
    };
    let validating = of(|kind| matches!(kind, EventKind::ValidationStarted));
    let processing = of(|kind| matches!(kind, EventKind::ProcessingStarted { .. }));
    let queued_until = job.start_time_us.unwrap_or(end_us);
    let steps = [
        ("queued", Some(job.submit_time_us), queued_until),
        ("validate", validating, processing.unwrap_or(end_us)),
        ("apply", processing, end_us),
    ];
    let told = Told {
        name: format!("job {}", job.spec.operation).into(),
        kind: SpanKind::Internal,
        times: (at(job.submit_time_us), at(end_us)),
        attributes: attributes(job),
        events: events.iter().filter_map(moment).collect(),
        failed: (job.outcome() == Some(Outcome::Failed)).then_some("the job failed"),
    };
    let mut spans = vec![span(own, Some(submit.span), false, told)];
    for ((name, begun, until), number) in steps.into_iter().zip(1..) {
        let Some(begun) = begun else { continue };
        let told = Told {
            name: name.into(),
            kind: SpanKind::Internal,
            times: (at(begun), at(until)),
            attributes: Vec::new(),
            events: Vec::new(),
            failed: None,
        };
        spans.push(span(place(submit, job.spec.id, number), Some(own.span), false, told));
    }
    spans
}

/// A span of that job in the trace of its submit.
fn place(submit: Trace, id: JobId, number: u64) -> Trace {
    Trace { span: xxh3_64_with_seed(id.as_bytes(), number).max(1), ..submit }
}

fn attributes(job: &Job) -> Vec<KeyValue> {
    let count = |name: &'static str, count: u64| {
        KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX))
    };
    vec![
        KeyValue::new("cvrsd.job.id", job.spec.id.to_string()),
        KeyValue::new("cvrsd.tenant", job.spec.tenant.to_string()),
        KeyValue::new("cvrsd.client", job.spec.client.clone()),
        KeyValue::new("cvrsd.operation", job.spec.operation.as_str()),
        KeyValue::new("cvrsd.outcome", job.outcome().map_or("", Outcome::as_str)),
        KeyValue::new("cvrsd.validate_only", job.spec.validate_only),
        count("cvrsd.bytes", job.spec.payload.length),
        count("cvrsd.rows", job.validated.rows),
        count("cvrsd.rows_valid", job.validated.rows_valid),
        count("cvrsd.rows_applied", job.applied.rows_applied),
        count("cvrsd.checkpoints", u64::from(job.checkpoints)),
    ]
}

/// What is no step of its own and worth a note: of checkpoints there are many.
fn moment(event: &Event) -> Option<SpanEvent> {
    let attributes = match &event.kind {
        EventKind::CancelRequested | EventKind::AttemptStarted | EventKind::Released => Vec::new(),
        EventKind::AttemptFailed { failure, .. } | EventKind::Held(failure) => {
            vec![KeyValue::new("cvrsd.code", failure.code.as_str())]
        }
        _ => return None,
    };
    Some(SpanEvent::new(event.kind.name(), at(event.time_us), attributes, 0))
}

fn at(time_us: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(time_us).unwrap_or_default())
}
