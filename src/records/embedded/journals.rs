//! fjall's journals, looked at before fjall reads them.
//!
//! fjall takes the first thing that it cannot make sense of for the end of a journal, and cuts off what
//! follows. So one flipped bit could take any number of acknowledged batches with it. Each batch of ours
//! therefore has a [`Commit`] whose numbers go up by one: a gap between two is damage.
//!
//! A power loss during a sync may leave the newest batch with its end on disk and a hole before it. fjall
//! refuses that. Every batch of ours is synced before the next is written, so one that is followed by
//! nothing and was not acknowledged is cut off here.
//!
//! Whatever is cut off, here or by fjall, stands in the file `torn` until the store is open: where it is
//! refused afterwards, as more was acknowledged, nothing is lost for whoever looks into it.
//!
//! The journal of fjall 3: a batch is `1`, count, number; items of `2`, type, compression, keyspace,
//! three lengths, key, value; `3`, XXH3 of the items, a trailer. Little-endian; zeros follow.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::{
    commits::{COMMIT_KEY, Commit},
    spaces::io_failed,
};
use crate::records::Error;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: &[u8; 4] = b"FJL\x03";
const ITEM_HEAD_BYTES: usize = 20;
const TORN_FILE: &str = "torn";
/// Numbers of fjall's batches stay far below.
const NUMBERS_END: u64 = 1 << 62;
/// What stands before the value of a commit in an item: lengths of key, value and stored value, and the key.
const COMMIT_PREFIX: &[u8; 16] = b"\x06\0\x10\0\0\0\x10\0\0\0commit";

/// Checks every journal in the directory of a database, of which so many commits were acknowledged.
///
/// # Errors
/// [`Error::Damaged`] where one that was acknowledged is wrong, or missing before or behind another one.
pub(super) fn check(dir: &Path, acknowledged: u64) -> Result<(), Error> {
    let journals = journals(dir).map_err(io_failed)?;
    let mut seen = Seen::default();
    // A part at the end of a journal that is no batch: fjall cuts it off.
    let mut rest: Option<(Journal, u64, &Path)> = None;
    for (place, path) in journals.iter().enumerate() {
        let is_newest = place + 1 == journals.len();
        let mut journal = Journal::open(path).map_err(io_failed)?;
        (seen.end, seen.has_commit) = (0, false);
        while let Some(batch) = journal.batch().map_err(io_failed)? {
            if rest.is_some() {
                return Err(damaged(path, batch.begin, "follows something that is none"));
            }
            if batch.is_right {
                seen.note(&batch).map_err(|why| damaged(path, batch.begin, why))?;
                continue;
            }
            // Nobody was told of the newest batch of all.
            let is_torn = is_newest && batch.commit.is_none_or(|c| c.number > acknowledged);
            if !is_torn || journal.data_end(batch.end).map_err(io_failed)? > batch.end {
                return Err(damaged(path, batch.begin, "does not match its checksum"));
            }
            break;
        }
        // fjall begins another journal only behind a full one.
        if !is_newest && !seen.has_commit {
            return Err(damaged(path, 0, "is missing"));
        }
        if journal.data_end(seen.end).map_err(io_failed)? > seen.end {
            rest = Some((journal, seen.end, path));
        }
    }
    // Journals go from the oldest on, so the newest batches are always there.
    if seen.commit.is_some_and(|newest| newest.number < acknowledged) {
        return Err(lost(seen.newest(), acknowledged));
    }
    let Some((mut journal, begin, path)) = rest else { return Ok(()) };
    if journal.names_commit_up_to(begin, acknowledged).map_err(io_failed)? {
        return Err(damaged(path, begin, "cannot be read"));
    }
    if let Err(error) = journal.keep_rest(dir, begin) {
        tracing::warn!(%error, "what is cut off the record store's journal could not be kept");
    }
    cut(path, begin).map_err(io_failed)
}

fn lost(found: u64, acknowledged: u64) -> Error {
    Error::Damaged(format!("its journals end with commit {found}, acknowledged are {acknowledged}"))
}

fn damaged(path: &Path, at: u64, why: &str) -> Error {
    let name = path.file_name().unwrap_or_default().display();
    Error::Damaged(format!("the batch at byte {at} of {name} {why}"))
}

/// The store is open, and has all that was acknowledged.
pub(super) fn settle(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(TORN_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn cut(path: &Path, end: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(end)?;
    file.sync_all()?;
    tracing::warn!(bytes = end, "the record store's journal had a torn batch at its end, cut off");
    Ok(())
}

/// The journals, oldest first.
fn journals(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse::<u64>().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// What was read so far.
#[derive(Default)]
struct Seen {
    /// Where the last batch in the present journal ends.
    end: u64,
    /// Whether the present journal has a batch of ours.
    has_commit: bool,
    number: u64,
    commit: Option<Commit>,
}

impl Seen {
    fn newest(&self) -> u64 {
        self.commit.map_or(0, |commit| commit.number)
    }

    fn note(&mut self, batch: &Batch) -> Result<(), &'static str> {
        if batch.number < self.number {
            return Err("is older than the one before");
        }
        if let Some(commit) = batch.commit {
            if self.commit.is_some_and(|before| before.number + 1 != commit.number) {
                return Err("does not follow the one before");
            }
            // fjall's own number of a batch has no checksum. What is older than a table is passed over, and
            // there are no numbers far above.
            if batch.number < commit.floor || batch.number >= NUMBERS_END {
                return Err("has another number than it was given");
            }
            (self.commit, self.has_commit) = (Some(commit), true);
        }
        (self.number, self.end) = (batch.number, batch.end);
        Ok(())
    }
}

/// A batch that has an end.
struct Batch {
    begin: u64,
    end: u64,
    number: u64,
    is_right: bool,
    commit: Option<Commit>,
}

struct Journal {
    file: BufReader<File>,
    at: u64,
}

impl Journal {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::with_capacity(256 << 10, File::open(path)?), at: 0 })
    }

    /// The next batch; `None` where there is none that is finished.
    fn batch(&mut self) -> io::Result<Option<Batch>> {
        match self.read_batch() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            read => read,
        }
    }

    fn read_batch(&mut self) -> io::Result<Option<Batch>> {
        let begin = self.at;
        if self.array()? != [START] {
            return Ok(None);
        }
        let count = u32::from_le_bytes(self.array()?);
        let number = u64::from_le_bytes(self.array()?);
        let (mut items, mut found, mut commit) = (Xxh3::new(), 0, None);
        loop {
            match self.array()? {
                [ITEM] => commit = self.item(&mut items)?.or(commit),
                [END] => {
                    let checksum = u64::from_le_bytes(self.array()?);
                    if self.array()? != *TRAILER {
                        return Ok(None);
                    }
                    let is_right = found == count && items.digest() == checksum;
                    return Ok(Some(Batch { begin, end: self.at, number, is_right, commit }));
                }
                _ => return Ok(None),
            }
            found += 1;
        }
    }

    /// Reads an item behind its tag; the commit, where it is that.
    fn item(&mut self, items: &mut Xxh3) -> io::Result<Option<Commit>> {
        let head: [u8; ITEM_HEAD_BYTES] = self.array()?;
        items.update(&[ITEM]);
        items.update(&head);
        let [.., k0, k1, _, _, _, _, v0, v1, v2, v3] = head;
        let key_bytes = u64::from(u16::from_le_bytes([k0, k1]));
        let value_bytes = u64::from(u32::from_le_bytes([v0, v1, v2, v3]));
        let key = self.bytes(key_bytes, items)?;
        let value = self.bytes(value_bytes, items)?;
        Ok(if key == COMMIT_KEY { Commit::read(&value) } else { None })
    }

    /// The first of so many bytes, all of which count for the checksum.
    fn bytes(&mut self, count: u64, items: &mut Xxh3) -> io::Result<Vec<u8>> {
        const KEPT: usize = 64;
        let mut kept = Vec::with_capacity(KEPT);
        let mut left = count;
        let mut buffer = [0; 4 << 10];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let (part, _) = buffer.split_at_mut(most);
            self.file.read_exact(part)?;
            items.update(part);
            kept.extend(part.iter().take(KEPT - kept.len()));
            left -= part.len() as u64;
        }
        self.at += count;
        Ok(kept)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        self.file.read_exact(&mut array)?;
        self.at += N as u64;
        Ok(array)
    }

    /// Where zeros begin that go on to the end of the file; not before that byte.
    fn data_end(&mut self, from: u64) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(from))?;
        let (mut at, mut end) = (from, from);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = self.file.read(&mut buffer)?;
            if read == 0 {
                return Ok(end);
            }
            let last = buffer.iter().take(read).rposition(|byte| *byte != 0);
            end = last.map_or(end, |last| at + last as u64 + 1);
            at += read as u64;
        }
    }

    /// Whether commits that were acknowledged can be made out behind that byte.
    fn names_commit_up_to(&mut self, from: u64, acknowledged: u64) -> io::Result<bool> {
        const ITEM: usize = COMMIT_PREFIX.len() + 16;
        self.file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        loop {
            let read = self.file.by_ref().take(64 << 10).read_to_end(&mut bytes)?;
            for at in memchr::memmem::find_iter(&bytes, COMMIT_PREFIX) {
                let value = bytes.get(at + COMMIT_PREFIX.len()..at + ITEM);
                if value.and_then(Commit::read).is_some_and(|c| c.number <= acknowledged) {
                    return Ok(true);
                }
            }
            if read == 0 {
                return Ok(false);
            }
            // One may begin here.
            let kept = bytes.len().saturating_sub(ITEM - 1);
            bytes.drain(..kept);
        }
    }

    /// Copies what follows that byte.
    fn keep_rest(&mut self, dir: &Path, from: u64) -> io::Result<()> {
        let end = self.data_end(from)?;
        self.file.seek(SeekFrom::Start(from))?;
        let mut rest = self.file.by_ref().take(end - from);
        let mut torn = File::create(dir.join(TORN_FILE))?;
        io::copy(&mut rest, &mut torn)?;
        torn.sync_all()
    }
}
