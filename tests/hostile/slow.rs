//! Uploads that come slowly or stand still.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::{
    Operation, SubmitDeleteJobRequest, UploadChunk, UploadHeader, submit_delete_job_request::Part,
};
use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::Code;

use crate::support::{
    Daemon, PATIENCE, files,
    jobs::{self, Upload},
    start, wait_empty,
};

/// Slow clients beside a good one.
const SLOW: usize = 1_000;
/// By when the good one must have its answer, whatever the others do.
const GOOD_CLIENT_MAX: Duration = Duration::from_secs(10);
/// Bytes that are too many to stay in memory, and far below the minimum rate.
const SPOOLED: usize = 8 << 10;

/// What a slow client does after the head of its upload.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Silent,
    OneByteASecond,
    StopsInTheSpool,
}

const MANNERS: [Manner; 3] = [Manner::Silent, Manner::OneByteASecond, Manner::StopsInTheSpool];

/// Uploads over REST in that manner; gives the status of the answer once there is one.
async fn rest(address: &str, manner: Manner) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = "DELETE /v0/async/cvrs/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
                Content-Length: 100000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    if matches!(manner, Manner::StopsInTheSpool) {
        stream.write_all(&vec![b'x'; SPOOLED]).await.ok()?;
    }
    let (mut answers, mut body) = stream.into_split();
    let drip = async {
        while matches!(manner, Manner::OneByteASecond) && body.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut status = [0; 12];
    tokio::select! {
        read = answers.read_exact(&mut status) => read.ok()?,
        () = drip => return None,
    };
    Some(String::from_utf8(status.to_vec()).unwrap())
}

/// Uploads over gRPC in that manner; gives the answer's code once there is one.
async fn grpc(mut client: jobs::Client, manner: Manner) -> Code {
    let header = UploadHeader { media_type: "text/plain".to_owned(), ..UploadHeader::default() };
    let chunk = |offset: usize, bytes: usize| UploadChunk {
        offset: offset as u64,
        data: vec![b'x'; bytes].into(),
    };
    let first = SubmitDeleteJobRequest { part: Some(Part::Header(header)) };
    let chunks = futures_util::stream::iter(0_usize..).then(move |index| async move {
        match (manner, index) {
            (Manner::OneByteASecond, _) => sleep(Duration::from_secs(1)).await,
            (Manner::StopsInTheSpool, 0) => return chunk(0, SPOOLED),
            _ => std::future::pending().await,
        }
        chunk(index, 1)
    });
    let chunks = chunks.map(|chunk| SubmitDeleteJobRequest { part: Some(Part::Chunk(chunk)) });
    let parts = futures_util::stream::once(async { first }).chain(chunks);
    client.submit_delete_job(parts).await.unwrap_err().code()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_below_the_minimum_rate_is_cut_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__INTAKE__IDLE_TIMEOUT", "2s")]);
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for manner in MANNERS {
        let (address, client) = (daemon.rest.clone(), daemon.jobs().await);
        clients.spawn(async move {
            assert_eq!(rest(&address, manner).await.unwrap(), "HTTP/1.1 408", "{manner:?}");
        });
        clients.spawn(async move {
            assert_eq!(grpc(client, manner).await, Code::DeadlineExceeded, "{manner:?}");
        });
    }
    timeout(PATIENCE, clients.join_all()).await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");
    wait_empty(dir.path(), &["spool", "payloads"]);
}

/// Submits 500 rows over REST, again after each refusal and about the pause that it asks for.
async fn submit_with_patience(daemon: &Daemon) -> Duration {
    let (client, began) = (reqwest::Client::new(), Instant::now());
    loop {
        let request = client.post(daemon.url("/v0/async/cvrs/jobs"));
        let request = request.header("content-type", "text/plain").body(files::text(1, 0..500));
        let answer = request.send().await.unwrap();
        if answer.status() == 202 {
            return began.elapsed();
        }
        assert_eq!(answer.status(), 429);
        let pause: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        // With some jitter, or those who were refused together come back together.
        sleep(Duration::from_millis(fastrand::u64(pause * 500..pause * 1_500))).await;
    }
}

/// Slow clients over both faces. One that is refused or cut comes back after about the pause that a
/// refusal asks for.
async fn crowd(daemon: &Daemon) -> JoinSet<()> {
    let mut crowd = JoinSet::new();
    let mut client = daemon.jobs().await;
    for number in 0..SLOW {
        if number % 100 == 0 {
            client = daemon.jobs().await;
        }
        let (address, client) = (daemon.rest.clone(), client.clone());
        let manner = MANNERS[number / 2 % MANNERS.len()];
        crowd.spawn(async move {
            loop {
                if number % 2 == 0 {
                    rest(&address, manner).await;
                } else {
                    grpc(client.clone(), manner).await;
                }
                sleep(Duration::from_millis(fastrand::u64(1_000..3_000))).await;
            }
        });
    }
    crowd
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_client_gets_in_beside_a_thousand_slow_ones() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Arc::new(start(dir.path(), &[]));
    let mut crowd = crowd(&daemon).await;
    let spool = dir.path().join("spool");
    let spooled = || std::fs::read_dir(&spool).unwrap().count();
    let began = Instant::now();
    while spooled() < 64 {
        assert!(began.elapsed() < PATIENCE, "only {} uploads reach the spool", spooled());
        sleep(Duration::from_millis(10)).await;
    }
    let mut client = daemon.jobs().await;
    for _ in 0..3 {
        let took = submit_with_patience(&daemon).await;
        println!("500 rows were taken after {took:?}");
        assert!(took < GOOD_CLIENT_MAX, "{took:?}");
        let began = Instant::now();
        let small = Upload::text(Operation::Create, &files::text(2, 0..1));
        jobs::submit(&mut client, &small).await.unwrap();
        println!("one row was taken after {:?}", began.elapsed());
        assert!(began.elapsed() < GOOD_CLIENT_MAX);
    }
    assert!(spooled() <= 64, "no more files than slots");
    crowd.shutdown().await;
    drop(client);
    wait_empty(dir.path(), &["spool", "payloads"]);
    // Every place is free again.
    let mut all = JoinSet::new();
    for _ in 0..64 {
        let mut client = daemon.jobs().await;
        let upload = Upload::text(Operation::Delete, &files::text(1, 0..50));
        all.spawn(async move { jobs::submit(&mut client, &upload).await.unwrap() });
    }
    timeout(PATIENCE, all.join_all()).await.unwrap();
}
