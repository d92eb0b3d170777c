//! How results are written: plain text, tables, JSON.

use std::{
    fmt::Write as _,
    io::{ErrorKind, IsTerminal, Write as _},
    time::Duration,
};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use prost_types::Timestamp;
use serde_json::{Value, json};

use super::Failure;
use crate::{
    clock,
    exit::Exit,
    proto::jobs::{Job, Operation, Outcome, Status},
    telemetry,
};

/// How a command writes its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people, or tab-separated
    Text,
    /// JSON
    Json,
}

/// Writes to standard output.
///
/// # Errors
/// A quiet one when nobody reads any more.
pub fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes.as_ref()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        ErrorKind::BrokenPipe => Failure::reader_left(),
        _ => Failure::new(Exit::Failed, format!("cannot write to standard output: {e}")),
    })
}

/// Writes a line to standard output; see [`print`].
///
/// # Errors
/// As [`print`].
pub fn print_line(line: impl std::fmt::Display) -> Result<(), Failure> {
    print(format!("{line}\n"))
}

/// Writes a line to standard error. Nobody may be reading there; that changes nothing.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "cvrsd: {line}");
}

/// A table without lines, as wide as it needs to be.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec()).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// A number with commas.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the greatest unit of which there is one.
pub fn bytes(number: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, power)| number >> power > 0) {
        None => format!("{number} B"),
        Some((unit, power)) => {
            let tenths = (u128::from(number) * 10) >> power;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

/// A length of time in its two greatest units.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Whether the stream is a terminal that can move its cursor.
pub fn draws(stream: &impl IsTerminal) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|value| value == "dumb");
    stream.is_terminal() && !dumb
}

/// Whether what goes to that stream may be coloured: nobody asked for none with `NO_COLOR`.
pub fn colours(stream: &impl IsTerminal) -> bool {
    draws(stream) && !telemetry::no_color()
}

/// `1 error`, `2 errors` and the like.
fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// `delete` and the like.
pub fn operation(value: i32) -> String {
    let name = Operation::try_from(value).map_or("", |o| o.as_str_name());
    name.trim_start_matches("OPERATION_").to_ascii_lowercase()
}

/// The documented spelling, with the hyphen of `DE-QUEUED`.
pub fn status(value: i32) -> String {
    let name = Status::try_from(value).map_or("", |s| s.as_str_name());
    name.trim_start_matches("STATUS_").replace('_', "-")
}

/// The outcome; `None` until the job is terminal.
pub fn outcome(value: i32) -> Option<&'static str> {
    match Outcome::try_from(value) {
        Ok(Outcome::Unspecified) | Err(_) => None,
        Ok(outcome) => Some(outcome.as_str_name().trim_start_matches("OUTCOME_")),
    }
}

/// RFC 3339 in UTC.
pub fn time(time: Timestamp) -> String {
    let micros = time.seconds.saturating_mul(1_000_000);
    clock::rfc3339(micros.saturating_add(i64::from(time.nanos / 1_000)))
}

/// A job with the members of its protocol message; what is not set is null.
pub fn job_json(job: &Job) -> Value {
    let rows = job.rows.unwrap_or_default();
    let storages: Vec<Value> = job
        .storages
        .iter()
        .map(|s| {
            json!({
                "storage": s.storage,
                "records_processed": s.records_processed,
                "processing_errors": s.processing_errors,
            })
        })
        .collect();
    json!({
        "job_id": job.job_id,
        "tenant": job.tenant,
        "operation": operation(job.operation),
        "status": status(job.status),
        "outcome": outcome(job.outcome),
        "seq": job.seq,
        "validate_only": job.validate_only,
        "request_id": (!job.request_id.is_empty()).then_some(&job.request_id),
        "media_type": job.media_type,
        "content_length": job.content_length,
        "content_sha256": hex::encode(&job.content_sha256),
        "submit_time": job.submit_time.map(time),
        "start_time": job.start_time.map(time),
        "end_time": job.end_time.map(time),
        "update_time": job.update_time.map(time),
        "rows": {
            "total": rows.total,
            "valid": rows.valid,
            "validation_errors": rows.validation_errors,
            "processed": rows.processed,
            "applied": rows.applied,
        },
        "storages": storages,
        "failure": job.failure.as_ref().map(|f| json!({"code": f.code, "message": f.message})),
        "warnings": job.warnings,
        "cancel_requested": job.cancel_requested,
        "attempt": job.attempt,
        "retry_time": job.retry_time.map(time),
        "held": job.held,
    })
}

/// A job for people: one fact a line.
pub fn job_text(job: &Job) -> String {
    let mut text = String::new();
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11} {value}");
    };
    let validate_only = if job.validate_only { ", validate only" } else { "" };
    let held = if job.held { ", held" } else { "" };
    let ending = job.cancel_requested && outcome(job.outcome).is_none();
    let cancel = if ending { ", cancel requested" } else { "" };
    let rows = job.rows.unwrap_or_default();
    fact("job", job.job_id.clone());
    fact("tenant", job.tenant.clone());
    fact("operation", format!("{}{validate_only}", operation(job.operation)));
    fact("status", format!("{}{held}{cancel}", status(job.status)));
    if let Some(outcome) = outcome(job.outcome) {
        fact("outcome", outcome.to_owned());
    }
    let read = [
        format!("{} read", count(rows.total)),
        format!("{} valid", count(rows.valid)),
        format!("{} applied", count(rows.applied)),
        counted(rows.validation_errors, "validation error"),
    ];
    fact("rows", read.join(", "));
    for storage in &job.storages {
        let done = count(storage.records_processed);
        let refused = counted(storage.processing_errors, "error");
        fact("storage", format!("{}: {done} processed, {refused}", storage.storage));
    }
    for (name, moment) in [
        ("submitted", job.submit_time),
        ("started", job.start_time),
        ("ended", job.end_time),
        ("next try", job.retry_time),
    ] {
        if let Some(moment) = moment {
            fact(name, time(moment));
        }
    }
    if let Some(failure) = &job.failure {
        fact("failure", format!("{} ({})", failure.message, failure.code));
    }
    for warning in &job.warnings {
        fact("warning", warning.clone());
    }
    text
}

/// One cell of a tab-separated line: control characters would break it.
pub fn cell(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::jobs::{Failure as JobFailure, RowCounts, StorageCounts};

    fn job() -> Job {
        Job {
            job_id: "0190".to_owned(),
            tenant: "local".to_owned(),
            operation: Operation::Delete.into(),
            status: Status::DeQueued.into(),
            submit_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 5_000 }),
            rows: Some(RowCounts { total: 1_234_567, valid: 9, ..RowCounts::default() }),
            storages: vec![StorageCounts {
                storage: "REDACTED_DB".to_owned(),
                records_processed: 3,
                processing_errors: 1,
            }],
            ..Job::default()
        }
    }

    #[test]
    fn numbers_have_commas() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn sizes_and_times_are_told_in_the_units_that_fit() {
        for (number, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 00s"),
            (3_599, "59m 59s"),
            (3_660, "1h 01m"),
            (90_000, "1d 01h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn names_are_the_documented_ones() {
        let statuses: Vec<String> = (1..=5).map(status).collect();
        assert_eq!(statuses, ["QUEUED", "DE-QUEUED", "VALIDATING", "PROCESSING", "COMPLETED"]);
        let operations: Vec<String> = (1..=3).map(operation).collect();
        assert_eq!(operations, ["create", "update", "delete"]);
        assert_eq!(outcome(Outcome::Partial.into()), Some("PARTIAL"));
        assert_eq!(outcome(0), None);
    }

    #[test]
    fn a_job_reads_as_json_with_nulls_for_what_is_not_set() {
        let value = job_json(&job());
        assert_eq!(value["status"], "DE-QUEUED");
        assert_eq!(value["outcome"], Value::Null);
        assert_eq!(value["request_id"], Value::Null);
        assert_eq!(value["rows"]["total"], 1_234_567);
        assert_eq!(value["storages"][0]["records_processed"], 3);
        assert_eq!(value["submit_time"], "2023-11-14T22:13:20.000005Z");
        assert_eq!(value["end_time"], Value::Null);
    }

    #[test]
    fn a_job_reads_as_text_with_its_failure() {
        let failure = JobFailure { code: "CVRS-X".to_owned(), message: "no rows".to_owned() };
        let text = job_text(&Job { failure: Some(failure), held: true, ..job() });
        assert!(text.contains("status      DE-QUEUED, held\n"), "{text}");
        assert!(text.contains("REDACTED_DB: 3 processed, 1 error\n"), "{text}");
        assert!(text.contains("failure     no rows (CVRS-X)\n"), "{text}");
        assert!(!text.contains("outcome"), "{text}");
    }

    #[test]
    fn a_cancel_is_requested_only_until_the_job_ended() {
        let asked = Job { cancel_requested: true, ..job() };
        assert!(job_text(&asked).contains("DE-QUEUED, cancel requested\n"));
        let ended = Job { outcome: Outcome::Cancelled.into(), ..asked };
        assert!(!job_text(&ended).contains("requested"));
    }

    #[test]
    fn a_cell_has_no_control_characters() {
        assert_eq!(cell("a\tb\r\nc\u{85}é"), "a?b??c?é");
    }
}
