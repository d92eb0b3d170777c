//! `cvrsd demo`: the main job on one screen, checked against a model of its own.
//!
//! A daemon of its own runs on a temporary directory and free ports; everything goes through its
//! gRPC services, as any other client's work would.

mod files;

use std::time::{Duration, Instant};

use clap::value_parser;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use self::files::Files;
use super::{
    Failure,
    checked::{
        check::Check,
        daemon::Daemon,
        interrupted,
        model::{Model, STORAGES},
    },
    client::{Admin, AdminTarget, Credentials, Jobs, Target},
    render,
    upload::{self, Order, Source},
    watch,
};
use crate::{domain::Operation, exit::Exit, proto::jobs::Job};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Records to create and mostly delete again
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    #[arg(value_parser = value_parser!(u64).range(1..=2_000_000))]
    rows: u64,
}

/// Runs the demonstration. The daemon is stopped and its directory removed however it ends.
///
/// # Errors
/// When anything fails, is interrupted, or the daemon and the model disagree.
pub async fn run(args: Args) -> Result<(), Failure> {
    let dir = tempfile::Builder::new().prefix("cvrsd-demo-").tempdir()?;
    say(&format!(
        "cvrsd demo with {} records, in {}",
        render::count(args.rows),
        dir.path().display()
    ))?;
    // As many records as asked for, in one text file.
    let body_max = (1_u64 << 40).to_string();
    let mut daemon = Daemon::start(dir.path(), &[("CVRSD__INTAKE__MAX_BODY_BYTES", &body_max)])?;
    let result = tokio::select! {
        result = show(&mut daemon, args.rows) => result,
        () = interrupted() => Err(Failure::new(Exit::Failed, "interrupted")),
    };
    let stopped = daemon.stop().await;
    let result = result.and(stopped);
    if result.is_err() {
        daemon.print_log();
    }
    spawn_blocking(move || dir.close()).await.map_err(std::io::Error::from)??;
    result
}

async fn show(daemon: &mut Daemon, rows: u64) -> Result<(), Failure> {
    let mut demo = Demo::prepare(daemon, rows).await?;
    let create = demo.submit("3 create", Operation::Create).await?;
    let mut check = Check::default();
    let files = demo.files.clone();
    let mut model = Model::default();
    let created = spawn_blocking(move || model.create(&files.create).map(|e| (model, e))).await;
    let (mut model, expected) = created.map_err(std::io::Error::from)??;
    check.job("create", &create, &expected);
    let live = check.live(&mut demo.admin, "live after create", &model).await?;
    say(&format!("           live records in {}: {live}", STORAGES.join(" / ")))?;

    let delete = demo.submit("4 delete", Operation::Delete).await?;
    let files = demo.files.clone();
    let model = spawn_blocking(move || model.delete(&files.delete).map(|e| (model, e))).await;
    let (model, expected) = model.map_err(std::io::Error::from)??;
    check.job("delete", &delete, &expected);
    check.errors("delete", &mut demo.jobs, &delete.job_id, &expected).await?;
    let live = check.live(&mut demo.admin, "live after delete", &model).await?;
    say(&format!("           live records in {}: {live}", STORAGES.join(" / ")))?;
    check.exports(&mut demo.admin, &model).await?;

    say("5 check    against a model that read the same two files")?;
    render::print_line(check.table().trim_fmt())?;
    check.verdict()
}

fn say(line: &str) -> Result<(), Failure> {
    render::print_line(line)
}

/// What the steps share.
struct Demo {
    jobs: Jobs,
    admin: Admin,
    files: Files,
}

impl Demo {
    async fn prepare(daemon: &mut Daemon, rows: u64) -> Result<Self, Failure> {
        let started = Instant::now();
        let listen = daemon.ready().await?;
        let credentials = Credentials::default();
        let admin = AdminTarget { admin: listen.admin, credentials: credentials.clone() };
        let jobs = Target { server: listen.grpc.clone(), credentials };
        say(&format!("1 start    gRPC on {} ({})", listen.grpc, seconds(started.elapsed())))?;
        let started = Instant::now();
        let dir = daemon.dir().to_owned();
        let files = spawn_blocking(move || Files::write(&dir, rows)).await;
        let files = files.map_err(std::io::Error::from)??;
        say(&format!(
            "2 generate {} rows to create, {} rows of a zip to delete ({})",
            render::count(files.create_rows),
            render::count(files.delete_rows),
            seconds(started.elapsed()),
        ))?;
        Ok(Self { jobs: jobs.connect().await?, admin: admin.connect().await?, files })
    }

    /// Submits the file of that step, shows how it goes on and how it ended.
    async fn submit(&mut self, step: &str, operation: Operation) -> Result<Job, Failure> {
        let path = match operation {
            Operation::Delete => &self.files.delete_zip,
            Operation::Create | Operation::Update => &self.files.create,
        };
        let source = Source::inspect(path).await?;
        let request_id = Uuid::now_v7().to_string();
        let order = Order { operation, request_id, validate_only: false };
        let started = Instant::now();
        let bar = upload::bar(source.length);
        let receipt = upload::send(&mut self.jobs, &order, &source, &bar).await;
        bar.finish_and_clear();
        let receipt = receipt?;
        let accepted = seconds(started.elapsed());
        let bytes = render::count(source.length);
        say(&format!("{step:<10} job {}: {bytes} bytes accepted ({accepted})", receipt.job_id))?;
        let started = Instant::now();
        let progress = watch::Progress::new();
        let mut show = |message: &_| {
            progress.show(message);
            Ok(())
        };
        let job = watch::follow(&mut self.jobs, &receipt.job_id, 0, &mut show).await;
        progress.clear();
        let (job, took) = (job?, started.elapsed());
        let rows = job.rows.unwrap_or_default();
        say(&format!(
            "           {}: {} of {} rows took effect ({}, {} rows/s)",
            render::outcome(job.outcome).unwrap_or("without an outcome"),
            render::count(rows.applied),
            render::count(rows.total),
            seconds(took),
            per_second(rows.total, took),
        ))?;
        Ok(job)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn per_second(rows: u64, time: Duration) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    render::count(rows.saturating_mul(1_000_000) / micros)
}
