//! The same for small jobs, which run in groups: many wait in one lane when the kill comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cvrsd::{
    cvrs::sample::{Model as People, Sample},
    proto::jobs::Operation,
};

use super::{
    Place, Step, Watched, check, files, other_case, setting, submit_through_kills,
    support::{self, jobs::Upload, model::Model},
    watch_through_kills,
};

/// Jobs that are submitted before any of them is watched.
const BURST: usize = 40;
/// Few ids, so that each job depends on those before it.
const IDS: u64 = 12;

struct Script {
    model: Model,
    sample: Sample,
    random: fastrand::Rng,
    next: u64,
}

impl Script {
    /// A few rows of few ids: some not valid, some in other case, some twice.
    fn step(&mut self) -> Step {
        let number = self.next;
        self.next += 1;
        let operations = [Operation::Create, Operation::Update, Operation::Delete];
        let operation = self.random.choice(operations).unwrap();
        let mut text = self.sample.header_line().as_bytes().to_vec();
        for _ in 0..self.random.u64(0..5) {
            let mut row = Vec::new();
            self.sample.write_row(self.random.u64(0..IDS), &mut row);
            let row = String::from_utf8(row).unwrap();
            let row = match self.random.u8(0..12) {
                0 => files::with_cell(&row, 0, ""),
                1 => files::with_cell(&row, 3, ""),
                2 => other_case(&row),
                _ => row,
            };
            text.push(b'\n');
            text.extend_from_slice(row.as_bytes());
        }
        let expected = self.model.apply(operation, &text);
        let name = format!("small-{number}");
        let upload = if self.random.u8(0..4) == 0 {
            Upload::zip(operation, &text)
        } else {
            Upload::text(operation, &text)
        };
        Step { upload: upload.request_id(&name), name, expected }
    }
}

#[test]
fn small_jobs_are_neither_lost_nor_doubled_by_kill_9_at_random_moments() {
    let rounds = setting("CVRSD_KILL_ROUNDS", 20);
    let seed = setting("CVRSD_KILL_SEED", u64::from(std::process::id()));
    println!("CVRSD_KILL_ROUNDS={rounds} CVRSD_KILL_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let place = Arc::new(Place::default());
    place.start(dir.path());
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sender = runtime.spawn(drive(Arc::clone(&place), Arc::clone(&stop), seed));
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_millis(random.u64(5..300)));
        place.kill();
        place.start(dir.path());
    }
    stop.store(true, Ordering::Release);
    let (steps, watched, model) = runtime.block_on(sender).unwrap();
    println!("{} small jobs over {rounds} kills", steps.len());
    runtime.block_on(check(&place, &steps, &watched, &model));
    let daemon = place.daemon.lock().unwrap().take().unwrap();
    assert!(daemon.stop().success());
    support::verify(dir.path());
}

/// Submits bursts in order, through every kill, and watches all jobs of each to their end.
async fn drive(
    place: Arc<Place>,
    ended: Arc<AtomicBool>,
    seed: u64,
) -> (Vec<(String, Step)>, Watched, Model) {
    let (sample, random) = (Sample::new(1, People::Identified), fastrand::Rng::with_seed(seed));
    let mut script = Script { model: Model::default(), sample, random, next: 0 };
    let (mut done, mut watched) = (Vec::new(), Watched::new());
    while !ended.load(Ordering::Acquire) {
        let mut burst = Vec::new();
        for _ in 0..BURST {
            let step = script.step();
            burst.push((submit_through_kills(&place, &step).await, step));
        }
        for (job_id, _) in &burst {
            watched.insert(job_id.clone(), watch_through_kills(&place, job_id).await);
        }
        done.append(&mut burst);
    }
    (done, watched, script.model)
}
