//! Logs to standard error and the metrics recorder.

mod process;
mod requests;
mod table;

pub use self::{
    requests::{GRPC_STATUSES, observe},
    table::{Kind, METRICS, Metric},
};

use std::io::IsTerminal;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::LevelFilter,
    fmt,
    layer::{Layer, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// Upper bounds in seconds of the buckets of every histogram named `…_seconds`.
const SECONDS_BUCKETS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Upper bounds of the buckets of commands committed together.
const GROUP_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Telemetry could not be set up, or a level is not one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Changes the log level of the running process.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Logs by that level or `target=level` list from now on.
    ///
    /// # Errors
    /// When it is not one; the level stays as it was.
    pub fn set(&self, level: &str) -> Result<(), Error> {
        let filter = filter(level)?;
        self.0.reload(filter).map_err(|e| Error(e.to_string()))
    }

    /// The level of a log that is gone: no level can be set.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        Self(reload::Layer::new(EnvFilter::new("off")).1)
    }
}

/// Starts logging for the whole process, panics included. A panic's message is left out: it can
/// quote the text that was being sliced.
///
/// # Errors
/// When the level is not one, or logging was started before.
pub fn logging(log: &Log) -> Result<Level, Error> {
    let (filter, handle) = reload::Layer::new(filter(&log.level)?);
    let json = match log.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal() && !no_color()).boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|e| Error(e.to_string()))?;
    // The stores log through `log`, and at their finer levels what they store: rows.
    log::set_max_level(log::LevelFilter::Warn);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        tracing::error!(place, thread, "a thread panicked");
    }));
    Ok(Level(handle))
}

/// Whether `NO_COLOR` asks for none.
#[must_use]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// What an operator does, where the audit log stands and that a listener is unprotected is told whatever the
/// level is.
const ACTS: &str = "cvrsd::admin::acts=info,cvrsd::audit=info,cvrsd::unprotected=warn";

/// Reads a level or a comma-separated list of `target=level`. A level alone is for cvrsd; what it is
/// built from then tells of warnings only.
///
/// # Errors
/// When a part is neither. A lone word that is no level would name a target and silence the rest.
pub fn filter(level: &str) -> Result<EnvFilter, Error> {
    // The parser of filters panics at some characters, and counts spaces before a target into it.
    if !level.is_ascii() {
        return Err(Error(format!("{level:?} has characters beyond ASCII")));
    }
    let parts: Vec<&str> = level.split(',').map(str::trim).collect();
    for part in &parts {
        let is_level = !part.is_empty() && part.parse::<LevelFilter>().is_ok();
        if !is_level && !part.contains('=') {
            return Err(Error(format!("{part:?} is neither a level nor target=level")));
        }
    }
    let quiet = LevelFilter::WARN;
    let list = match level.trim().parse::<LevelFilter>() {
        Ok(own) if own > quiet => format!("{quiet},rustls=error,cvrsd={own}"),
        _ => parts.join(","),
    };
    EnvFilter::builder().parse(format!("{list},{ACTS}")).map_err(|e| Error(e.to_string()))
}

/// The metrics of this process.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

/// Starts recording metrics for the whole process.
///
/// # Errors
/// When they were started before.
pub fn metrics() -> Result<Metrics, Error> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)
        .and_then(|builder| {
            let commands = Matcher::Suffix("_group_commands".to_owned());
            builder.set_buckets_for_metric(commands, GROUP_BUCKETS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map(|handle| {
            table::describe();
            process::started();
            Metrics(handle)
        })
        .map_err(|e| Error(e.to_string()))
}

/// A number as gauges take it.
#[expect(clippy::cast_precision_loss, reason = "a gauge")]
#[must_use]
pub fn as_gauge(number: u64) -> f64 {
    number as f64
}

impl Metrics {
    /// Every metric in the Prometheus text format. Blocks: it looks at the process.
    #[must_use]
    pub fn render(&self) -> String {
        if let Err(error) = process::measure() {
            tracing::warn!(%error, "cannot tell what the process takes");
        }
        self.0.render()
    }

    /// Folds what histograms collected since the last call; call it every few seconds, or memory
    /// grows while nobody scrapes.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_levels_and_target_lists() {
        for good in ["info", "WARN", "off", "warn,cvrsd=debug", "cvrsd::journal=trace"] {
            assert!(filter(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_space_before_a_target_is_no_part_of_it() {
        let filter = filter("warn, cvrsd::engine=debug").unwrap().to_string();
        assert!(filter.split(',').any(|part| part == "cvrsd::engine=debug"), "{filter}");
    }

    #[test]
    fn a_filter_refuses_what_would_silence_the_log() {
        for bad in ["", "inof", "info,", "cvrsd=loud", "info,debgu", " iru\u{feff}=ns"] {
            assert!(filter(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn metrics_render_seconds_as_histograms() {
        let metrics = metrics().unwrap();
        metrics::histogram!("cvrsd_test_seconds").record(0.004);
        metrics::counter!("cvrsd_test_total").increment(3);
        metrics.upkeep();
        let text = metrics.render();
        assert!(text.contains("cvrsd_test_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("cvrsd_test_total 3"), "{text}");
    }
}
