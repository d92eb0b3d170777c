//! A backup of everything, while jobs run.
//!
//! Commits wait for one moment, in which the record store is held still and the files of jobs that have not ended
//! get a second name. So the two stores fit each other as they do after a kill: the records may be ahead of the
//! journal by what a job has applied since, never behind it. All else is read afterwards: a job that has ended
//! never changes, and nothing is purged meanwhile.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::runtime;

use super::{
    pipe::{Pieces, Pipe},
    runtime::{Engine, Error},
};
use crate::{
    backup::{Entry, FILES, FileEntry, JOURNAL, PAUSES, RECORDS, Writer},
    clock,
    domain::{Job, JobId},
    error::{self, Code},
    journal::{self, Handle},
    limits::BACKUP_PAUSE_MAX,
    records::{self, View},
};

/// Where the second names are, below the data directory.
const LINKS: &str = "backup-links";
/// What second names end with, after that of the job.
const KINDS: [&str; 3] = ["payload", "keys", "report"];

/// Second names of files of jobs that have not ended. They go with it.
pub(super) struct Links(PathBuf);

impl Links {
    /// Clears away what a crash left, and nothing that is not ours.
    pub(super) fn clear(data_dir: &Path) -> io::Result<()> {
        let dir = data_dir.join(LINKS);
        let files = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files?,
        };
        for file in files {
            let file = file?;
            if file.file_name().to_str().is_some_and(is_second_name) {
                fs::remove_file(file.path())?;
            }
        }
        match fs::remove_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            _ => Ok(()),
        }
    }

    fn make(data_dir: &Path) -> io::Result<Self> {
        Self::clear(data_dir)?;
        fs::create_dir_all(data_dir.join(LINKS))?;
        Ok(Self(data_dir.join(LINKS)))
    }

    fn path(&self, id: JobId, kind: &str) -> PathBuf {
        self.0.join(format!("{id}.{kind}"))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.parent().map(Self::clear) {
            tracing::warn!(%error, "names of a backup are left for the next start");
        }
    }
}

fn is_second_name(name: &str) -> bool {
    let parts = name.split_once('.');
    parts.is_some_and(|(id, kind)| id.parse::<JobId>().is_ok() && KINDS.contains(&kind))
}

/// A file of a job that has not ended: where it belongs, what it is called here, and its durable bytes.
struct Linked {
    name: String,
    path: PathBuf,
    length: u64,
}

impl Engine {
    /// Begins a backup and gives it piece by piece. A reader that goes away or takes nothing for
    /// `limits::READER_STALL` ends it.
    ///
    /// # Errors
    /// `CVRS-READERS-EXHAUSTED` while another one is taken.
    pub(super) fn backup(&self) -> Result<Pieces, error::Error> {
        let turn = Arc::clone(&self.backups).try_acquire_owned().map_err(|_| {
            error::Error::new(Code::ReadersExhausted, "another backup is being taken")
        })?;
        let (mut pipe, pieces) =
            Pipe::new(runtime::Handle::current()).map_err(error::Error::internal)?;
        let (purger, data_dir) = (self.purger.clone(), self.data_dir.clone());
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let no_purge = purger.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let began = Instant::now();
            let backup = Backup {
                journal: purger.journal.clone(),
                store: &*purger.store,
                spool: &purger.spool,
                workspace: &purger.workspace,
                data_dir: &data_dir,
            };
            let refusal = match Links::make(&data_dir).map_err(Error::from) {
                Ok(links) => backup.write(&links, &mut pipe).err(),
                Err(error) => Some(error),
            };
            drop(no_purge);
            let seconds = began.elapsed().as_secs();
            match (refusal, pipe.broken()) {
                (None, _) => tracing::info!(seconds, "a backup was taken"),
                (Some(error), Some(_)) => {
                    tracing::warn!(%error, "whoever took a backup has left it, or was too slow");
                    pipe.refuse(error::Error::new(Code::BodyTimeout, "it is read too slowly"));
                }
                (Some(error), None) => {
                    tracing::error!(%error, "a backup failed");
                    let text = "the backup failed; the log says why";
                    pipe.refuse(error::Error::new(Code::Internal, text));
                }
            }
        });
        Ok(pieces)
    }
}

struct Backup<'a> {
    journal: Handle,
    store: &'a dyn records::RecordStore,
    spool: &'a crate::intake::Spool,
    workspace: &'a crate::activity::Workspace,
    data_dir: &'a Path,
}

impl Backup<'_> {
    fn write(&self, links: &Links, to: &mut Pipe) -> Result<(), Error> {
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
        let Some(Moment { view, files, unfinished, pauses, taken_us }) = moment else {
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
        if let Some(pauses) = pauses {
            FileEntry::write(&mut writer, PAUSES, pauses.len() as u64, pauses.as_slice())?;
        }
        for Linked { name, path, length } in files {
            put(&mut writer, &name, &path, length)?;
        }
        self.write_reports(&mut writer, last_order, &unfinished)?;
        writer.finish(taken_us)?;
        Ok(())
    }

    /// What must be of one moment, while commits wait.
    fn hold(&self, links: &Links, unfinished: &[Job]) -> Result<Moment, journal::Error> {
        let view = self.store.view().map_err(|e| journal::Error::Storage(e.to_string()))?;
        let (began, mut files) = (Instant::now(), Vec::new());
        for job in unfinished {
            if began.elapsed() > BACKUP_PAUSE_MAX {
                let text =
                    format!("{} unfinished jobs hold commits up for too long", unfinished.len());
                return Err(journal::Error::Storage(text));
            }
            self.link(links, job, &mut files).map_err(|e| journal_error(&e))?;
        }
        let pauses = match fs::read(self.data_dir.join(PAUSES)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(|e| journal_error(&e))?),
        };
        let unfinished = unfinished.iter().map(|job| job.spec.id).collect();
        Ok(Moment { view, files, unfinished, pauses, taken_us: clock::now_us() })
    }

    fn link(&self, links: &Links, job: &Job, files: &mut Vec<Linked>) -> io::Result<()> {
        let id = job.spec.id;
        let mut link = |name: String, from: PathBuf, kind: &str, length: u64| -> io::Result<()> {
            let path = links.path(id, kind);
            match fs::hard_link(from, &path) {
                // The job meets that too, and is held or fails; all others are worth a backup.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::error!(job = %id, kind, "a file of a job is missing, also in the backup");
                }
                linked => {
                    linked?;
                    files.push(Linked { name, path, length });
                }
            }
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
        writer: &mut Writer<&mut Pipe>,
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
                put(writer, &format!("reports/{id}.tsv"), &self.workspace.report(id), length)?;
            }
        }
        Ok(())
    }
}

/// A file of a job, unless it is damaged so that it lacks bytes: only that job needs it.
fn put(writer: &mut Writer<&mut Pipe>, name: &str, path: &Path, length: u64) -> io::Result<()> {
    let file = File::open(path)?;
    if file.metadata()?.len() < length {
        tracing::error!(name, "a file of a job is cut short, and missing in the backup");
        return Ok(());
    }
    FileEntry::write(writer, name, length, file)
}

/// What is of one moment.
struct Moment {
    view: Box<dyn View>,
    files: Vec<Linked>,
    unfinished: HashSet<JobId>,
    pauses: Option<Vec<u8>>,
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
