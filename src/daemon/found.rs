//! Whether what stands in the data directory belongs together, looked at before anything is made or
//! swept. A store that is missing (a mount that failed, half a restore) must not be made anew in silence:
//! the other one's jobs or records would be lost without a word.

use std::path::Path;

use crate::journal::{self, Journal};

/// What stood in the data directory before the stores were opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    journal: bool,
    records: bool,
    files: bool,
}

impl Found {
    pub(crate) fn look(dir: &Path) -> Self {
        let has_files = |name: &str| {
            std::fs::read_dir(dir.join(name)).is_ok_and(|mut entries| entries.next().is_some())
        };
        Self {
            journal: has_files("journal"),
            records: has_files("records"),
            files: has_files("payloads") || has_files("reports"),
        }
    }

    /// Before the journal is opened, which would make one: it is always the first to be there.
    pub(crate) fn check_journal(self) -> Result<(), journal::Error> {
        if !self.journal && (self.records || self.files) {
            let text = "it is missing beside records or files of jobs";
            return Err(journal::Error::Damaged(text.to_owned()));
        }
        Ok(())
    }

    /// Before the record store is opened, which would make one.
    pub(crate) fn check_records(self, journal: &impl Journal) -> Result<(), journal::Error> {
        if !self.records && journal.last_order()? > 0 {
            let text = "the records of its jobs are missing";
            return Err(journal::Error::Damaged(text.to_owned()));
        }
        Ok(())
    }
}
