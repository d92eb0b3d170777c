//! Data directories, backups and keys as earlier formats left them: each is opened, all that was answered is there,
//! and what was not done is done. `CVRSD_UPDATE=1` makes those of the present formats; one that is there stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod formats;
mod others;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::{ListJobsRequest, Operation, Status};
use support::{
    Daemon, files,
    jobs::{self, Upload},
    model::{Expected, Model},
};
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

const SEED: u64 = 20_261_126;
/// What was done there. The last job was queued, and everything paused, when the daemon was killed.
const STEPS: [(Operation, Range<u64>); 4] = [
    (Operation::Create, 0..300),
    (Operation::Delete, 250..320),
    (Operation::Update, 100..110),
    (Operation::Create, 200..500),
];

/// Bodies of every step, what must come of them, and the records at the end.
fn plan() -> (Vec<(Upload, Expected)>, Model) {
    let mut model = Model::default();
    let steps = STEPS.into_iter().enumerate().map(|(number, (operation, rows))| {
        let text = files::text(SEED, rows);
        let expected = model.apply(operation, &text);
        let pack = if number % 2 == 0 { Upload::zip } else { Upload::text };
        (pack(operation, &text).request_id(&format!("step-{number}")), expected)
    });
    (steps.collect(), model)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade")
}

#[test]
fn a_directory_of_every_format_is_opened_and_gone_on_with() {
    for image in images("zip") {
        println!("{}", image.display());
        let home = tempfile::tempdir().unwrap();
        ZipArchive::new(File::open(image).unwrap()).unwrap().extract(home.path()).unwrap();
        goes_on(home.path());
    }
}

/// What is kept there with that ending, at least one.
fn images(ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let images: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == ending)).collect();
    assert!(!images.is_empty());
    images
}

/// A daemon there has all that was done, and does what was not.
fn goes_on(dir: &Path) {
    support::verify(dir);
    let daemon = support::start(dir, &[]);
    block_on(check(&daemon));
    assert!(daemon.stop().success());
    support::verify(dir);
}

async fn check(daemon: &Daemon) {
    let (steps, model) = plan();
    let mut client = daemon.jobs().await;
    let listed = client.list_jobs(ListJobsRequest::default()).await.unwrap().into_inner().jobs;
    assert_eq!(listed.len(), steps.len());
    assert_eq!(listed[0].status(), Status::Queued, "it is still paused");
    operate(daemon, &["resume", "--all"]);
    for (job, (upload, expected)) in listed.iter().rev().zip(&steps) {
        // The same request is the same job.
        assert_eq!(jobs::submit(&mut client, upload).await.unwrap().0, job.job_id);
        let ended = jobs::wait(&mut client, &job.job_id).await;
        expected.check(&ended, &jobs::errors(&mut client, &job.job_id).await);
    }
    model.check_live(&daemon.admin).await;
}

/// A release that stores anything in another form brings the directory of that form.
#[test]
fn the_present_formats_have_their_directory() {
    for purged in [false, true] {
        let home = tempfile::tempdir().unwrap();
        if purged {
            purge(home.path());
        }
        let daemon = support::start(home.path(), &[]);
        let format = |store: &str| {
            let text = fs::read_to_string(home.path().join(store).join("format")).unwrap();
            text.split_whitespace().last().unwrap().to_owned()
        };
        let name = format!("journal-{}-records-{}.zip", format("journal"), format("records"));
        let image = folder().join(name);
        if std::env::var_os("CVRSD_UPDATE").is_some() && !image.exists() {
            block_on(fill(&daemon));
            daemon.kill();
            pack(home.path(), &image);
        }
        assert!(image.exists(), "{} is missing; CVRSD_UPDATE=1 makes it", image.display());
    }
}

/// A purge changes the journal's format. It leaves neither jobs nor records.
fn purge(dir: &Path) {
    let clocks = [("CVRSD__RETENTION__REPORTS", "1s"), ("CVRSD__RETENTION__JOBS", "1s")];
    let daemon = support::start(dir, &clocks);
    block_on(async {
        let mut client = daemon.jobs().await;
        for operation in [Operation::Create, Operation::Delete] {
            let text = files::text(SEED, 900..910);
            jobs::run(&mut client, &Upload::text(operation, &text)).await;
        }
        let deadline = Instant::now() + support::PATIENCE;
        while !client
            .list_jobs(ListJobsRequest::default())
            .await
            .unwrap()
            .into_inner()
            .jobs
            .is_empty()
        {
            assert!(Instant::now() < deadline, "nothing is purged");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(daemon.stop().success());
}

async fn fill(daemon: &Daemon) {
    let (steps, _) = plan();
    let mut client = daemon.jobs().await;
    let (last, before) = steps.split_last().unwrap();
    for (upload, _) in before {
        jobs::run(&mut client, upload).await;
    }
    operate(daemon, &["pause", "--all", "--reason", "a fixture"]);
    jobs::submit(&mut client, &last.0).await.unwrap();
    // Let the stores do what they do behind a job.
    thread::sleep(Duration::from_secs(1));
}

fn operate(daemon: &Daemon, words: &[&str]) {
    let mut command = Command::new(support::program());
    command.arg("admin").args(words).args(["--admin", &format!("http://{}", daemon.admin)]);
    assert!(command.status().unwrap().success(), "{words:?}");
}

fn pack(dir: &Path, image: &Path) {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(image).unwrap()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap();
            if name == "listen.json" {
                continue;
            }
            if path.is_dir() {
                zip.add_directory(name, options).unwrap();
                folders.push(path);
            } else {
                zip.start_file(name, options).unwrap();
                io::copy(&mut File::open(&path).unwrap(), &mut zip).unwrap();
            }
        }
    }
    zip.finish().unwrap().flush().unwrap();
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}
