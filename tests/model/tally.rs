//! What was done, counted by name.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::bench::Kind;

type Counts = BTreeMap<&'static str, u64>;

static MEMORY: Mutex<Counts> = Mutex::new(BTreeMap::new());
static FILES: Mutex<Counts> = Mutex::new(BTreeMap::new());

/// Counts beside the operations.
const BESIDE: [&str; 4] = ["crashes", "jobs checked", "jobs purged", "lost answers found"];

fn with<T>(kind: Kind, look: impl FnOnce(&mut Counts) -> T) -> T {
    let counts = match kind {
        Kind::Memory => &MEMORY,
        Kind::Files => &FILES,
    };
    look(&mut counts.lock().unwrap_or_else(PoisonError::into_inner))
}

pub fn add(kind: Kind, name: &'static str, count: usize) {
    with(kind, |counts| *counts.entry(name).or_default() += count as u64);
}

pub fn operations(kind: Kind) -> u64 {
    let counted = |(name, _): &(&&str, &u64)| !BESIDE.contains(name);
    with(kind, |counts| counts.iter().filter(counted).map(|(_, count)| count).sum())
}

pub fn report(kind: Kind, took: Duration, divergences: u32) -> String {
    let operations = operations(kind);
    let parts: Vec<_> =
        with(kind, |counts| counts.iter().map(|(name, count)| format!("{name} {count}")).collect());
    format!(
        "{kind:?}: operations {operations}, divergences {divergences}, {:.1} s\n  {}",
        took.as_secs_f64(),
        parts.join(", ")
    )
}
