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
    /// Jobs that ever were.
    pub(super) jobs: u64,
    /// Events of all of them.
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
    /// The jobs' newest events after it; none of a job that is terminal then.
    heads: HashMap<JobId, Option<Head>>,
}

/// The newest events of jobs that are not terminal, as they are stored.
pub(super) type Heads = HashMap<JobId, Head>;

/// Newest event of a job and its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    seq: u64,
    hash: Hash,
}

/// What the journal knows without reading, and what the changes before have planned.
struct Known<'a> {
    trees: &'a Trees,
    heads: &'a Heads,
    requests: HashSet<Vec<u8>>,
}

impl Plan {
    /// Plans the group on top of what is stored. Writes nothing.
    pub(super) fn new(
        trees: &Trees,
        counters: Counters,
        heads: &Heads,
        group: &[Change],
    ) -> Result<Self, Error> {
        let mut plan = Self { counters, ..Self::default() };
        let mut known = Known { trees, heads, requests: HashSet::new() };
        for change in group {
            plan.add(&mut known, change)?;
        }
        Ok(plan)
    }

    /// Takes the heads that are stored now into those that are known.
    pub(super) fn note_heads(self, heads: &mut Heads) {
        for (id, head) in self.heads {
            match head {
                Some(head) => heads.insert(id, head),
                None => heads.remove(&id),
            };
        }
    }

    fn add(&mut self, known: &mut Known<'_>, change: &Change) -> Result<(), Error> {
        let id = change.id();
        let before = match self.heads.get(&id) {
            Some(Some(head)) => Some(*head),
            _ => known.head(change)?,
        };
        change.check(before.map(|head| head.seq))?;
        let mut head = before.map_or(NO_HASH, |head| head.hash);
        for event in &change.events {
            let value = codec::encode_event(id, &head, event)?;
            head = codec::hash(&value);
            self.events.insert(&keys::event(id, event.seq), value);
            self.counters.events += 1;
        }
        self.jobs.insert(id.as_bytes(), codec::encode_job(&change.job, &head)?);
        if change.is_new() {
            self.add_new(known, change)?;
        }
        let order = keys::unfinished(change.job.spec.order);
        let newest = Head { seq: change.job.seq, hash: head };
        if change.job.is_terminal() {
            self.unfinished.remove(&order);
            self.heads.insert(id, None);
            return Ok(());
        }
        self.heads.insert(id, Some(newest));
        if change.is_new() {
            let entry = codec::encode_unfinished(id, change.payload.as_deref())?;
            self.unfinished.insert(&order, entry);
        }
        Ok(())
    }

    fn add_new(&mut self, known: &mut Known<'_>, change: &Change) -> Result<(), Error> {
        let spec = &change.job.spec;
        change.check_order(self.counters.last_order)?;
        self.counters.last_order = spec.order;
        self.counters.jobs += 1;
        self.tenants.insert(keys::tenant(&spec.tenant, spec.order), spec.id.as_bytes());
        if let Some(request_id) = &spec.request_id {
            let key = keys::request(&spec.tenant, request_id);
            let taken = known.trees.requests.contains_key(&key).map_err(storage)?;
            if taken || !known.requests.insert(key.clone()) {
                return Err(change.refuse(1, "has an idempotency key that is taken"));
            }
            self.requests.insert(key, spec.id.as_bytes());
        }
        Ok(())
    }
}

impl Known<'_> {
    /// The stored head of a job; read where it is not known, as it is after a start.
    fn head(&self, change: &Change) -> Result<Option<Head>, Error> {
        let id = change.id();
        if let Some(head) = self.heads.get(&id) {
            return Ok(Some(*head));
        }
        let stored = self.trees.jobs.get(id.as_bytes()).map_err(storage)?;
        let stored = stored.map(|value| codec::decode_job(id, &value)).transpose()?;
        Ok(stored.map(|stored| Head { seq: stored.job.seq, hash: stored.head }))
    }
}
