//! Every commit has a number, and how far they were acknowledged is kept outside of fjall.
//!
//! fjall may read damage as the end of its journal; what is left is sound in itself. The tip is written
//! after each commit's sync and not synced itself: it may be behind after a power loss, never ahead, so a
//! store with fewer commits than its tip has lost some.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::spaces::io_failed;
use crate::records::Error;

const FILE: &str = "tip";
/// Key in the meta keyspace of the newest commit.
pub(super) const COMMIT_KEY: &[u8] = b"commit";

/// What each batch says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    /// Goes up by one.
    pub(super) number: u64,
    /// fjall gives the batch this number of its own, or a greater one.
    pub(super) floor: u64,
}

impl Commit {
    pub(super) fn write(self) -> [u8; 16] {
        ((u128::from(self.number) << 64) | u128::from(self.floor)).to_be_bytes()
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let ([number, floor], []) = value.as_chunks::<8>() else { return None };
        Some(Self { number: u64::from_be_bytes(*number), floor: u64::from_be_bytes(*floor) })
    }
}

/// The number of the newest commit, and its tip.
pub(super) struct Commits {
    number: Mutex<u64>,
    tip: File,
}

impl Commits {
    /// Makes the tip of an empty store, durable but for the directory.
    pub(super) fn create(dir: &Path) -> io::Result<()> {
        let path = dir.join(FILE);
        fs::write(&path, encode(0))?;
        File::open(path)?.sync_all()
    }

    /// How many were acknowledged.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file is not whole.
    pub(super) fn acknowledged(dir: &Path) -> Result<u64, Error> {
        let damaged = |why: &str| Error::Damaged(format!("its tip {why}"));
        let bytes = match fs::read(dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged("is missing"));
            }
            read => read.map_err(io_failed)?,
        };
        decode(&bytes).ok_or_else(|| damaged("does not match its checksum"))
    }

    /// Goes on after the newest commit that the store has.
    ///
    /// # Errors
    /// [`Error::Damaged`] where more were acknowledged.
    pub(super) fn open(dir: &Path, newest: Option<Commit>) -> Result<Self, Error> {
        let number = newest.map_or(0, |commit| commit.number);
        let acknowledged = Self::acknowledged(dir)?;
        if number < acknowledged {
            let text = format!("it has {number} commits, acknowledged are {acknowledged}");
            return Err(Error::Damaged(text));
        }
        let tip = OpenOptions::new().write(true).open(dir.join(FILE)).map_err(io_failed)?;
        Ok(Self { number: Mutex::new(number), tip })
    }

    /// Makes one commit after the other, as fjall does too.
    pub(super) fn next<T>(&self, commit: impl FnOnce(u64) -> Result<T, Error>) -> Result<T, Error> {
        let mut number = self.number();
        let done = commit(*number + 1)?;
        *number += 1;
        self.tip.write_all_at(&encode(*number), 0).map_err(io_failed)?;
        Ok(done)
    }

    fn number(&self) -> MutexGuard<'_, u64> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Number and CRC-32: one sector, so it is never torn.
fn encode(number: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (head, crc) = bytes.split_at_mut(8);
    head.copy_from_slice(&number.to_be_bytes());
    crc.copy_from_slice(&crc32fast::hash(head).to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (number, crc) = bytes.split_first_chunk::<8>()?;
    (crc == crc32fast::hash(number).to_be_bytes()).then(|| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tip_reads_back_and_every_changed_or_missing_byte_is_noticed() {
        let bytes = encode(258);
        assert_eq!(decode(&bytes), Some(258));
        for place in 0..bytes.len() {
            let mut wrong = bytes;
            wrong[place] ^= 1;
            assert_eq!(decode(&wrong), None, "byte {place}");
            assert_eq!(decode(&bytes[..place]), None, "cut at {place}");
        }
    }

    #[test]
    fn a_commit_reads_back() {
        let commit = Commit { number: 1, floor: u64::MAX };
        assert_eq!(Commit::read(&commit.write()), Some(commit));
        assert_eq!(Commit::read(&commit.write()[1..]), None);
    }
}
