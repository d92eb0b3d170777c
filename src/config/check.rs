//! What the types of the configuration do not say: ranges, and keys that must fit each other.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Audit, Auth, AuthMode, Clock, Config, Engine, Error, Intake, Log, Retention, Tls, Traces,
};
use crate::auth::Clients;

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const DAY: Duration = Duration::from_hours(24);

/// Refuses the first value that is out of its range.
///
/// # Errors
/// A sentence that names the key, its value and the range.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    listeners(config)?;
    if config.data.dir.as_os_str().is_empty() {
        return Err(Error("data.dir is empty".to_owned()));
    }
    number("data.reserve_bytes", config.data.reserve_bytes, 0..=TIB)?;
    let status = config.rest.submit_status;
    if status != 200 && status != 202 {
        return Err(Error(format!("rest.submit_status is {status}, must be 200 or 202")));
    }
    let wait = Duration::from_millis(1)..=DAY;
    time("rest.sync_timeout", config.rest.sync_timeout, wait)?;

    intake(&config.intake)?;
    let tolerance = config.validation.future_tolerance_days;
    number("validation.future_tolerance_days", tolerance, 0..=366)?;
    if let Some(max) = config.validation.admin_type_max {
        number("validation.admin_type_max", max, 1..=999)?;
    }
    number("journal.cache_bytes", config.journal.cache_bytes, MIB..=TIB)?;
    number("records.cache_bytes", config.records.cache_bytes, MIB..=TIB)?;
    number("records.memtable_bytes", config.records.memtable_bytes, MIB..=TIB)?;
    engine(&config.engine)?;
    retention(&config.retention)?;
    auth(&config.auth)?;
    tls(config)?;
    audit(&config.audit)?;
    traces(&config.traces)?;
    log(&config.log)
}

fn listeners(config: &Config) -> Result<(), Error> {
    let all = [
        ("grpc.listen", config.grpc.listen),
        ("rest.listen", config.rest.listen),
        ("admin.listen", config.admin.listen),
    ];
    for (key, address) in all {
        if address.ip().is_loopback() || config.tls.insecure_off_loopback {
            continue;
        }
        if config.auth.mode == AuthMode::None {
            return Err(Error(format!(
                "{key} is {address}, but auth.mode = \"none\" binds loopback addresses only"
            )));
        }
        if config.tls.certificate.is_none() {
            return Err(Error(format!(
                "{key} is {address}, but without tls.certificate and tls.key loopback addresses \
                 only are bound"
            )));
        }
    }
    for (i, (key, address)) in all.iter().enumerate() {
        let same = all.iter().skip(i + 1).find(|(_, a)| a == address && a.port() != 0);
        if let Some((other, _)) = same {
            return Err(Error(format!("{key} and {other} are both {address}")));
        }
    }
    Ok(())
}

fn intake(intake: &Intake) -> Result<(), Error> {
    number("intake.max_body_bytes", intake.max_body_bytes, 1..=TIB)?;
    // Lines are counted in 32 bits; the header is one of them.
    number("intake.max_rows", intake.max_rows, 1..=u64::from(u32::MAX) - 1)?;
    number("intake.max_inflated_bytes", intake.max_inflated_bytes, 1..=TIB)?;
    number("intake.max_ratio", intake.max_ratio, 1..=u64::MAX)?;
    number("intake.max_line_bytes", intake.max_line_bytes, 1_024..=64 << 20)?;
    time("intake.idle_timeout", intake.idle_timeout, Duration::from_millis(1)..=DAY)?;
    number("intake.uploads_max", intake.uploads_max, 1..=65_536)
}

fn engine(engine: &Engine) -> Result<(), Error> {
    number("engine.workers", engine.workers, 1..=64)?;
    number("engine.express_workers", engine.express_workers, 0..=64)?;
    number("engine.checkpoint_rows", engine.checkpoint_rows, 1..=1_000_000)?;
    let interval = Duration::from_millis(1)..=Duration::from_mins(1);
    time("engine.checkpoint_interval", engine.checkpoint_interval, interval)?;
    // One would hold each job that a restart or a pause interrupts.
    number("engine.max_attempts", engine.max_attempts, 2..=1_000)?;
    time("engine.retry_min", engine.retry_min, Duration::from_millis(1)..=DAY)?;
    time("engine.retry_max", engine.retry_max, Duration::from_millis(1)..=DAY)?;
    if engine.retry_min > engine.retry_max {
        return Err(Error(format!(
            "engine.retry_min is {:?}, above engine.retry_max, which is {:?}",
            engine.retry_min, engine.retry_max
        )));
    }
    number("engine.sort_bytes", engine.sort_bytes, 1 << 20..=1 << 40)?;
    time("engine.drain_timeout", engine.drain_timeout, Duration::ZERO..=DAY)
}

/// Callers must get to see the end of a job, so only a payload may go at once; and a job outlives what only it
/// leads to.
fn retention(retention: &Retention) -> Result<(), Error> {
    let clocks = [
        ("retention.payloads", retention.payloads, Duration::ZERO),
        ("retention.reports", retention.reports, Duration::from_secs(1)),
        ("retention.jobs", retention.jobs, Duration::from_secs(1)),
    ];
    for (key, clock, least) in clocks {
        if let Clock::After(length) = clock {
            time(key, length, least..=36_500 * DAY)?;
        }
        if clock > retention.jobs {
            let jobs = retention.jobs;
            return Err(Error(format!("{key} is {clock}, above retention.jobs, which is {jobs}")));
        }
    }
    Ok(())
}

fn auth(auth: &Auth) -> Result<(), Error> {
    let second = Duration::from_secs(1);
    time("auth.token_lifetime", auth.token_lifetime, second..=DAY)?;
    time("auth.refresh_max", auth.refresh_max, second..=30 * DAY)?;
    time("auth.key_max_age", auth.key_max_age, second..=3_650 * DAY)?;
    if auth.mode == AuthMode::Token && auth.client.is_empty() {
        let text = "auth.mode is \"token\", but there is no [[auth.client]]";
        return Err(Error(text.to_owned()));
    }
    Clients::new(&auth.client).map(drop).map_err(|e| Error(e.to_string()))
}

/// Keys that need each other. What the files hold is looked at when they are opened.
fn tls(config: &Config) -> Result<(), Error> {
    let Tls { certificate, key, client_ca, .. } = &config.tls;
    let missing = |set: &str, missing: &str| Err(Error(format!("{set} is set, {missing} is not")));
    match (certificate, key) {
        (Some(_), None) => return missing("tls.certificate", "tls.key"),
        (None, Some(_)) => return missing("tls.key", "tls.certificate"),
        (None, None) if client_ca.is_some() => return missing("tls.client_ca", "tls.certificate"),
        _ => {}
    }
    let named = config.auth.client.iter().find(|client| !client.certificate_names.is_empty());
    match named {
        Some(client) if client_ca.is_none() => {
            missing(&format!("auth.client {:?}: certificate_names", client.id), "tls.client_ca")
        }
        _ => Ok(()),
    }
}

fn audit(audit: &Audit) -> Result<(), Error> {
    time("audit.keep", audit.keep, DAY..=36_600 * DAY)?;
    number("audit.segment_bytes", audit.segment_bytes, 4_096..=1 << 40)?;
    time("audit.anchor_interval", audit.anchor_interval, Duration::from_secs(1)..=DAY)
}

fn traces(traces: &Traces) -> Result<(), Error> {
    let Traces { endpoint, sample_ratio } = traces;
    if !(0.0..=1.0).contains(sample_ratio) {
        return Err(Error(format!("traces.sample_ratio is {sample_ratio}, not 0 to 1")));
    }
    match endpoint {
        // It is shown to operators.
        Some(endpoint) if endpoint.contains('@') => Err(Error(
            "traces.endpoint holds credentials; they belong into OTEL_EXPORTER_OTLP_HEADERS"
                .to_owned(),
        )),
        Some(endpoint) if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") => {
            Err(Error(format!("traces.endpoint is {endpoint:?}, not http:// or https://")))
        }
        _ => Ok(()),
    }
}

fn log(log: &Log) -> Result<(), Error> {
    crate::telemetry::filter(&log.level)
        .map(drop)
        .map_err(|e| Error(format!("log.level is {:?}: {e}", log.level)))
}

fn number<T>(key: &str, value: T, range: RangeInclusive<T>) -> Result<(), Error>
where
    T: Copy + PartialOrd + std::fmt::Display,
{
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error(format!("{key} is {value}, must be {} to {}", range.start(), range.end())))
}

fn time(key: &str, value: Duration, range: RangeInclusive<Duration>) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error(format!("{key} is {value:?}, must be {:?} to {:?}", range.start(), range.end())))
}
