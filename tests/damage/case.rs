//! One damage: what `cvrsd verify` says of it, and what a daemon does with it.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use cvrsd::proto::{
    admin::ExportRecordsRequest,
    jobs::{GetJobRequest, Job, ListJobErrorsRequest, Outcome, RowError, Status},
};
use tempfile::TempDir;
use tokio_stream::StreamExt;

use crate::{
    files,
    place::{ENV, Place},
    support::{self, Daemon, PATIENCE, jobs, model::STORAGES},
};

/// Where a damage was noticed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noticed {
    /// Nothing is served: exit 70.
    AtStart,
    /// The daemon ended with 70 once it met it.
    WhileServing,
    /// Its job failed or is held, nothing else.
    InItsJob,
    /// An answer is an error.
    WhenRead,
    /// By `cvrsd verify` alone: no answer is other than it must be.
    ByVerify,
    /// By nothing: no answer is other than it must be.
    Never,
}

pub struct Case<'a> {
    place: &'a Place,
    what: String,
    temp: TempDir,
}

impl<'a> Case<'a> {
    /// A copy with that damage, twice: a daemon and `verify` have one each.
    pub fn new(place: &'a Place, what: &str, damage: impl Fn(&Path)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        for name in ["serve", "verify"] {
            let dir = temp.path().join(name);
            files::copy(&place.dir(), &dir);
            damage(&dir);
        }
        Self { place, what: what.to_owned(), temp }
    }

    /// The daemon's copy.
    pub fn dir(&self) -> PathBuf {
        self.temp.path().join("serve")
    }

    /// Fails the test where a wrong answer is given as if it were right.
    pub fn check(&self) -> Noticed {
        let damages = self.verify();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let noticed = runtime.block_on(self.serve());
        match (noticed, damages.is_empty()) {
            (Noticed::Never, false) => Noticed::ByVerify,
            (Noticed::Never, true) | (_, false) => noticed,
            (_, true) => panic!("{}: noticed {noticed:?}, but not by verify", self.what),
        }
    }

    /// What `cvrsd verify` lists.
    fn verify(&self) -> Vec<String> {
        let output = Command::new(support::program())
            .args(["verify", "--output", "json", "--dir"])
            .arg(self.temp.path().join("verify"))
            .env("CVRSD__LOG__LEVEL", "off")
            .output()
            .unwrap();
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1)), "{}: verify: {output:?}", self.what);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["sound"], code == Some(0), "{}: {found}", self.what);
        let listed = found["listed"].as_array().unwrap();
        listed.iter().map(|damage| format!("{}: {}", damage["part"], damage["what"])).collect()
    }

    async fn serve(&self) -> Noticed {
        let mut child = support::spawn(&self.dir(), ENV);
        if support::wait_ready(&self.dir(), &mut child).is_none() {
            let status = support::wait_exit(&mut child);
            assert_eq!(status.code(), Some(70), "{}: {status}", self.what);
            return Noticed::AtStart;
        }
        let mut daemon = support::ready(&self.dir(), child);
        let found = self.read_all(&mut daemon).await;
        match (found, daemon.ended()) {
            (_, Some(status)) => {
                assert_eq!(status.code(), Some(70), "{}: {status}", self.what);
                Noticed::WhileServing
            }
            (Ok(noticed), None) => noticed,
            (Err(status), None) => {
                // It may be about to end.
                tokio::time::sleep(Duration::from_millis(200)).await;
                match daemon.ended().and_then(|status| status.code()) {
                    Some(70) => Noticed::WhileServing,
                    None => {
                        assert_eq!(status.code(), tonic::Code::Internal, "{}: {status}", self.what);
                        Noticed::WhenRead
                    }
                    other => panic!("{}: exit {other:?}", self.what),
                }
            }
        }
    }

    /// Waits for every job, then holds all answers against the model.
    async fn read_all(&self, daemon: &mut Daemon) -> Result<Noticed, tonic::Status> {
        let mut client = daemon.jobs().await;
        let (mut ended, mut failed, mut noticed) = (Vec::new(), Vec::new(), Noticed::Never);
        for known in &self.place.jobs {
            let Some(job) = wait(&mut client, daemon, &known.id).await? else {
                // Held for an operator, and its lane with it.
                return Ok(Noticed::InItsJob);
            };
            if job.outcome() == Outcome::Failed {
                assert!(!known.has_ended, "{}: {} has failed afterwards", self.what, known.id);
                failed.push(known.id.clone());
                noticed = Noticed::InItsJob;
            }
            ended.push(job);
        }
        let (expected, model) = self.place.expected(&failed);
        for (job, expected) in ended.iter().zip(&expected) {
            if failed.contains(&job.job_id) {
                continue;
            }
            let errors = errors(&mut client, &job.job_id).await?;
            let checked = catch_unwind(AssertUnwindSafe(|| expected.check(job, &errors)));
            assert!(checked.is_ok(), "{}: a wrong answer was given", self.what);
        }
        for storage in STORAGES {
            let live = export(daemon, storage).await?;
            let shown =
                |row: &String| if storage == STORAGES[0] { row.clone() } else { redacted(row) };
            let expected: BTreeMap<_, _> =
                model.live.iter().map(|(key, row)| (key.clone(), shown(row))).collect();
            assert!(live == expected, "{}: {storage} holds other rows", self.what);
        }
        Ok(noticed)
    }
}

/// Names, streets and city are hidden.
fn redacted(row: &str) -> String {
    let hidden = [4, 5, 6, 9, 10, 11];
    let cell = |(place, cell)| if hidden.contains(&place) { "Redacted" } else { cell };
    row.split('\t').enumerate().map(cell).collect::<Vec<_>>().join("\t")
}

/// The job once it has ended; `None` where it is held.
async fn wait(
    client: &mut jobs::Client,
    daemon: &mut Daemon,
    id: &str,
) -> Result<Option<Job>, tonic::Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = GetJobRequest { job_id: id.to_owned() };
        let job = client.get_job(request).await?.into_inner().job.unwrap();
        if job.status() == Status::Completed {
            return Ok(Some(job));
        }
        if job.held {
            return Ok(None);
        }
        if daemon.ended().is_some() {
            return Err(tonic::Status::unavailable("the daemon has ended"));
        }
        assert!(Instant::now() < deadline, "job {id} does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn errors(client: &mut jobs::Client, id: &str) -> Result<Vec<RowError>, tonic::Status> {
    let request = ListJobErrorsRequest { job_id: id.to_owned() };
    let mut stream = client.list_job_errors(request).await?.into_inner();
    let mut errors = Vec::new();
    while let Some(page) = stream.next().await {
        errors.extend(page?.errors);
    }
    Ok(errors)
}

/// Live rows by folded key.
async fn export(daemon: &Daemon, storage: &str) -> Result<BTreeMap<String, String>, tonic::Status> {
    let request = ExportRecordsRequest { tenant: "local".to_owned(), storage: storage.to_owned() };
    let mut stream = daemon.records().await.export_records(request).await?.into_inner();
    let mut text = Vec::new();
    while let Some(page) = stream.next().await {
        text.extend_from_slice(&page?.lines);
    }
    let text = String::from_utf8(text).unwrap();
    let row = |row: &str| (row.split('\t').next().unwrap().to_ascii_lowercase(), row.to_owned());
    Ok(text.lines().skip(1).map(row).collect())
}
