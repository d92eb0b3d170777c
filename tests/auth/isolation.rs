//! Walks everything that can be called, as tenant `TB`, against what is tenant `TA`'s.

use std::collections::BTreeSet;

use cvrsd::proto::{
    DESCRIPTORS,
    admin::{
        CountRecordsRequest, CountRecordsResponse, ExplainJobRequest, ExportRecordsRequest,
        GetRecordRequest, ReleaseJobRequest,
    },
    jobs::{
        CancelJobRequest, GetJobRequest, ListJobErrorsRequest, ListJobsRequest, ListJobsResponse,
        WatchJobRequest,
    },
};
use prost::Message;
use prost_types::FileDescriptorSet;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tonic::{Code, Status};

use crate::{
    bench::{ALL, Admin, Bench, JOBS, Jobs, READING, client, id_of, reason, token_of},
    scopes,
    support::files,
};

/// An id that never was.
const NEVER: &str = "018f0000-0000-7000-8000-000000000000";
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];

/// Every path of the REST face, as `docs/API.md` lists them.
fn paths() -> BTreeSet<String> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/API.md")).unwrap();
    let spans = text.split('`').skip(1).step_by(2);
    let paths = spans.filter_map(|span| span.split(' ').find(|word| word.starts_with("/v0/")));
    paths.map(str::to_owned).collect()
}

/// What a stranger to the job sees: status, headers but the date, body without the id.
async fn seen(bench: &Bench, method: &Method, path: &str, id: &str, token: &str) -> String {
    let request = bench.request(method.clone(), &path.replace("{id}", id), token);
    let response = request.send().await.unwrap();
    let mut headers: Vec<String> = response
        .headers()
        .iter()
        // The time, and what names each request.
        .filter(|(name, _)| !["date", "cvrsd-request-id"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    let status = response.status();
    assert!(
        matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED),
        "{method} {path} answered {status}"
    );
    let body = response.text().await.unwrap();
    format!("{status}\n{}\n{}", headers.join("\n"), body.replace(id, "{id}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_job_is_like_one_that_never_was_on_every_rest_path() {
    let bench = Bench::new("");
    let (a, b) = (bench.token("A", ALL).await, bench.token("B", ALL).await);
    let job = bench.run(Method::POST, &a, 0..3).await;
    let id = job["id"].as_str().unwrap();
    let (of_one, others): (Vec<_>, Vec<_>) = paths().into_iter().partition(|p| p.contains("{id}"));
    assert!(of_one.len() >= 5, "the paths were found: {of_one:?}");
    for path in &of_one {
        for method in METHODS {
            let theirs = seen(&bench, &method, path, id, &b).await;
            let never = seen(&bench, &method, path, NEVER, &b).await;
            assert_eq!(theirs, never, "{method} {path}");
        }
        assert_eq!(
            bench.get(&path.replace("{id}", id).replace("/cancel", ""), &a).await.status(),
            200
        );
    }
    // The other paths name no job; what they answer must be the caller's own.
    for path in others {
        match path.as_str() {
            JOBS => {
                let list = bench.get(JOBS, &b).await.text().await.unwrap();
                assert_eq!(list, r#"{"jobs":[],"nextPageToken":""}"#);
                let page = async |token: &str| {
                    let page = bench.get(&format!("{JOBS}?pageToken={token}"), &b).await;
                    page.text().await.unwrap()
                };
                let never = page(NEVER).await;
                assert!(never.contains("CVRS-PAGE-TOKEN"), "{never}");
                assert_eq!(page(id).await, never);
                assert_eq!(page("999").await, never);
            }
            "/v0/upload/cvrs/batch" | "/v0/token/gen" | "/v0/token/refresh" => {}
            other => panic!("{other} is not walked"),
        }
    }
    assert_eq!(bench.wait(&a, id).await, job, "nothing happened to the job");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_never_meets_another_tenants_key_or_records() {
    let bench = Bench::new("");
    let (a, b) = (bench.token("A", ALL).await, bench.token("B", ALL).await);
    let submit = async |method: Method, token: &str| {
        let request = bench.request(method, JOBS, token).header("content-type", "text/plain");
        let request = request.header("idempotency-key", "k").body(files::text(1, 0..3));
        id_of(request.send().await.unwrap()).await
    };
    let first = submit(Method::POST, &a).await;
    bench.wait(&a, &first).await;
    let second = submit(Method::DELETE, &b).await;
    assert_ne!(first, second);
    let job = bench.wait(&b, &second).await;
    assert_eq!(job["rowsApplied"], 0, "the rows are another tenant's");
    let full = bench.wait(&a, &first).await;
    assert_eq!(full["rowsApplied"], 3);
    let refreshed = bench.request(Method::POST, "/v0/token/refresh", &b).send().await.unwrap();
    let mut records = bench.records(&token_of(refreshed).await).await;
    let counts = records.count_records(CountRecordsRequest::default()).await.unwrap().into_inner();
    assert!(counts.counts.iter().all(|c| c.tenant == "TB"));
}

/// Tokens and links of all pages, with the names of the jobs in place of their ids.
async fn page_ends(bench: &Bench, token: &str, made: &[String]) -> Vec<String> {
    let named = |text: &str| {
        let ids = made.iter().enumerate();
        ids.fold(text.to_owned(), |text, (n, id)| text.replace(id, &format!("job {n}")))
    };
    let (mut ends, mut path) = (Vec::new(), format!("{JOBS}?pageSize=1"));
    loop {
        let page = bench.get(&path, token).await;
        let link = page.headers()["link"].to_str().unwrap().to_owned();
        let page: Value = page.json().await.unwrap();
        let next = page["nextPageToken"].as_str().unwrap();
        ends.push(format!("{:?} {}", named(next), named(&link)));
        if next.is_empty() {
            return ends;
        }
        path = format!("{JOBS}?pageSize=1&pageToken={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_tell_nothing_of_what_other_tenants_submit() {
    let mut seen = Vec::new();
    for others in [[0, 0, 0], [1, 7, 2]] {
        let bench = Bench::new("");
        let (a, b) = (bench.token("A", ALL).await, bench.token("B", ALL).await);
        let mut made = Vec::new();
        for count in others {
            for _ in 0..count {
                id_of(bench.submit(Method::POST, &a, 0..1).await).await;
            }
            made.push(id_of(bench.submit(Method::POST, &b, 0..1).await).await);
        }
        seen.push(page_ends(&bench, &b, &made).await);
    }
    assert_eq!(seen[0].len(), 3);
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0][0].starts_with("\"job 2\""), "{seen:?}");
}

/// Every method of our services, out of the descriptors.
fn methods() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    services
        .filter(|s| matches!(s.name(), "JobService" | "AdminService"))
        .flat_map(|s| s.method.iter().map(|m| m.name().to_owned()))
        .collect()
}

/// Both tenants' clients, with the scope that reads rows.
fn readers() -> String {
    let scopes = format!("scopes = {READING:?}");
    [("A", "TA"), ("B", "TB")].map(|(id, tenant)| client(id, tenant, &scopes)).concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_job_is_no_page_token_over_grpc() {
    let bench = Bench::new("");
    let (a, b) = (bench.token("A", ALL).await, bench.token("B", ALL).await);
    let theirs = id_of(bench.submit(Method::POST, &a, 0..1).await).await;
    let mut jobs = bench.jobs(&b).await;
    let refusal = page_refusal(&mut jobs, &theirs).await;
    for token in [NEVER, "999"] {
        assert_eq!(page_refusal(&mut jobs, token).await, refusal);
    }
}

/// All of the refusal of that page token.
async fn page_refusal(jobs: &mut Jobs, token: &str) -> (Code, String, Vec<u8>) {
    let request = ListJobsRequest { page_token: token.to_owned(), ..Default::default() };
    let refusal = jobs.list_jobs(request).await.unwrap_err();
    assert_eq!(reason(&refusal).1, "CVRS-PAGE-TOKEN");
    (refusal.code(), refusal.message().to_owned(), refusal.details().to_vec())
}

/// What a refusal shows, without the name that was asked for.
fn shown(status: &Status, asked: &str) -> (Code, String, String) {
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    let details = String::from_utf8_lossy(status.details());
    (status.code(), status.message().replace(asked, "?"), details.replace(asked, "?"))
}

async fn only_operators(records: &mut Admin, jobs: [&str; 2]) {
    for job_id in jobs.map(str::to_owned) {
        let request = ExplainJobRequest { job_id: job_id.clone() };
        let explained = records.explain_job(request).await.map(drop);
        let released = records.release_job(ReleaseJobRequest { job_id }).await.map(drop);
        for refused in [explained.unwrap_err(), released.unwrap_err()] {
            assert_eq!(reason(&refused), (Code::PermissionDenied, "CVRS-SCOPE".to_owned()));
            assert_eq!(refused.message(), "the token does not have the scope ADMIN");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one match over all methods")]
async fn another_tenants_jobs_and_records_are_like_none_on_every_grpc_method() {
    let bench = Bench::with(&readers(), &[]);
    let (a, b) = (bench.token("A", READING).await, bench.token("B", READING).await);
    let job = bench.run(Method::POST, &a, 0..3).await;
    let id = job["id"].as_str().unwrap();
    let text = String::from_utf8(files::text(1, 0..3)).unwrap();
    let key = text.lines().nth(1).unwrap().split('\t').next().unwrap().to_owned();
    let (mut jobs, mut records) = (bench.jobs(&b).await, bench.records(&b).await);
    let methods = methods();
    assert!(methods.len() >= 11, "the methods were found: {methods:?}");
    macro_rules! same {
        ($client:ident.$method:ident, $theirs:expr, $never:expr, $request:expr) => {{
            let request = $request;
            let theirs = shown(&refusal!($client.$method(request($theirs)), $theirs), $theirs);
            let never = shown(&refusal!($client.$method(request($never)), $never), $never);
            assert_eq!(theirs, never);
        }};
    }
    macro_rules! refusal {
        ($call:expr, $_asked:expr) => {
            $call.await.map(drop).unwrap_err()
        };
    }
    for method in methods {
        match method.as_str() {
            "GetJob" => same!(jobs.get_job, id, NEVER, |job_id: &str| GetJobRequest {
                job_id: job_id.to_owned()
            }),
            "CancelJob" => same!(jobs.cancel_job, id, NEVER, |job_id: &str| CancelJobRequest {
                job_id: job_id.to_owned()
            }),
            "WatchJob" => {
                for after_seq in [0, 1, 999] {
                    same!(jobs.watch_job, id, NEVER, |job_id: &str| WatchJobRequest {
                        job_id: job_id.to_owned(),
                        after_seq,
                    });
                }
            }
            "ListJobErrors" => {
                same!(jobs.list_job_errors, id, NEVER, |job_id: &str| ListJobErrorsRequest {
                    job_id: job_id.to_owned()
                });
            }
            "ListJobs" => {
                for tenant in ["", "TA", "TB", "TZ"] {
                    let request =
                        ListJobsRequest { tenant: tenant.to_owned(), ..Default::default() };
                    let page = jobs.list_jobs(request).await.unwrap().into_inner();
                    assert_eq!(page, ListJobsResponse::default(), "{tenant}");
                }
            }
            "CountRecords" => {
                for tenant in ["", "TA", "TB", "TZ"] {
                    let request = CountRecordsRequest { tenant: tenant.to_owned() };
                    let counts = records.count_records(request).await.unwrap().into_inner();
                    assert_eq!(counts, CountRecordsResponse::default(), "{tenant}");
                }
            }
            // Of the whole daemon: without the scope of an operator nothing of any job is told.
            "ExplainJob" | "ReleaseJob" => only_operators(&mut records, [id, NEVER]).await,
            // A caller's own job comes of a submit: that is tried at the end, as it fills the lists. The
            // others name no job; `tests/admin` asks each of them without the scope.
            "SubmitCreateJob" | "SubmitUpdateJob" | "SubmitDeleteJob" | "Pause" | "Resume"
            | "ListPauses" | "Drain" | "GetConfig" | "GetLogLevel" | "SetLogLevel"
            | "GetOverview" => {}
            "GetRecord" => {
                let get = |vax_event_id: &str| {
                    let (storage, vax_event_id) =
                        ("NON_REDACTED_DB".to_owned(), vax_event_id.to_owned());
                    move |tenant: &str| GetRecordRequest {
                        tenant: tenant.to_owned(),
                        storage,
                        vax_event_id,
                    }
                };
                let own = bench.records(&a).await.get_record(get(&key)("TA")).await;
                assert!(own.is_ok());
                let theirs = records.get_record(get(&key)("TA")).await.unwrap_err();
                let never = records.get_record(get(&key)("TZ")).await.unwrap_err();
                let missing = records.get_record(get(&key)("TB")).await.unwrap_err();
                assert_eq!(shown(&theirs, "TA"), shown(&never, "TZ"));
                assert_eq!(shown(&theirs, "TA"), shown(&missing, "TB"));
            }
            "ExportRecords" => {
                let mut refusals = Vec::new();
                for tenant in ["TA", "TB", "TZ"] {
                    let storage = "REDACTED_DB".to_owned();
                    let request = ExportRecordsRequest { tenant: tenant.to_owned(), storage };
                    let mut export = records.export_records(request).await.unwrap().into_inner();
                    refusals.push(shown(&export.message().await.unwrap_err(), tenant));
                }
                assert_eq!(refusals[0], refusals[1]);
                assert_eq!(refusals[0], refusals[2]);
            }
            other => panic!("{other} is not walked"),
        }
    }
    for scope in ALL {
        let made = scopes::submit(&mut jobs, scope).await.unwrap();
        bench.wait(&b, &made).await;
    }
    assert_eq!(bench.wait(&a, id).await, job, "nothing happened to the job");
    let counts = CountRecordsRequest { tenant: "TA".to_owned() };
    let counts = bench.records(&a).await.count_records(counts).await.unwrap().into_inner();
    assert!(counts.counts.iter().all(|c| c.count == 3), "{counts:?}");
}
