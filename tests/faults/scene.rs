//! An operation that is run again and again, each time with another fault, on copies of one directory.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cvrsd::{
    cvrs::sample::{Model as People, Sample},
    proto::jobs::{ListJobsRequest, Operation},
};
use tempfile::TempDir;

use crate::{
    strace::{self, Call, Fault, Place, Point, Strace},
    support::{
        self, Daemon, PATIENCE, files,
        jobs::{self, Client, Upload},
        model::{Expected, Model},
    },
};

/// Small batches, checkpoints and memtables, so that there is much to interrupt; one worker, so that a
/// thread's name says which it is. Attempts are counted per job without progress.
pub const ENV: &[(&str, &str)] = &[
    // So that a disk can be full.
    ("CVRSD__DATA__RESERVE_BYTES", "0"),
    ("CVRSD__ENGINE__WORKERS", "1"),
    ("CVRSD__ENGINE__EXPRESS_WORKERS", "0"),
    ("CVRSD__ENGINE__EXPRESS_BYTES", "100000000"),
    ("CVRSD__ENGINE__CHECKPOINT_ROWS", "1000"),
    ("CVRSD__ENGINE__CHECKPOINT_INTERVAL", "20ms"),
    ("CVRSD__ENGINE__MAX_ATTEMPTS", "1000"),
    ("CVRSD__ENGINE__RETRY_MIN", "10ms"),
    ("CVRSD__RECORDS__MEMTABLE_BYTES", "1048576"),
    ("CVRSD__RECORDS__CACHE_BYTES", "1048576"),
];
/// How long a daemon may still have something to do after its last job has ended.
const SETTLE: Duration = Duration::from_millis(100);
/// Within what time a daemon whose store failed has ended.
pub const STOPS_WITHIN: Duration = Duration::from_secs(1);

/// A job and what must come of it.
pub struct Step {
    pub upload: Upload,
    pub expected: Expected,
}

/// A directory, what is in it, and what is done with it.
pub struct Scene {
    pub name: &'static str,
    image: TempDir,
    /// Jobs that were answered there.
    known: Vec<(String, Expected)>,
    /// The job that is submitted; without one, the operation is the start.
    pub step: Option<Step>,
    /// Records at the very end.
    model: Model,
}

/// What came of one run.
pub struct Run {
    dir: TempDir,
    /// The answer to the submit, if one was made.
    pub answer: Option<Result<String, tonic::Status>>,
    /// How the daemon ended by itself.
    pub ended: Option<ExitStatus>,
    /// When it had ended, or was looked at last.
    at: SystemTime,
    pub calls: Vec<Call>,
    pub threads: HashMap<u32, String>,
}

impl Scene {
    fn new(name: &'static str) -> Self {
        let image = tempfile::tempdir().unwrap();
        Self { name, image, known: Vec::new(), step: None, model: Model::default() }
    }

    /// The first start in an empty directory.
    pub fn fresh_start() -> Self {
        Self::new("start on nothing")
    }

    /// A start after a kill that left a job half done.
    pub fn used_start() -> Self {
        let mut scene = Self::new("start after a kill");
        scene.prepare(&[(Operation::Create, 0..3_000), (Operation::Delete, 100..102)]);
        let step = scene.next(Operation::Create, 3_000..9_000, Upload::zip);
        let daemon = support::start(scene.image.path(), ENV);
        let job_id = block_on(async {
            jobs::submit(&mut daemon.jobs().await, &step.upload).await.unwrap().0
        });
        thread::sleep(Duration::from_millis(150));
        daemon.kill();
        scene.known.push((job_id, step.expected));
        scene
    }

    /// A job of few rows, whose body stands in the journal.
    pub fn small() -> Self {
        let mut scene = Self::new("small job");
        scene.prepare(&[(Operation::Create, 0..300)]);
        scene.step = Some(scene.next(Operation::Delete, 290..303, Upload::zip));
        assert!(scene.step.as_ref().unwrap().upload.body.len() <= 4_000);
        scene
    }

    /// A create with a payload file, checkpoints, batches and full memtables.
    pub fn create() -> Self {
        let mut scene = Self::new("create");
        scene.prepare(&[(Operation::Create, 0..500)]);
        scene.step = Some(scene.next(Operation::Create, 400..4_400, Upload::zip));
        scene
    }

    /// The same for a delete.
    pub fn delete() -> Self {
        let mut scene = Self::new("delete");
        scene.prepare(&[(Operation::Create, 0..5_000)]);
        scene.step = Some(scene.next(Operation::Delete, 1_000..6_000, Upload::text));
        scene
    }

    /// A create whose rows are written ahead of its batches.
    pub fn staged() -> Self {
        let mut scene = Self::new("staged create");
        scene.prepare(&[(Operation::Create, 0..500)]);
        scene.step = Some(scene.next(Operation::Create, 400..11_400, Upload::zip));
        scene
    }

    fn prepare(&mut self, files: &[(Operation, std::ops::Range<u64>)]) {
        let daemon = support::start(self.image.path(), ENV);
        for (operation, rows) in files {
            let step = self.next(*operation, rows.clone(), Upload::text);
            let job = block_on(async { jobs::run(&mut daemon.jobs().await, &step.upload).await });
            self.known.push((job.job_id, step.expected));
        }
        assert!(daemon.stop().success());
    }

    /// A file that the model has applied.
    fn next(
        &mut self,
        operation: Operation,
        rows: std::ops::Range<u64>,
        pack: fn(Operation, &[u8]) -> Upload,
    ) -> Step {
        let text = text(rows);
        let expected = self.model.apply(operation, &text);
        let request_id = format!("step-{}", self.known.len());
        Step { upload: pack(operation, &text).request_id(&request_id), expected }
    }

    /// Runs the operation once, on a copy of the directory.
    pub fn run(&self, fault: Option<&Fault>) -> Run {
        let dir = tempfile::tempdir().unwrap();
        copy(self.image.path(), &data(&dir));
        match &self.step {
            None => start(dir, fault),
            Some(step) => submit(dir, step, fault),
        }
    }

    /// Every point of the operation, by the calls that it makes without a fault. A file that two runs name
    /// alike is told by its name, any other by the thread that has it.
    pub fn points(&self) -> Vec<Point> {
        let runs = [self.run(None), self.run(None)];
        let paths = runs.each_ref().map(|run| {
            let files = run.calls.iter().filter_map(|call| run.relative(call));
            files.map(Path::to_owned).collect::<HashSet<_>>()
        });
        let named = |path: &&Path| paths.iter().all(|paths| paths.contains(*path));
        let mut points = Vec::new();
        for run in &runs {
            assert_eq!(run.ended, None, "it ends by itself");
            let mut counts: HashMap<(u32, Place, &'static str), usize> = HashMap::new();
            for call in &run.calls {
                let Some(path) = run.relative(call) else { continue };
                // Before a start there is no thread.
                let thread = self.step.as_ref().and_then(|_| run.thread(call));
                let place = if named(&path) {
                    Place::File(path.to_owned())
                } else {
                    thread.map_or(Place::Anywhere, Place::Thread)
                };
                *counts.entry((call.thread, place, strace::known(&call.name))).or_default() += 1;
            }
            for ((_, place, call), count) in counts {
                points.extend((1..=count).map(|number| Point {
                    place: place.clone(),
                    call,
                    number,
                }));
            }
        }
        points.sort();
        points.dedup();
        for run in &runs {
            self.recover(run);
        }
        points
    }

    /// Starts again without a fault: whatever was answered is there, and all ends as the model has it.
    pub fn recover(&self, run: &Run) {
        let daemon = support::start(&data(&run.dir), ENV);
        block_on(async {
            let mut client = daemon.jobs().await;
            for (job_id, expected) in &self.known {
                let job = jobs::wait(&mut client, job_id).await;
                expected.check(&job, &jobs::errors(&mut client, job_id).await);
            }
            let mut made = self.known.len();
            if let Some(step) = &self.step {
                // One that was answered is there before it is asked for again.
                if let Some(Ok(job_id)) = &run.answer {
                    jobs::get(&mut client, job_id).await;
                }
                let (job_id, _) = jobs::submit(&mut client, &step.upload).await.unwrap();
                if let Some(Ok(answered)) = &run.answer {
                    assert_eq!(*answered, job_id, "its key makes another job");
                }
                let job = jobs::wait(&mut client, &job_id).await;
                step.expected.check(&job, &jobs::errors(&mut client, &job_id).await);
                made += 1;
            }
            let listed = client.list_jobs(ListJobsRequest::default()).await.unwrap().into_inner();
            assert_eq!(listed.jobs.len(), made, "jobs");
            if made > 0 {
                self.model.check_live(&daemon.admin).await;
            }
        });
        support::wait_empty(&daemon.dir, &["spool", "payloads", "work"]);
        daemon.kill();
    }
}

impl Run {
    /// The first call that was made to fail.
    pub fn fault(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.injected)
    }

    /// How long after that call the daemon ended.
    pub fn took(&self) -> Duration {
        let ended = self.at.duration_since(UNIX_EPOCH).unwrap();
        ended.saturating_sub(Duration::from_secs_f64(self.fault().expect("a fault").at))
    }

    /// The file that a call was about, from the data directory on; `None` for anything else.
    pub fn relative<'a>(&self, call: &'a Call) -> Option<&'a Path> {
        Path::new(&call.path).strip_prefix(data(&self.dir)).ok()
    }

    /// The name of the thread that made a call, if no other has it.
    fn thread(&self, call: &Call) -> Option<String> {
        let name = self.threads.get(&call.thread)?;
        let same = self.threads.values().filter(|other| *other == name).count();
        (same == 1).then(|| name.clone())
    }

    /// Files in that part of it.
    pub fn files(&self, part: &str) -> usize {
        std::fs::read_dir(data(&self.dir).join(part)).unwrap().count()
    }
}

fn start(dir: TempDir, fault: Option<&Fault>) -> Run {
    let program = support::command(&data(&dir), &[], ENV);
    let (mut child, strace) = strace::start(&program, dir.path(), fault);
    let ended = match support::wait_ready(&data(&dir), &mut child) {
        Some(_) => settle(&strace, || child.try_wait().unwrap()),
        None => Some(support::wait_exit(&mut child)),
    };
    let threads = if ended.is_none() { strace::threads(child.id()) } else { HashMap::new() };
    let at = SystemTime::now();
    // It may have ended already.
    let _ = child.kill();
    child.wait().unwrap();
    Run { dir, answer: None, ended, at, calls: strace.calls(), threads }
}

fn submit(dir: TempDir, step: &Step, fault: Option<&Fault>) -> Run {
    let mut daemon = support::start(&data(&dir), ENV);
    let strace = Strace::attach(daemon.pid(), dir.path(), fault);
    let answer = block_on(async {
        let asked = async {
            let mut client = connect(&daemon).await?;
            jobs::submit(&mut client, &step.upload).await
        };
        tokio::time::timeout(PATIENCE, asked).await
    });
    let answer = answer.expect("a submit is answered or refused").map(|(job_id, _)| job_id);
    if let Ok(job_id) = &answer {
        block_on(until_ended(&mut daemon, job_id));
    }
    let ended = settle(&strace, || daemon.ended());
    let at = SystemTime::now();
    let threads = strace.threads.clone();
    daemon.kill();
    Run { dir, answer: Some(answer), ended, at, calls: strace.calls(), threads }
}

/// Lets the daemon do what it still has to; how it ended, if it did.
fn settle(strace: &Strace, mut ended: impl FnMut() -> Option<ExitStatus>) -> Option<ExitStatus> {
    let found = wait(SETTLE, &mut ended);
    if found.is_none() && strace.has_injected() { wait(STOPS_WITHIN, ended) } else { found }
}

/// A client of a daemon that may have ended: the audit log writes of its own accord, so a fault can come first.
async fn connect(daemon: &Daemon) -> Result<Client, tonic::Status> {
    let client = Client::connect(format!("http://{}", daemon.grpc)).await;
    client.map_err(|error| tonic::Status::unavailable(error.to_string()))
}

/// Waits until that job or the daemon has ended.
async fn until_ended(daemon: &mut Daemon, job_id: &str) {
    let deadline = Instant::now() + PATIENCE;
    let Ok(mut client) = connect(daemon).await else { return };
    while daemon.ended().is_none() {
        let request = cvrsd::proto::jobs::GetJobRequest { job_id: job_id.to_owned() };
        if let Ok(reply) = client.get_job(request).await
            && reply.into_inner().job.unwrap().status() == cvrsd::proto::jobs::Status::Completed
        {
            return;
        }
        assert!(Instant::now() < deadline, "neither job {job_id} nor the daemon has ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn wait(time: Duration, mut look: impl FnMut() -> Option<ExitStatus>) -> Option<ExitStatus> {
    let deadline = Instant::now() + time;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The daemon's directory beside strace's files.
fn data(dir: &TempDir) -> PathBuf {
    dir.path().join("data")
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// Rows of the generator, of which some are not valid and some come twice.
pub fn text(rows: std::ops::Range<u64>) -> Vec<u8> {
    let sample = Sample::new(1, People::Identified);
    let mut text = sample.header_line().as_bytes().to_vec();
    for index in rows {
        let mut row = Vec::new();
        sample.write_row(index, &mut row);
        let row = String::from_utf8(row).unwrap();
        let row = if index % 97 == 5 { files::with_cell(&row, 0, "") } else { row };
        for _ in 0..if index % 101 == 7 { 2 } else { 1 } {
            text.push(b'\n');
            text.extend_from_slice(row.as_bytes());
        }
    }
    text
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}
