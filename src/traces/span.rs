//! Spans as the exporter takes them.

use std::{borrow::Cow, time::SystemTime};

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Event, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::Request;
use crate::domain::Trace;

/// What a span tells beside its place.
pub(super) struct Told {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) times: (SystemTime, SystemTime),
    pub(super) attributes: Vec<KeyValue>,
    pub(super) events: Vec<Event>,
    /// Why it failed, where it did.
    pub(super) failed: Option<&'static str>,
}

/// The span at that place, below that parent, which is another system's or ours.
pub(super) fn span(place: Trace, parent: Option<u64>, is_remote: bool, told: Told) -> SpanData {
    let Told { name, kind, times: (start_time, end_time), attributes, events, failed } = told;
    let span_context = SpanContext::new(
        TraceId::from_bytes(place.id.to_be_bytes()),
        SpanId::from_bytes(place.span.to_be_bytes()),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    let mut kept = SpanEvents::default();
    kept.events = events;
    SpanData {
        span_context,
        parent_span_id: parent.map_or(SpanId::INVALID, |id| SpanId::from_bytes(id.to_be_bytes())),
        parent_span_is_remote: is_remote,
        span_kind: kind,
        name,
        start_time,
        // A clock that was put back makes no span end before it began.
        end_time: end_time.max(start_time),
        attributes,
        dropped_attributes_count: 0,
        events: kept,
        links: SpanLinks::default(),
        status: failed.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("cvrsd").build(),
    }
}

pub(super) fn of_request(request: Request<'_>) -> SpanData {
    let Request { trace, parent, began, face, method, status, failed } = request;
    let attributes = vec![
        KeyValue::new("cvrsd.face", face),
        KeyValue::new("cvrsd.method", method.to_owned()),
        KeyValue::new("cvrsd.status", status),
    ];
    let told = Told {
        name: Cow::Owned(method.to_owned()),
        kind: SpanKind::Server,
        times: (began, SystemTime::now()),
        attributes,
        events: Vec::new(),
        failed: failed.then_some(status),
    };
    span(trace, parent.map(|parent| parent.span), parent.is_some(), told)
}
