//! Faults below the daemon, made by strace: kills at each system call, writes and syncs that fail, a full
//! disk, a slow one.
//!
//! Each test takes some points of all that there are. `CVRSD_FAULT_EVERY=1` takes every one, 10 every tenth;
//! `CVRSD_FAULT_SEED` (printed) repeats a run. `scripts/faults.sh` runs all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    missing_docs,
    reason = "a test fails by panicking and tells what it tried"
)]

mod errors;
mod full;
mod kills;
mod scene;
mod slow;
mod strace;
#[path = "../support/mod.rs"]
mod support;

/// Points that a test takes where nothing else is said.
const SAMPLE: usize = 2;

/// Whether every point is taken.
fn is_complete() -> bool {
    number("CVRSD_FAULT_EVERY") == Some(1)
}

/// All, in some order, and how many of them a test takes. Two runs do not make quite the same calls, so a point
/// may not come; then the test takes another.
fn sample<T>(all: &[T]) -> (Vec<&T>, usize) {
    let mut order: Vec<&T> = all.iter().collect();
    if is_complete() {
        return (order, usize::MAX);
    }
    let seed = number("CVRSD_FAULT_SEED").unwrap_or(u64::from(std::process::id()));
    println!("CVRSD_FAULT_SEED={seed}");
    fastrand::Rng::with_seed(seed).shuffle(&mut order);
    let every = |every| all.len().div_ceil(usize::try_from(every).unwrap());
    (order, number("CVRSD_FAULT_EVERY").map_or(SAMPLE, every))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}
