//! Reading the payload once, checking every row, changing nothing.

use std::io;

use super::{
    Context, Error, Step,
    keys::{KeyEntry, KeysWriter},
    pace::Pace,
    payload::beside_check,
    report::{ReportRow, ReportWriter, printed},
};
use crate::{
    config,
    cvrs::{Checker, Header, Need, RowError, RowKind, is_empty_line},
    domain::{EventKind, Operation, Validated},
    error::Code,
    failpoint::{Point, hit},
    intake::{self, Lines, TextLimits},
    limits::CHECKPOINTS_MAX,
};

/// What validation found.
#[derive(Debug)]
pub struct Validation {
    /// Final counts and lengths; both files are durable up to them.
    pub validated: Validated,
    /// What was odd about the file.
    pub warnings: Vec<String>,
}

/// Checks every row of the payload, from the job's last durable point on. Leaves the keys file and the
/// report, both durable.
///
/// # Errors
/// [`Error::File`] where the file cannot be read as CVRS or its bytes are not those that were accepted;
/// [`Error::Stopped`]; or as files, journal and store fail.
pub fn validate(step: &Step<'_>) -> Result<Validation, Error> {
    beside_check(step, || Pass::open(step).and_then(Pass::run))
}

/// One reading of the payload.
struct Pass<'a> {
    step: &'a Step<'a>,
    lines: Lines,
    header: Header,
    keys: KeysWriter,
    report: ReportWriter,
    at: Validated,
    pace: Pace,
}

impl<'a> Pass<'a> {
    fn open(step: &'a Step<'a>) -> Result<Self, Error> {
        let (job, at) = (step.job, step.job.validated);
        let limits = text_limits(step.intake);
        // What has a durable point has been through this.
        if at == Validated::default() {
            let go_on = || step.stop.check().is_ok();
            intake::probe(step.payload, job.spec.payload.media_type, limits, go_on)?;
            step.stop.check()?;
        }
        let mut lines = Lines::open(step.payload, job.spec.payload.media_type, Some(limits))?;
        let header = read_header(&mut lines, job.spec.operation)?;
        step.workspace.make_dir(job.spec.id).context("cannot make the job's directory")?;
        let keys = step.workspace.keys(job.spec.id);
        let keys = KeysWriter::open(&keys, at.keys_length).context("cannot open the keys file")?;
        let report = step.workspace.report(job.spec.id);
        let report = ReportWriter::open(report, at.report_length, at.report_crc)
            .context("cannot open the report")?;
        let engine = step.engine;
        let pace = Pace::new(
            engine.checkpoint_rows,
            engine.checkpoint_interval,
            job.checkpoints,
            CHECKPOINTS_MAX / 2,
            at.rows,
        );
        Ok(Self { step, lines, header, keys, report, at, pace })
    }

    fn run(mut self) -> Result<Validation, Error> {
        self.check_rows()?;
        self.sync()?;
        hit(Point::ValidationEnded);
        let most = u64::from(u32::MAX);
        if self.at.line > most {
            return Err(Error::file(Code::FileRows, format!("the file has over {most} lines")));
        }
        let warnings = self.header.warnings().to_vec();
        Ok(Validation { validated: self.at, warnings })
    }

    fn check_rows(&mut self) -> Result<(), Error> {
        let kind = row_kind(self.step.job.spec.operation);
        let mut checker = Checker::new(&self.step.job.spec.rules, &self.header, kind);
        let mut errors = Vec::new();
        self.at.line = self.at.line.max(1);
        if checker.remembers() {
            self.note_rows(&mut checker)?;
        } else {
            self.lines.skip_to(self.at.line + 1)?;
        }
        let mut number = self.at.line;
        while let Some(line) = self.lines.next()? {
            self.step.stop.check()?;
            number = line.number;
            if is_empty_line(line.bytes) {
                continue;
            }
            if self.at.rows == self.step.intake.max_rows {
                let most = self.step.intake.max_rows;
                let text = format!("line {number} is row {}, more than {most}", most + 1);
                return Err(Error::file(Code::FileRows, text));
            }
            errors.clear();
            checker.check(number, line.bytes, &mut errors);
            self.at.rows += 1;
            self.at.line = number;
            if errors.is_empty() {
                self.at.rows_valid += 1;
                let key = self.step.store.key(self.header.event_id(line.bytes));
                let line = u32::try_from(number).unwrap_or(u32::MAX);
                self.keys.push(KeyEntry::new(key, line)).context("cannot write the keys file")?;
            } else {
                self.at.errors += errors.len() as u64;
                report_errors(&mut self.report, &self.header, number, line.bytes, &errors)
                    .context("cannot write the report")?;
            }
            if self.pace.is_due(self.at.rows) {
                self.sync()?;
                hit(Point::ValidationSynced);
                (self.step.record)(EventKind::ValidationAdvanced(self.at))?;
                hit(Point::ValidationRecorded);
                self.pace.took(self.at.rows);
            }
        }
        self.at.line = number;
        Ok(())
    }

    /// Shows the checker the rows that an earlier attempt has checked; what they are told, is told.
    fn note_rows(&mut self, checker: &mut Checker) -> Result<(), Error> {
        let (mut number, mut told) = (1, Vec::new());
        while number < self.at.line {
            self.step.stop.check()?;
            let Some(line) = self.lines.next()? else { break };
            number = line.number;
            if !is_empty_line(line.bytes) {
                told.clear();
                checker.check(number, line.bytes, &mut told);
            }
        }
        Ok(())
    }

    /// Makes both files durable and notes their lengths.
    fn sync(&mut self) -> Result<(), Error> {
        self.at.keys_length = self.keys.sync().context("cannot sync the keys file")?;
        (self.at.report_length, self.at.report_crc) =
            self.report.sync().context("cannot sync the report")?;
        Ok(())
    }
}

/// The bounds of a text that is read for the first time.
pub(super) fn text_limits(intake: &config::Intake) -> TextLimits {
    TextLimits {
        max_inflated_bytes: intake.max_inflated_bytes,
        max_ratio: intake.max_ratio,
        max_line_bytes: intake.max_line_bytes,
    }
}

/// How the rows of a job are checked.
pub(super) fn row_kind(operation: Operation) -> RowKind {
    match operation {
        Operation::Delete => RowKind::Delete,
        Operation::Create | Operation::Update => RowKind::Full,
    }
}

/// The header of the file; what it needs depends on the operation.
pub(super) fn read_header(lines: &mut Lines, operation: Operation) -> Result<Header, Error> {
    parse_header(header_line(lines)?, operation)
}

/// The first line of the file.
pub(super) fn header_line(lines: &mut Lines) -> Result<&[u8], Error> {
    let line = lines.next()?;
    line.map(|line| line.bytes).ok_or_else(|| Error::file(Code::FileEmpty, "the file is empty"))
}

/// The header that such a line is.
pub(super) fn parse_header(line: &[u8], operation: Operation) -> Result<Header, Error> {
    let need = match operation {
        Operation::Delete => Need::Key,
        Operation::Create | Operation::Update => Need::All,
    };
    Header::parse(line, need).map_err(|e| Error::file(e.code, e.message))
}

/// Appends the errors of one row to the report.
pub(super) fn report_errors(
    report: &mut ReportWriter,
    header: &Header,
    line: u64,
    bytes: &[u8],
    errors: &[RowError],
) -> io::Result<()> {
    let vax_event_id = printed(header.event_id(bytes));
    let recip_id = printed(header.recip_id(bytes));
    for error in errors {
        report.push(&ReportRow {
            line,
            storage: None,
            vax_event_id: vax_event_id.clone(),
            recip_id: recip_id.clone(),
            field: error.field_name().to_owned(),
            code: error.reason.code().to_owned(),
            message: error.reason.to_string(),
        })?;
    }
    Ok(())
}
