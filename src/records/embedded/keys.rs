//! How keys of the keyspaces are put together. Numbers are big-endian, so that bytes sort like numbers.

use crate::{
    domain::{JobId, Storage},
    records::KeyHash,
};

/// Key of one row, and what its checksum covers first.
pub(super) fn row(tenant: u32, number: u64) -> [u8; 12] {
    join([&tenant.to_be_bytes(), &number.to_be_bytes()])
}

/// Key of one entry of the index.
pub(super) fn index(tenant: u32, key: KeyHash) -> [u8; 20] {
    join([&tenant.to_be_bytes(), &key.0])
}

/// What the blocks of live rows of one storage begin with.
pub(super) fn live_prefix(tenant: u32, storage: Storage) -> Vec<u8> {
    [tenant.to_be_bytes().as_slice(), &[storage_byte(storage)]].concat()
}

/// What the blocks of rows that a job created or deleted in one storage begin with.
pub(super) fn effects_prefix(job: JobId, storage: Storage) -> Vec<u8> {
    [job.as_bytes().as_slice(), &[storage_byte(storage)]].concat()
}

/// What became of rows by jobs that are purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Past {
    /// A create or update made them.
    Born,
    /// A delete ended them.
    Ended,
}

/// What the blocks of rows of purged jobs of one tenant begin with, beside those of jobs: no job has an id
/// that begins so.
pub(super) fn past_prefix(past: Past, tenant: u32, storage: Storage) -> Vec<u8> {
    let kind = match past {
        Past::Born => 0,
        Past::Ended => 1,
    };
    [&[0; 11], [kind].as_slice(), &tenant.to_be_bytes(), &[storage_byte(storage)]].concat()
}

/// Key of the misses of one batch.
pub(super) fn misses(job: JobId, position: u64) -> [u8; 24] {
    join([job.as_bytes(), &position.to_be_bytes()])
}

/// Stored in keys: never change it.
fn storage_byte(storage: Storage) -> u8 {
    match storage {
        Storage::NonRedacted => 0,
        Storage::Redacted => 1,
    }
}

fn join<const N: usize>(parts: [&[u8]; 2]) -> [u8; N] {
    let mut key = [0; N];
    let [first, second] = parts;
    let (head, tail) = key.split_at_mut(first.len());
    head.copy_from_slice(first);
    tail.copy_from_slice(second);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_the_numbers_in_them() {
        assert!(row(1, 255) < row(1, 256));
        assert!(row(1, u64::MAX) < row(2, 0));
        assert!(index(1, KeyHash([9; 16])) < index(2, KeyHash([0; 16])));
        let job = JobId::generate();
        assert!(misses(job, 255) < misses(job, 256));
        assert!(live_prefix(1, Storage::NonRedacted) < live_prefix(1, Storage::Redacted));
        assert!(effects_prefix(job, Storage::NonRedacted) < effects_prefix(job, Storage::Redacted));
    }
}
