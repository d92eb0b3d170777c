//! The files of jobs: reports, which stay, and what a running job needs between its steps.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::domain::JobId;

/// The directories `reports` and `work` under the data directory.
#[derive(Clone, Debug)]
pub struct Workspace {
    reports: PathBuf,
    work: PathBuf,
}

impl Workspace {
    /// Makes the directories where they are missing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let workspace = Self::of(data_dir);
        fs::create_dir_all(&workspace.reports)?;
        fs::create_dir_all(&workspace.work)?;
        sync_dir(data_dir)?;
        Ok(workspace)
    }

    /// The directories that may be there.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { reports: data_dir.join("reports"), work: data_dir.join("work") }
    }

    /// Where the report of a job is.
    #[must_use]
    pub fn report(&self, job: JobId) -> PathBuf {
        self.reports.join(format!("{job}.tsv"))
    }

    /// Where the keys of a job's valid rows are.
    #[must_use]
    pub fn keys(&self, job: JobId) -> PathBuf {
        self.dir(job).join("keys")
    }

    /// Where a job that is running keeps its files; made when missing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn make_dir(&self, job: JobId) -> io::Result<PathBuf> {
        let dir = self.dir(job);
        match fs::create_dir(&dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            // Also where it is there: whoever made it may have been killed before the sync.
            _ => sync_dir(&self.work)?,
        }
        Ok(dir)
    }

    /// Removes what the job kept while it ran; the report stays.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn clear(&self, job: JobId) -> io::Result<()> {
        match fs::remove_dir_all(self.dir(job)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Removes the report of a job, also one that is gone: that of a job that ended without one, which a
    /// validation began, or one that is kept no longer.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_report(&self, job: JobId) -> io::Result<()> {
        match fs::remove_file(self.report(job)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// The jobs that have a report.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn reports(&self) -> io::Result<Vec<JobId>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(&self.reports)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".tsv"));
            jobs.extend(id.and_then(|id| id.parse::<JobId>().ok()));
        }
        Ok(jobs)
    }

    /// The jobs that have files of a run.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn jobs(&self) -> io::Result<Vec<JobId>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(&self.work)? {
            let name = entry?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.parse().ok()) {
                jobs.push(id);
            }
        }
        Ok(jobs)
    }

    fn dir(&self, job: JobId) -> PathBuf {
        self.work.join(job.to_string())
    }
}

/// Opens a file to append after its first `length` bytes; what follows is cut off.
pub(super) fn open_cut(path: &Path, length: u64) -> io::Result<File> {
    let mut file =
        OpenOptions::new().create(true).truncate(false).write(true).read(true).open(path)?;
    if file.metadata()?.len() < length {
        let text = format!("the file is shorter than its {length} durable bytes");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))?;
    if length == 0
        && let Some(parent) = path.parent()
    {
        sync_dir(parent)?;
    }
    Ok(file)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
