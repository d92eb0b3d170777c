//! Compares what the daemon says with the model.

use std::collections::HashSet;

use comfy_table::Table;

use super::model::{Expected, Model, STORAGES};
use crate::{
    cli::{
        Failure,
        client::{Admin, Jobs, refused},
        render,
    },
    domain::Tenant,
    exit::Exit,
    proto::{
        admin::{CountRecordsRequest, ExportRecordsRequest},
        jobs::{Job, ListJobErrorsRequest, RowErrorKind},
    },
};

/// What was compared so far.
#[derive(Default)]
pub struct Check {
    facts: Vec<Fact>,
}

struct Fact {
    what: String,
    expected: String,
    found: String,
}

impl Check {
    fn fact(
        &mut self,
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        let (what, expected, found) = (what.into(), expected.into(), found.into());
        self.facts.push(Fact { what, expected, found });
    }

    fn count(&mut self, what: impl Into<String>, expected: u64, found: u64) {
        self.fact(what, render::count(expected), render::count(found));
    }

    /// Compares one number of each storage; names are shown where they are not the two expected.
    fn by_storage<'a>(
        &mut self,
        what: impl Into<String>,
        expected: u64,
        found: impl Iterator<Item = (&'a str, u64)>,
    ) -> String {
        let (names, numbers): (Vec<&str>, Vec<String>) =
            found.map(|(name, number)| (name, render::count(number))).unzip();
        let wanted = STORAGES.map(|_| render::count(expected)).join(" / ");
        let mut found = numbers.join(" / ");
        if names != STORAGES {
            found = format!("{found} in {}", names.join(" / "));
        }
        self.fact(what, wanted, found.clone());
        found
    }

    /// Compares a finished job.
    pub fn job(&mut self, name: &str, job: &Job, expected: &Expected) {
        let clean = expected.applied == expected.rows;
        let outcome = render::outcome(job.outcome).unwrap_or("none");
        self.fact(format!("{name}: outcome"), if clean { "SUCCEEDED" } else { "PARTIAL" }, outcome);
        let rows = job.rows.unwrap_or_default();
        self.count(format!("{name}: rows read"), expected.rows, rows.total);
        self.count(format!("{name}: rows invalid"), expected.invalid(), rows.validation_errors);
        self.count(format!("{name}: rows applied"), expected.applied, rows.applied);
        let done = job.storages.iter().map(|s| (s.storage.as_str(), s.records_processed));
        self.by_storage(format!("{name}: done in each storage"), expected.applied, done);
        let missed = job.storages.iter().map(|s| (s.storage.as_str(), s.processing_errors));
        self.by_storage(format!("{name}: without effect in each"), expected.missed(), missed);
    }

    /// Compares the complete error report, entry by entry in its order.
    pub async fn errors(
        &mut self,
        name: &str,
        jobs: &mut Jobs,
        job_id: &str,
        expected: &Expected,
    ) -> Result<(), Failure> {
        let request = ListJobErrorsRequest { job_id: job_id.to_owned() };
        let mut stream = jobs.list_job_errors(request).await.map_err(|s| refused(&s))?.into_inner();
        let mut agreeing = 0_u64;
        let mut found = 0_u64;
        let mut wanted = expected.errors.iter();
        while let Some(piece) = stream.message().await.map_err(|s| refused(&s))? {
            for error in &piece.errors {
                found += 1;
                let storage = match error.kind() {
                    RowErrorKind::Processing => Some(error.storage.as_str()),
                    _ => None,
                };
                agreeing += u64::from(wanted.next() == Some(&(error.line, storage)));
            }
        }
        let all = expected.errors.len() as u64;
        self.count(format!("{name}: errors reported"), all, found);
        self.count(format!("{name}: of them as expected"), all, agreeing);
        Ok(())
    }

    /// Compares the counts of live records; returns them for the screen.
    pub async fn live(
        &mut self,
        admin: &mut Admin,
        what: &str,
        model: &Model,
    ) -> Result<String, Failure> {
        let request = CountRecordsRequest { tenant: Tenant::LOCAL.to_owned() };
        let counts = admin.count_records(request).await.map_err(|s| refused(&s))?.into_inner();
        let counts = counts.counts.iter().map(|c| (c.storage.as_str(), c.count));
        Ok(self.by_storage(what, model.live(), counts))
    }

    /// Compares every live record of both storages, cell by cell; returns how many are missing in one of
    /// them, and how many are there that should not be, or twice.
    pub async fn exports(
        &mut self,
        admin: &mut Admin,
        model: &Model,
    ) -> Result<(u64, u64), Failure> {
        let (mut lost, mut surplus) = (0, 0);
        for (i, storage) in STORAGES.into_iter().enumerate() {
            let export = Export::read(admin, storage, i, model).await?;
            lost = lost.max(model.live() - export.agreeing);
            surplus = surplus.max(export.rows - export.agreeing);
            self.fact(format!("export {storage}: header"), "as sent", export.header);
            self.count(format!("export {storage}: rows"), model.live(), export.rows);
            self.count(format!("export {storage}: of them as sent"), model.live(), export.agreeing);
        }
        Ok((lost, surplus))
    }

    /// What was compared, for the screen.
    pub fn table(&self) -> Table {
        let rows = self.facts.iter().map(|fact| {
            let mark = if fact.expected == fact.found { "ok" } else { "DIFFERS" };
            vec![fact.what.clone(), fact.expected.clone(), fact.found.clone(), mark.to_owned()]
        });
        render::table(&["", "expected", "found", ""], rows)
    }

    /// What differs, with both sides.
    pub fn differences(&self) -> Vec<String> {
        self.differing().map(|f| format!("{}: {}, not {}", f.what, f.found, f.expected)).collect()
    }

    fn differing(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(|fact| fact.expected != fact.found)
    }

    /// Fails where anything differs.
    pub fn verdict(&self) -> Result<(), Failure> {
        let differ: Vec<&str> = self.differing().map(|fact| fact.what.as_str()).collect();
        if differ.is_empty() {
            return render::print_line("every count and every live record agrees");
        }
        let line = format!("the daemon and the model differ in {}", differ.join(", "));
        Err(Failure::new(Exit::Failed, line))
    }
}

/// What an export held.
struct Export {
    header: &'static str,
    rows: u64,
    /// Rows that the model has, each counted once.
    agreeing: u64,
}

impl Export {
    async fn read(
        admin: &mut Admin,
        storage: &str,
        index: usize,
        model: &Model,
    ) -> Result<Self, Failure> {
        let request =
            ExportRecordsRequest { tenant: Tenant::LOCAL.to_owned(), storage: storage.to_owned() };
        let mut stream = admin.export_records(request).await.map_err(|s| refused(&s))?.into_inner();
        let mut export = Self { header: "missing", rows: 0, agreeing: 0 };
        let mut seen = HashSet::new();
        let mut first = true;
        while let Some(piece) = stream.message().await.map_err(|s| refused(&s))? {
            let text = String::from_utf8_lossy(&piece.lines);
            for line in text.lines() {
                if std::mem::take(&mut first) {
                    export.header = if line == model.header { "as sent" } else { "other" };
                    continue;
                }
                export.rows += 1;
                let new = seen.insert(model.id(line).to_ascii_lowercase());
                export.agreeing += u64::from(new && model.shows(index, line));
            }
        }
        Ok(export)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::jobs::{Outcome, RowCounts, StorageCounts};

    fn delete_job() -> (Job, Expected) {
        let expected = Expected { rows: 10, valid: 8, applied: 5, errors: Vec::new() };
        let storages = STORAGES.map(|storage| StorageCounts {
            storage: storage.to_owned(),
            records_processed: 5,
            processing_errors: 3,
        });
        let rows =
            RowCounts { total: 10, valid: 8, validation_errors: 2, processed: 8, applied: 5 };
        let job = Job {
            outcome: Outcome::Partial.into(),
            rows: Some(rows),
            storages: storages.to_vec(),
            ..Job::default()
        };
        (job, expected)
    }

    #[test]
    fn a_job_that_agrees_passes() {
        let (job, expected) = delete_job();
        let mut check = Check::default();
        check.job("delete", &job, &expected);
        assert!(check.verdict().is_ok(), "{}", check.table());
    }

    type Change = fn(&mut Job);

    #[test]
    fn any_difference_fails_and_is_named() {
        let changes: [(&str, Change); 8] = [
            ("outcome", |job| job.outcome = Outcome::Succeeded.into()),
            ("rows read", |job| job.rows.as_mut().unwrap().total += 1),
            ("rows invalid", |job| job.rows.as_mut().unwrap().validation_errors -= 1),
            ("rows applied", |job| job.rows.as_mut().unwrap().applied += 1),
            ("done in each storage", |job| job.storages[0].records_processed += 1),
            ("done in each storage", |job| job.storages.truncate(1)),
            ("done in each storage", |job| job.storages.reverse()),
            ("without effect in each", |job| job.storages[1].processing_errors -= 1),
        ];
        for (what, change) in changes {
            let (mut job, expected) = delete_job();
            change(&mut job);
            let mut check = Check::default();
            check.job("delete", &job, &expected);
            let failure = check.verdict().unwrap_err();
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.message.contains(what), "{}", failure.message);
        }
    }
}
