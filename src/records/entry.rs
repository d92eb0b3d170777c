//! What goes into a store.

use std::cmp::Ordering;

use roaring::RoaringBitmap;

use crate::domain::{JobId, Operation, PerStorage, StorageSet, Tenant};

/// Keyed 128-bit hash of a folded `vax_event_id`; its byte order is the order of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 16]);

impl Ord for KeyHash {
    /// As numbers, which compare faster than bytes and the same.
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for KeyHash {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One valid row of a job.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Hash of its key.
    pub key: KeyHash,
    /// Its line in the file; the header is line 1.
    pub line: u32,
    /// Where its cells are.
    pub row: Row<'a>,
}

/// The cells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row<'a> {
    /// Its 45 cells in canonical order joined by tabs; empty for a delete.
    Cells(&'a [u8]),
    /// They were staged before, under its line.
    Staged,
}

/// A job whose rows are stored ahead of its batches.
#[derive(Clone, Copy, Debug)]
pub struct Staged<'a> {
    /// Whose rows.
    pub job: JobId,
    /// Whose records.
    pub tenant: &'a Tenant,
    /// Create or update.
    pub operation: Operation,
    /// The storages that the job touches.
    pub storages: StorageSet,
    /// No row has a greater line.
    pub last_line: u32,
}

/// Rows of one job that are applied together.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Whose rows.
    pub job: JobId,
    /// Whose records.
    pub tenant: &'a Tenant,
    /// What is done with each row.
    pub operation: Operation,
    /// The storages that the job touches.
    pub storages: StorageSet,
    /// Where the job's cursor must stand: how many of its valid rows are done.
    pub position: u64,
    /// The rows in the order in which they count as applied.
    pub entries: &'a [Entry<'a>],
}

/// Lines that had no effect, by storage.
pub type Misses = PerStorage<RoaringBitmap>;
