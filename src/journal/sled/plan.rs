//! What a group of changes writes, worked out before the transaction: its closure may run twice.

use std::collections::{HashMap, HashSet};

use ::sled::Batch;

use super::{
    super::{
        Change, Error,
        codec::{self, Hash, NO_HASH},
    },
    keys, storage,
    trees::Trees,
};
use crate::domain::JobId;

/// Numbers of the whole journal; `verify` counts against them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Jobs.
    pub(super) jobs: u64,
    /// Events of all jobs.
    pub(super) events: u64,
    /// The greatest place in the order of submits.
    pub(super) last_order: u64,
}

impl Counters {
    /// The stored form.
    pub(super) fn encode(self) -> Vec<u8> {
        codec::encode_counters([self.jobs, self.events, self.last_order])
    }

    /// Whether anything of `other` is missing.
    pub(super) fn is_behind(self, other: Self) -> bool {
        self.jobs < other.jobs || self.events < other.events || self.last_order < other.last_order
    }

    /// The counters of these three numbers.
    pub(super) fn from_numbers([jobs, events, last_order]: [u64; 3]) -> Self {
        Self { jobs, events, last_order }
    }
}

/// The writes of one commit, by tree, and the counters after it.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) jobs: Batch,
    pub(super) events: Batch,
    pub(super) requests: Batch,
    pub(super) tenants: Batch,
    pub(super) unfinished: Batch,
    pub(super) counters: Counters,
}

/// Newest event of a job and its hash.
type Tip = (u64, Hash);

/// Tips and idempotency keys of the changes that are planned already.
#[derive(Default)]
struct Planned {
    tips: HashMap<JobId, Tip>,
    requests: HashSet<Vec<u8>>,
}

impl Plan {
    /// Plans the group on top of what is stored. Writes nothing.
    pub(super) fn new(trees: &Trees, counters: Counters, group: &[Change]) -> Result<Self, Error> {
        let mut plan = Self { counters, ..Self::default() };
        let mut planned = Planned::default();
        for change in group {
            plan.add(trees, &mut planned, change)?;
        }
        Ok(plan)
    }

    fn add(&mut self, trees: &Trees, planned: &mut Planned, change: &Change) -> Result<(), Error> {
        let id = change.id();
        let tip = match planned.tips.get(&id) {
            Some(tip) => Some(*tip),
            None => stored_tip(trees, id)?,
        };
        change.check(tip.map(|(seq, _)| seq))?;
        let mut head = tip.map_or(NO_HASH, |(_, head)| head);
        for event in &change.events {
            let value = codec::encode_event(id, &head, event)?;
            head = codec::hash(&value);
            self.events.insert(&keys::event(id, event.seq), value);
            self.counters.events += 1;
        }
        self.jobs.insert(id.as_bytes(), codec::encode_job(&change.job, &head)?);
        planned.tips.insert(id, (change.job.seq, head));
        if change.is_new() {
            self.add_new(trees, planned, change)?;
        }
        let order = keys::unfinished(change.job.spec.order);
        if change.job.is_terminal() {
            self.unfinished.remove(&order);
        } else if change.is_new() {
            self.unfinished.insert(&order, id.as_bytes());
        }
        Ok(())
    }

    fn add_new(
        &mut self,
        trees: &Trees,
        planned: &mut Planned,
        change: &Change,
    ) -> Result<(), Error> {
        let spec = &change.job.spec;
        change.check_order(self.counters.last_order)?;
        self.counters.last_order = spec.order;
        self.counters.jobs += 1;
        self.tenants.insert(keys::tenant(&spec.tenant, spec.order), spec.id.as_bytes());
        if let Some(request_id) = &spec.request_id {
            let key = keys::request(&spec.tenant, request_id);
            let taken = trees.requests.contains_key(&key).map_err(storage)?;
            if taken || !planned.requests.insert(key.clone()) {
                return Err(change.refuse(1, "has an idempotency key that is taken"));
            }
            self.requests.insert(key, spec.id.as_bytes());
        }
        Ok(())
    }
}

fn stored_tip(trees: &Trees, id: JobId) -> Result<Option<Tip>, Error> {
    let Some(value) = trees.jobs.get(id.as_bytes()).map_err(storage)? else { return Ok(None) };
    let stored = codec::decode_job(id, &value)?;
    Ok(Some((stored.job.seq, stored.head)))
}
