//! What only the embedded store promises: its files, its damage checks, and a kill at any time.

mod audit;
mod crash;
mod damage;
mod files;
mod layout;

use std::ops::ControlFlow;

use super::Store;
use crate::{
    config,
    domain::{Applied, JobId, Operation, Storage, StorageSet, Tenant},
    records::{Batch, Entry, Error, RecordStore, Row},
};

const CONFIG: config::Records = config::Records { cache_bytes: 4 << 20, memtable_bytes: 1 << 20 };

/// Applies one batch of a job of tenant `local`; rows hold the id and a mark.
fn apply(
    store: &Store,
    job: JobId,
    operation: Operation,
    position: u64,
    ids: &[String],
) -> Result<Applied, Error> {
    let rows: Vec<Vec<u8>> = ids.iter().map(|id| format!("{id}\t{job}").into_bytes()).collect();
    let first_line = u32::try_from(position).unwrap() + 2;
    let entries: Vec<Entry<'_>> = ids
        .iter()
        .zip(&rows)
        .zip(first_line..)
        .map(|((id, row), line)| Entry {
            key: store.key(id.as_bytes()),
            line,
            row: Row::Cells(row),
        })
        .collect();
    store.apply(&Batch {
        job,
        tenant: &Tenant::local(),
        operation,
        storages: StorageSet::ALL,
        position,
        entries: &entries,
    })
}

/// Applies a whole job at once.
fn run(store: &Store, operation: Operation, ids: &[String]) -> (JobId, Applied) {
    let job = JobId::generate();
    (job, apply(store, job, operation, 0, ids).unwrap())
}

fn ids(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("EV{number}")).collect()
}

fn count(store: &Store, storage: Storage) -> u64 {
    let counts = store.counts(None).unwrap();
    counts.iter().filter(|(_, s, _)| *s == storage).map(|(_, _, live)| live).sum()
}

/// How many rows an export visits.
fn exported(store: &Store, storage: Storage) -> Result<u64, Error> {
    let mut visits = 0;
    let mut visit = |_: &[u8]| {
        visits += 1;
        ControlFlow::Continue(())
    };
    store.export(&Tenant::local(), storage, &mut visit)?;
    Ok(visits)
}
