//! Batches of jobs: the locks that they need and the one transaction that holds all of them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Store,
    changes::Changes,
    plan::Plan,
    tenants::{NOBODY, State},
};
use crate::{
    domain::{Applied, Operation, Tenant},
    failpoint::{Point, hit},
    records::{Batch, Error},
};

/// Applies batches; see [`crate::records::RecordStore::apply_all`].
pub(super) fn apply(store: &Store, batches: &[Batch<'_>]) -> Result<Vec<Applied>, Error> {
    let mut tenants: BTreeMap<&Tenant, Vec<usize>> = BTreeMap::new();
    for (place, batch) in batches.iter().enumerate() {
        tenants.entry(batch.tenant).or_default().push(place);
    }
    // In the order of their names, so that no two callers wait for each other.
    let lanes: Vec<_> = tenants.keys().map(|tenant| store.lanes.of(tenant)).collect();
    let _turns: Vec<_> = lanes.iter().map(|lane| lock(lane)).collect();
    let items = batches.iter().map(|batch| batch.entries.len()).sum();
    let mut changes = Changes::new(&store.spaces, items);
    store.forgotten.settle(&store.spaces, batches.iter().map(|batch| batch.job))?;
    let mut cursors = vec![Applied::default(); batches.len()];
    for (name, places) in &tenants {
        let own: Vec<_> = places.iter().filter_map(|place| batches.get(*place)).collect();
        let mut plan = Plan::new(&store.spaces, name, tenant(store, name, &own)?, &own)?;
        plan.decide(&mut changes)?;
        for (place, cursor) in places.iter().zip(plan.finish(&mut changes)?) {
            cursors.get_mut(*place).into_iter().for_each(|slot| *slot = cursor);
        }
    }
    if !changes.is_empty() {
        let removed = store.forgotten.remove_with(&store.spaces, &mut changes)?;
        hit(Point::BatchDecided);
        changes.commit()?;
        hit(Point::BatchCommitted);
        store.forgotten.removed(&removed);
    }
    Ok(cursors)
}

pub(super) fn lock(lane: &Mutex<()>) -> MutexGuard<'_, ()> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tenant of these batches. Only a create makes one: before, there is nothing to find.
fn tenant(store: &Store, name: &Tenant, batches: &[&Batch<'_>]) -> Result<State, Error> {
    let known = store.spaces.tenant(&store.spaces.db.snapshot(), name)?;
    let creates =
        |batch: &&Batch<'_>| batch.operation == Operation::Create && !batch.entries.is_empty();
    match known {
        Some(known) => Ok(known),
        None if batches.iter().any(creates) => {
            Ok(State { number: store.numbers.take()?, ..NOBODY })
        }
        None => Ok(NOBODY),
    }
}
