//! Room on the disk of the data directory. What is below `data.reserve_bytes` belongs to running jobs: no
//! upload takes of it, so that they come to their end.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    error::{Code, Error},
    limits::DISK_LOOK_INTERVAL,
    telemetry::as_gauge,
};

/// Room on the disk of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that are free.
    pub free_bytes: u64,
    /// Bytes of them that are kept for running jobs: `data.reserve_bytes`.
    pub reserve_bytes: u64,
}

impl Disk {
    /// Whether no upload is taken.
    #[must_use]
    pub fn is_below_reserve(self) -> bool {
        self.free_bytes < self.reserve_bytes
    }
}

/// How much room there is, as it was looked at last.
#[derive(Debug)]
pub(super) struct Room {
    dir: File,
    reserve_bytes: u64,
    free_bytes: AtomicU64,
}

impl Room {
    /// Looks at the disk of that directory, and again from time to time on a thread that ends with the last
    /// handle.
    pub(super) fn open(dir: &Path, reserve_bytes: u64) -> io::Result<Arc<Self>> {
        let dir = File::open(dir)?;
        let room = Arc::new(Self { dir, reserve_bytes, free_bytes: AtomicU64::new(0) });
        room.look()?;
        metrics::gauge!("cvrsd_disk_reserve_bytes").set(as_gauge(reserve_bytes));
        let disk = room.disk();
        if disk.is_below_reserve() {
            let Disk { free_bytes, reserve_bytes } = disk;
            tracing::warn!(
                free_bytes,
                reserve_bytes,
                "the disk has less room than data.reserve_bytes: no upload is taken"
            );
        }
        let watched = Arc::downgrade(&room);
        thread::Builder::new().name("disk-room".to_owned()).spawn(move || {
            while let Some(room) = watched.upgrade() {
                if let Err(error) = room.look() {
                    tracing::warn!(%error, "cannot tell how much room the disk has");
                }
                drop(room);
                thread::sleep(DISK_LOOK_INTERVAL);
            }
        })?;
        Ok(room)
    }

    /// Looks anew. Blocks the thread.
    pub(super) fn look(&self) -> io::Result<()> {
        let disk = rustix::fs::fstatvfs(&self.dir)?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        self.free_bytes.store(free_bytes, Ordering::Relaxed);
        metrics::gauge!("cvrsd_disk_free_bytes").set(as_gauge(free_bytes));
        Ok(())
    }

    /// As it was looked at last.
    pub(super) fn disk(&self) -> Disk {
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        Disk { free_bytes, reserve_bytes: self.reserve_bytes }
    }

    /// Whether so many more bytes leave the reserve alone.
    ///
    /// # Errors
    /// `DiskReserve` where they do not.
    pub(super) fn check(&self, bytes: u64) -> Result<(), Error> {
        let free = self.free_bytes.load(Ordering::Relaxed);
        if free.saturating_sub(bytes) >= self.reserve_bytes {
            return Ok(());
        }
        let reserve = self.reserve_bytes;
        let message = format!("{free} bytes of disk are free, {reserve} are kept for running jobs");
        Err(Error::new(Code::DiskReserve, message))
    }
}
