//! A daemon under mixed work for a given time: submits, cancels, watches that break off, and kills. Every
//! result is held against a model; what the process and its directory take is printed in between.
//!
//! `scripts/soak.sh MINUTES` runs it for long against an optimised daemon. Here it takes
//! `CVRSD_SOAK_SECONDS` (10); `CVRSD_SOAK_SAMPLE_SECONDS` (4) and `CVRSD_SOAK_KILL_SECONDS` (6) lie between two
//! samples and two kills, and `CVRSD_SOAK_SEED` (printed) repeats the choices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    missing_docs,
    reason = "a test fails by panicking, and prints what it measured"
)]

#[path = "../support/mod.rs"]
mod support;

mod place;
mod sample;
mod work;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use place::Place;
use sample::Samples;
use tokio::{sync::RwLock, task::JoinSet, time::sleep};
use work::{Tally, Worker};

/// Who submit beside each other, each its own records.
const WORKERS: u64 = 3;
/// Silence before a sample, in which memory that is no longer needed is given back.
const SETTLE: Duration = Duration::from_secs(2);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn seconds(name: &str, default: u64) -> Duration {
    Duration::from_secs(setting(name, default))
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_work_with_kills_gives_right_results_and_stalls_nowhere() {
    let length = seconds("CVRSD_SOAK_SECONDS", 10);
    let (every, kill_every) =
        (seconds("CVRSD_SOAK_SAMPLE_SECONDS", 4), seconds("CVRSD_SOAK_KILL_SECONDS", 6));
    let seed = setting("CVRSD_SOAK_SEED", u64::from(std::process::id()));
    println!("CVRSD_SOAK_SEED={seed}");
    let place = Arc::new(Place::start());
    let tally = Arc::new(Tally::default());
    // Workers hold it to read during each round of theirs.
    let gate = Arc::new(RwLock::new(()));
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        let worker = Worker::new(seed + number, Arc::clone(&place), Arc::clone(&tally));
        workers.spawn(worker.run(Arc::clone(&gate)));
    }
    let began = Instant::now();
    let (mut next_sample, mut next_kill) = (every, kill_every);
    let mut samples = Samples::default();
    while began.elapsed() < length {
        sleep(Duration::from_millis(100)).await;
        if let Some(ended) = workers.try_join_next() {
            ended.unwrap();
        }
        tally.check_stalls();
        if began.elapsed() >= next_kill {
            next_kill += kill_every;
            place.restart();
        }
        if began.elapsed() >= next_sample {
            next_sample += every;
            let closed = gate.write().await;
            sleep(SETTLE).await;
            place.check_no_record_is_live().await;
            samples.take(began.elapsed(), &place, &tally);
            drop(closed);
        }
    }
    let closed = gate.write().await;
    workers.shutdown().await;
    drop(closed);
    place.check_no_record_is_live().await;
    assert!(tally.finished() > 0);
    samples.judge();
    place.stop();
}
