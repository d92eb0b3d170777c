//! Bitmaps over row numbers, in blocks.

use fjall::{Keyspace, Readable, Snapshot};
use roaring::RoaringBitmap;

use super::{changes::Changes, codec, spaces::failed};
use crate::{limits::LIVE_BLOCK_ROWS, records::Error};

/// Blocks that a set may have: room for 68 thousand million rows, far beyond any disk.
const BLOCKS_MAX: usize = 1 << 20;

/// A set of row numbers of which a batch touches some blocks: a block is read when it is first
/// asked for and written when it has changed.
pub(super) struct Blocks<'a> {
    space: &'a Keyspace,
    prefix: Vec<u8>,
    /// By number, which is why they are so fast to find: a job that touches all of a large store asks
    /// several times for each of its rows.
    touched: Vec<Option<Block>>,
}

struct Block {
    rows: RoaringBitmap,
    changed: bool,
}

impl<'a> Blocks<'a> {
    /// The set whose blocks stand in that keyspace under that prefix.
    pub(super) fn new(space: &'a Keyspace, prefix: Vec<u8>) -> Self {
        Self { space, prefix, touched: Vec::new() }
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

    /// Takes a row out; whether it was in.
    pub(super) fn remove(&mut self, row: u64) -> Result<bool, Error> {
        let (number, bit) = split(row);
        let block = self.block(number)?;
        let removed = block.rows.remove(bit);
        block.changed |= removed;
        Ok(removed)
    }

    /// Puts the blocks that have changed into a write batch.
    pub(super) fn write(&self, changes: &mut Changes<'_>) -> Result<(), Error> {
        for (number, block) in (0..).zip(&self.touched) {
            if let Some(block) = block.as_ref().filter(|block| block.changed) {
                let value = codec::write_bitmap(&block.rows)?;
                changes.insert(self.space, key(&self.prefix, number), value);
            }
        }
        Ok(())
    }

    fn block(&mut self, number: u64) -> Result<&mut Block, Error> {
        let place = usize::try_from(number).ok().filter(|place| *place < BLOCKS_MAX);
        let impossible = || Error::Damaged(format!("block {number} of a bitmap is impossible"));
        let place = place.ok_or_else(impossible)?;
        if self.touched.len() <= place {
            self.touched.resize_with(place + 1, || None);
        }
        let Some(slot) = self.touched.get_mut(place) else { return Err(impossible()) };
        if slot.is_none() {
            let stored = self.space.get(key(&self.prefix, number)).map_err(failed)?;
            let rows = stored.map(|value| codec::read_block(&value)).transpose()?;
            *slot = Some(Block { rows: rows.unwrap_or_default(), changed: false });
        }
        slot.as_mut().ok_or_else(impossible)
    }
}

/// The blocks under a prefix, as a view of the store has them, with their numbers.
pub(super) fn read_all(
    view: &Snapshot,
    space: &Keyspace,
    prefix: Vec<u8>,
) -> impl Iterator<Item = Result<(u64, RoaringBitmap), Error>> {
    view.prefix(space, prefix).map(|entry| {
        let (key, value) = entry.into_inner().map_err(failed)?;
        let Some(number) = key.last_chunk::<8>() else {
            return Err(Error::Damaged(format!("a block's key has {} bytes", key.len())));
        };
        Ok((u64::from_be_bytes(*number), codec::read_block(&value)?))
    })
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
