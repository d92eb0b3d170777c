//! Labels in queries: whether they are labels of their metrics, and can ever have the values that are asked for.

use std::collections::BTreeSet;

use cvrsd::{
    domain::{Operation, Outcome, Status},
    error::{Code, Kind as Class},
    proto::DESCRIPTORS,
    telemetry::{GRPC_STATUSES, METRICS},
};
use prost::Message;
use prost_types::FileDescriptorSet;

use crate::metrics::{base, names};

/// Labels that Prometheus itself gives every series.
const TARGET: [&str; 2] = ["job", "instance"];
/// The label of a histogram's buckets.
const BUCKET: &str = "le";
const LISTENERS: [&str; 3] = ["grpc", "rest", "admin"];
const VERBS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other"];
/// Classes of HTTP statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// `label="value"` on a metric, or the same with a pattern.
struct Matcher<'a> {
    metric: &'a str,
    label: &'a str,
    value: &'a str,
    is_pattern: bool,
}

/// Holds every label that a query, or a line of what is exported, names on a metric of ours against the table and
/// the closed sets. Gives how many values it looked up.
pub fn check(query: &str) -> Result<usize, String> {
    let mut looked_up = 0;
    for matcher in matchers(query)? {
        looked_up += matcher.check()?;
    }
    let of_all: BTreeSet<String> = names(query).iter().flat_map(|name| labels(name)).collect();
    for label in grouped(query) {
        let known = label == BUCKET || TARGET.contains(&label) || of_all.contains(label);
        if !known {
            return Err(format!("it groups by {label}, which none of its metrics has"));
        }
    }
    Ok(looked_up)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn matchers(query: &str) -> Result<Vec<Matcher<'_>>, String> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices('{') {
        let metric = query[..at].rsplit(|c: char| !is_word(c)).next().unwrap();
        let inside = query[at + 1..].split('}').next().unwrap();
        for text in inside.split(',') {
            found.push(matcher(metric, text.trim())?);
        }
    }
    Ok(found)
}

fn matcher<'a>(metric: &'a str, text: &'a str) -> Result<Matcher<'a>, String> {
    let (label, rest) = text.split_at(text.find(|c: char| !is_word(c)).unwrap_or(text.len()));
    let operators = [("=~", true), ("!~", true), ("!=", false), ("=", false)];
    let read = operators.into_iter().find_map(|(operator, is_pattern)| {
        let value = rest.strip_prefix(operator)?.strip_prefix('"')?.strip_suffix('"')?;
        Some(Matcher { metric, label, value, is_pattern })
    });
    read.filter(|_| !metric.is_empty())
        .ok_or_else(|| format!("{text:?} on {metric:?} is no matcher that this test can read"))
}

/// Labels that a query groups by.
fn grouped(query: &str) -> impl Iterator<Item = &str> {
    let lists = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// The labels of that metric.
fn labels(metric: &str) -> Vec<String> {
    let known = METRICS.iter().find(|known| known.name == metric);
    let labels = known.map_or("", |known| known.labels).split(", ");
    labels.filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

impl Matcher<'_> {
    fn check(&self) -> Result<usize, String> {
        let Self { metric, label, value, is_pattern } = *self;
        let name = base(metric);
        let is_ours = METRICS.iter().any(|known| known.name == name);
        // What is not ours is caught by its name, where it is not Prometheus' own.
        if !is_ours || TARGET.contains(&label) {
            return Ok(0);
        }
        let is_bucket = label == BUCKET && name != metric && metric.ends_with("_bucket");
        if !is_bucket && !labels(name).iter().any(|known| known == label) {
            return Err(format!("{metric} has no label {label}"));
        }
        let Some(known) = values(name, label)? else { return Ok(0) };
        let named: Vec<&str> = if is_pattern { value.split('|').collect() } else { vec![value] };
        let never = named.iter().find(|named| !known.iter().any(|v| fits(named, is_pattern, v)));
        match never {
            Some(never) => Err(format!("{label} of {metric} is never {never:?}, but of {known:?}")),
            None => Ok(named.len()),
        }
    }
}

/// Of patterns, only one that ends in anything is known here.
fn fits(named: &str, is_pattern: bool, value: &str) -> bool {
    match named.strip_suffix(".*") {
        Some(start) if is_pattern => value.starts_with(start),
        _ => named == value,
    }
}

/// The values that a label takes; `None` where they are no closed set.
fn values(metric: &str, label: &str) -> Result<Option<Vec<String>>, String> {
    let values: Vec<&str> = match (metric, label) {
        (_, BUCKET | "version") => return Ok(None),
        (_, "method") => return Ok(Some(methods())),
        (_, "face" | "listener") => LISTENERS.to_vec(),
        (_, "code") => {
            // Those of a file are of jobs, and refuse no caller.
            let codes = Code::ALL.iter().filter(|code| code.kind() != Class::Job);
            codes.map(|code| code.as_str()).collect()
        }
        ("cvrsd_requests_total", "status") => [&CLASSES[..], &GRPC_STATUSES].concat(),
        ("cvrsd_jobs", "status") => {
            let open = Status::ALL.into_iter().filter(|status| *status != Status::Completed);
            open.map(Status::as_str).collect()
        }
        (_, "operation") => Operation::ALL.map(Operation::as_str).to_vec(),
        (_, "outcome") => Outcome::ALL.map(Outcome::as_str).to_vec(),
        (_, "step") => vec!["validate", "stage", "apply", "complete"],
        (_, "what") => vec!["payloads", "reports", "jobs"],
        _ => return Err(format!("this test does not know the values of {label} of {metric}")),
    };
    Ok(Some(values.into_iter().map(str::to_owned).collect()))
}

/// Methods of HTTP, and those of our services.
fn methods() -> Vec<String> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let services = files.into_iter().flat_map(|file| file.service);
    let of_services = services.flat_map(|service| service.method).map(|m| m.name().to_owned());
    VERBS.iter().map(|verb| (*verb).to_owned()).chain(of_services).collect()
}

#[test]
fn a_label_or_value_that_is_none_is_found() {
    for (good, looked_up) in [
        (r#"sum by (le, step) (rate(cvrsd_job_step_seconds_bucket{le="1"}[5m]))"#, 0),
        (r#"up{job="cvrsd"} == 0 or cvrsd_build_info{instance="$instance"} > 0"#, 0),
        (r#"cvrsd_requests_total{face!="admin", status=~"5xx|INTERNAL"}"#, 3),
        (r#"cvrsd_refusals_total{code=~"CVRS-QUOTA-.*"}"#, 1),
        (r#"cvrsd_requests_total{method="SubmitCreateJob"}"#, 1),
    ] {
        assert_eq!(check(good), Ok(looked_up), "{good}");
    }
    for bad in [
        r#"cvrsd_refusals_total{code="CVRS-INTERN"}"#,
        r#"cvrsd_refusals_total{code="CVRS-HEADER"}"#,
        r#"cvrsd_refusals_total{status="5xx"}"#,
        r#"cvrsd_requests_total{status=~"5xx|INTERNAL_ERROR"}"#,
        r#"cvrsd_jobs{status="COMPLETED"}"#,
        r#"cvrsd_jobs_held{le="1"}"#,
        r#"cvrsd_job_step_seconds_count{step="validation"}"#,
        r#"{code="CVRS-INTERNAL"}"#,
        r"cvrsd_jobs{status}",
        r"sum by (outcome) (cvrsd_jobs)",
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}
