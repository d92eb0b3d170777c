//! Sends the files of a table and holds the daemon to what their lines say.

use std::time::{Duration, Instant};

use cvrsd::proto::jobs::{Operation, Outcome};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{
    http::{JOBS, Server},
    jobs::{self, Upload},
    memory::Mark,
    rows, wait_empty,
};

/// One file, sent as a delete.
pub struct Attack {
    pub name: &'static str,
    pub media: &'static str,
    pub body: Vec<u8>,
    pub end: End,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Refused at submit, with this status over REST and this code over both.
    Refused(u16, &'static str),
    /// A job that ends `FAILED` with this code.
    Failed(&'static str),
    /// Harmless: a job that goes through the file.
    Read,
}

impl End {
    fn of(outcome: &str, code: Option<&str>) -> String {
        format!("{outcome} {}", code.unwrap_or("-"))
    }

    fn job(self) -> String {
        match self {
            Self::Failed(code) => Self::of("FAILED", Some(code)),
            _ => Self::of("PARTIAL", None),
        }
    }
}

/// How long it may take from the first byte sent to the refusal or the job's end.
pub fn time_max() -> Duration {
    let optimised = std::env::var_os("CVRSD_BIN").is_some();
    if optimised { Duration::from_secs(2) } else { Duration::from_secs(12) }
}

/// Sends every file over REST.
pub fn over_rest(attacks: impl IntoIterator<Item = Attack>, env: &[(&str, &str)]) {
    let server = Server::with(env);
    healthy(&server);
    let mark = Mark::set(server.daemon.pid());
    for attack in attacks {
        let Attack { name, media, body, end } = attack;
        mark.begin();
        let began = Instant::now();
        let answer = server.call("DELETE", JOBS, &[("Content-Type", media)], &body);
        match end {
            End::Refused(status, code) => {
                assert_eq!(answer.problem(), (status, code.to_owned()), "{name}");
            }
            End::Failed(_) | End::Read => {
                assert_eq!(answer.status, 202, "{name}: {answer:?}");
                let id = answer.accepted();
                server.wait(&id);
                let job = server.full(&id);
                let told =
                    End::of(job["outcome"].as_str().unwrap(), job["failure"]["code"].as_str());
                assert_eq!(told, end.job(), "{name}");
            }
        }
        settle(&server, name, began, &mark);
    }
}

/// Sends every file over gRPC.
pub async fn over_grpc(attacks: impl IntoIterator<Item = Attack>, env: &[(&str, &str)]) {
    let server = Server::with(env);
    healthy(&server);
    let mark = Mark::set(server.daemon.pid());
    let mut client = server.daemon.jobs().await;
    for attack in attacks {
        let Attack { name, media, body, end } = attack;
        let mut upload = Upload::text(Operation::Delete, b"");
        upload.media_type = media;
        upload.body = body.into();
        mark.begin();
        let began = Instant::now();
        let answer = jobs::submit(&mut client, &upload).await;
        if let End::Refused(_, code) = end {
            let status = answer.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{name}");
            assert_eq!(status.get_details_error_info().unwrap().reason, code, "{name}");
        } else {
            let (id, _) = answer.unwrap_or_else(|status| panic!("{name}: {status:?}"));
            let job = jobs::wait(&mut client, &id).await;
            let outcome = match job.outcome() {
                Outcome::Failed => "FAILED",
                Outcome::Partial => "PARTIAL",
                other => panic!("{name}: {other:?}"),
            };
            let code = job.failure.as_ref().map(|failure| failure.code.as_str());
            assert_eq!(End::of(outcome, code), end.job(), "{name}");
        }
        settle(&server, name, began, &mark);
    }
}

/// What must hold after every file.
fn settle(server: &Server, name: &str, began: Instant, mark: &Mark) {
    let took = began.elapsed();
    assert!(took <= time_max(), "{name} took {took:?}");
    mark.check(&format!("{name}: {took:?}"));
    wait_empty(&server.daemon.dir, &["spool", "payloads", "work"]);
    healthy(server);
}

/// A good file goes through.
fn healthy(server: &Server) {
    for method in ["POST", "DELETE"] {
        let job = server.run_full(method, rows::events(&["GOOD"]));
        assert_eq!((&job["outcome"], &job["rowsApplied"]), (&"SUCCEEDED".into(), &1.into()));
    }
}
