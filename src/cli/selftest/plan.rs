//! Which jobs a round has. The same for the same seed.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use fastrand::Rng;

use crate::{
    cli::{
        checked::model::{Expected, Model},
        generate::write_zip,
    },
    cvrs::sample::{self, Sample},
    domain::Operation,
};

/// Jobs of a round at most.
const JOBS_MAX: u64 = 5;
/// Rows of a small job at most; it has no payload file.
const SMALL_ROWS: u64 = 8;
/// Rows of a large one at most. Above 10,000 the rows of a create are written ahead.
const LARGE_ROWS: u64 = 12_000;
/// Live records from which on more is deleted than created.
const LIVE_MAX: u64 = 20_000;

/// A file to send and what it should do.
pub(super) struct Planned {
    pub(super) operation: Operation,
    /// Its idempotency key.
    pub(super) request_id: String,
    pub(super) path: PathBuf,
    pub(super) expected: Expected,
}

/// Writes files, one round after the other.
pub(super) struct Plan {
    pub(super) model: Model,
    sample: Sample,
    random: Rng,
    /// The next row that is not live yet, and the first that may still be.
    next: u64,
    oldest: u64,
    jobs: u64,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let sample = Sample::new(seed, sample::Model::Identified);
        let random = Rng::with_seed(seed);
        Self { model: Model::default(), sample, random, next: 0, oldest: 0, jobs: 0 }
    }

    /// The jobs of another round, in the order in which they are sent. Blocks.
    pub(super) fn round(&mut self, dir: &Path) -> io::Result<Vec<Planned>> {
        let count = self.random.u64(1..=JOBS_MAX);
        (0..count).map(|_| self.job(dir)).collect()
    }

    fn job(&mut self, dir: &Path) -> io::Result<Planned> {
        self.jobs += 1;
        let small = self.random.bool();
        let rows = self.random.u64(1..=if small { SMALL_ROWS } else { LARGE_ROWS });
        let live = self.next - self.oldest;
        let creates = live == 0 || (live < LIVE_MAX && self.random.u8(0..3) > 0);
        let text = dir.join(format!("{}.txt", self.jobs));
        let (operation, expected) = if creates {
            self.create(&text, rows)?;
            (Operation::Create, self.model.create(&text)?)
        } else {
            self.delete(&text, rows)?;
            (Operation::Delete, self.model.delete(&text)?)
        };
        let path = if self.random.bool() { zipped(&text)? } else { text };
        let request_id = format!("selftest-{}", self.jobs);
        Ok(Planned { operation, request_id, path, expected })
    }

    /// New rows behind some that may be live.
    fn create(&mut self, path: &Path, rows: u64) -> io::Result<()> {
        let first = self.next.saturating_sub(self.random.u64(0..4)).max(self.oldest);
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "{}", self.sample.header_line())?;
        for index in first..first + rows {
            file.write_all(&self.row(index))?;
            file.write_all(b"\n")?;
        }
        self.next = self.next.max(first + rows);
        file.flush()
    }

    /// The oldest rows, some that are not there, some twice, and rows that are not valid.
    fn delete(&mut self, path: &Path, rows: u64) -> io::Result<()> {
        let first = self.oldest.saturating_sub(self.random.u64(0..4));
        let last = (first + rows).min(self.next + 2);
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "vax_event_id")?;
        for index in first..last {
            let row = self.row(index);
            let id = row.split(|byte| *byte == b'\t').next().unwrap_or_default();
            for _ in 0..if self.random.u8(0..50) == 0 { 2 } else { 1 } {
                file.write_all(id)?;
                file.write_all(b"\n")?;
            }
            if self.random.u8(0..50) == 0 {
                writeln!(file, "{}", "x".repeat(256))?;
            }
        }
        self.oldest = self.oldest.max(last).min(self.next);
        file.flush()
    }

    fn row(&self, index: u64) -> Vec<u8> {
        let mut row = Vec::new();
        self.sample.write_row(index, &mut row);
        row
    }
}

fn zipped(text: &Path) -> io::Result<PathBuf> {
    let path = text.with_extension("zip");
    let zip = BufWriter::new(File::create(&path)?);
    write_zip(zip, "selftest.txt", false, |out| io::copy(&mut File::open(text)?, out).map(drop))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rounds_hold_every_kind_of_job_and_few_records_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut plan = Plan::new(3);
        let jobs: Vec<Planned> = (0..30).flat_map(|_| plan.round(dir.path()).unwrap()).collect();
        let of = |operation| jobs.iter().filter(move |job| job.operation == operation);
        assert!(of(Operation::Create).any(|job| job.expected.missed() > 0));
        assert!(of(Operation::Create).any(|job| job.expected.rows > 10_000));
        assert!(of(Operation::Delete).any(|job| job.expected.missed() > 0));
        assert!(of(Operation::Delete).any(|job| job.expected.invalid() > 0));
        assert!(jobs.iter().any(|job| job.expected.rows <= SMALL_ROWS));
        assert!(plan.model.live() < LIVE_MAX + LARGE_ROWS);
    }

    #[test]
    fn the_same_seed_makes_the_same_files() {
        let made = |seed| {
            let dir = tempfile::tempdir().unwrap();
            let jobs = Plan::new(seed).round(dir.path()).unwrap();
            let read = |job: &Planned| std::fs::read(&job.path).unwrap();
            jobs.iter().map(read).collect::<Vec<_>>()
        };
        assert!(made(1) == made(1) && made(1) != made(2));
    }
}
