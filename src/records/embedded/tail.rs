//! Mending the end of fjall's journal after a power loss.
//!
//! A power loss during a sync may leave the newest batch with its end on disk and a hole before it.
//! fjall cuts an unfinished batch off, but refuses a finished one whose checksum is wrong. Every
//! batch of ours is synced before the next is written, so one that is followed by nothing was
//! never acknowledged, and is cut off here. A wrong one before others is damage and stays.
//!
//! The journal of fjall 3: a batch is `1`, count, number; items of `2`, type, compression, keyspace,
//! three lengths, key, value; `3`, XXH3 of the items, a trailer. Little-endian; zeros follow.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_64;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: &[u8] = b"FJL\x03";

/// Cuts the last batch of the newest journal off where only that is wrong; whether it did.
pub(super) fn cut_torn_batch(dir: &Path) -> io::Result<bool> {
    let Some(path) = newest_journal(dir)? else {
        return Ok(false);
    };
    let mut journal = Vec::new();
    File::open(&path)?.read_to_end(&mut journal)?;
    let Some(end) = torn_batch(&journal) else {
        return Ok(false);
    };
    let file = OpenOptions::new().write(true).open(&path)?;
    file.set_len(end)?;
    file.sync_all()?;
    tracing::warn!(bytes = end, "the record store's journal had a torn batch at its end, cut off");
    Ok(true)
}

fn newest_journal(dir: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse().ok());
        if let Some(number) = number
            && newest.as_ref().is_none_or(|(greatest, _)| number > *greatest)
        {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Where a wrong batch begins that nothing follows.
fn torn_batch(journal: &[u8]) -> Option<u64> {
    let mut rest = journal;
    loop {
        let batch = Batch::read(rest)?;
        if !batch.is_right {
            let nothing_follows = batch.rest.iter().all(|byte| *byte == 0);
            return nothing_follows.then_some((journal.len() - rest.len()) as u64);
        }
        rest = batch.rest;
    }
}

struct Batch<'a> {
    is_right: bool,
    rest: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the front; `None` where there is none that is finished.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut at = Reader(bytes);
        if at.array()? != [START] {
            return None;
        }
        let count = u32::from_le_bytes(at.array()?);
        let _number: [u8; 8] = at.array()?;
        let items = at.0;
        let mut found = 0;
        loop {
            let covered = items.get(..items.len() - at.0.len())?;
            match at.array()? {
                [ITEM] => at.item()?,
                [END] => {
                    let checksum = u64::from_le_bytes(at.array()?);
                    let rest = at.0.strip_prefix(TRAILER)?;
                    return Some(Self {
                        is_right: found == count && xxh3_64(covered) == checksum,
                        rest,
                    });
                }
                _ => return None,
            }
            found += 1;
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// Steps over an item whose tag was read.
    fn item(&mut self) -> Option<()> {
        let _type_compression_keyspace: [u8; 10] = self.array()?;
        let key_length = usize::from(u16::from_le_bytes(self.array()?));
        let _inflated_length: [u8; 4] = self.array()?;
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).ok()?;
        self.0 = self.0.get(key_length.checked_add(length)?..)?;
        Some(())
    }
}
