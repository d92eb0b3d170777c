//! The thread that exports.

use std::{
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::Receiver,
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Error, Item, dropped, job};
use crate::{
    domain::JobId,
    journal::Journal,
    limits::{TRACES_BATCH, TRACES_CLOSE, TRACES_INTERVAL, TRACES_TIMEOUT, TRACES_WARN_INTERVAL},
};

/// The thread, until somebody waits for its end.
pub(super) struct Exporting {
    thread: Mutex<Option<JoinHandle<()>>>,
    closing: CancellationToken,
}

impl Exporting {
    /// Starts it.
    pub(super) fn start(endpoint: &str, receiver: Receiver<Item>) -> Result<Self, Error> {
        let (runtime, exporter) = exporter(endpoint)?;
        let closing = CancellationToken::new();
        let closed = closing.clone();
        let work = move || runtime.block_on(run(&exporter, receiver, &closed));
        let thread = thread::Builder::new().name("traces".to_owned()).spawn(work);
        let thread = thread.map_err(|e| Error(e.to_string()))?;
        Ok(Self { thread: Mutex::new(Some(thread)), closing })
    }

    /// Has it export what is queued, and waits for its end. Blocks, at most for about `limits::TRACES_CLOSE`.
    pub(super) fn close(&self) {
        self.closing.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What a panic there lost are traces.
        let _ = thread.map(JoinHandle::join);
    }
}

/// An exporter to that address, which is not connected to yet, and the runtime that its connection lives on.
pub(super) fn exporter(endpoint: &str) -> Result<(Runtime, SpanExporter), Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error(e.to_string()))?;
    let builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
    let inside = runtime.enter();
    let mut exporter = builder.build().map_err(|e| Error(e.to_string()))?;
    drop(inside);
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name("cvrsd").with_attribute(version);
    exporter.set_resource(&resource.build());
    Ok((runtime, exporter))
}

async fn run(exporter: &SpanExporter, mut receiver: Receiver<Item>, closing: &CancellationToken) {
    let mut warned: Option<Instant> = None;
    let mut items = Vec::new();
    let mut deadline = None;
    loop {
        gather(&mut items, &mut receiver, closing).await;
        if closing.is_cancelled() && deadline.is_none() {
            deadline = Some(Instant::now() + TRACES_CLOSE);
        }
        if items.is_empty() {
            return;
        }
        let mut batch = Vec::new();
        for item in items.drain(..) {
            match item {
                Item::Span(span) => batch.push(*span),
                Item::Job(id, journal) => batch.extend(of_job(id, &*journal)),
            }
        }
        let count = batch.len() as u64;
        let late = async {
            if let Some(deadline) = deadline {
                return sleep_until(deadline.into()).await;
            }
            tokio::select! {
                () = sleep(TRACES_TIMEOUT) => {}
                () = async { closing.cancelled().await; sleep(TRACES_CLOSE).await } => {}
            }
        };
        let error = tokio::select! {
            done = exporter.export(batch) => match done {
                Ok(()) => continue,
                Err(error) => error.to_string(),
            },
            () = late => "the collector takes too long".to_owned(),
        };
        dropped(count);
        let now = Instant::now();
        if warned.is_none_or(|last| now - last >= TRACES_WARN_INTERVAL) {
            tracing::warn!(error, "traces cannot be exported and are dropped");
            warned = Some(now);
        }
    }
}

/// Waits for the first item for ever, and for more of them a little; while closing, takes what is there.
async fn gather(items: &mut Vec<Item>, receiver: &mut Receiver<Item>, closing: &CancellationToken) {
    let wait = async {
        receiver.recv_many(items, TRACES_BATCH).await;
        if items.len() < TRACES_BATCH {
            sleep(TRACES_INTERVAL).await;
        }
    };
    tokio::select! {
        () = wait => {}
        () = closing.cancelled() => {}
    }
    while items.len() < TRACES_BATCH
        && let Ok(item) = receiver.try_recv()
    {
        items.push(item);
    }
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
