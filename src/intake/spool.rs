//! Where bodies are: `<data>/spool` while they come in, `<data>/payloads` once accepted.

use std::{
    collections::HashSet,
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Encoding, Upload,
    draft::sync_directory,
    room::{Disk, Room},
    slots::Slots,
    writer::{self, Body, Meter, Order},
};
use crate::{
    config,
    domain::{JobId, MediaType},
    error::Error,
    limits::UPLOADS_BEGUN_MAX,
};

const PAYLOADS: &str = "payloads";

/// The directory of uploads and payloads. Clones share it.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    /// Payloads stay when their jobs end.
    keeps_ended: bool,
}

#[derive(Debug)]
struct Shared {
    incoming: PathBuf,
    payloads: PathBuf,
    config: config::Intake,
    /// Of all uploads.
    begun: Slots,
    /// Of those with a thread, and a file unless what they decode to is small.
    files: Slots,
    room: Arc<Room>,
    next: AtomicU64,
}

/// Where the payload of a job is, in a data directory that is not served.
#[must_use]
pub fn payload_path(data_dir: &Path, id: JobId) -> PathBuf {
    payload_in(&data_dir.join(PAYLOADS), id)
}

fn payload_in(payloads: &Path, id: JobId) -> PathBuf {
    payloads.join(id.to_string())
}

impl Spool {
    /// Opens the directories, making them where they are missing, and removes every upload that
    /// a stop cut off. Blocks the thread.
    ///
    /// # Errors
    /// When a directory cannot be made, read or synced.
    pub fn open(data: &config::Data, config: &config::Intake) -> io::Result<Self> {
        let data_dir = data.dir.as_path();
        let incoming = data_dir.join("spool");
        let payloads = data_dir.join(PAYLOADS);
        for directory in [&incoming, &payloads] {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        sync_directory(data_dir)?;
        for file in std::fs::read_dir(&incoming)? {
            let file = file?;
            if !file.file_type()?.is_dir() {
                std::fs::remove_file(file.path())?;
            }
        }
        let (begun, files) = (Slots::new(UPLOADS_BEGUN_MAX), Slots::new(config.uploads_max));
        let next = AtomicU64::new(0);
        let room = Room::open(data_dir, data.reserve_bytes)?;
        let config = config.clone();
        let shared = Shared { incoming, payloads, config, begun, files, room, next };
        Ok(Self { shared: Arc::new(shared), keeps_ended: false })
    }

    /// Whether payloads stay when their jobs end; then each has a file, however small it is.
    #[must_use]
    pub fn keeping_ended(self, keeps_ended: bool) -> Self {
        Self { keeps_ended, ..self }
    }

    /// Begins an upload. `announced_length` is the `Content-Length` where the caller sent one; `meter`
    /// may refuse bytes before they take room. A body of more than `keep_max` bytes is received to its end
    /// for its digest, but takes no more room than that and cannot be kept.
    ///
    /// # Errors
    /// `BodyTooLarge` where the announced length already says so, `DiskReserve` where the disk has no room
    /// for it, `UploadsExhausted` while `limits::UPLOADS_BEGUN_MAX` others run, none of which is slow.
    pub async fn begin(
        &self,
        media: MediaType,
        encoding: Encoding,
        announced_length: Option<u64>,
        meter: Meter,
        keep_max: u64,
    ) -> Result<Upload, Error> {
        let config = &self.shared.config;
        if let Some(length) = announced_length
            && encoding == Encoding::Identity
            && length >= config.max_body_bytes
        {
            return Err(writer::too_large(config.max_body_bytes));
        }
        self.shared.room.check(announced_length.unwrap_or(0).min(keep_max))?;
        let slot = self.shared.begun.take().await?;
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let path = self.shared.incoming.join(format!("{number}.part"));
        let (config, room) = (config.clone(), Arc::clone(&self.shared.room));
        let idle_timeout = config.idle_timeout;
        let to_file = self.keeps_ended;
        let order = Order { path, room, media, encoding, config, meter, keep_max, to_file };
        Ok(Upload::new(self.clone(), slot, Body::new(order), idle_timeout))
    }

    /// Room on the disk, as it was looked at last.
    #[must_use]
    pub fn disk(&self) -> Disk {
        self.shared.room.disk()
    }

    /// Uploads that have begun.
    #[must_use]
    pub fn uploads(&self) -> usize {
        self.shared.begun.taken()
    }

    /// Whether no upload is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.shared.begun.are_free() && self.shared.files.are_free()
    }

    /// The slots of all uploads.
    pub(super) fn begun(&self) -> &Slots {
        &self.shared.begun
    }

    /// The slots of uploads that have a thread.
    pub(super) fn files(&self) -> &Slots {
        &self.shared.files
    }

    /// Where the payload of a job is.
    #[must_use]
    pub fn path(&self, id: JobId) -> PathBuf {
        payload_in(&self.shared.payloads, id)
    }

    /// Removes the payload of a job; one that is gone is no error. Blocks the thread.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(&self, id: JobId) -> io::Result<()> {
        match std::fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The payload of a job that has ended is needed no longer; where those are kept it stays. Blocks the
    /// thread.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn end(&self, id: JobId) -> io::Result<()> {
        if self.keeps_ended { Ok(()) } else { self.remove(id) }
    }

    /// Whether payloads stay when their jobs end.
    #[must_use]
    pub fn keeps_ended(&self) -> bool {
        self.keeps_ended
    }

    /// The jobs that have a payload here. Files that are not named like a job are left out.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn jobs(&self) -> io::Result<Vec<JobId>> {
        let mut jobs = Vec::new();
        for file in std::fs::read_dir(&self.shared.payloads)? {
            if let Some(id) = file?.file_name().to_str().and_then(|name| name.parse().ok()) {
                jobs.push(id);
            } else {
                tracing::warn!("a file among the payloads is not named like a job");
            }
        }
        Ok(jobs)
    }

    /// Removes every payload whose job is not in `keep` and returns how many there were. Only for
    /// the start, before uploads come in. Files that are not named like a job are left alone.
    /// Blocks the thread.
    ///
    /// # Errors
    /// When the directory cannot be read or a file cannot be removed.
    pub fn sweep(&self, keep: &HashSet<JobId>) -> io::Result<u64> {
        let mut removed = 0;
        for id in self.jobs()? {
            if !keep.contains(&id) {
                self.remove(id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
