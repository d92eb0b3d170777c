//! How far the journal was acknowledged, kept outside sled.
//!
//! After a crash sled reads its log up to the first bad message and takes that for the end. So one
//! flipped bit can take many commits with it, and what is left is sound in itself. The tip is
//! written after each commit's sync and not synced itself: it may be behind after a power loss, never
//! ahead, so a journal with less than its tip has lost something.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use super::{
    super::{Error, codec},
    io as io_error,
    plan::Counters,
};

const FILE: &str = "tip";

/// The open file. Its length never changes, and it fits one sector, so it is never torn.
pub(super) struct Tip {
    file: File,
}

impl Tip {
    /// Makes the tip of an empty journal, durable but for the directory.
    pub(super) fn create(dir: &Path) -> io::Result<()> {
        let path = dir.join(FILE);
        fs::write(&path, Counters::default().encode())?;
        File::open(path)?.sync_all()
    }

    /// Opens the tip and checks that the journal with these counters has all that was acknowledged.
    pub(super) fn open(dir: &Path, counters: Counters) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let damaged = |why: &str| Error::Damaged(format!("{}: {why}", path.display()));
        let bytes = fs::read(&path).map_err(|e| damaged(&e.to_string()))?;
        let tip = codec::decode_counters(&bytes).map_err(|e| damaged(&e.to_string()))?;
        let tip = Counters::from_numbers(tip);
        if counters.is_behind(tip) {
            return Err(Error::Damaged(format!("acknowledged is {tip:?}, found {counters:?}")));
        }
        let file = OpenOptions::new().write(true).open(&path).map_err(|e| io_error("open", &e))?;
        Ok(Self { file })
    }

    /// Takes down what is durable now.
    pub(super) fn write(&self, counters: Counters) -> io::Result<()> {
        self.file.write_all_at(&counters.encode(), 0)
    }
}
