//! A disk of 8 MiB that runs full for real.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use cvrsd::{exit::Exit, proto::jobs::Operation};

use crate::{
    scene::{ENV, STOPS_WITHIN, block_on, text},
    support::{
        self, Daemon,
        jobs::{self, Upload},
        model::{Expected, Model},
    },
};

/// Large files that are sent at most; a quarter of them fills the disk.
const LARGE: u64 = 60;
const LARGE_ROWS: u64 = 1_000;
/// Small ones, which have no file: what is left of the disk is for the stores.
const SMALL: u64 = 300;
const SMALL_ROWS: u64 = 8;

/// A file system in memory; gone when dropped.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// `None` where this process may not mount anything.
    fn new(mebibytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={mebibytes}m");
        let mounted = as_root(&["mount", "-t", "tmpfs", "-o", &options, "cvrsd-test"], dir.path());
        mounted.then_some(Self { dir })
    }

    fn grow(&self, mebibytes: u64) {
        let options = format!("remount,size={mebibytes}m");
        assert!(as_root(&["mount", "-o", &options], self.dir.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy"], self.dir.path());
    }
}

fn as_root(command: &[&str], dir: &Path) -> bool {
    let run = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(dir).stdin(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    run(command) || run(&[&["sudo", "-n"], command].concat())
}

struct Step {
    upload: Upload,
    expected: Expected,
    job_id: Option<String>,
}

#[test]
fn a_full_disk_loses_nothing_that_was_answered() {
    let Some(disk) = Disk::new(8) else {
        eprintln!("SKIPPED: THIS USER MAY NOT MOUNT, NO FULL DISK WAS TRIED");
        return;
    };
    let data = disk.dir.path().join("data");
    let mut model = Model::default();
    let mut daemon = support::start(&data, ENV);
    refuse_what_does_not_fit(&daemon);
    let mut large = steps(&mut model, 0, LARGE, LARGE_ROWS);
    let mut small = steps(&mut model, LARGE * LARGE_ROWS, SMALL, SMALL_ROWS);
    let refusals = fill(&mut daemon, &mut large);
    assert!(refusals.iter().all(|code| code.starts_with("CVRS-")), "{refusals:?}");
    fill(&mut daemon, &mut small);
    let answered = |steps: &[Step]| steps.iter().filter(|step| step.job_id.is_some()).count();
    let (of_large, of_small) = (answered(&large), answered(&small));
    println!("{of_large} large and {of_small} small answered, ended {:?}", daemon.ended());
    assert!(of_large > 0 && of_large < large.len(), "the disk is full at some time");
    drop(daemon);
    restart_while_full(&data);
    let mut steps = large;
    steps.append(&mut small);
    disk.grow(64);
    let daemon = support::start(&data, ENV);
    block_on(finish(&daemon, &mut steps, &model));
    assert!(daemon.stop().success());
}

/// So many files of so many rows from there on. They have nothing in common, so their order is of no matter.
fn steps(model: &mut Model, from: u64, files: u64, rows: u64) -> Vec<Step> {
    let bases = (0..files).map(|file| from + file * rows);
    let step = |base: u64| {
        let file = text(base..base + rows);
        let expected = model.apply(Operation::Create, &file);
        let upload = Upload::text(Operation::Create, &file).request_id(&format!("from-{base}"));
        Step { upload, expected, job_id: None }
    };
    bases.map(step).collect()
}

/// Larger than the disk: refused, nothing is left, and the daemon goes on.
fn refuse_what_does_not_fit(daemon: &Daemon) {
    block_on(async {
        let mut client = daemon.jobs().await;
        let upload = Upload::text(Operation::Create, &text(0..30_000));
        assert!(upload.body.len() > 8 << 20);
        let refusal = jobs::submit(&mut client, &upload).await.unwrap_err();
        assert!(jobs::code(&refusal).starts_with("CVRS-"), "{refusal:?}");
        support::wait_empty(&daemon.dir, &["spool", "payloads"]);
        jobs::run(&mut client, &Upload::text(Operation::Delete, &text(0..1))).await;
    });
}

/// Sends files until none is taken any more; what was said then.
fn fill(daemon: &mut Daemon, steps: &mut [Step]) -> Vec<String> {
    let mut refusals = Vec::new();
    block_on(async {
        let address = format!("http://{}", daemon.grpc);
        // It may be gone already.
        let Ok(mut client) = jobs::Client::connect(address).await else { return };
        for step in steps {
            match jobs::submit(&mut client, &step.upload).await {
                Ok((job_id, _)) => step.job_id = Some(job_id),
                Err(refusal) if daemon.ended().is_none() && refusals.len() < 3 => {
                    refusals.push(jobs::code(&refusal));
                }
                Err(_) => break,
            }
        }
    });
    // One that ends does so because a store has met it.
    std::thread::sleep(STOPS_WITHIN);
    if let Some(status) = daemon.ended() {
        assert_eq!(status.code(), Some(Exit::Stopped as i32));
        // The last answer may be a connection that broke.
        refusals.retain(|code| !code.is_empty());
    }
    refusals
}

/// Serves, or ends with 70 again; it neither hangs nor spoils anything.
fn restart_while_full(data: &Path) {
    for _ in 0..3 {
        let mut child = support::spawn(data, ENV);
        if support::wait_ready(data, &mut child).is_some() {
            std::thread::sleep(std::time::Duration::from_millis(300));
            child.kill().unwrap();
            child.wait().unwrap();
            continue;
        }
        assert_eq!(support::wait_exit(&mut child).code(), Some(Exit::Stopped as i32));
    }
}

/// All that was answered is there and ends as the model has it; then the rest is sent again.
async fn finish(daemon: &Daemon, steps: &mut [Step], model: &Model) {
    let mut client = daemon.jobs().await;
    for step in steps.iter().filter(|step| step.job_id.is_some()) {
        let (job_id, _) = jobs::submit(&mut client, &step.upload).await.unwrap();
        assert_eq!(step.job_id.as_ref(), Some(&job_id));
    }
    for step in &mut *steps {
        let (job_id, _) = jobs::submit(&mut client, &step.upload).await.unwrap();
        let job = jobs::wait(&mut client, &job_id).await;
        step.expected.check(&job, &jobs::errors(&mut client, &job_id).await);
    }
    model.check_live(&daemon.admin).await;
}
