//! The first step of a small job, in memory: what [`super::validate`] does with a file, for a payload
//! that the journal keeps. It leaves no keys file, and a report only where there are errors.
//!
//! Nothing of it has to last: a job that was interrupted is validated again.

use super::{
    Context, Error, Step,
    keys::KeyEntry,
    payload::check_payload,
    report::ReportWriter,
    validate::{Validation, header_line, parse_header, report_errors, row_kind, text_limits},
};
use crate::{
    cvrs::{Checker, Header, RowError, Rules, is_empty_line},
    domain::{Operation, Submitted, Validated},
    error::Code,
    intake::{Line, Lines},
    records::{Entry, Row},
};

/// A small job that was validated, with its valid rows in file order.
#[derive(Debug)]
pub struct Small {
    /// Final counts, and the length of the report, which is durable.
    pub validation: Validation,
    keys: Vec<KeyEntry>,
    /// The rows of `keys`, one after the other; empty for a delete.
    rows: Vec<u8>,
    ends: Vec<usize>,
}

impl Small {
    /// The valid rows, to be applied as one batch.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let mut start = 0;
        let mut entries = Vec::with_capacity(self.keys.len());
        for (key, end) in self.keys.iter().zip(&self.ends) {
            let row = self.rows.get(start..*end).unwrap_or_default();
            entries.push(Entry { key: key.key(), line: key.line(), row: Row::Cells(row) });
            start = *end;
        }
        entries
    }
}

/// What the jobs of a group share: files of one sender mostly begin with the same header.
#[derive(Default)]
pub struct Shared {
    newest: Option<Sheet>,
}

/// A header, as read from its line, and the checker of rows below it.
struct Sheet {
    line: Vec<u8>,
    operation: Operation,
    rules: Rules,
    header: Header,
    checker: Checker,
}

impl Shared {
    /// The sheet of a file with that first line.
    fn sheet(&mut self, spec: &Submitted, lines: &mut Lines) -> Result<&mut Sheet, Error> {
        let line = header_line(lines)?;
        let (operation, rules) = (spec.operation, spec.rules);
        let known = self.newest.take().filter(|sheet| {
            let same = sheet.line == line && sheet.operation == operation && sheet.rules == rules;
            // One that remembers rows belongs to its own file.
            same && !sheet.checker.remembers()
        });
        if let Some(sheet) = known {
            return Ok(self.newest.insert(sheet));
        }
        let header = parse_header(line, operation)?;
        let checker = Checker::new(&rules, &header, row_kind(operation));
        let line = line.to_vec();
        Ok(self.newest.insert(Sheet { line, operation, rules, header, checker }))
    }
}

/// Checks every row of a small payload.
///
/// # Errors
/// [`Error::File`] where the file cannot be read as CVRS or its bytes are not those that were accepted;
/// or as the report fails.
pub fn validate_small(step: &Step<'_>, shared: &mut Shared) -> Result<Small, Error> {
    let path = step.workspace.report(step.job.spec.id);
    let mut report = ReportWriter::open(path, 0, 0).context("cannot open the report")?;
    let mut small = Small {
        validation: Validation { validated: Validated::default(), warnings: Vec::new() },
        keys: Vec::new(),
        rows: Vec::new(),
        ends: Vec::new(),
    };
    let creates = step.job.spec.operation != Operation::Delete;
    let validation = pass(step, shared, |header, line, errors| {
        if !errors.is_empty() {
            return report_errors(&mut report, header, line.number, line.bytes, errors)
                .context("cannot write the report");
        }
        let key = step.store.key(header.event_id(line.bytes));
        let number = u32::try_from(line.number).unwrap_or(u32::MAX);
        small.keys.push(KeyEntry::new(key, number));
        if creates {
            header.canonical(line.bytes, &mut small.rows);
        }
        small.ends.push(small.rows.len());
        Ok(())
    })?;
    let (report_length, report_crc) = report.sync().context("cannot sync the report")?;
    let Validation { validated, warnings } = validation;
    let validated = Validated { report_length, report_crc, ..validated };
    small.validation = Validation { validated, warnings };
    Ok(small)
}

/// Counts the rows of a small payload as validation does, and leaves nothing else.
///
/// # Errors
/// As [`validate_small`], but for those of the report.
pub fn count_small(step: &Step<'_>) -> Result<Validation, Error> {
    pass(step, &mut Shared::default(), |_, _, _| Ok(()))
}

/// Reads the payload once; `each` is told of every row and its errors.
fn pass(
    step: &Step<'_>,
    shared: &mut Shared,
    mut each: impl FnMut(&Header, Line<'_>, &[RowError]) -> Result<(), Error>,
) -> Result<Validation, Error> {
    let spec = &step.job.spec;
    check_payload(step.payload, &spec.payload)?;
    let limits = text_limits(step.intake);
    let mut lines = Lines::open(step.payload, spec.payload.media_type, Some(limits))?;
    let Sheet { header, checker, .. } = shared.sheet(spec, &mut lines)?;
    let mut at = Validated { line: 1, ..Validated::default() };
    let mut errors = Vec::new();
    while let Some(line) = lines.next()? {
        at.line = line.number;
        if is_empty_line(line.bytes) {
            continue;
        }
        if at.rows == step.intake.max_rows {
            let (number, most) = (line.number, step.intake.max_rows);
            let text = format!("line {number} is row {}, more than {most}", most + 1);
            return Err(Error::file(Code::FileRows, text));
        }
        errors.clear();
        checker.check(line.number, line.bytes, &mut errors);
        at.rows += 1;
        at.rows_valid += u64::from(errors.is_empty());
        at.errors += errors.len() as u64;
        each(header, line, &errors)?;
    }
    Ok(Validation { validated: at, warnings: header.warnings().to_vec() })
}
