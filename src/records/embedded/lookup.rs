//! Finding a batch's keys in the index.

use fjall::{Iter, Keyspace};

use super::{
    codec::{self, Pointers},
    keys,
    spaces::failed,
};
use crate::records::{Error, KeyHash};

/// How many steps of a scan cost as much as one look-up, about; measured with a million entries.
const SCAN_STEPS_PER_LOOKUP: u128 = 5;

/// Finds keys that are asked for in ascending order.
pub(super) enum Lookup<'a> {
    /// Looks each key up.
    Points {
        /// The index.
        index: &'a Keyspace,
        /// Number of the tenant.
        tenant: u32,
    },
    /// Walks over all entries between the first key and the last.
    Scan {
        /// The entries not yet read.
        entries: Iter,
        /// The entry where the walk stands.
        at: Option<(KeyHash, Pointers)>,
    },
}

impl<'a> Lookup<'a> {
    /// The cheaper way for that many entries whose least and greatest key are given.
    /// `index_entries` is how many the tenant has in all.
    pub(super) fn new(
        index: &'a Keyspace,
        tenant: u32,
        index_entries: u64,
        span: Option<(KeyHash, KeyHash)>,
        keys: usize,
    ) -> Result<Self, Error> {
        let Some((first, last)) = span else { return Ok(Self::Points { index, tenant }) };
        if !scan_is_cheaper(first, last, keys, index_entries) {
            return Ok(Self::Points { index, tenant });
        }
        let mut entries = index.range(keys::index(tenant, first)..=keys::index(tenant, last));
        let at = step(&mut entries)?;
        Ok(Self::Scan { entries, at })
    }

    /// Where the rows of that key are; `None` for a key that never had a record.
    pub(super) fn find(&mut self, key: KeyHash) -> Result<Option<Pointers>, Error> {
        match self {
            Self::Points { index, tenant } => {
                let stored = index.get(keys::index(*tenant, key)).map_err(failed)?;
                stored.map(|value| codec::read_pointers(&value)).transpose()
            }
            Self::Scan { entries, at } => {
                while at.is_some_and(|(found, _)| found < key) {
                    *at = step(entries)?;
                }
                Ok(at.filter(|(found, _)| *found == key).map(|(_, pointers)| pointers))
            }
        }
    }
}

/// Hashes spread evenly, so a span of keys holds its share of the tenant's entries. A job that
/// touches much of the store sends batches of neighbouring keys, whose span holds few other
/// entries: walking over those costs less than finding each key from the top. A small job's keys
/// lie far apart, and it must not walk over the store.
fn scan_is_cheaper(first: KeyHash, last: KeyHash, keys: usize, index_entries: u64) -> bool {
    let span = u128::from_be_bytes(last.0) - u128::from_be_bytes(first.0);
    let share = (span >> 64) + 1;
    let walked = (share * u128::from(index_entries)) >> 64;
    walked <= SCAN_STEPS_PER_LOOKUP * keys as u128
}

fn step(entries: &mut Iter) -> Result<Option<(KeyHash, Pointers)>, Error> {
    let Some(entry) = entries.next() else {
        return Ok(None);
    };
    let (key, value) = entry.into_inner().map_err(failed)?;
    let Some(hash) = key.last_chunk::<16>() else {
        return Err(Error::Damaged(format!("an index key has {} bytes", key.len())));
    };
    Ok(Some((KeyHash(*hash), codec::read_pointers(&value)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: KeyHash = KeyHash([0; 16]);
    const LAST: KeyHash = KeyHash([0xff; 16]);

    #[test]
    fn a_batch_is_scanned_up_to_five_entries_a_key() {
        assert!(scan_is_cheaper(FIRST, LAST, 1_000, 5_000));
        assert!(!scan_is_cheaper(FIRST, LAST, 1_000, 5_001));
    }

    #[test]
    fn only_the_span_of_the_batch_counts() {
        let tenth = KeyHash((u128::MAX / 10).to_be_bytes());
        assert!(scan_is_cheaper(FIRST, tenth, 1_000, 50_000));
        assert!(!scan_is_cheaper(FIRST, LAST, 1_000, 50_000));
    }

    #[test]
    fn a_full_span_of_the_largest_store_is_no_overflow() {
        assert!(!scan_is_cheaper(FIRST, LAST, 1_000, u64::MAX));
        assert!(scan_is_cheaper(FIRST, FIRST, 1, u64::MAX));
    }
}
