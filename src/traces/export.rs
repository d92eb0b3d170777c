//! The thread that exports.

use std::{
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::Receiver,
    time::timeout,
};

use super::{Error, Item, dropped, job};
use crate::{
    domain::JobId,
    journal::Journal,
    limits::{TRACES_BATCH, TRACES_CLOSE, TRACES_INTERVAL, TRACES_TIMEOUT, TRACES_WARN_INTERVAL},
};

/// The thread, until somebody waits for its end.
pub(super) struct Exporting(Mutex<Option<JoinHandle<()>>>);

impl Exporting {
    /// Starts it with an exporter that is built there, as its connection lives on that thread.
    pub(super) fn start(
        build: impl FnOnce() -> Result<SpanExporter, Error> + Send + 'static,
        receiver: Receiver<Item>,
    ) -> Result<Self, Error> {
        let failed = |e: std::io::Error| Error(e.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mut exporter = {
            let _inside = runtime.enter();
            build()?
        };
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("cvrsd").with_attribute(version);
        exporter.set_resource(&resource.build());
        let work = move || run(&runtime, &exporter, receiver);
        let thread =
            thread::Builder::new().name("traces".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self(Mutex::new(Some(thread))))
    }

    /// Waits for its end, which has a bound.
    pub(super) fn join(&self) {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What a panic there lost are traces.
        let _ = thread.map(JoinHandle::join);
    }
}

fn run(runtime: &Runtime, exporter: &SpanExporter, mut receiver: Receiver<Item>) {
    runtime.block_on(async {
        let (mut items, mut spans, mut closed) = (Vec::new(), Vec::new(), false);
        let mut warned = None;
        while !closed {
            // Waits for the first one for ever, and for more of them a little.
            let first = receiver.recv_many(&mut items, TRACES_BATCH).await;
            if first < TRACES_BATCH && !items.iter().any(|item| matches!(item, Item::Close)) {
                tokio::time::sleep(TRACES_INTERVAL).await;
                while items.len() < TRACES_BATCH
                    && let Ok(item) = receiver.try_recv()
                {
                    items.push(item);
                }
            }
            closed = first == 0;
            for item in items.drain(..) {
                match item {
                    Item::Span(span) => spans.push(*span),
                    Item::Job(id, journal) => spans.extend(of_job(id, &*journal)),
                    Item::Close => closed = true,
                }
            }
            let bound = if closed { TRACES_CLOSE } else { TRACES_TIMEOUT };
            let batch: Vec<SpanData> = std::mem::take(&mut spans);
            let count = batch.len() as u64;
            let error = match timeout(bound, exporter.export(batch)).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(late) => late.to_string(),
            };
            dropped(count);
            let now = Instant::now();
            if warned.is_none_or(|last: Instant| now - last >= TRACES_WARN_INTERVAL) {
                tracing::warn!(error, "traces cannot be exported and are dropped");
                warned = Some(now);
            }
        }
    });
}

/// The spans of a job, from what the journal has of it. This thread may block.
fn of_job(id: JobId, journal: &dyn Journal) -> Vec<SpanData> {
    if let (Ok(Some(ended)), Ok(events)) = (journal.job(id), journal.events(id, 0, usize::MAX)) {
        return job::spans(&ended, &events);
    }
    // Purged meanwhile, or the process is about to stop.
    dropped(1);
    Vec::new()
}
