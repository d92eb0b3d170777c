//! What the cells of one column are held to, under the `dch` rules of one job.

use std::cmp::Ordering;

use jiff::{Span, civil::Date};

use super::{
    cells::trim_spaces,
    check::RowKind,
    date::PartialDate,
    field::{Field, Kind},
    rule::{Bound, Rule},
    rules::Rules,
    table::TABLE,
    value,
};

/// When a null cell is an error in this file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Accepted,
    Refused,
    RefusedUnlessRefusal,
}

/// What a cell that is not null is held to in this file. Dates that are compared are looked at once
/// for all their rules.
#[derive(Clone, Copy)]
enum Test {
    Free,
    Plain(Rule),
    AdminDate,
    RecipDob,
}

#[derive(Clone, Copy)]
pub(super) struct Column {
    /// `None` is a column that is ignored.
    pub(super) field: Option<Field>,
    nulls: Nulls,
    coded: bool,
    test: Test,
}

/// The bounds that a job's rules name.
pub(super) struct Bounds {
    admin_type_max: u32,
    /// The first day that is accepted as `admin_date`.
    first: PartialDate,
    /// The day before.
    before_first: Date,
    /// The last day that is accepted as `admin_date`.
    last: PartialDate,
}

/// What the tests of one cell need to know of others in its row.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    /// `vax_refusal` is `NO`.
    pub(super) vaccinated: bool,
    /// `admin_date` where it is a date.
    pub(super) admin_date: Option<PartialDate>,
}

impl Column {
    pub(super) fn new(field: Option<Field>, rules: &Rules, kind: RowKind) -> Self {
        let entries = TABLE.iter().filter(|entry| entry.holds(rules.profile, kind));
        let of_field = entries.filter(|entry| Some(entry.field) == field);
        let coded = field.is_some_and(|field| field.kind() == Kind::Coded);
        let mut column = Self { field, nulls: Nulls::Accepted, coded, test: Test::Free };
        of_field.for_each(|entry| column.hold(entry.rule));
        column
    }

    fn hold(&mut self, rule: Rule) {
        use Rule::{County, Date, Length, Number, NumberOrUnk, OneOf, SixDigits, State, Zip};
        match rule {
            Rule::NotNull => self.nulls = Nulls::Refused,
            Rule::NotNullUnlessRefusal => self.nulls = Nulls::RefusedUnlessRefusal,
            Rule::NotTooEarly | Rule::NotAfterSubmission => self.test = Test::AdminDate,
            Rule::BornBefore => self.test = Test::RecipDob,
            Length(_) | Date | OneOf(_) | County | State | Zip | Number | SixDigits
            | NumberOrUnk => self.test = Test::Plain(rule),
            // Those of `strict` are not looked at by columns.
            _ => {}
        }
    }

    /// Whether a cell keeps every rule.
    #[inline]
    pub(super) fn takes(&self, cell: &[u8], facts: Facts, bounds: &Bounds) -> bool {
        if cell.is_empty() {
            return match self.nulls {
                Nulls::Accepted => true,
                Nulls::Refused => false,
                Nulls::RefusedUnlessRefusal => !facts.vaccinated,
            };
        }
        let value = if self.coded { trim_spaces(cell) } else { cell };
        match self.test {
            Test::Free => true,
            Test::Plain(rule) => keeps(rule, value, bounds.admin_type_max),
            Test::AdminDate => bounds.admin_date_fault(facts.admin_date).is_none(),
            Test::RecipDob => dob_fault(value, facts.admin_date).is_none(),
        }
    }

    /// The first rule that a cell breaks which is not taken, and what its text needs.
    #[cold]
    pub(super) fn fault(
        &self,
        cell: &[u8],
        facts: Facts,
        bounds: &Bounds,
    ) -> Option<(Rule, Bound)> {
        let rule = match (self.nulls, self.test) {
            (Nulls::RefusedUnlessRefusal, _) if cell.is_empty() => Rule::NotNullUnlessRefusal,
            _ if cell.is_empty() => Rule::NotNull,
            (_, Test::Free) => return None,
            (_, Test::Plain(rule)) => rule,
            (_, Test::AdminDate) => bounds.admin_date_fault(facts.admin_date)?,
            (_, Test::RecipDob) => dob_fault(cell, facts.admin_date)?,
        };
        let bound = match rule {
            Rule::NumberOrUnk => Bound::Number(bounds.admin_type_max),
            Rule::NotTooEarly => Bound::Day(bounds.before_first),
            _ => Bound::None,
        };
        Some((rule, bound))
    }
}

impl Bounds {
    pub(super) fn new(rules: &Rules) -> Self {
        let tolerance = Span::new().try_days(i64::from(rules.future_tolerance_days));
        let last = tolerance.and_then(|days| rules.submission_date.checked_add(days));
        Self {
            admin_type_max: rules.admin_type_max,
            // At the ends of the calendar the bound itself stands in: no date lies beyond.
            first: rules.admin_date_min.into(),
            before_first: rules.admin_date_min.yesterday().unwrap_or(Date::MIN),
            last: last.unwrap_or(Date::MAX).into(),
        }
    }

    /// `date` is `None` where the cell is not a date.
    fn admin_date_fault(&self, date: Option<PartialDate>) -> Option<Rule> {
        let Some(date) = date else { return Some(Rule::Date) };
        if date.compare(self.first) == Ordering::Less {
            return Some(Rule::NotTooEarly);
        }
        (date.compare(self.last) == Ordering::Greater).then_some(Rule::NotAfterSubmission)
    }
}

/// Whether a value has the form that the rule asks for.
fn keeps(rule: Rule, value: &[u8], admin_type_max: u32) -> bool {
    match rule {
        Rule::Length(max) => value::fits(value, max),
        Rule::Date => PartialDate::parse(value).is_some(),
        Rule::OneOf(codes) => value::is_one_of(value, codes),
        Rule::County => value::is_digits(value, 5),
        Rule::State => value::is_state(value),
        Rule::Zip => value::is_zip(value),
        Rule::Number => value::is_number(value),
        Rule::SixDigits => value::is_digits(value, 6),
        Rule::NumberOrUnk => value::is_admin_type(value, admin_type_max),
        _ => true,
    }
}

fn dob_fault(value: &[u8], admin_date: Option<PartialDate>) -> Option<Rule> {
    let Some(born) = PartialDate::parse(value) else { return Some(Rule::Date) };
    let after = admin_date.is_some_and(|date| born.compare(date) == Ordering::Greater);
    after.then_some(Rule::BornBefore)
}
