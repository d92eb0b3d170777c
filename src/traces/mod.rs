//! Traces: each request is a span, and the whole life of a job is a trace, that of the request which
//! submitted it.
//!
//! A job's spans are made of its events once it has ended, so a life over several processes is one trace as
//! well. They are exported by a thread behind a bounded queue; what does not fit is dropped and counted. No
//! value of a row is in them.

mod export;
mod job;
mod span;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;

use self::export::Exporting;
use crate::{
    config,
    domain::{JobId, Trace},
    journal::{Committed, Journal, Observer},
    limits::TRACES_QUEUE,
};

/// The one of this process, like its log and its metrics.
static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Traces cannot be exported as configured.
#[derive(Debug, thiserror::Error)]
#[error("traces: {0}")]
pub struct Error(String);

struct Tracer {
    sender: mpsc::Sender<Item>,
    sample_ratio: f64,
    exporting: Exporting,
}

enum Item {
    Span(Box<SpanData>),
    /// A job that has ended, and where its events are.
    Job(JobId, Arc<dyn Journal>),
}

/// Starts exporting, for the whole process, where that is configured. Blocks.
///
/// # Errors
/// When the address is none, or there is no thread to be had.
pub fn start(config: &config::Traces) -> Result<(), Error> {
    let Some(endpoint) = &config.endpoint else { return Ok(()) };
    let (sender, receiver) = mpsc::channel(TRACES_QUEUE);
    let exporting = Exporting::start(endpoint, receiver)?;
    let tracer = Tracer { sender, sample_ratio: config.sample_ratio, exporting };
    TRACER.set(tracer).map_err(|_| Error("they were started before".to_owned()))
}

/// Whether [`start`] would take that address. Blocks, and connects to nothing.
///
/// # Errors
/// When it would not.
pub fn check(config: &config::Traces) -> Result<(), Error> {
    config.endpoint.as_deref().map_or(Ok(()), |endpoint| export::exporter(endpoint).map(drop))
}

/// Exports what is queued, within `limits::TRACES_CLOSE`. Blocks.
pub fn close() {
    if let Some(tracer) = TRACER.get() {
        tracer.exporting.close();
    }
}

/// The span of a request that begins, with that `traceparent`: sampled as its parent is, and not at all
/// where nothing is exported.
#[must_use]
pub fn begin(parent: Option<Trace>) -> Trace {
    let (id, span) = (parent.map_or_else(|| fastrand::u128(1..), |p| p.id), fastrand::u64(1..));
    let sampled = TRACER.get().is_some_and(|tracer| {
        parent.map_or_else(|| fastrand::f64() < tracer.sample_ratio, |parent| parent.sampled)
    });
    Trace { id, span, sampled }
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its span.
    pub trace: Trace,
    /// The one that its caller told.
    pub parent: Option<Trace>,
    /// When it came.
    pub began: SystemTime,
    /// The listener.
    pub face: &'static str,
    /// The gRPC method's path, or the HTTP verb.
    pub method: &'a str,
    /// The status, as metrics name it.
    pub status: &'static str,
    /// It failed by our fault.
    pub failed: bool,
}

/// Exports the span of a request.
pub fn request(request: Request<'_>) {
    if let Some(tracer) = TRACER.get().filter(|_| request.trace.sampled) {
        tracer.offer(Item::Span(Box::new(span::of_request(request))));
    }
}

/// Exports the spans of jobs of that journal as they end; nothing where nothing is exported.
#[must_use]
pub fn jobs(journal: &Arc<dyn Journal>) -> Option<Arc<dyn Observer>> {
    TRACER.get().map(|tracer| {
        let observer: Arc<dyn Observer> = Arc::new(Jobs { tracer, journal: Arc::clone(journal) });
        observer
    })
}

struct Jobs {
    tracer: &'static Tracer,
    journal: Arc<dyn Journal>,
}

impl Observer for Jobs {
    fn committed(&self, group: &[Committed]) {
        for Committed { job, events } in group {
            let ended = job.is_terminal() && !events.is_empty();
            if ended && job.spec.origin.trace.is_some_and(|trace| trace.sampled) {
                self.tracer.offer(Item::Job(job.spec.id, Arc::clone(&self.journal)));
            }
        }
    }
}

impl Tracer {
    fn offer(&self, item: Item) {
        if self.sender.try_send(item).is_err() {
            dropped(1);
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("sample_ratio", &self.sample_ratio).finish_non_exhaustive()
    }
}

fn dropped(count: u64) {
    metrics::counter!("cvrsd_traces_dropped_total").increment(count);
}
