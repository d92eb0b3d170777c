//! Tenants have numbers in the store, and one job at a time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::codec;
use crate::{domain::Tenant, records::Error};

/// What the store keeps of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Its number. [`NOBODY`] has 0.
    pub(super) number: u32,
    /// Number of the next row; 0 is never used.
    pub(super) next_row: u64,
    /// Ids that ever had a record.
    pub(super) index_entries: u64,
}

/// A tenant that never had a record: nothing is found under its number.
pub(super) const NOBODY: State = State { number: 0, next_row: 1, index_entries: 0 };

impl State {
    /// Stored form.
    pub(super) fn write(&self) -> Vec<u8> {
        let numbers = [u64::from(self.number), self.next_row, self.index_entries];
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// As stored.
    pub(super) fn read(value: &[u8]) -> Result<Self, Error> {
        let [number, next_row, index_entries] = codec::numbers(value, "a tenant")?;
        let number = u32::try_from(number).ok().filter(|number| *number > NOBODY.number);
        let Some(number) = number else {
            return Err(Error::Damaged("a tenant has an impossible number".to_owned()));
        };
        Ok(Self { number, next_row, index_entries })
    }
}

/// Gives out tenant numbers. A number that a failed batch took is not given again until restart.
pub(super) struct Numbers(AtomicU32);

impl Numbers {
    /// Numbers above the greatest that is stored.
    pub(super) fn above(greatest: u32) -> Self {
        Self(AtomicU32::new(greatest))
    }

    /// A number that no tenant has.
    pub(super) fn take(&self) -> Result<u32, Error> {
        let next = |number: u32| number.checked_add(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .ok()
            .and_then(next)
            .ok_or_else(|| Error::Storage("no tenant number is left".to_owned()))
    }
}

/// One lock a tenant: deciding on a batch and committing it must not be interleaved with another
/// batch of the same tenant. The engine keeps to that; a worker that lost its job may not.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<Tenant, Arc<Mutex<()>>>>);

impl Lanes {
    /// The tenant's lock.
    pub(super) fn of(&self, tenant: &Tenant) -> Arc<Mutex<()>> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(tenant.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_reads_back_and_nobody_is_never_stored() {
        let state = State { number: u32::MAX, next_row: 7, index_entries: 3 };
        assert_eq!(State::read(&state.write()).unwrap(), state);
        assert!(State::read(&NOBODY.write()).is_err());
        assert!(State::read(&state.write()[1..]).is_err());
    }

    #[test]
    fn numbers_go_up_and_end() {
        let numbers = Numbers::above(0);
        assert_eq!(numbers.take().unwrap(), 1);
        assert_eq!(numbers.take().unwrap(), 2);
        let numbers = Numbers::above(u32::MAX - 1);
        assert_eq!(numbers.take().unwrap(), u32::MAX);
        assert!(numbers.take().is_err());
    }
}
