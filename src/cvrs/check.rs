//! Holds the rows of one file to the rules.

use super::{
    cells::{cut, trim_spaces, without_cr},
    column::{Bounds, Column, Facts},
    date::PartialDate,
    field::Field,
    header::Header,
    reason::Reason,
    rules::{Profile, Rules},
    strict::{Cells, Strict},
    table::{Entry, TABLE},
};

/// What the rows of a file stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Records to create or update: every rule.
    Full,
    /// Records to delete: `vax_event_id` must be there; of other cells that are not null, form,
    /// value set and length count, comparisons of dates do not. Under `strict` every rule, as for
    /// [`RowKind::Full`].
    Delete,
}

/// One defect of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The column; `None` where the whole row or an ignored column is meant.
    pub field: Option<Field>,
    /// What is wrong.
    pub reason: Reason,
}

impl RowError {
    /// The column's name; empty where there is none.
    #[must_use]
    pub fn field_name(&self) -> &'static str {
        self.field.map_or("", Field::name)
    }
}

/// Checks the rows of one file, one after the other.
pub struct Checker {
    columns: Vec<Column>,
    /// The rules that hold.
    entries: Vec<&'static Entry>,
    bounds: Bounds,
    refusal: Option<usize>,
    admin_date: Option<usize>,
    /// Where each column's cell of the row at hand ends.
    ends: Vec<usize>,
    /// Where the profile is `strict`.
    strict: Option<Strict>,
}

impl Checker {
    /// A checker for a file with that header. Columns that the header lacks are not checked, but under
    /// `strict`, where they are null in every row.
    #[must_use]
    pub fn new(rules: &Rules, header: &Header, kind: RowKind) -> Self {
        let columns: Vec<_> =
            header.columns().iter().map(|field| Column::new(*field, rules, kind)).collect();
        Self {
            entries: TABLE.iter().filter(|entry| entry.holds(rules.profile, kind)).collect(),
            bounds: Bounds::new(rules),
            refusal: header.place(Field::VaxRefusal),
            admin_date: header.place(Field::AdminDate),
            ends: vec![0; columns.len()],
            strict: (rules.profile == Profile::Strict).then(|| Strict::new(rules, header, kind)),
            columns,
        }
    }

    /// Appends the errors of the row on that line in the order of the file's columns, at most one for
    /// each but under `strict`; a row without errors is valid.
    ///
    /// A row with filled cells beyond the header, or else with bytes that are not UTF-8, has that
    /// one error. Cells that the row does not have are null.
    pub fn check(&mut self, number: u64, line: &[u8], errors: &mut Vec<RowError>) {
        let line = without_cr(line);
        cut(line, &mut self.ends);
        if let Some(error) = self.damage(line) {
            errors.push(error);
            return;
        }
        if self.strict.is_some() {
            self.check_strictly(number, line, errors);
            return;
        }
        let facts = self.facts(line);
        let mut start = 0;
        for (column, end) in self.columns.iter().zip(&self.ends) {
            let cell = line.get(start..*end).unwrap_or_default();
            start = end + 1;
            if !column.takes(cell, facts, &self.bounds) {
                errors.extend(self.error(column, cell, facts));
            }
        }
    }

    /// The error of a column that does not take its cell.
    #[cold]
    fn error(&self, column: &Column, cell: &[u8], facts: Facts) -> Option<RowError> {
        let (rule, bound) = column.fault(cell, facts, &self.bounds)?;
        let is = |entry: &&&Entry| Some(entry.field) == column.field && entry.rule == rule;
        let entry = self.entries.iter().find(is)?;
        Some(RowError { field: column.field, reason: Reason::Broken(entry, bound) })
    }

    #[inline(never)]
    fn check_strictly(&mut self, number: u64, line: &[u8], errors: &mut Vec<RowError>) {
        let cells = self.cells(line);
        self.strict.iter_mut().for_each(|strict| strict.check(number, &cells, errors));
    }

    /// Whether what a row is told depends on rows before it, so that a check which goes on in the
    /// middle of a file must check these first and drop what they are told.
    #[must_use]
    pub fn remembers(&self) -> bool {
        self.strict.is_some()
    }

    /// The cells of the row that was cut last.
    fn cells<'a>(&self, line: &'a [u8]) -> Cells<'a> {
        let mut cells: Cells<'a> = [b""; Field::ALL.len()];
        let mut start = 0;
        for (column, end) in self.columns.iter().zip(&self.ends) {
            if let Some(slot) = column.field.and_then(|field| cells.get_mut(field.index())) {
                *slot = line.get(start..*end).unwrap_or_default();
            }
            start = end + 1;
        }
        cells
    }

    /// The error of a row whose cells cannot be told apart or read.
    fn damage(&self, line: &[u8]) -> Option<RowError> {
        let end = self.ends.last().copied().unwrap_or_default();
        let beyond = line.get(end..).unwrap_or_default();
        if beyond.iter().any(|byte| *byte != b'\t') {
            return Some(RowError { field: None, reason: Reason::Cells(self.columns.len()) });
        }
        if line.is_ascii() {
            return None;
        }
        let at = str::from_utf8(line).err()?.valid_up_to();
        let place = self.ends.partition_point(|end| *end <= at);
        let field = self.columns.get(place).and_then(|column| column.field);
        Some(RowError { field, reason: Reason::Utf8 })
    }

    fn facts(&self, line: &[u8]) -> Facts {
        let refusal = trim_spaces(self.cell(line, self.refusal));
        Facts {
            vaccinated: refusal.eq_ignore_ascii_case(b"NO"),
            admin_date: PartialDate::parse(self.cell(line, self.admin_date)),
        }
    }

    /// The cell at a place of the row that was cut last.
    fn cell<'a>(&self, line: &'a [u8], place: Option<usize>) -> &'a [u8] {
        let Some(place) = place else { return b"" };
        let before = place.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.map_or(0, |end| end + 1);
        self.ends.get(place).and_then(|end| line.get(start..*end)).unwrap_or_default()
    }
}
