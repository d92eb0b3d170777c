//! A backup of everything, while jobs run.
//!
//! Commits wait for one moment, in which the record store is held still and the files of jobs that have not ended
//! get a second name. So the two stores fit each other as they do after a kill: the records may be ahead of the
//! journal by what a job has applied since, never behind it. All else is read afterwards: a job that has ended
//! never changes, and nothing is purged meanwhile.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::PoisonError,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{runtime, sync::mpsc, time::timeout};

use super::runtime::{Engine, Error};
use crate::{
    backup::{Entry, FILES, FileEntry, JOURNAL, RECORDS, Writer},
    clock,
    domain::{Job, JobId},
    error::{self, Code},
    journal::{self, Handle},
    limits::BACKUP_STALL,
    records::{self, View},
};

/// Where the second names are, below the data directory.
const LINKS: &str = "backup";

/// Second names of files of jobs that have not ended. They go with it.
pub(super) struct Links(PathBuf);

impl Links {
    /// Clears away what a crash left.
    pub(super) fn clear(data_dir: &std::path::Path) -> io::Result<()> {
        match fs::remove_dir_all(data_dir.join(LINKS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn make(data_dir: &std::path::Path) -> io::Result<Self> {
        Self::clear(data_dir)?;
        fs::create_dir(data_dir.join(LINKS))?;
        Ok(Self(data_dir.join(LINKS)))
    }

    fn path(&self, id: JobId, kind: &str) -> PathBuf {
        self.0.join(format!("{id}.{kind}"))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "names of a backup are left for the next start");
        }
    }
}

/// A file of a job that has not ended: where it belongs, what it is called here, and its durable bytes.
struct Linked {
    name: String,
    path: PathBuf,
    length: u64,
}

impl Engine {
    /// Begins a backup and gives it piece by piece. Another one waits until it has ended. A reader that goes away
    /// or takes nothing for `limits::BACKUP_STALL` ends it.
    pub(super) fn backup(&self) -> mpsc::Receiver<Result<Bytes, error::Error>> {
        let (sender, receiver) = mpsc::channel(2);
        let (purger, data_dir) = (self.purger.clone(), self.data_dir.clone());
        tokio::task::spawn_blocking(move || {
            let _no_purge = purger.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let began = Instant::now();
            let pipe = Pipe { sender: sender.clone(), runtime: runtime::Handle::current() };
            let backup = Backup {
                journal: purger.journal.clone(),
                store: &*purger.store,
                spool: &purger.spool,
                workspace: &purger.workspace,
            };
            let refusal = match Links::make(&data_dir).map_err(Error::from) {
                Ok(links) => backup.write(&links, pipe).err(),
                Err(error) => Some(error),
            };
            let seconds = began.elapsed().as_secs();
            match refusal {
                None => tracing::info!(seconds, "a backup was taken"),
                Some(error) => {
                    tracing::error!(%error, "a backup failed");
                    let refusal =
                        error::Error::new(Code::Internal, "the backup failed; the log says why");
                    // A reader that is gone needs no error.
                    let _ = sender.blocking_send(Err(refusal));
                }
            }
        });
        receiver
    }
}

struct Backup<'a> {
    journal: Handle,
    store: &'a dyn records::RecordStore,
    spool: &'a crate::intake::Spool,
    workspace: &'a crate::activity::Workspace,
}

impl Backup<'_> {
    fn write(&self, links: &Links, to: Pipe) -> Result<(), Error> {
        let mut writer = Writer::new(to)?;
        writer.begin(JOURNAL)?;
        let mut moment: Option<Moment> = None;
        let last_order = {
            let mut at = |unfinished: &[Job]| {
                let began = Instant::now();
                moment = Some(self.hold(links, unfinished)?);
                tell_pause(began.elapsed(), unfinished.len());
                Ok(())
            };
            let mut tell = |space, key: &[u8], value: &[u8]| {
                Entry::write(&mut writer, space, key, value).map_err(|e| journal_error(&e))
            };
            self.journal.dump_blocking(&mut at, &mut tell)?
        };
        let Some(Moment { view, files, unfinished, taken_us }) = moment else {
            return Err(Error::Io(io::Error::other("the journal had no moment")));
        };
        writer.begin(RECORDS)?;
        view.dump(&mut |space, key, value| {
            Entry::write(&mut writer, space, key, value)
                .map_err(|error| records::Error::Storage(error.to_string()))
        })?;
        // It holds on to what is deleted meanwhile.
        drop(view);
        writer.begin(FILES)?;
        for Linked { name, path, length } in files {
            FileEntry::write(&mut writer, &name, length, File::open(path)?)?;
        }
        self.write_reports(&mut writer, last_order, &unfinished)?;
        writer.finish(taken_us)?;
        Ok(())
    }

    /// What must be of one moment, while commits wait.
    fn hold(&self, links: &Links, unfinished: &[Job]) -> Result<Moment, journal::Error> {
        let view = self.store.view().map_err(|e| journal::Error::Storage(e.to_string()))?;
        let mut files = Vec::new();
        for job in unfinished {
            self.link(links, job, &mut files).map_err(|e| journal_error(&e))?;
        }
        let unfinished = unfinished.iter().map(|job| job.spec.id).collect();
        Ok(Moment { view, files, unfinished, taken_us: clock::now_us() })
    }

    fn link(&self, links: &Links, job: &Job, files: &mut Vec<Linked>) -> io::Result<()> {
        let id = job.spec.id;
        let mut link = |name: String, from: PathBuf, kind: &str, length: u64| -> io::Result<()> {
            let path = links.path(id, kind);
            fs::hard_link(from, &path)?;
            files.push(Linked { name, path, length });
            Ok(())
        };
        if !job.spec.payload.inline {
            let length = job.spec.payload.length;
            link(format!("payloads/{id}"), self.spool.path(id), "payload", length)?;
        }
        if job.validated.keys_length > 0 {
            let (name, from) = (format!("work/{id}/keys"), self.workspace.keys(id));
            link(name, from, "keys", job.validated.keys_length)?;
        }
        if job.validated.report_length > 0 {
            let (name, from) = (format!("reports/{id}.tsv"), self.workspace.report(id));
            link(name, from, "report", job.validated.report_length)?;
        }
        Ok(())
    }

    /// Reports of jobs that had ended.
    fn write_reports(
        &self,
        writer: &mut Writer<Pipe>,
        last_order: u64,
        unfinished: &HashSet<JobId>,
    ) -> Result<(), Error> {
        let purged = self.journal.purged_blocking()?;
        for id in self.workspace.reports()? {
            if unfinished.contains(&id) {
                continue;
            }
            let Some(job) = self.journal.job_blocking(id)? else { continue };
            let (length, _) = job.report();
            let is_in = job.spec.order <= last_order && job.is_terminal();
            if is_in && length > 0 && !purged.has_report_of(&job) {
                let file = File::open(self.workspace.report(id))?;
                FileEntry::write(writer, &format!("reports/{id}.tsv"), length, file)?;
            }
        }
        Ok(())
    }
}

/// What is of one moment.
struct Moment {
    view: Box<dyn View>,
    files: Vec<Linked>,
    unfinished: HashSet<JobId>,
    taken_us: i64,
}

fn tell_pause(pause: Duration, jobs: usize) {
    metrics::histogram!("cvrsd_backup_pause_seconds").record(pause.as_secs_f64());
    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(pause_ms, jobs, "commits waited for a backup");
}

fn journal_error(error: &io::Error) -> journal::Error {
    journal::Error::Storage(error.to_string())
}

/// The way to whoever takes the backup.
struct Pipe {
    sender: mpsc::Sender<Result<Bytes, error::Error>>,
    runtime: runtime::Handle,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let send = self.sender.send(Ok(Bytes::copy_from_slice(bytes)));
        match self.runtime.block_on(async { timeout(BACKUP_STALL, send).await }) {
            Ok(Ok(())) => Ok(bytes.len()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the backup")),
            Err(_) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the backup is taken too slowly"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
