//! One storage's part of a plan. What a row does in one storage never depends on the other one, so the
//! two sides of a large delete are decided on two threads.

use super::{blocks::Blocks, changes::Changes, keys, spaces::Spaces};
use crate::{
    domain::{Operation, Storage},
    records::{Batch, Error},
};

/// The live rows of a tenant in one storage, and what each batch does to them.
pub(super) struct Side<'a> {
    live: Blocks<'a>,
    parts: Vec<Part<'a>>,
}

/// What one batch does in one storage.
pub(super) struct Part<'a> {
    operation: Operation,
    /// Whether the batch's job touches this storage.
    touches: bool,
    effects: Blocks<'a>,
    /// Lines without effect.
    pub(super) missed: Vec<u32>,
    /// Rows with effect.
    pub(super) processed: u64,
}

impl<'a> Side<'a> {
    pub(super) fn new(
        spaces: &'a Spaces,
        tenant: u32,
        storage: Storage,
        batches: &[&Batch<'_>],
    ) -> Self {
        let part = |batch: &&Batch<'_>| Part {
            operation: batch.operation,
            touches: batch.storages.contains(storage),
            effects: Blocks::new(&spaces.effects, keys::effects_prefix(batch.job, storage)),
            missed: Vec::new(),
            processed: 0,
        };
        Self {
            live: Blocks::new(&spaces.live, keys::live_prefix(tenant, storage)),
            parts: batches.iter().map(part).collect(),
        }
    }

    /// Decides on a row of a batch whose id stands in that row of the store, 0 for none; whether it
    /// has an effect here. An old row of the id is dead afterwards.
    pub(super) fn decide(&mut self, place: usize, line: u32, row: u64) -> Result<bool, Error> {
        let Some(part) = self.parts.get_mut(place).filter(|part| part.touches) else {
            return Ok(false);
        };
        let takes_effect = match part.operation {
            Operation::Create => row == 0 || !self.live.contains(row)?,
            Operation::Update | Operation::Delete => row != 0 && self.live.remove(row)?,
        };
        if !takes_effect {
            part.missed.push(line);
            return Ok(false);
        }
        part.processed += 1;
        if part.operation != Operation::Create {
            part.effects.insert(row)?;
        }
        Ok(true)
    }

    /// Brings a row of a batch to life.
    pub(super) fn enliven(&mut self, place: usize, row: u64) -> Result<(), Error> {
        self.live.insert(row)?;
        match self.parts.get_mut(place) {
            Some(part) => part.effects.insert(row),
            None => Ok(()),
        }
    }

    /// Puts the bitmaps into the transaction; returns what each batch does.
    pub(super) fn finish(self, changes: &mut Changes<'_>) -> Result<Vec<Part<'a>>, Error> {
        self.live.write(changes)?;
        self.parts.iter().try_for_each(|part| part.effects.write(changes))?;
        Ok(self.parts)
    }
}
