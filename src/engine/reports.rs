//! Reading a job's report a page at a time.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::runtime::Engine;
use crate::{
    activity::{self, ReportRow},
    domain::{Job, JobId, Outcome},
    error::{Code, Error},
    limits::{REPORT_PAGE_ERRORS, REPORT_PIECE_BYTES, REPORTS_CHECKED_MAX},
};

/// Reads a report on blocking threads, a page at a time.
#[derive(Debug)]
pub struct ReportReader {
    file: Option<activity::ReportReader>,
    /// The report of a job that failed as a whole; such a job has no file.
    failure: Option<ReportRow>,
}

impl ReportReader {
    /// What is durable of a job's report now. The file of a job that ends without a report may be
    /// removed meanwhile; then the job as it stands by now tells.
    ///
    /// # Errors
    /// `ReportPurged` or `JobNotFound` where it was purged, or when it cannot be read.
    pub(super) async fn open(engine: &Engine, job: &Job) -> Result<Self, Error> {
        check_kept(engine, job)?;
        let path = engine.workspace.report(job.spec.id);
        let checked = &engine.reports_checked;
        let opened = match Self::open_as(path.clone(), job, checked).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let newest = engine.journal.job(job.spec.id).await.map_err(Error::internal)?;
                let newest = newest.ok_or_else(|| Error::no_job(job.spec.id))?;
                check_kept(engine, &newest)?;
                Self::open_as(path, &newest, checked).await
            }
            opened => opened,
        };
        match opened {
            // Purged this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                check_kept(engine, job)?;
                match engine.journal.job(job.spec.id).await.map_err(Error::internal)? {
                    Some(_) => Err(Error::internal(error)),
                    None => Err(Error::no_job(job.spec.id)),
                }
            }
            opened => opened.map_err(Error::internal),
        }
    }

    async fn open_as(path: PathBuf, job: &Job, checked: &Checked) -> io::Result<Self> {
        let (length, crc) = job.report();
        let failed = job.outcome() == Some(Outcome::Failed);
        let failure = job.failure.as_ref().filter(|_| failed).map(ReportRow::of_failure);
        let mut file = None;
        if length > 0 {
            let (id, checked) = (job.spec.id, checked.clone());
            let open = move || {
                checked.check(id, &path, length, crc)?;
                activity::ReportReader::open(&path, length)
            };
            file = Some(blocking(open).await?);
        }
        Ok(Self { file, failure })
    }

    /// Bytes of the report as lines of TSV, of which none was read yet.
    #[must_use]
    pub fn tsv_length(&self) -> u64 {
        let failure = self.failure.as_ref().map(tsv_line);
        let file = self.file.as_ref().map_or(0, activity::ReportReader::left);
        failure.map_or(file, |line| line.len() as u64)
    }

    /// These lines from a byte on, in pieces; they are sent as they are stored.
    pub fn tsv_from(self, first: u64) -> impl Stream<Item = Result<Bytes, Error>> {
        let failure = self.failure.as_ref().map(tsv_line).map(|line| {
            let first = usize::try_from(first).unwrap_or(usize::MAX).min(line.len());
            Ok(Bytes::from(line).slice(first..))
        });
        let file = self.file.map(|file| (file, first));
        let stored = stream::try_unfold(file, |state| async {
            let Some((mut file, skip)) = state else { return Ok(None) };
            let read = move || {
                file.skip(skip)?;
                let bytes = file.next_bytes(REPORT_PIECE_BYTES)?;
                Ok((file, bytes))
            };
            let (file, bytes) = blocking(read).await.map_err(Error::internal)?;
            Ok((!bytes.is_empty()).then_some((Bytes::from(bytes), Some((file, 0)))))
        });
        stream::iter(failure).chain(stored)
    }

    /// The next errors in report order, at most `limits::REPORT_PAGE_ERRORS`; `None` after the last.
    ///
    /// # Errors
    /// When the report cannot be read.
    pub async fn next_page(&mut self) -> Result<Option<Vec<ReportRow>>, Error> {
        if let Some(row) = self.failure.take() {
            return Ok(Some(vec![row]));
        }
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let read = move || {
            let mut rows = Vec::new();
            while rows.len() < REPORT_PAGE_ERRORS
                && let Some(row) = file.next_row()?
            {
                rows.push(row);
            }
            Ok((file, rows))
        };
        let (file, rows) = blocking(read).await.map_err(Error::internal)?;
        self.file = Some(file);
        Ok((!rows.is_empty()).then_some(rows))
    }
}

fn check_kept(engine: &Engine, job: &Job) -> Result<(), Error> {
    if engine.horizon.has_report_of(job) {
        let text = format!("the report of job {} is no longer kept", job.spec.id);
        return Err(Error::new(Code::ReportPurged, text));
    }
    Ok(())
}

/// Reports that were held against their checksums since the start. A poll that lists some errors must not read
/// all of them each time.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked(Arc<Mutex<HashMap<JobId, u64>>>);

impl Checked {
    /// Reads the report once, as long as it has that length. Blocks the thread.
    fn check(&self, job: JobId, path: &Path, length: u64, crc: u32) -> io::Result<()> {
        if self.known().get(&job) == Some(&length) {
            return Ok(());
        }
        activity::check_report(path, length, crc)?;
        let mut known = self.known();
        if known.len() >= REPORTS_CHECKED_MAX {
            known.clear();
        }
        known.insert(job, length);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<JobId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tsv_line(row: &ReportRow) -> String {
    format!("{}\n", row.tsv())
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}
