//! What the cells of one column are held to, under the rules of one job.

use std::cmp::Ordering;

use jiff::{Span, civil::Date};

use super::{
    cells::trim_spaces,
    check::RowKind,
    date::PartialDate,
    field::{Field, Kind, Null, Rule},
    reason::Reason,
    rules::{Profile, Rules},
    value,
};

const COUNTY: &str = "must be a FIPS 5-digit county code";
const STATE: &str = "must be a two-character state abbreviation";
const ZIP: &str = "must be a valid ZIP. 5 digit or 5 digit + 4 are acceptable";

/// When a null cell is an error in this file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Accepted,
    Refused,
    RefusedUnlessRefusal,
}

/// What a cell that is not null is held to in this file.
#[derive(Clone, Copy)]
enum Test {
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
pub(super) struct Facts {
    /// `vax_refusal` is `NO`.
    pub(super) vaccinated: bool,
    /// `admin_date` where it is a date.
    pub(super) admin_date: Option<PartialDate>,
}

impl Column {
    pub(super) fn new(field: Option<Field>, rules: &Rules, kind: RowKind) -> Self {
        let Some(known) = field else {
            return Self {
                field,
                nulls: Nulls::Accepted,
                coded: false,
                test: Test::Plain(Rule::Free),
            };
        };
        Self {
            field,
            nulls: Nulls::of(known, rules.profile, kind),
            coded: known.kind() == Kind::Coded,
            test: Test::of(known, rules.profile, kind),
        }
    }

    /// The first defect of a cell.
    #[inline]
    pub(super) fn fault(&self, cell: &[u8], facts: &Facts, bounds: &Bounds) -> Option<Reason> {
        if cell.is_empty() {
            let refused = match self.nulls {
                Nulls::Accepted => false,
                Nulls::Refused => true,
                Nulls::RefusedUnlessRefusal => facts.vaccinated,
            };
            return refused.then_some(Reason::Null);
        }
        let value = if self.coded { trim_spaces(cell) } else { cell };
        match self.test {
            Test::Plain(rule) => plain_fault(rule, value, bounds.admin_type_max),
            Test::AdminDate => bounds.admin_date_fault(facts.admin_date),
            Test::RecipDob => dob_fault(value, facts.admin_date),
        }
    }
}

impl Nulls {
    fn of(field: Field, profile: Profile, kind: RowKind) -> Self {
        match (kind, field.null()) {
            (RowKind::Delete, _) if field == Field::VaxEventId => Self::Refused,
            (RowKind::Delete, _) | (_, Null::Accepted) => Self::Accepted,
            (_, Null::Refused) => Self::Refused,
            (_, Null::RefusedUnlessRefusal) => Self::RefusedUnlessRefusal,
            (_, Null::RefusedIn2020) => match profile {
                Profile::Dch2020 => Self::Refused,
                Profile::Dch2021 => Self::Accepted,
            },
        }
    }
}

impl Test {
    /// Dates are compared since 2021, and never in a delete.
    fn of(field: Field, profile: Profile, kind: RowKind) -> Self {
        match (kind, profile, field) {
            (RowKind::Full, Profile::Dch2021, Field::AdminDate) => Self::AdminDate,
            (RowKind::Full, Profile::Dch2021, Field::RecipDob) => Self::RecipDob,
            _ => Self::Plain(field.rule()),
        }
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
    fn admin_date_fault(&self, date: Option<PartialDate>) -> Option<Reason> {
        let Some(date) = date else { return Some(Reason::Date) };
        if date.compare(self.first) == Ordering::Less {
            return Some(Reason::TooEarly(self.before_first));
        }
        (date.compare(self.last) == Ordering::Greater).then_some(Reason::AfterSubmission)
    }
}

fn plain_fault(rule: Rule, value: &[u8], admin_type_max: u32) -> Option<Reason> {
    let (good, reason) = match rule {
        Rule::Free => return None,
        Rule::Length(max) => (value::fits(value, max), Reason::Length(max)),
        Rule::Date => (PartialDate::parse(value).is_some(), Reason::Date),
        Rule::OneOf(codes) => (value::is_one_of(value, codes), Reason::Value(codes.text)),
        Rule::County => (value::is_digits(value, 5), Reason::Format(COUNTY)),
        Rule::State => (value::is_state(value), Reason::Format(STATE)),
        Rule::Zip => (value::is_zip(value), Reason::Format(ZIP)),
        Rule::Number => (value::is_number(value), Reason::Format("must be a number")),
        Rule::SixDigits => (value::is_digits(value, 6), Reason::Format("must be six digits")),
        Rule::AdminType => {
            (value::is_admin_type(value, admin_type_max), Reason::AdminType(admin_type_max))
        }
    };
    (!good).then_some(reason)
}

fn dob_fault(value: &[u8], admin_date: Option<PartialDate>) -> Option<Reason> {
    let Some(born) = PartialDate::parse(value) else { return Some(Reason::Date) };
    let after = admin_date.is_some_and(|date| born.compare(date) == Ordering::Greater);
    after.then_some(Reason::BornAfter)
}
