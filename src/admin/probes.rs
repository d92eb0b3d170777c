//! Metrics, liveness and readiness.

use std::{fmt, sync::Arc};

use axum::{
    extract,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use tokio::sync::Mutex;

use crate::{
    engine::{Phase, Service},
    poison::Poison,
};

/// What the probes look at beside the service.
#[derive(Clone)]
pub struct Probes {
    /// Renders every metric in the Prometheus text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether the process stops.
    pub poison: Poison,
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes").field("poison", &self.poison).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub service: Service,
    pub probes: Probes,
    /// Held by who collects the metrics.
    pub collecting: Arc<Mutex<()>>,
}

/// Collected on a thread that may block: it looks at the stores and the process.
pub(super) async fn metrics(extract::State(state): extract::State<State>) -> Response {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    // It looks at every file of the stores, and anybody may ask for it: one at a time.
    let one = Arc::clone(&state.collecting).lock_owned().await;
    let collect = move || {
        let _one = one;
        let ready = ready_answer(state.service.phase(), state.probes.poison.is_tripped());
        metrics::gauge!("cvrsd_ready").set(f64::from(u8::from(ready.0 == StatusCode::OK)));
        if let Some(engine) = state.service.engine() {
            engine.measure();
        }
        (state.probes.metrics)()
    };
    match tokio::task::spawn_blocking(collect).await {
        Ok(text) => (content_type, text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be collected");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// 200 unless storage failed and the process stops.
pub(super) async fn live(extract::State(state): extract::State<State>) -> impl IntoResponse {
    live_answer(state.probes.poison.is_tripped())
}

/// 200 only while jobs are taken. `?verbose` lists what holds, by names alone.
pub(super) async fn ready(
    extract::State(state): extract::State<State>,
    uri: Uri,
) -> impl IntoResponse {
    let Probes { poison, .. } = &state.probes;
    let (phase, poisoned) = (state.service.phase(), poison.is_tripped());
    let plain = ready_answer(phase, poisoned);
    if uri.query().is_none_or(|query| query != "verbose") {
        return (plain.0, plain.1.to_owned());
    }
    let reasons = [
        ("starting", phase == Phase::Starting),
        ("draining", phase == Phase::Draining),
        ("storage-failed", poisoned),
        // These two change nothing of what is answered: uploads get their own refusal, or are queued.
        ("disk-reserve", state.service.is_below_reserve()),
        ("paused", state.service.is_paused()),
    ];
    (plain.0, verbose(plain.0, &reasons))
}

/// A first line that says whether it is ready, then a line for each reason that holds.
fn verbose(status: StatusCode, reasons: &[(&str, bool)]) -> String {
    let first = if status == StatusCode::OK { "ready" } else { "not ready" };
    let lines = reasons.iter().filter(|(_, holds)| *holds).map(|(name, _)| format!("{name}\n"));
    std::iter::once(format!("{first}\n")).chain(lines).collect()
}

fn live_answer(poisoned: bool) -> (StatusCode, &'static str) {
    if poisoned {
        (StatusCode::SERVICE_UNAVAILABLE, "storage failed\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

fn ready_answer(phase: Phase, poisoned: bool) -> (StatusCode, &'static str) {
    match phase {
        _ if poisoned => live_answer(poisoned),
        Phase::Serving => (StatusCode::OK, "ok\n"),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_serving_daemon_that_is_not_poisoned_is_ready() {
        for phase in [Phase::Starting, Phase::Serving, Phase::Draining] {
            assert_eq!(ready_answer(phase, true).0, StatusCode::SERVICE_UNAVAILABLE);
            let expected = if phase == Phase::Serving { 200 } else { 503 };
            assert_eq!(ready_answer(phase, false).0.as_u16(), expected);
        }
    }

    #[test]
    fn a_verbose_answer_names_what_holds_and_nothing_else() {
        let reasons = [("starting", false), ("disk-reserve", true), ("paused", true)];
        assert_eq!(verbose(StatusCode::OK, &reasons), "ready\ndisk-reserve\npaused\n");
        let drained = [("draining", true)];
        assert_eq!(verbose(StatusCode::SERVICE_UNAVAILABLE, &drained), "not ready\ndraining\n");
    }

    #[test]
    fn a_poisoned_daemon_is_not_live() {
        assert_eq!(live_answer(false).0, StatusCode::OK);
        assert_eq!(live_answer(true).0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
