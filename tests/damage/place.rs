//! A data directory that holds something of everything, as a kill leaves it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use cvrsd::{
    cvrs::sample::{Model as People, Sample},
    proto::jobs::Operation,
};
use tempfile::TempDir;

use crate::support::{
    self, files,
    jobs::{self, Upload},
    model::{Expected, Model},
};

/// Batches of few rows, so that a job can be met between two of them.
pub const ENV: &[(&str, &str)] = &[
    ("CVRSD__ENGINE__CHECKPOINT_ROWS", "400"),
    ("CVRSD__ENGINE__CHECKPOINT_INTERVAL", "10ms"),
    ("CVRSD__ENGINE__MAX_ATTEMPTS", "2"),
    ("CVRSD__ENGINE__RETRY_MIN", "5ms"),
    ("CVRSD__LOG__LEVEL", "off"),
];
/// Above the number of rows from which on they are staged.
const LARGE: u64 = 10_400;
const LEFT: u64 = 8_000;

/// One job, and what it must have done.
pub struct Known {
    pub id: String,
    pub operation: Operation,
    pub text: Vec<u8>,
    pub has_ended: bool,
}

pub struct Place {
    dir: TempDir,
    /// An older snapshot of sled, as it was before the newer jobs.
    pub stale: PathBuf,
    pub jobs: Vec<Known>,
}

impl Place {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for _ in 0..10 {
            let dir = tempfile::tempdir().unwrap();
            let stale = dir.path().join("stale");
            if let Some(jobs) = runtime.block_on(fill(&dir.path().join("data"), &stale)) {
                return Self { dir, stale, jobs };
            }
        }
        panic!("the job was always too quick to be met");
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What each job must report and which rows must be live, if those jobs changed nothing.
    pub fn expected(&self, failed: &[String]) -> (Vec<Expected>, Model) {
        let mut model = Model::default();
        let expect = |job: &Known| {
            if failed.contains(&job.id) {
                return Expected::default();
            }
            model.apply(job.operation, &job.text)
        };
        (self.jobs.iter().map(expect).collect(), model)
    }
}

/// Rows of the sample, some without an id of the person, which only a delete takes.
fn text(rows: std::ops::Range<u64>) -> Vec<u8> {
    let sample = Sample::new(1, People::Identified);
    let mut text = sample.header_line().as_bytes().to_vec();
    for index in rows {
        let mut row = Vec::new();
        sample.write_row(index, &mut row);
        let mut row = String::from_utf8(row).unwrap();
        if index % 100 == 7 {
            row = files::with_cell(&row, 3, "");
        }
        text.push(b'\n');
        text.extend_from_slice(row.as_bytes());
    }
    text
}

/// `None` where the job that is to be met was too quick.
async fn fill(dir: &Path, stale: &Path) -> Option<Vec<Known>> {
    let ended = [
        (Operation::Create, text(0..LARGE), true),
        (Operation::Create, text(20_000..20_003), false),
        (Operation::Update, text(20_001..20_005), false),
        (Operation::Delete, text(9_000..11_000), true),
        (Operation::Delete, text(20_000..20_002), false),
    ];
    // One is met while it is applied, with what stands behind it in its lane.
    let left = [
        (Operation::Create, text(30_000..30_000 + LEFT), true),
        (Operation::Delete, text(20_002..20_004), false),
        (Operation::Create, text(50_000..50_300), false),
        (Operation::Delete, text(100..700), true),
    ];
    let mut known = Vec::new();
    let daemon = support::start(dir, ENV);
    let mut client = daemon.jobs().await;
    for (operation, text, zipped) in ended {
        let job = jobs::run(&mut client, &upload(operation, &text, zipped)).await;
        known.push(Known { id: job.job_id, operation, text, has_ended: true });
    }
    // A snapshot of sled is made with each start.
    assert!(daemon.stop().success());
    let daemon = support::start(dir, ENV);
    daemon.kill();
    let snapshots = snapshots(dir);
    std::fs::create_dir(stale).unwrap();
    for name in &snapshots {
        std::fs::copy(dir.join("journal/sled").join(name), stale.join(name)).unwrap();
    }
    let daemon = support::start(dir, ENV);
    let mut client = daemon.jobs().await;
    for (operation, text, zipped) in left {
        let (id, _) = jobs::submit(&mut client, &upload(operation, &text, zipped)).await.unwrap();
        known.push(Known { id, operation, text, has_ended: false });
    }
    let met = &known[known.len() - 4].id;
    while jobs::get(&mut client, met).await.rows.unwrap().applied == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let job = jobs::get(&mut client, met).await;
    daemon.kill();
    (job.rows.unwrap().applied < LEFT).then_some(known)
}

/// Names of sled's snapshots.
pub fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let mut names = crate::files::below(&dir.join("journal/sled"));
    names.retain(|name| name.to_str().unwrap().starts_with("snap."));
    assert!(!names.is_empty(), "a start leaves one");
    names
}

fn upload(operation: Operation, text: &[u8], zipped: bool) -> Upload {
    if zipped { Upload::zip(operation, text) } else { Upload::text(operation, text) }
}
