//! Engine and stores against a plain model, with crashes among the operations: counts, outcomes, errors,
//! live records, events and keys of requests stay what the model says, however often everything is
//! abandoned and opened again from what was durable.
//!
//! `CVRSD_MODEL_OPERATIONS` lengthens the run over stores in memory, `CVRSD_MODEL_FILE_OPERATIONS` the one
//! over sled and fjall, `CVRSD_MODEL_SEED` (printed) repeats one; `scripts/model.sh` does all of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    missing_docs,
    reason = "a test fails by panicking, and says what it did"
)]

mod bench;
mod compare;
mod life;
mod machine;
mod oracle;
mod perform;
mod purging;
mod rows;
mod tally;
mod verdict;
mod watching;

use std::time::Instant;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use bench::Kind;
use machine::{Asked, Machine};

/// Steps of one case, after which everything begins anew.
const STEPS: usize = 120;
/// Operations after which a long run says how far it is.
const TELL: u64 = 100_000;
/// Operations of the short runs.
const OPERATIONS: u64 = 6_000;
const FILE_OPERATIONS: u64 = 250;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn stores_in_memory_come_to_what_the_model_says_over_any_crash() {
    run(Kind::Memory, setting("CVRSD_MODEL_OPERATIONS").unwrap_or(OPERATIONS));
}

#[test]
fn sled_and_fjall_come_to_what_the_model_says_over_any_crash() {
    run(Kind::Files, setting("CVRSD_MODEL_FILE_OPERATIONS").unwrap_or(FILE_OPERATIONS));
}

/// Runs cases until that many operations are done, each from a seed of its own.
fn run(kind: Kind, operations: u64) {
    let mut seed = setting("CVRSD_MODEL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 60));
    println!("{kind:?}: CVRSD_MODEL_SEED={seed}, at least {operations} operations");
    let (began, mut told) = (Instant::now(), 0);
    while tally::operations(kind) < operations {
        if let Err(error) = run_case(kind, seed) {
            println!("{}", tally::report(kind, began.elapsed(), 1));
            panic!("CVRSD_MODEL_SEED={seed}: {error}");
        }
        seed += 1;
        if (told + TELL..operations).contains(&tally::operations(kind)) {
            told = tally::operations(kind);
            println!("{}", tally::report(kind, began.elapsed(), 0));
        }
    }
    println!("{}", tally::report(kind, began.elapsed(), 0));
}

fn run_case(kind: Kind, seed: u64) -> Result<(), String> {
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: 200,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let steps = Asked::sequential_strategy(STEPS / 2..STEPS);
    let case = TestRunner::new_with_rng(config.clone(), rng).run(&steps, |(asked, steps, seen)| {
        Machine::test_sequential(config.clone(), Asked { kind, ..asked }, steps, seen);
        Ok(())
    });
    case.map_err(|error| error.to_string())
}
