//! The metrics of a running daemon against the table in the code, the documents, the dashboard and the alerts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cvrsd::telemetry::{Kind, METRICS};
use serde_json::Value;

use crate::{
    labels,
    support::{PATIENCE, http::Server, rows},
};

const DOCUMENT: &str = "docs/METRICS.md";
const DASHBOARD: &str = "docs/grafana/cvrsd.json";
const ALERTS: &str = "docs/prometheus/alerts.yml";
/// Exported only by a daemon that serves TLS.
const TLS_ONLY: &str = "cvrsd_tls_certificate_expiry_seconds";
/// What Prometheus itself makes of a scrape.
const UP: &str = "up";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

async fn scrape(server: &Server) -> String {
    let url = format!("http://{}/metrics", server.daemon.admin);
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// A daemon that has run a large job and a small one and refused something, and its metrics.
async fn after_jobs() -> (Server, String) {
    let server = Server::new();
    let ids: Vec<String> = (0..10_100).map(|n| format!("EV{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let large = tokio::task::spawn_blocking({
        let text = rows::events(&ids);
        move || {
            server.run("POST", text);
            server.run("DELETE", rows::ids(&["EV1", "nobody's"]));
            assert_eq!(server.get("/v0/async/cvrs/jobs/x").status, 400);
            server
        }
    });
    let server = large.await.unwrap();
    // A job's end is told a moment before it is counted.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = scrape(&server).await;
        let counted = [
            "cvrsd_jobs_completed_total{outcome=\"SUCCEEDED\"} 1\n",
            "cvrsd_jobs_completed_total{outcome=\"PARTIAL\"} 1\n",
            "cvrsd_job_step_seconds_count{step=\"complete\"} 2\n",
        ];
        if counted.iter().all(|line| text.contains(line)) {
            return (server, text);
        }
        assert!(Instant::now() < deadline, "{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Name and type of everything that is exported.
fn exported(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').unwrap()).map(|(n, t)| (n.into(), t.into())).collect()
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("there is no {series} in {text}")).parse().unwrap()
}

/// Names of metrics in a query; a series of a histogram counts as that.
pub fn names(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours =
        |word: &&str| *word == UP || word.starts_with("cvrsd_") || word.starts_with("process_");
    words.filter(ours).map(|word| base(word).to_owned()).collect()
}

pub fn base(name: &str) -> &str {
    let ends = ["_bucket", "_sum", "_count"];
    let stem = ends.into_iter().find_map(|end| name.strip_suffix(end));
    let is_histogram = |stem: &&str| {
        METRICS.iter().any(|metric| metric.name == *stem && metric.kind == Kind::Histogram)
    };
    stem.filter(is_histogram).unwrap_or(name)
}

/// Every query of the dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    other => queries(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

/// The alerts by name, each with its lines.
fn alerts(text: &str) -> Vec<(String, String)> {
    let rules = text.split("- alert: ").skip(1);
    rules.map(|rule| rule.split_once('\n').unwrap()).map(|(n, r)| (n.into(), r.into())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_what_the_table_says_and_what_the_dashboard_and_the_alerts_ask_for() {
    let (_server, text) = after_jobs().await;
    let exported = exported(&text);
    let table: BTreeMap<String, String> = METRICS
        .iter()
        .filter(|metric| metric.name != TLS_ONLY)
        .map(|metric| (metric.name.to_owned(), format!("{:?}", metric.kind).to_lowercase()))
        .collect();
    assert_eq!(exported, table, "{text}");
    for metric in METRICS.iter().filter(|metric| metric.name != TLS_ONLY) {
        assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.meaning)), "{text}");
    }
    let mut asked = Vec::new();
    queries(&serde_json::from_str(&read(DASHBOARD)).unwrap(), &mut asked);
    assert!(asked.len() > 15, "the queries were found");
    let rules = alerts(&read(ALERTS));
    assert!(rules.len() >= 9, "the alerts were found");
    for (name, rule) in rules {
        let expression = rule.split("annotations:").next().unwrap();
        assert!(expression.contains("expr: ") && !names(expression).is_empty(), "{name}");
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        asked.push(expression.to_owned());
    }
    for query in &asked {
        for name in names(query) {
            let known = exported.contains_key(&name) || [TLS_ONLY, UP].contains(&name.as_str());
            assert!(known, "{name} is not exported: {query}");
        }
    }
    let check = |query: &str| labels::check(query).unwrap_or_else(|e| panic!("{e}: {query}"));
    let looked_up: usize = asked.iter().map(|query| check(query)).sum();
    assert!(looked_up > 0, "the values were found");
    // Held against what is exported, the sets themselves are checked.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        check(line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_those_of_the_jobs_that_ran() {
    let (_server, text) = after_jobs().await;
    for (series, expected) in [
        ("cvrsd_jobs_submitted_total{operation=\"create\"}", 1.0),
        ("cvrsd_jobs_submitted_total{operation=\"update\"}", 0.0),
        ("cvrsd_jobs_completed_total{outcome=\"SUCCEEDED\"}", 1.0),
        ("cvrsd_jobs_completed_total{outcome=\"PARTIAL\"}", 1.0),
        ("cvrsd_jobs{status=\"QUEUED\"}", 0.0),
        ("cvrsd_jobs{status=\"PROCESSING\"}", 0.0),
        ("cvrsd_jobs_held", 0.0),
        ("cvrsd_jobs_stalled", 0.0),
        ("cvrsd_ready", 1.0),
        ("cvrsd_paused", 0.0),
        ("cvrsd_oldest_queued_job_age_seconds", 0.0),
        ("cvrsd_payload_bytes", 0.0),
        ("cvrsd_rows_validated_total", 10_102.0),
        ("cvrsd_rows_applied_total", 10_102.0),
        ("cvrsd_job_step_seconds_count{step=\"validate\"}", 2.0),
        ("cvrsd_job_step_seconds_count{step=\"stage\"}", 1.0),
        ("cvrsd_job_step_seconds_count{step=\"apply\"}", 2.0),
        ("cvrsd_job_step_seconds_count{step=\"complete\"}", 2.0),
        ("cvrsd_refusals_total{face=\"rest\",code=\"CVRS-JOB-ID\"}", 1.0),
        ("cvrsd_refusals_total{face=\"grpc\",code=\"CVRS-DISK-RESERVE\"}", 0.0),
        ("cvrsd_requests_total{face=\"rest\",method=\"POST\",status=\"2xx\"}", 1.0),
        ("cvrsd_requests_total{face=\"rest\",method=\"GET\",status=\"4xx\"}", 1.0),
        ("cvrsd_connections{listener=\"grpc\"}", 0.0),
        ("cvrsd_uploads", 0.0),
        ("cvrsd_watchers", 0.0),
        ("cvrsd_disk_reserve_bytes", f64::from(1 << 30)),
    ] {
        assert!((value(&text, series) - expected).abs() < 1e-9, "{series}: {text}");
    }
    for series in [
        "cvrsd_journal_sync_seconds_count",
        "cvrsd_journal_commit_seconds_count",
        "cvrsd_records_commit_seconds_count",
        "cvrsd_journal_size_bytes",
        "cvrsd_records_size_bytes",
        "cvrsd_disk_free_bytes",
        "cvrsd_upload_received_bytes_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(value(&text, series) > 0.0, "{series}: {text}");
    }
}

/// Names that the code records by, wherever it does.
fn recorded(dir: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            recorded(&path, names);
            continue;
        }
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for macro_name in ["counter!(", "gauge!(", "histogram!("] {
            let calls = text.split(macro_name).skip(1).map(str::trim_start);
            let literals = calls.filter_map(|call| call.strip_prefix('"')?.split('"').next());
            names.extend(literals.map(str::to_owned));
        }
    }
}

#[test]
fn nothing_is_recorded_that_is_not_in_the_table() {
    let mut names = BTreeSet::new();
    recorded(&path("src"), &mut names);
    assert!(names.len() >= 20, "the calls were found: {names:?}");
    for name in names.iter().filter(|name| !name.starts_with("cvrsd_test_")) {
        assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
    }
}

#[test]
fn the_document_has_every_metric() {
    let mut lines =
        String::from("| Name | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n");
    for metric in METRICS {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let unit = metric.unit();
        let unit = unit.as_str();
        let labels: Vec<String> = metric.labels.split(", ").map(|l| format!("`{l}`")).collect();
        let labels = if metric.labels.is_empty() { String::new() } else { labels.join(", ") };
        let cells = [&format!("`{}`", metric.name), &kind, unit, &labels, metric.meaning];
        let cells = cells.map(|cell: &str| if cell.is_empty() { "–" } else { cell });
        writeln!(lines, "| {} |", cells.join(" | ")).unwrap();
    }
    let text = read(DOCUMENT);
    let (head, rest) = text.split_once("<!-- metrics -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end -->\n").unwrap();
    let expected = format!("{head}<!-- metrics -->\n{lines}<!-- end -->\n{tail}");
    if std::env::var_os("CVRSD_UPDATE").is_some() {
        fs::write(path(DOCUMENT), &expected).unwrap();
    }
    assert_eq!(read(DOCUMENT), expected, "CVRSD_UPDATE=1 writes it anew");
}
