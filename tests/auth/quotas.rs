//! How much a client may do: at its bound and one above.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    bench::{ALL, Bench, JOBS, client, digest, id_of, problem, refused},
    scopes,
    support::{PATIENCE, files},
};

/// An upload that waits for its end.
struct Open {
    end: mpsc::Sender<Result<Bytes, std::io::Error>>,
    answer: JoinHandle<reqwest::Result<Response>>,
}

impl Open {
    /// Begins an upload and waits until the daemon has taken it in: it is too long to stay in memory.
    async fn begin(bench: &Bench, token: &str) -> Self {
        let spool = bench.daemon.dir.join("spool");
        let count = || std::fs::read_dir(&spool).unwrap().count();
        let before = count();
        let (end, body) = mpsc::channel(4);
        end.send(Ok(Bytes::from(files::text(1, 0..15)))).await.unwrap();
        let request = bench.request(Method::POST, JOBS, token).header("content-type", "text/plain");
        let body = reqwest::Body::wrap_stream(ReceiverStream::new(body));
        let answer = tokio::spawn(request.body(body).send());
        let deadline = Instant::now() + PATIENCE;
        while count() == before {
            assert!(Instant::now() < deadline, "the upload does not begin");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { end, answer }
    }

    async fn finish(self) -> String {
        drop(self.end);
        id_of(self.answer.await.unwrap().unwrap()).await
    }
}

/// Client `Q` with that quota beside `A` and `B`.
fn bench(quota: &str) -> Bench {
    Bench::new(&client("Q", "TQ", &format!("[auth.client.quota]\n{quota}")))
}

async fn check_refused(bench: &Bench, token: &str, code: &str) {
    let rest = bench.submit(Method::POST, token, 0..2).await;
    assert!(rest.headers().contains_key("retry-after"));
    assert_eq!(problem(rest).await, refused(429, code));
    let status = scopes::submit(&mut bench.jobs(token).await, "UPLOAD").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, code);
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_run_up_to_their_bound() {
    let bench = bench("uploads_max = 2");
    let (token, other) = (bench.token("Q", ALL).await, bench.token("A", ALL).await);
    let first = Open::begin(&bench, &token).await;
    let second = Open::begin(&bench, &token).await;
    check_refused(&bench, &token, "CVRS-QUOTA-UPLOADS").await;
    id_of(bench.submit(Method::POST, &other, 0..2).await).await;
    first.finish().await;
    id_of(bench.submit(Method::POST, &token, 0..2).await).await;
    second.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_up_to_their_bound_and_a_repeat_still_gets_its_answer() {
    let bench = bench("jobs_queued_max = 2");
    let token = bench.token("Q", ALL).await;
    let keyed = async || {
        let request = bench.request(Method::POST, JOBS, &token).header("idempotency-key", "k");
        let request = request.header("content-type", "text/plain").body(files::text(1, 0..3));
        request.send().await.unwrap()
    };
    let job = id_of(keyed().await).await;
    bench.wait(&token, &job).await;
    let first = Open::begin(&bench, &token).await;
    let second = Open::begin(&bench, &token).await;
    check_refused(&bench, &token, "CVRS-QUOTA-JOBS").await;
    assert_eq!(id_of(keyed().await).await, job);
    for upload in [first, second] {
        let id = upload.finish().await;
        bench.wait(&token, &id).await;
    }
    id_of(bench.submit(Method::POST, &token, 0..2).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_have_bytes_up_to_their_bound() {
    let text = files::text(1, 0..20);
    let bench = bench(&format!("spool_bytes_max = {}", text.len()));
    let token = bench.token("Q", ALL).await;
    let send = async |length: usize, announced: bool| {
        let mut text = text.clone();
        text.resize(length, b'\n');
        let request =
            bench.request(Method::POST, JOBS, &token).header("content-type", "text/plain");
        let body = if announced {
            reqwest::Body::from(text)
        } else {
            let pieces: Vec<Result<Bytes, std::io::Error>> =
                text.chunks(1_000).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
            reqwest::Body::wrap_stream(tokio_stream::iter(pieces))
        };
        request.body(body).send().await.unwrap()
    };
    for announced in [true, false] {
        let over = send(text.len() + 1, announced).await;
        assert_eq!(problem(over).await, refused(429, "CVRS-QUOTA-BYTES"), "{announced}");
        let id = id_of(send(text.len(), announced).await).await;
        bench.wait(&token, &id).await;
    }
    crate::support::wait_empty(&bench.daemon.dir, &["spool", "payloads"]);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_payloads_count_with_what_comes_out() {
    let text = files::text(1, 0..20);
    let bench = bench(&format!("spool_bytes_max = {}", text.len()));
    let token = bench.token("Q", ALL).await;
    let send = async |length: usize| {
        let mut text = text.clone();
        text.resize(length, b'\n');
        let request = bench.request(Method::POST, JOBS, &token).header("content-encoding", "gzip");
        let request = request.header("content-type", "text/plain").body(gzip(&text));
        request.send().await.unwrap()
    };
    let over = send(text.len() + 1).await;
    assert_eq!(problem(over).await, refused(429, "CVRS-QUOTA-BYTES"));
    let id = id_of(send(text.len()).await).await;
    bench.wait(&token, &id).await;
    crate::support::wait_empty(&bench.daemon.dir, &["spool", "payloads"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_has_the_room_of_its_job_and_a_longer_one_is_a_conflict_with_both_digests() {
    let text = files::text(1, 0..20);
    let bench = bench(&format!("spool_bytes_max = {}", text.len()));
    let token = bench.token("Q", ALL).await;
    let keyed = |encoding: &str| {
        let request = bench.request(Method::POST, JOBS, &token).header("idempotency-key", "k");
        request.header("content-type", "text/plain").header("content-encoding", encoding)
    };
    let job = id_of(keyed("identity").body(text.clone()).send().await.unwrap()).await;
    bench.wait(&token, &job).await;

    // With this one on its way the client has no room for a second body of that length.
    let rest = Open::begin(&bench, &token).await;
    let mut longer = text.clone();
    longer.push(b'\n');
    for (encoding, same, more) in
        [("identity", text.clone(), longer.clone()), ("gzip", gzip(&text), gzip(&longer))]
    {
        let same = keyed(encoding).body(same).send().await.unwrap();
        assert_eq!(id_of(same).await, job, "{encoding}");
        let more = keyed(encoding).body(more).send().await.unwrap();
        let detail: Value = more.json().await.unwrap();
        assert_eq!(detail["code"], "CVRS-REQUEST-CONFLICT", "{encoding}");
        for part in [job.clone(), digest(&text), digest(&longer)] {
            assert!(detail["detail"].as_str().unwrap().contains(&part), "{detail}");
        }
    }

    // It is read to its end, below the bound of all bodies, and takes no more room than its job's.
    let spooled = || -> u64 {
        let files = std::fs::read_dir(bench.daemon.dir.join("spool")).unwrap();
        files.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len()).sum()
    };
    let others = spooled();
    let (end, body) = mpsc::channel(1);
    let body = reqwest::Body::wrap_stream(ReceiverStream::new(body));
    let answer = tokio::spawn(keyed("identity").body(body).send());
    for _ in 0..100 {
        end.send(Ok::<_, std::io::Error>(Bytes::from(longer.clone()))).await.unwrap();
        assert!(spooled() <= others + text.len() as u64);
    }
    drop(end);
    let detail = answer.await.unwrap().unwrap().text().await.unwrap();
    assert!(detail.contains(&digest(&longer.repeat(100))), "{detail}");
    let bound = keyed("identity").body(vec![b'\n'; 150_000_000]).send().await.unwrap();
    assert_eq!(problem(bound).await, refused(413, "CVRS-BODY-TOO-LARGE"));
    rest.finish().await;
    crate::support::wait_empty(&bench.daemon.dir, &["spool"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_come_up_to_their_bound_in_a_second() {
    let bench = bench("requests_per_s = 5");
    let token = bench.token("Q", ALL).await;
    let other = bench.token("A", ALL).await;
    let began = Instant::now();
    let calls = (0..60).map(|_| bench.get(JOBS, &token));
    let answers = futures_util::future::join_all(calls).await;
    let good = answers.iter().filter(|r| r.status() == 200).count() as u128;
    let most = 5 + 5 * began.elapsed().as_millis() / 1_000 + 1;
    assert!(good >= 1 && good <= most, "{good} in {:?}", began.elapsed());
    for answer in answers.into_iter().filter(|r| r.status() != 200) {
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(problem(answer).await, refused(429, "CVRS-QUOTA-REQUESTS"));
    }
    assert_eq!(bench.get(JOBS, &other).await.status(), 200);
    let deadline = Instant::now() + PATIENCE;
    while bench.get(JOBS, &token).await.status() != 200 {
        assert!(Instant::now() < deadline, "no call is taken any more");
    }
}
