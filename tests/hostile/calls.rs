//! Calls over gRPC that announce more than they send, from nobody who was let in.

use std::time::{Duration, Instant};

use axum::http::Request;
use bytes::Bytes;
use cvrsd::proto::jobs::{SubmitDeleteJobRequest, UploadChunk, submit_delete_job_request::Part};
use futures_util::{StreamExt, stream};
use h2::client::SendRequest;
use tokio::net::TcpStream;

use crate::support::{jobs, memory, start};

/// A message that is allowed, of which nothing more comes.
const SILENT: usize = 1_000;
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const SUBMIT: &str = "/cvrsd.jobs.v1.JobService/SubmitDeleteJob";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// Memory that all of it may take.
const MEMORY_BYTES: u64 = 48 << 20;

/// Begins that call with a message of which so many bytes are announced and so many come. Gives the status of the
/// answer, and nothing where the stream was reset before it came.
async fn call(
    client: &SendRequest<Bytes>,
    path: &str,
    announced: u32,
    sent: usize,
) -> Option<String> {
    let mut client = client.clone().ready().await.unwrap();
    let request = Request::post(format!("http://cvrsd{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
    let begin = [&[0], &announced.to_be_bytes()[..], &vec![0; sent]].concat();
    body.send_data(begin.into(), false).unwrap();
    let answer = answer.await.ok()?;
    let status = answer.headers().get("grpc-status")?;
    Some(status.to_str().unwrap().to_owned())
}

async fn connect(address: &str) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_announced_too_large_is_refused_before_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let (grpc, admin) = (&daemon.grpc, &daemon.admin);
    let get_config = "/cvrsd.admin.v1.AdminService/GetConfig";
    let before = memory::field(daemon.pid(), "VmRSS");
    for (address, path) in [(grpc, HEALTH), (grpc, SUBMIT), (grpc, REFLECTION), (admin, get_config)]
    {
        for _ in 0..60 {
            let client = connect(address).await;
            let asked = call(&client, path, 2_000_000, 1_900_000);
            let within = tokio::time::timeout(Duration::from_secs(10), asked).await;
            let answer = within.unwrap_or_else(|_| panic!("{path}: no answer"));
            // An answer may be overtaken by the reset of what is still being sent.
            if let Some(status) = answer {
                assert!(["3", "11"].contains(&status.as_str()), "{path}: {status}");
            }
        }
    }
    let grown = memory::field(daemon.pid(), "VmRSS").saturating_sub(before);
    println!("refused messages: {grown} bytes more");
    assert!(grown < MEMORY_BYTES, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_falls_silent_ends_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let client = connect(&daemon.grpc).await;
    let began = Instant::now();
    let calls = (0..SILENT).map(|_| call(&client, HEALTH, 10_000, 5_000));
    let answers: Vec<_> = stream::iter(calls).buffer_unordered(SILENT).collect().await;
    for answer in answers {
        // DEADLINE_EXCEEDED.
        assert_eq!(answer.as_deref(), Some("4"));
    }
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_first_message_is_large_is_told_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let chunk = UploadChunk { offset: 0, data: vec![b'x'; 1 << 20].into() };
    let first = SubmitDeleteJobRequest { part: Some(Part::Chunk(chunk)) };
    let refused = daemon.jobs().await.submit_delete_job(stream::iter([first])).await.unwrap_err();
    assert_eq!(jobs::code(&refused), "CVRS-UPLOAD-SEQUENCE");
    let text = reqwest::get(format!("http://{}/metrics", daemon.admin)).await.unwrap();
    let counted = "cvrsd_refusals_total{face=\"grpc\",code=\"CVRS-UPLOAD-SEQUENCE\"} 1";
    assert!(text.text().await.unwrap().contains(counted), "it is counted once");
}
