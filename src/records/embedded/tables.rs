//! Tables that are made outside of the store's journal and memtables.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use fjall::Keyspace;

use super::spaces::{failed, io_failed};
use crate::{limits::TABLE_SYNC_BYTES, records::Error};

/// Where fjall keeps the tables of a keyspace, by number.
const TABLES: &str = "tables";
/// Newest tables that are synced ahead of an ingestion's end: the unfinished one is among them, even where
/// flushes and merges have begun newer ones.
const TABLES_SYNCED: usize = 4;

/// Tables that are written in key order and then join a keyspace as a whole.
pub(super) struct Tables<'a> {
    write: Writer<'a>,
    space: &'a Keyspace,
    /// Bytes that may not be on disk yet.
    unsynced: usize,
}

/// Takes entries, then `None` to end. A function, as fjall has no public name for what it is made of.
type Writer<'a> = Box<dyn FnMut(Option<(&[u8], &[u8])>) -> fjall::Result<()> + 'a>;

impl<'a> Tables<'a> {
    pub(super) fn new(space: &'a Keyspace) -> Result<Self, Error> {
        let mut tables = Some(space.start_ingestion().map_err(failed)?);
        let write: Writer<'a> = Box::new(move |entry| match (entry, &mut tables) {
            (Some((key, value)), Some(tables)) => tables.write(key, value),
            (Some(_), None) => Err(fjall::Error::Poisoned),
            // Synced, with the list of tables, when it returns.
            (None, tables) => match tables.take() {
                Some(tables) => tables.finish(),
                None => Ok(()),
            },
        });
        Ok(Self { write, space, unsynced: 0 })
    }

    pub(super) fn write(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.unsynced += key.len() + value.len();
        if self.unsynced > TABLE_SYNC_BYTES {
            self.sync()?;
        }
        (self.write)(Some((key, value))).map_err(failed)
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.sync()?;
        (self.write)(None).map_err(failed)
    }

    /// fjall would sync each table once, as a whole, the last one while it holds the lock that every
    /// commit needs; and a sync of a small file waits for a large one's. In pieces, none waits long.
    fn sync(&mut self) -> Result<(), Error> {
        self.unsynced = 0;
        sync_newest(self.space)
    }
}

/// Syncs the newest tables of a keyspace, finished or not.
fn sync_newest(space: &Keyspace) -> Result<(), Error> {
    let synced = |table: &PathBuf| match File::open(table) {
        Ok(table) => table.sync_data(),
        // Merged away meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    let tables = newest(&space.path().join(TABLES));
    tables.and_then(|tables| tables.iter().try_for_each(synced)).map_err(io_failed)
}

/// The files in a directory of tables with the greatest numbers.
fn newest(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers.iter().take(TABLES_SYNCED).map(|number| dir.join(number.to_string())).collect())
}
