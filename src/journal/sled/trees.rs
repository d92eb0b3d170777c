//! sled's trees and the one transaction over them.

use ::sled::{
    Db, Transactional, Tree,
    transaction::{ConflictableTransactionError, TransactionError},
};

use super::{
    super::{Error, Purged, codec},
    plan::{Counters, Plan},
    purge::Removal,
    storage,
};

pub(super) const COUNTERS_KEY: &[u8] = b"counters";
/// From the first purge on.
pub(super) const PURGED_KEY: &[u8] = b"purged";

/// One handle for each tree.
pub(super) struct Trees {
    /// Job id to job and head hash.
    pub(super) jobs: Tree,
    /// Job id and number to event.
    pub(super) events: Tree,
    /// Tenant and idempotency key to job id.
    pub(super) requests: Tree,
    /// Tenant and place in the order of submits to job id.
    pub(super) tenants: Tree,
    /// Place in the order of submits to job id and small payload, of jobs that are not terminal.
    pub(super) unfinished: Tree,
    /// The counters of the whole journal.
    pub(super) meta: Tree,
}

impl Trees {
    const NAMES: [&str; 6] = ["jobs", "events", "requests", "tenants", "unfinished", "meta"];

    /// The trees of a new journal, with counters at zero.
    pub(super) fn create(db: &Db) -> Result<Self, Error> {
        let trees = Self::open(db)?;
        trees.meta.insert(COUNTERS_KEY, Counters::default().encode()).map_err(storage)?;
        Ok(trees)
    }

    /// The trees of a journal that was made before: a tree that is missing now was lost.
    pub(super) fn existing(db: &Db) -> Result<Self, Error> {
        let names = db.tree_names();
        match Self::NAMES.iter().find(|n| !names.iter().any(|name| name == n.as_bytes())) {
            Some(missing) => Err(Error::Damaged(format!("tree {missing} is missing"))),
            None => Self::open(db),
        }
    }

    fn open(db: &Db) -> Result<Self, Error> {
        let [jobs, events, requests, tenants, unfinished, meta] =
            Self::NAMES.map(|name| db.open_tree(name).map_err(storage));
        Ok(Self {
            jobs: jobs?,
            events: events?,
            requests: requests?,
            tenants: tenants?,
            unfinished: unfinished?,
            meta: meta?,
        })
    }

    /// The stored counters.
    pub(super) fn counters(&self) -> Result<Counters, Error> {
        let value = self.meta.get(COUNTERS_KEY).map_err(storage)?;
        let value = value.ok_or_else(|| Error::Damaged("the counters are missing".to_owned()))?;
        codec::decode_counters(&value).map(Counters::from_numbers)
    }

    /// What was purged so far.
    pub(super) fn purged(&self) -> Result<Purged, Error> {
        let value = self.meta.get(PURGED_KEY).map_err(storage)?;
        value.map_or(Ok(Purged::default()), |value| codec::decode_purged(&value))
    }

    /// Takes jobs out in one transaction. What leads to a job goes before it, and its events last: a reader
    /// may look while sled writes the trees one after the other.
    pub(super) fn take_out(&self, removal: &Removal) -> Result<(), Error> {
        let purged = codec::encode_purged(&removal.purged)?;
        let all = (&self.requests, &self.tenants, &self.jobs, &self.events, &self.meta);
        all.transaction(|(requests, tenants, jobs, events, meta)| {
            requests.apply_batch(&removal.requests)?;
            tenants.apply_batch(&removal.tenants)?;
            jobs.apply_batch(&removal.jobs)?;
            events.apply_batch(&removal.events)?;
            meta.insert(PURGED_KEY, purged.as_slice())?;
            Ok::<(), ConflictableTransactionError<std::convert::Infallible>>(())
        })
        .map_err(failed)
    }

    /// Stores all of the plan in one transaction. Jobs and events come first, as a reader of the
    /// other trees may look while sled writes them one after the other.
    pub(super) fn apply(&self, plan: &Plan) -> Result<(), Error> {
        let all =
            (&self.jobs, &self.events, &self.requests, &self.tenants, &self.unfinished, &self.meta);
        let counters = plan.counters.encode();
        all.transaction(|(jobs, events, requests, tenants, unfinished, meta)| {
            jobs.apply_batch(&plan.jobs)?;
            events.apply_batch(&plan.events)?;
            requests.apply_batch(&plan.requests)?;
            tenants.apply_batch(&plan.tenants)?;
            unfinished.apply_batch(&plan.unfinished)?;
            meta.insert(COUNTERS_KEY, counters.as_slice())?;
            Ok::<(), ConflictableTransactionError<std::convert::Infallible>>(())
        })
        .map_err(failed)
    }
}

fn failed(error: TransactionError<std::convert::Infallible>) -> Error {
    match error {
        TransactionError::Abort(never) => match never {},
        TransactionError::Storage(error) => storage(error),
    }
}
