//! Requests and whole lives of jobs as traces.

use std::time::{Duration, Instant};

use cvrsd::domain::Trace;

use crate::{
    collector::{Collector, attribute},
    support::{
        self, Daemon, PATIENCE, against, files,
        http::{JOBS, Server},
    },
};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Runs a command of the program against that daemon, below the caller's span.
fn run(daemon: &Daemon, args: &[&str]) -> String {
    let output = against(daemon, args).env("TRACEPARENT", CALLER).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_outlives_its_process_is_one_trace_below_its_callers_span() {
    let (collector, address) = Collector::start().await;
    let address = format!("http://{address}");
    let env = [("CVRSD__TRACES__ENDPOINT", address.as_str())];
    let server = Server::with(&env);
    let caller = Trace::parse(CALLER).unwrap();
    run(&server.daemon, &["admin", "pause", "--all"]);
    let headers = [("Content-Type", "text/plain"), ("traceparent", CALLER)];
    let answer = server.call("POST", JOBS, &headers, &files::text(1, 0..2_000));
    let told = answer.header("traceresponse").and_then(Trace::parse).unwrap();
    assert_eq!((told.id, answer.header("cvrsd-request-id")), (caller.id, Some(&*caller.id_text())));
    let id = answer.accepted();
    let request = collector.wait_for("POST").await;
    let Server { daemon, dir } = server;
    daemon.kill();
    let daemon = support::start(&dir.path().join("data"), &env);
    let server = Server { daemon, dir };
    run(&server.daemon, &["admin", "resume", "--all"]);
    server.wait(&id);
    let job = collector.wait_for("job create").await;

    assert_eq!(request.parent_span_id, caller.span.to_be_bytes());
    assert_eq!(request.span_id, told.span.to_be_bytes());
    assert_eq!(job.parent_span_id, request.span_id);
    assert_eq!(attribute(&job, "cvrsd.job.id"), id);
    assert_eq!(attribute(&job, "cvrsd.rows_applied"), "2000");
    assert_eq!(attribute(&job, "cvrsd.outcome"), "SUCCEEDED");
    let mut end = job.start_time_unix_nano;
    for name in ["queued", "validate", "apply"] {
        let step = collector.wait_for(name).await;
        assert_eq!(step.parent_span_id, job.span_id, "{name}");
        assert_eq!(step.trace_id, caller.id.to_be_bytes(), "{name}");
        assert!(end <= step.start_time_unix_nano, "{name} begins after the one before");
        end = step.end_time_unix_nano;
    }
    assert_eq!(end, job.end_time_unix_nano);
    // Over gRPC, from a caller that is traced itself.
    let deleted = run(&server.daemon, &["submit", "delete", people(&server).to_str().unwrap()]);
    server.wait(&deleted);
    let job = collector.wait_for("job delete").await;
    assert_eq!(job.trace_id, caller.id.to_be_bytes());
    let spans = collector.spans();
    let submit = spans.iter().find(|span| span.span_id == job.parent_span_id).unwrap();
    assert_eq!(submit.name, "/cvrsd.jobs.v1.JobService/SubmitDeleteJob");
    assert_eq!(submit.parent_span_id, caller.span.to_be_bytes());
}

fn people(server: &Server) -> std::path::PathBuf {
    let path = server.dir.path().join("people.txt");
    std::fs::write(&path, files::text(1, 0..3)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_trace_is_not_sampled_is_not_exported_and_the_last_spans_are() {
    let (collector, address) = Collector::start().await;
    let address = format!("http://{address}");
    let env =
        [("CVRSD__TRACES__ENDPOINT", address.as_str()), ("CVRSD__TRACES__SAMPLE_RATIO", "0.0")];
    let server = Server::with(&env);
    let unsampled = format!("{}00", CALLER.strip_suffix("01").unwrap());
    for (parent, traced) in [("", false), (unsampled.as_str(), false), (CALLER, true)] {
        let headers = [("Content-Type", "text/plain"), ("traceparent", parent)];
        let answer = server.call("POST", JOBS, &headers, &files::text(1, 0..3));
        assert_eq!(answer.header("traceresponse").is_some(), traced, "{parent:?}");
        server.wait(&answer.accepted());
    }
    assert!(server.daemon.stop().success());
    let spans = collector.spans();
    let names = |name: &str| spans.iter().filter(|span| span.name == name).count();
    assert_eq!((names("POST"), names("job create"), names("GET")), (1, 1, 0), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_traces_and_nothing_else() {
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", nowhere.local_addr().unwrap());
    drop(nowhere);
    let server = Server::with(&[("CVRSD__TRACES__ENDPOINT", &address)]);
    server.run("POST", files::text(1, 0..3));
    let url = format!("http://{}/metrics", server.daemon.admin);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let dropped =
            metrics.lines().find_map(|line| line.strip_prefix("cvrsd_traces_dropped_total "));
        if dropped.is_some_and(|count| count != "0") {
            break;
        }
        assert!(Instant::now() < deadline, "what was dropped is not counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let began = Instant::now();
    assert!(server.daemon.stop().success());
    assert!(began.elapsed() < PATIENCE);
}
