//! A file in the spool that removes itself unless it is kept.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use tokio::runtime::Handle;

use super::slots::Slot;
use crate::failpoint::{Point, hit};

/// The file of one upload, with the slot that the upload takes: both go when it is dropped.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    kept: bool,
    /// Given back behind the file, so that a free slot means that the file is gone.
    slot: Option<Slot>,
}

impl Draft {
    /// Makes the file, readable to this user alone.
    pub(super) fn create(path: PathBuf, slot: Slot) -> io::Result<(Self, File)> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((Self { path, kept: false, slot: Some(slot) }, file))
    }

    /// Moves the file to its place for good; the move is durable when this returns.
    pub(super) fn publish(mut self, target: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, target)?;
        self.kept = true;
        hit(Point::UploadMoved);
        let synced = target.parent().map_or(Ok(()), sync_directory);
        if synced.is_err() {
            remove_quietly(target);
        }
        hit(Point::UploadKept);
        synced
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let path = std::mem::take(&mut self.path);
        let slot = self.slot.take();
        let remove = move || {
            remove_quietly(&path);
            drop(slot);
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// Makes the entries of a directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Where this fails, the next start sweeps the file.
fn remove_quietly(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, "a file of a refused upload could not be removed");
    }
}
