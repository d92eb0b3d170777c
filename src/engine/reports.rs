//! Reading a job's report a page at a time.

use std::path::PathBuf;

use crate::{
    activity::{self, ReportRow},
    domain::{Job, Outcome},
    error::Error,
    limits::REPORT_PAGE_ERRORS,
};

/// Reads a report on blocking threads, a page at a time.
#[derive(Debug)]
pub struct ReportReader {
    path: PathBuf,
    length: u64,
    file: Option<activity::ReportReader>,
    /// The report of a job that failed as a whole; such a job has no file.
    failure: Option<ReportRow>,
}

impl ReportReader {
    /// What is durable of a job's report now.
    pub(super) fn new(path: PathBuf, job: &Job) -> Self {
        let length =
            if job.is_terminal() { job.report_length } else { job.validated.report_length };
        let failed = job.outcome() == Some(Outcome::Failed);
        let failure = job.failure.as_ref().filter(|_| failed).map(ReportRow::of_failure);
        Self { path, length, file: None, failure }
    }

    /// The next errors in report order, at most `limits::REPORT_PAGE_ERRORS`; `None` after the last.
    ///
    /// # Errors
    /// When the report cannot be read.
    pub async fn next_page(&mut self) -> Result<Option<Vec<ReportRow>>, Error> {
        if let Some(failure) = self.failure.take() {
            return Ok(Some(vec![failure]));
        }
        let (opened, path, length) = (self.file.take(), self.path.clone(), self.length);
        let read = move || {
            let mut file = match opened {
                Some(file) => file,
                None => activity::ReportReader::open(&path, length)?,
            };
            let mut rows = Vec::new();
            while rows.len() < REPORT_PAGE_ERRORS
                && let Some(row) = file.next_row()?
            {
                rows.push(row);
            }
            Ok::<_, std::io::Error>((file, rows))
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(Error::internal)?;
        let (file, rows) = read.map_err(Error::internal)?;
        self.file = Some(file);
        Ok((!rows.is_empty()).then_some(rows))
    }
}
