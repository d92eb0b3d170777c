//! The rounds: send jobs, kill, start again, hold everything against the model.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{task::block_in_place, time::sleep};
use tonic::Code;

use super::plan::{Plan, Planned};
use crate::{
    cli::{
        Failure,
        checked::{check::Check, daemon::Daemon},
        client::{Admin, AdminTarget, Credentials, Jobs, Target, refused},
        render,
        upload::{self, Order, Source},
        watch,
    },
    exit::Exit,
    limits::PAGE_JOBS_MAX,
    proto::jobs::ListJobsRequest,
};

/// Small batches and checkpoints, so that there is much to interrupt.
const SETTINGS: [(&str, &str); 3] = [
    ("CVRSD__ENGINE__CHECKPOINT_ROWS", "1000"),
    ("CVRSD__ENGINE__CHECKPOINT_INTERVAL", "20ms"),
    ("CVRSD__RECORDS__MEMTABLE_BYTES", "2097152"),
];
/// How long after the first job of a round the kill comes at the latest: while jobs are sent, or run.
const KILL_MS_MAX: [u64; 2] = [60, 800];
/// How long after its start a daemon is killed at the latest that is killed before it is of use.
const KILL_START_MS_MAX: u64 = 250;
/// One of so many starts is.
const KILL_STARTS: u32 = 3;

/// What was counted.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) rounds: u64,
    pub(super) kills: u64,
    pub(super) jobs: u64,
    /// Jobs that had their answer when the daemon was killed.
    pub(super) acknowledged: u64,
    pub(super) rows: u64,
    /// Live records that were read back.
    pub(super) records: u64,
    /// Acknowledged jobs and records that are not there.
    pub(super) lost: u64,
    /// Jobs and records that are there twice, or that nobody asked for.
    pub(super) doubled: u64,
    /// All that is not as the model has it.
    pub(super) differences: Vec<String>,
}

impl Tally {
    /// Fails where anything is not as it should be.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.lost == 0 && self.doubled == 0 && self.differences.is_empty() {
            return Ok(());
        }
        let (lost, doubled) = (render::count(self.lost), render::count(self.doubled));
        let line = format!("lost {lost}, doubled {doubled}: {}", self.differences.join("; "));
        Err(Failure::new(Exit::Failed, line))
    }
}

/// A daemon and the jobs that it gets.
pub(super) struct Rounds {
    dir: PathBuf,
    files: PathBuf,
    daemon: Daemon,
    plan: Plan,
    random: Rng,
    tally: Tally,
}

impl Rounds {
    /// Starts the daemon in that directory.
    pub(super) fn start(dir: &Path, seed: u64) -> Result<Self, Failure> {
        let files = dir.join("files");
        fs::create_dir(&files)?;
        Ok(Self {
            dir: dir.to_owned(),
            files,
            daemon: Daemon::start(dir, &SETTINGS)?,
            plan: Plan::new(seed),
            random: Rng::with_seed(seed ^ u64::MAX),
            tally: Tally::default(),
        })
    }

    /// So many rounds with a kill, or one without. Ends with the first that finds something.
    pub(super) async fn run(&mut self, kills: Option<u64>) -> Result<(), Failure> {
        let bar = bar(kills.unwrap_or(1));
        for _ in 0..kills.unwrap_or(1) {
            self.round(kills.is_some()).await?;
            bar.inc(1);
            if bar.is_hidden() {
                let Tally { rounds, kills, jobs, lost, doubled, .. } = &self.tally;
                let line = format!("{jobs} jobs, {kills} kills, lost {lost}, doubled {doubled}");
                render::note(&format!("round {rounds}: {line}"));
            }
            if self.tally.verdict().is_err() {
                break;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Ends the daemon; what was counted, or why not all could be.
    pub(super) async fn stop(mut self, result: Result<(), Failure>) -> Result<Tally, Failure> {
        let stopped = self.daemon.stop().await;
        if let Err(failure) = result.and(stopped) {
            self.daemon.print_log();
            return Err(failure);
        }
        Ok(self.tally)
    }

    async fn round(&mut self, kill: bool) -> Result<(), Failure> {
        let planned = block_in_place(|| self.plan.round(&self.files))?;
        let mut answered = Vec::new();
        if kill {
            answered = self.send_and_kill(&planned).await?;
            self.start_again().await?;
        }
        let (mut jobs, mut admin) = self.connect().await?;
        self.look_for(&mut jobs, &answered).await?;
        let mut check = Check::default();
        self.finish(&mut jobs, &planned, &answered, &mut check).await?;
        self.count_jobs(&mut jobs).await?;
        check.live(&mut admin, "live records", &self.plan.model).await?;
        // Nobody has a record before the first create.
        if !self.plan.model.header.is_empty() {
            let (lost, doubled) = check.exports(&mut admin, &self.plan.model).await?;
            self.tally.lost += lost;
            self.tally.doubled += doubled;
        }
        self.tally.records += self.plan.model.live();
        self.tally.differences.extend(check.differences());
        self.tally.rounds += 1;
        block_in_place(|| planned.iter().try_for_each(|job| fs::remove_file(&job.path)))?;
        Ok(())
    }

    /// Sends the jobs until the daemon dies under them; the ids of those that were answered.
    async fn send_and_kill(&mut self, planned: &[Planned]) -> Result<Vec<String>, Failure> {
        let (mut jobs, _) = self.connect().await?;
        let latest = self.random.choice(KILL_MS_MAX).unwrap_or_default();
        let delay = Duration::from_millis(self.random.u64(0..=latest));
        let mut answered = Vec::new();
        let sending = async {
            for job in planned {
                // What the kill breaks off is sent again later.
                let Ok(job_id) = send(&mut jobs, job).await else { break };
                answered.push(job_id);
            }
            std::future::pending::<()>().await;
        };
        // Under the hands of the sender, which is given up after it.
        tokio::select! {
            () = sending => {}
            killed = async { sleep(delay).await; self.daemon.kill() } => killed?,
        }
        self.tally.kills += 1;
        self.tally.acknowledged += answered.len() as u64;
        Ok(answered)
    }

    /// Starts the daemon, and kills it at its start now and then.
    async fn start_again(&mut self) -> Result<(), Failure> {
        self.daemon = Daemon::start(&self.dir, &SETTINGS)?;
        while self.random.u32(0..KILL_STARTS) == 0 {
            sleep(Duration::from_millis(self.random.u64(0..=KILL_START_MS_MAX))).await;
            self.daemon.kill()?;
            self.tally.kills += 1;
            self.daemon = Daemon::start(&self.dir, &SETTINGS)?;
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(Jobs, Admin), Failure> {
        let listen = self.daemon.ready().await?;
        let credentials = Credentials::default();
        let admin = AdminTarget { admin: listen.admin, credentials: credentials.clone() };
        let jobs = Target { server: listen.grpc, credentials };
        Ok((jobs.connect().await?, admin.connect().await?))
    }

    /// Whether all that was answered is there.
    async fn look_for(&mut self, jobs: &mut Jobs, answered: &[String]) -> Result<(), Failure> {
        for job_id in answered {
            match watch::get(jobs, job_id).await {
                Ok(_) => {}
                Err(status) if status.code() == Code::NotFound => {
                    self.tally.lost += 1;
                    self.tally.differences.push(format!("job {job_id} is lost"));
                }
                Err(status) => return Err(refused(&status)),
            }
        }
        Ok(())
    }

    /// Sends every job again under its key, and holds how it ends against the model.
    async fn finish(
        &mut self,
        jobs: &mut Jobs,
        planned: &[Planned],
        answered: &[String],
        check: &mut Check,
    ) -> Result<(), Failure> {
        for (i, plan) in planned.iter().enumerate() {
            let job_id = send(jobs, plan).await?;
            if let Some(first) = answered.get(i)
                && *first != job_id
            {
                let text = format!("{} made job {first} and job {job_id}", plan.request_id);
                self.tally.differences.push(text);
            }
            let job = watch::follow(jobs, &job_id, 0, &mut |_| Ok(())).await?;
            check.job(&plan.request_id, &job, &plan.expected);
            check.errors(&plan.request_id, jobs, &job_id, &plan.expected).await?;
            self.tally.jobs += 1;
            self.tally.rows += plan.expected.rows;
        }
        Ok(())
    }

    /// Whether there are as many jobs as keys.
    async fn count_jobs(&mut self, jobs: &mut Jobs) -> Result<(), Failure> {
        let (mut found, mut page_token) = (0, String::new());
        loop {
            let page_size = u32::try_from(PAGE_JOBS_MAX).unwrap_or(u32::MAX);
            let request = ListJobsRequest { page_size, page_token, ..ListJobsRequest::default() };
            let page = jobs.list_jobs(request).await.map_err(|s| refused(&s))?.into_inner();
            found += page.jobs.len() as u64;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        if found != self.tally.jobs {
            self.tally.doubled += found.saturating_sub(self.tally.jobs);
            self.tally.lost += self.tally.jobs.saturating_sub(found);
            self.tally.differences.push(format!("{found} jobs, not {}", self.tally.jobs));
        }
        Ok(())
    }
}

async fn send(jobs: &mut Jobs, job: &Planned) -> Result<String, Failure> {
    let source = Source::inspect(&job.path).await?;
    let order = Order {
        operation: job.operation,
        request_id: job.request_id.clone(),
        validate_only: false,
    };
    Ok(upload::send(jobs, &order, &source, &ProgressBar::hidden()).await?.job_id)
}

fn bar(rounds: u64) -> ProgressBar {
    let bar = ProgressBar::new(rounds);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} rounds, {eta} left") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_lost_doubled_or_differs_fails() {
        assert!(Tally { jobs: 5, acknowledged: 4, ..Tally::default() }.verdict().is_ok());
        let differences = vec!["live records: 3, not 4".to_owned()];
        let bad = [
            Tally { lost: 1, ..Tally::default() },
            Tally { doubled: 1_000, ..Tally::default() },
            Tally { differences, ..Tally::default() },
        ];
        let told = bad.map(|tally| tally.verdict().unwrap_err());
        assert!(told.iter().all(|failure| failure.exit == Exit::Failed));
        assert!(told[1].message.contains("doubled 1,000"), "{}", told[1].message);
        assert!(told[2].message.contains("3, not 4"), "{}", told[2].message);
    }
}
