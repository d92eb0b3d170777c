//! Tables that are made outside of the store's journal and memtables.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use fjall::Keyspace;

use super::spaces::{failed, io_failed};
use crate::{limits::TABLE_SYNC_BYTES, records::Error};

/// Where fjall keeps the tables of a keyspace, by number.
pub(super) const TABLES: &str = "tables";
/// Newest tables that are synced at a time. The unfinished one is among them unless as many flushes, merges
/// and other jobs have begun newer ones; then fjall syncs it at its end.
const TABLES_SYNCED: usize = 4;

/// Tables that are written in key order and then join a keyspace as a whole.
pub(super) struct Tables<'a> {
    write: Writer<'a>,
    dir: PathBuf,
    /// Bytes since a sync was last asked for.
    unsynced: usize,
    syncs: Option<Syncs>,
}

/// A thread that syncs the newest tables when it is asked to. It ends with the channel.
struct Syncs {
    asked: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
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
        Ok(Self { write, dir: space.path().join(TABLES), unsynced: 0, syncs: None })
    }

    pub(super) fn write(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.unsynced += key.len() + value.len();
        if self.unsynced > TABLE_SYNC_BYTES {
            self.unsynced = 0;
            self.begin_sync().map_err(io_failed)?;
        }
        (self.write)(Some((key, value))).map_err(failed)
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.end_syncs().and_then(|()| sync_newest(&self.dir)).map_err(io_failed)?;
        (self.write)(None).map_err(failed)
    }

    /// fjall would sync each table once, as a whole, the last one while it holds the lock that every
    /// commit needs; and a sync of a small file waits for a large one's. In pieces, none waits long.
    fn begin_sync(&mut self) -> io::Result<()> {
        let syncs = match &mut self.syncs {
            Some(syncs) => syncs,
            none => none.insert(Syncs::start(self.dir.clone())?),
        };
        // Waits where the disk is two pieces behind.
        match syncs.asked.send(()) {
            Ok(()) => Ok(()),
            Err(_) => self.end_syncs(),
        }
    }

    /// Waits for the thread; how its syncs went.
    fn end_syncs(&mut self) -> io::Result<()> {
        let Some(Syncs { asked, thread }) = self.syncs.take() else { return Ok(()) };
        drop(asked);
        thread.join().map_err(|_| io::Error::other("the thread that syncs tables panicked"))?
    }
}

impl Syncs {
    fn start(dir: PathBuf) -> io::Result<Self> {
        let (asked, asks) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("table-sync".to_owned())
            .spawn(move || asks.iter().try_for_each(|()| sync_newest(&dir)))?;
        Ok(Self { asked, thread })
    }
}

/// Syncs the newest tables in a directory, finished or not.
fn sync_newest(dir: &Path) -> io::Result<()> {
    newest(dir)?.iter().try_for_each(|table| match File::open(table) {
        Ok(table) => table.sync_data(),
        // Merged away meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> (fjall::Database, Keyspace) {
        let database = fjall::Database::builder(dir).open().unwrap();
        let space = database.keyspace("rows", fjall::KeyspaceCreateOptions::default).unwrap();
        (database, space)
    }

    fn entries() -> impl Iterator<Item = ([u8; 4], Vec<u8>)> {
        let value = |n: u32| n.to_le_bytes().repeat(16 << 10);
        (0_u32..).map(move |n| (n.to_be_bytes(), value(n))).take((4 * TABLE_SYNC_BYTES) >> 16)
    }

    #[test]
    fn tables_synced_in_pieces_read_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (_database, space) = open(dir.path());
        let mut tables = Tables::new(&space).unwrap();
        for (key, value) in entries() {
            tables.write(&key, &value).unwrap();
        }
        assert!(tables.syncs.is_some());
        tables.finish().unwrap();
        let read = space.iter().map(|entry| entry.into_inner().unwrap());
        let read: Vec<_> = read.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(read, entries().map(|(key, value)| (key.to_vec(), value)).collect::<Vec<_>>());
    }

    #[test]
    fn a_sync_that_fails_beside_fails_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let (_database, space) = open(dir.path());
        let mut tables = Tables::new(&space).unwrap();
        tables.dir = dir.path().join("gone");
        let written = entries().try_for_each(|(key, value)| tables.write(&key, &value));
        assert!(written.and_then(|()| tables.finish()).is_err());
        assert!(space.is_empty().unwrap());
    }
}
