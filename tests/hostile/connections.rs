//! Connections that say nothing.

use std::{
    io::Read,
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::{Operation, Outcome};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    setting,
    support::{
        Daemon, PATIENCE, command, files,
        http::Server,
        jobs::{self, Upload},
        program, ready, rows,
    },
};

/// By when a connection that never said anything must be closed; the daemon waits 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(25);

/// Lets this process have as many connections as it may.
pub fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Descriptors that a process has open.
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn idle(daemon: &Daemon, of_each: usize) -> Vec<TcpStream> {
    let addresses = [&daemon.grpc, &daemon.rest, &daemon.admin];
    let connect = |address: &String| TcpStream::connect(address).unwrap();
    addresses.into_iter().flat_map(|a| (0..of_each).map(move |_| connect(a))).collect()
}

/// Every face answers; gives how long that took.
fn served(server: &Server) -> Duration {
    let began = Instant::now();
    let answer = server.upload("DELETE", "text/plain", rows::ids(&["EV1"]));
    assert_eq!(answer.status, 202, "{answer:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let job = runtime.block_on(async {
        let id = answer.accepted();
        jobs::get(&mut server.daemon.jobs().await, &id).await
    });
    assert!(!job.job_id.is_empty());
    let mut metrics = TcpStream::connect(&server.daemon.admin).unwrap();
    metrics.set_read_timeout(Some(SILENCE_MAX)).unwrap();
    std::io::Write::write_all(&mut metrics, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut status = [0; 12];
    metrics.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    began.elapsed()
}

#[test]
fn connections_that_say_nothing_stop_nobody_and_are_closed() {
    raise_file_limit();
    let server = Server::new();
    served(&server);
    let before = descriptors(server.daemon.pid());
    let count = setting("CVRSD_IDLE_CONNECTIONS", 1_000);
    let idle = idle(&server.daemon, count);
    let took = served(&server);
    println!("{count} idle connections on each listener: all faces answered within {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    for mut stream in idle {
        stream.set_read_timeout(Some(SILENCE_MAX)).unwrap();
        // A server of HTTP/2 says its settings before it hears anything.
        if let Err(error) = stream.read_to_end(&mut Vec::new()) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while descriptors(server.daemon.pid()) > before {
        assert!(Instant::now() < deadline, "descriptors stay open");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A daemon that may open that many files.
fn with_files(dir: &Path, files: u32) -> Daemon {
    let plain = command(dir, &[], &[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {files}; exec \"$0\" serve")]).arg(program());
    for (key, value) in plain.get_envs() {
        limited.env(key, value.unwrap());
    }
    ready(dir, limited.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_full_leaves_descriptors_to_the_stores_and_to_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = with_files(dir.path(), 128);
    // More than there are descriptors; those that are not accepted fit into the system's queue.
    let idle: Vec<_> = (0..140).map(|_| TcpStream::connect(&daemon.rest).unwrap()).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let open = descriptors(daemon.pid());
    println!("{open} descriptors are open");
    let began = Instant::now();
    let mut client = daemon.jobs().await;
    let upload = Upload::text(Operation::Create, &files::text(1, 0..2_000));
    let job = tokio::time::timeout(PATIENCE, jobs::run(&mut client, &upload)).await.unwrap();
    assert_eq!(job.outcome(), Outcome::Succeeded);
    println!("a job of 2,000 rows ran in {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(idle);
    let live = format!("http://{}/v0/async/cvrs/jobs", daemon.rest);
    assert_eq!(reqwest::get(live).await.unwrap().status(), 200);
    assert!(daemon.stop().success());
}
