//! Completing a job's report and its counts.

use roaring::RoaringBitmap;

use super::{
    Context, Error, Step,
    apply::lines_after,
    payload::Text,
    report::{ReportRow, ReportWriter, check_report, printed},
};
use crate::{
    cvrs::Miss,
    domain::{Applied, Ending, Failure, Job, Operation, Outcome, Storage, Validated},
    failpoint::{Point, hit},
    records::Misses,
};

/// What one storage says of a valid row without effect there.
struct Refusals {
    storage: Storage,
    /// Rows whose record was there already, or was not there.
    missed: RoaringBitmap,
    /// Rows that a cancel left alone.
    untouched: RoaringBitmap,
}

/// Completes the report of a job that was processed, or cancelled while it was, and gives its ending.
/// Running it again gives the same.
///
/// # Errors
/// As files and store fail.
pub fn finish(step: &Step<'_>, cancelled: bool) -> Result<Ending, Error> {
    let job = step.job;
    let mut applied = step.store.cursor(job.spec.id)?;
    let mut refusals = Vec::new();
    if !job.spec.validate_only {
        refusals = read_refusals(step, &applied, cancelled)?;
        for refused in &refusals {
            *applied.errors.get_mut(refused.storage) += refused.untouched.len();
        }
    }
    let path = step.workspace.report(job.spec.id);
    let Validated { report_length, report_crc, .. } = job.validated;
    let mut report =
        ReportWriter::open(path, report_length, report_crc).context("cannot open the report")?;
    if refusals.iter().any(|r| !r.missed.is_empty() || !r.untouched.is_empty()) {
        write_refusals(step, &mut report, &refusals, Ids::open(step, cancelled)?)?;
    }
    let (report_length, report_crc) = report.sync().context("cannot sync the report")?;
    hit(Point::ReportSynced);
    let outcome =
        if cancelled { Outcome::Cancelled } else { Job::outcome_of(&job.validated, &applied) };
    let validated = Validated { report_length, report_crc, ..job.validated };
    Ok(Ending { outcome, validated, applied, report_length, report_crc, failure: None })
}

/// The ending of a cancelled job whose report cannot be made, because its payload, its keys or what
/// there is of the report are lost: nothing else could end it. Its counts are exact, its lists are
/// empty.
///
/// # Errors
/// As the store fails.
pub fn abandon(step: &Step<'_>) -> Result<Ending, Error> {
    Ok(unlisted(step.job, step.store.cursor(step.job.spec.id)?))
}

/// The ending of a cancelled job whose rows were all validated and `applied` so far, without a report.
#[must_use]
pub fn unlisted(job: &Job, mut applied: Applied) -> Ending {
    if !job.spec.validate_only {
        let untouched = job.validated.rows_valid.saturating_sub(applied.position);
        for storage in job.spec.storages.iter() {
            *applied.errors.get_mut(storage) += untouched;
        }
    }
    Ending {
        outcome: Outcome::Cancelled,
        validated: Validated { report_length: 0, report_crc: 0, ..job.validated },
        applied,
        report_length: 0,
        report_crc: 0,
        failure: None,
    }
}

/// The ending of a job of which nothing was processed: its failure is its one error; none for a job
/// cancelled before its rows were all validated.
///
/// Touches no file: until the ending is committed a crash leads back into validation, which goes on
/// behind the durable part of the report.
#[must_use]
pub fn fail(failure: Option<Failure>) -> Ending {
    let errors = u64::from(failure.is_some());
    let outcome = if failure.is_some() { Outcome::Failed } else { Outcome::Cancelled };
    let validated = Validated { errors, ..Validated::default() };
    let applied = Applied::default();
    Ending { outcome, validated, applied, report_length: 0, report_crc: 0, failure }
}

fn read_refusals(
    step: &Step<'_>,
    applied: &Applied,
    cancelled: bool,
) -> Result<Vec<Refusals>, Error> {
    let mut untouched = RoaringBitmap::new();
    if cancelled {
        lines_after(step, applied.position, |line| {
            untouched.insert(line);
        })?;
    }
    let mut misses: Misses = step.store.misses(step.job.spec.id)?;
    let storages = step.job.spec.storages.iter();
    Ok(storages
        .map(|storage| Refusals {
            storage,
            missed: std::mem::take(misses.get_mut(storage)),
            untouched: untouched.clone(),
        })
        .collect())
}

/// Appends the processing errors, by storage and line. The ids come from the payload, read once: the
/// first storage's errors go straight into the report, the others' into a file beside it.
fn write_refusals(
    step: &Step<'_>,
    report: &mut ReportWriter,
    refusals: &[Refusals],
    mut ids: Ids,
) -> Result<(), Error> {
    let spec = &step.job.spec;
    let dir = step.workspace.make_dir(spec.id).context("cannot make the job's directory")?;
    let mut asides = Vec::new();
    for refused in refusals.iter().skip(1) {
        let path = dir.join(format!("report-{}", refused.storage));
        let aside = ReportWriter::open(path.clone(), 0, 0).context("cannot open a report part")?;
        asides.push((path, aside));
    }
    let all = refusals.iter().fold(RoaringBitmap::new(), |all, r| all | &r.missed | &r.untouched);
    for number in &all {
        let (vax_event_id, recip_id) = ids.of(u64::from(number))?;
        let parts = std::iter::once(&mut *report).chain(asides.iter_mut().map(|(_, part)| part));
        for (refused, part) in refusals.iter().zip(parts) {
            let Some(miss) = refused.verdict(number, spec.operation) else { continue };
            let row = ReportRow {
                line: u64::from(number),
                storage: Some(refused.storage),
                vax_event_id: vax_event_id.clone(),
                recip_id: recip_id.clone(),
                field: String::new(),
                code: miss.code().to_owned(),
                message: miss.to_string(),
            };
            part.push(&row).context("cannot write the report")?;
        }
    }
    for (path, mut part) in asides {
        let (length, crc) = part.sync().context("cannot sync a report part")?;
        if length > 0 {
            check_report(&path, length, crc).context("cannot read a report part")?;
            report.append_file(&path).context("cannot write the report")?;
        }
    }
    Ok(())
}

/// The ids of refused rows.
struct Ids {
    text: Option<Text>,
}

impl Ids {
    /// A cancelled job must come to its end also when its payload is lost or damaged: nothing else could
    /// end it. Its report then has lines without ids.
    fn open(step: &Step<'_>, cancelled: bool) -> Result<Self, Error> {
        match Text::open(step) {
            Ok(text) => Ok(Self { text: Some(text) }),
            Err(Error::File(failure)) if cancelled => {
                let job = step.job.spec.id;
                tracing::error!(%job, error = %failure.message, "a report is left without ids");
                Ok(Self { text: None })
            }
            Err(error) => Err(error),
        }
    }

    /// `vax_event_id` and `recip_id` of a line; lines are asked for in ascending order.
    fn of(&mut self, number: u64) -> Result<(String, String), Error> {
        let Some(text) = &mut self.text else { return Ok(Default::default()) };
        let row = text.row(number)?;
        Ok((printed(row.event_id()), printed(row.recip_id())))
    }
}

impl Refusals {
    /// Why this storage refused a line, where it did.
    fn verdict(&self, line: u32, operation: Operation) -> Option<Miss> {
        if self.untouched.contains(line) {
            return Some(Miss::NotApplied);
        }
        if !self.missed.contains(line) {
            return None;
        }
        Some(match operation {
            Operation::Create => Miss::Exists,
            Operation::Update | Operation::Delete => Miss::Unknown,
        })
    }
}
