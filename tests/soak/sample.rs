//! What the daemon takes, between the rounds of all workers.

use std::{fs, path::Path, time::Duration};

use crate::{
    place::Place,
    support::memory::field,
    work::{Figures, Tally},
};

/// By how much memory and descriptors may grow after the first ten minutes.
const FLAT: f64 = 0.05;
/// Memory that sled takes for each job that the journal keeps, whatever its cache may hold: about 1,500 bytes
/// where jobs have some events. Nothing removes jobs yet.
const JOB_BYTES: f64 = 2_000.0;
/// Samples that count as the first ones; those of as many minutes in `scripts/soak.sh`.
const FIRST: usize = 10;

#[derive(Clone, Copy)]
struct Sample {
    resident: f64,
    descriptors: f64,
    journal: f64,
    records: f64,
    whole: f64,
    work: Figures,
}

/// All samples of a run.
#[derive(Default)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Takes one and prints its line.
    pub fn take(&mut self, at: Duration, place: &Place, tally: &Tally) {
        let (pid, data) = (place.pid(), place.data());
        let sample = Sample {
            resident: mib(field(pid, "VmRSS:")),
            descriptors: float(descriptors(pid, &data.join("records"))),
            journal: mib(bytes(&data.join("journal"))),
            records: mib(bytes(&data.join("records"))),
            whole: mib(bytes(&data)),
            work: tally.figures(),
        };
        if self.0.is_empty() {
            println!(
                "seconds  MiB resident  descriptors  MiB journal  records  whole    jobs     rows  stalled"
            );
        }
        let Sample { resident, descriptors, journal, records, whole, work } = sample;
        println!(
            "{:7} {resident:13.1} {descriptors:12} {journal:12.1} {records:8.1} {whole:6.1} {:7} {:8} {:8}",
            at.as_secs(),
            work.jobs,
            work.rows,
            work.stalled
        );
        self.0.push(sample);
    }

    /// Says what stayed flat, and fails where memory or descriptors did not.
    pub fn judge(&self) {
        let all = &self.0;
        if all.len() < 3 * FIRST {
            println!("{} samples are too few to say what stays flat", all.len());
            return;
        }
        let base = &all[FIRST..2 * FIRST];
        let end = &all[all.len() - FIRST..];
        let growth = |what: fn(&Sample) -> f64| median(end, what) / median(base, what) - 1.0;
        let descriptors = growth(|s| s.descriptors);
        let jobs = median(end, |s| float(s.work.jobs)) - median(base, |s| float(s.work.jobs));
        let kept = jobs * JOB_BYTES / MIB;
        let resident = growth(|s| s.resident) - kept / median(base, |s| s.resident);
        println!(
            "medians of the last {FIRST} samples against those of samples {FIRST} to {}:",
            2 * FIRST
        );
        println!("{kept:.1} MiB of memory belong to the {jobs} jobs between");
        for (name, growth) in [("memory besides", resident), ("descriptors", descriptors)] {
            let verdict = if growth <= FLAT { "flat" } else { "NOT FLAT" };
            println!("{name}: {:+.1} %, {verdict}", 100.0 * growth);
        }
        let (first, last) = (&base[0], &end[FIRST - 1]);
        let jobs = float(last.work.jobs - first.work.jobs);
        let rows = float(last.work.rows - first.work.rows);
        println!(
            "disk is not flat: history is kept, and so are rows of deleted records. The journal grew by {:.0} \
             bytes a job, the record store by {:.0} bytes a row that was sent, all else by {:.0} bytes a job",
            (last.journal - first.journal) * MIB / jobs,
            (last.records - first.records) * MIB / rows,
            (last.rest() - first.rest()) * MIB / jobs,
        );
        assert!(resident <= FLAT && descriptors <= FLAT, "memory or descriptors did not stay flat");
    }
}

impl Sample {
    /// On disk beside the two stores.
    fn rest(&self) -> f64 {
        self.whole - self.journal - self.records
    }
}

const MIB: f64 = 1_048_576.0;

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(number: u64) -> f64 {
    number as f64
}

fn mib(bytes: u64) -> f64 {
    float(bytes) / MIB
}

fn median(samples: &[Sample], what: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(what).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Descriptors that a process has open, but for files below that directory: the record store keeps its tables
/// open, of which there are more as it grows.
fn descriptors(pid: u32, but: &Path) -> u64 {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(Result::ok);
    let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| !target.starts_with(but)).count() as u64
}

/// Bytes of all files below; one that goes meanwhile counts nothing.
fn bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}
