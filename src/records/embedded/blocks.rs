//! Bitmaps over row numbers, in blocks.

use std::collections::{BTreeMap, btree_map::Entry};

use fjall::{Keyspace, OwnedWriteBatch};
use roaring::RoaringBitmap;

use super::{codec, spaces::failed};
use crate::{limits::LIVE_BLOCK_ROWS, records::Error};

/// A set of row numbers of which a batch touches some blocks: a block is read when it is first
/// asked for and written when it has changed.
pub(super) struct Blocks<'a> {
    space: &'a Keyspace,
    prefix: Vec<u8>,
    touched: BTreeMap<u64, Block>,
}

struct Block {
    rows: RoaringBitmap,
    changed: bool,
}

impl<'a> Blocks<'a> {
    /// The set whose blocks stand in that keyspace under that prefix.
    pub(super) fn new(space: &'a Keyspace, prefix: Vec<u8>) -> Self {
        Self { space, prefix, touched: BTreeMap::new() }
    }

    /// Whether the row is in the set.
    pub(super) fn contains(&mut self, row: u64) -> Result<bool, Error> {
        let (number, bit) = split(row);
        Ok(self.block(number)?.rows.contains(bit))
    }

    /// Adds a row.
    pub(super) fn insert(&mut self, row: u64) -> Result<(), Error> {
        let (number, bit) = split(row);
        let block = self.block(number)?;
        block.changed |= block.rows.insert(bit);
        Ok(())
    }

    /// Takes a row out.
    pub(super) fn remove(&mut self, row: u64) -> Result<(), Error> {
        let (number, bit) = split(row);
        let block = self.block(number)?;
        block.changed |= block.rows.remove(bit);
        Ok(())
    }

    /// Puts the blocks that have changed into a write batch.
    pub(super) fn write(&self, changes: &mut OwnedWriteBatch) -> Result<(), Error> {
        for (number, block) in self.touched.iter().filter(|(_, block)| block.changed) {
            let value = codec::write_bitmap(&block.rows)?;
            changes.insert(self.space, key(&self.prefix, *number), value);
        }
        Ok(())
    }

    fn block(&mut self, number: u64) -> Result<&mut Block, Error> {
        match self.touched.entry(number) {
            Entry::Occupied(block) => Ok(block.into_mut()),
            Entry::Vacant(place) => {
                let stored = self.space.get(key(&self.prefix, number)).map_err(failed)?;
                let rows = stored.map(|value| codec::read_block(&value)).transpose()?;
                Ok(place.insert(Block { rows: rows.unwrap_or_default(), changed: false }))
            }
        }
    }
}

/// Key of one block.
pub(super) fn key(prefix: &[u8], number: u64) -> Vec<u8> {
    [prefix, &number.to_be_bytes()].concat()
}

/// Block of a row, and its bit there.
pub(super) fn split(row: u64) -> (u64, u32) {
    (row / LIVE_BLOCK_ROWS, (row % LIVE_BLOCK_ROWS) as u32)
}

/// The row that a block's bit stands for.
pub(super) fn row_at(block: u64, bit: u32) -> u64 {
    block * LIVE_BLOCK_ROWS + u64::from(bit)
}
