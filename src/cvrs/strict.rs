//! Holding rows to the profile `strict`: the rules of the validator that the CDC offered to senders.

use jiff::{Span, civil::Date};

use super::{
    cells::trim_spaces,
    check::{RowError, RowKind},
    codes::{county_is_in_state, zip_is_in_state},
    date::PartialDate,
    field::{Field, Kind},
    header::Header,
    reason::Reason,
    rule::{Bound, Event, Precision, Rule},
    rules::Rules,
    seen::Seen,
    table::{Entry, TABLE},
    value::{self, Pattern},
};

/// The cells of a row by [`Field::index`]; what the row or the header does not have is empty.
pub(super) type Cells<'a> = [&'a [u8]; Field::ALL.len()];

/// What a sender shows of a person.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    Redacted,
    Identified,
    Pprl,
}

/// Checks the rows of one file.
pub(super) struct Strict {
    /// In the order of the file's columns; then those of the columns that the header lacks.
    entries: Vec<&'static Entry>,
    /// The first day that counts as in the future, as dates are spelt; `None` at the calendar's end.
    tomorrow: Option<String>,
    seen: Seen,
}

impl Strict {
    pub(super) fn new(rules: &Rules, header: &Header, kind: RowKind) -> Self {
        let there = header.columns().iter().copied().flatten();
        let missing = Field::ALL.into_iter().filter(|field| header.place(*field).is_none());
        let of =
            |field| TABLE.iter().filter(move |e| e.field == field && e.holds(rules.profile, kind));
        Self {
            entries: there.chain(missing).flat_map(of).collect(),
            tomorrow: tomorrow(rules).map(|day| day.to_string()),
            seen: Seen::new(),
        }
    }

    /// Appends all errors of a row.
    pub(super) fn check(&mut self, number: u64, cells: &Cells<'_>, errors: &mut Vec<RowError>) {
        let row = Row::new(cells, self.tomorrow.as_deref());
        let first = self.seen.first(row.cell(Field::VaxEventId), number);
        for entry in self.entries.iter().copied() {
            let bound = match entry.rule {
                Rule::Unique => first.map(Bound::Line),
                rule => (!row.keeps(entry.field, rule)).then_some(Bound::None),
            };
            let broken = bound.map(|bound| Reason::Broken(entry, bound));
            errors.extend(broken.map(|reason| RowError { field: Some(entry.field), reason }));
        }
    }
}

/// The day after the last one that is not in the future.
fn tomorrow(rules: &Rules) -> Option<Date> {
    let days = i64::from(rules.future_tolerance_days) + 1;
    rules.submission_date.checked_add(Span::new().try_days(days).ok()?).ok()
}

/// A row that is being checked.
struct Row<'a> {
    cells: &'a Cells<'a>,
    event: Event,
    model: Model,
    tomorrow: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn new(cells: &'a Cells<'a>, tomorrow: Option<&'a str>) -> Self {
        let mut row = Self { cells, event: Event::Vaccination, model: Model::Redacted, tomorrow };
        if row.value(Field::VaxRefusal).eq_ignore_ascii_case(b"YES") {
            row.event = Event::Refusal;
        }
        row.model = row.model();
        row
    }

    /// What the row says of itself, or where `ext_type` is null, what its cells look like.
    fn model(&self) -> Model {
        let redacted = |field: Field| self.cell(field).eq_ignore_ascii_case(b"Redacted");
        match self.value(Field::ExtType).to_ascii_uppercase().as_slice() {
            b"I" => Model::Identified,
            b"P" => Model::Pprl,
            _ if !self.cell(Field::ExtType).is_empty() => Model::Redacted,
            _ if !Field::ALL.into_iter().filter(|f| f.is_redacted()).all(redacted) => {
                Model::Identified
            }
            _ if self.cell(Field::PprlId).is_empty() => Model::Redacted,
            _ => Model::Pprl,
        }
    }

    fn cell(&self, field: Field) -> &'a [u8] {
        self.cells.get(field.index()).copied().unwrap_or_default()
    }

    fn value(&self, field: Field) -> &'a [u8] {
        match field.kind() {
            Kind::Coded => trim_spaces(self.cell(field)),
            Kind::String | Kind::Date => self.cell(field),
        }
    }

    /// Whether the cell keeps the rule.
    fn keeps(&self, field: Field, rule: Rule) -> bool {
        let (value, null) = (self.value(field), self.cell(field).is_empty());
        match rule {
            Rule::RequiredFor(event) => !(null && self.event == event),
            Rule::OnlyInPprl => (self.model == Model::Pprl) != null,
            Rule::Redacted => {
                self.model == Model::Identified || value.eq_ignore_ascii_case(b"Redacted")
            }
            Rule::BornByAdminDate => {
                let given = self.cell(Field::AdminDate);
                !null && !given.is_empty() && value <= given
            }
            Rule::Form(Pattern::ExtType) => Pattern::ExtType.fits(value),
            _ if null => true,
            Rule::AbsentFor(event) => self.event != event,
            Rule::AtMost(max) => value::fits(value, max),
            Rule::Calendar(form) => form.has(value) || value::is_american_date(value),
            Rule::NotAmerican(_) => !value::is_american_date(value),
            Rule::Form(pattern) => pattern.fits(value),
            Rule::InSet(set) => set.contains(value),
            Rule::CountyInState(party) => {
                let state = self.value(party.state());
                state.is_empty() || county_is_in_state(value, state)
            }
            Rule::ZipInState(party) => {
                let state = self.value(party.state());
                state.is_empty() || zip_is_in_state(value, state)
            }
            Rule::Implies(other, _) => !self.cell(other).is_empty(),
            Rule::NotInFuture => self.tomorrow.is_none_or(|day| value < day.as_bytes()),
            _ => true,
        }
    }
}

impl Precision {
    /// Whether the text is a date of the calendar and as exact.
    fn has(self, text: &[u8]) -> bool {
        PartialDate::parse(text).is_some_and(|date| self == Self::DayOrMonth || date.has_day())
    }
}
