//! Which scope does what, on both faces.

use cvrsd::proto::jobs::{
    CancelJobRequest, GetJobRequest, ListJobErrorsRequest, ListJobsRequest, SubmitCreateJobRequest,
    SubmitDeleteJobRequest, SubmitUpdateJobRequest, UploadChunk, UploadHeader, WatchJobRequest,
    submit_create_job_request, submit_delete_job_request, submit_update_job_request,
};
use reqwest::Method;
use tonic::{Code, Status};

use crate::{
    bench::{ALL, Bench, JOBS, Jobs, id_of, problem, reason, refused},
    support::files,
};

const VERBS: [(&str, Method); 3] =
    [("UPLOAD", Method::POST), ("UPDATE", Method::PUT), ("DELETE", Method::DELETE)];

/// Submits three rows by the method of that scope.
pub async fn submit(jobs: &mut Jobs, scope: &str) -> Result<String, Status> {
    let header = UploadHeader { media_type: "text/plain".to_owned(), ..Default::default() };
    let chunk = UploadChunk { offset: 0, data: files::text(1, 0..3).into() };
    macro_rules! send {
        ($method:ident, $request:ident, $part:ident) => {{
            use $part::Part;
            let parts = [Part::Header(header), Part::Chunk(chunk)];
            let messages = parts.map(|part| $request { part: Some(part) });
            Ok(jobs.$method(tokio_stream::iter(messages)).await?.into_inner().job_id)
        }};
    }
    match scope {
        "UPLOAD" => send!(submit_create_job, SubmitCreateJobRequest, submit_create_job_request),
        "UPDATE" => send!(submit_update_job, SubmitUpdateJobRequest, submit_update_job_request),
        _ => send!(submit_delete_job, SubmitDeleteJobRequest, submit_delete_job_request),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_takes_its_own_scope_on_both_faces() {
    let bench = Bench::new("");
    for (scope, _) in VERBS {
        let token = bench.token("A", &[scope]).await;
        let mut jobs = bench.jobs(&token).await;
        for (needed, method) in VERBS {
            let rest = bench.submit(method, &token, 0..3).await;
            let grpc = submit(&mut jobs, needed).await;
            if needed == scope {
                let id = id_of(rest).await;
                bench.wait(&token, &id).await;
                bench.wait(&token, &grpc.unwrap()).await;
            } else {
                assert_eq!(problem(rest).await, refused(403, "CVRS-SCOPE"), "{scope} {needed}");
                let expected = (Code::PermissionDenied, "CVRS-SCOPE".to_owned());
                assert_eq!(reason(&grpc.unwrap_err()), expected, "{scope} {needed}");
            }
        }
    }
    let all = bench.token("A", ALL).await;
    let list: serde_json::Value = bench.get(JOBS, &all).await.json().await.unwrap();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 6, "what was refused made no job");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_of_the_three_reads_and_a_cancel_takes_the_scope_of_its_job() {
    let more = crate::bench::client("X", "TA", "scopes = [\"EXPORT_REDACTED\"]");
    let bench = Bench::new(&more);
    let uploader = bench.token("A", &["UPLOAD"]).await;
    let job = bench.run(Method::POST, &uploader, 0..3).await;
    let id = job["id"].as_str().unwrap().to_owned();
    let cancel = format!("{JOBS}/{id}/cancel");
    let reading = ["", "?view=full", "/errors", "/events"].map(|end| format!("{JOBS}/{id}{end}"));
    for (scope, _) in VERBS {
        let token = bench.token("A", &[scope]).await;
        for path in &reading {
            assert_eq!(bench.get(path, &token).await.status(), 200, "{scope} {path}");
        }
        let rest = bench.request(Method::POST, &cancel, &token).send().await.unwrap();
        let request = CancelJobRequest { job_id: id.clone() };
        let grpc = bench.jobs(&token).await.cancel_job(request).await;
        if scope == "UPLOAD" {
            assert_eq!(rest.status(), 200);
            grpc.unwrap();
        } else {
            assert_eq!(problem(rest).await, refused(403, "CVRS-SCOPE"));
            assert_eq!(reason(&grpc.unwrap_err()).0, Code::PermissionDenied);
        }
    }
    let exporter = bench.token("X", &["EXPORT_REDACTED"]).await;
    for path in reading.iter().chain([&JOBS.to_owned()]) {
        let response = bench.get(path, &exporter).await;
        assert_eq!(problem(response).await, refused(403, "CVRS-SCOPE"), "{path}");
    }
    let mut jobs = bench.jobs(&exporter).await;
    let job_id = || id.clone();
    let refusals = [
        jobs.get_job(GetJobRequest { job_id: job_id() }).await.map(drop),
        jobs.list_jobs(ListJobsRequest::default()).await.map(drop),
        jobs.list_jobs(ListJobsRequest { tenant: "TB".to_owned(), ..Default::default() })
            .await
            .map(drop),
        jobs.watch_job(WatchJobRequest { job_id: job_id(), after_seq: 0 }).await.map(drop),
        jobs.list_job_errors(ListJobErrorsRequest { job_id: job_id() }).await.map(drop),
        jobs.cancel_job(CancelJobRequest { job_id: job_id() }).await.map(drop),
    ];
    for (n, refusal) in refusals.into_iter().enumerate() {
        let expected = (Code::PermissionDenied, "CVRS-SCOPE".to_owned());
        assert_eq!(reason(&refusal.unwrap_err()), expected, "{n}");
    }
}
