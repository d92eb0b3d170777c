//! What the cells of one column are held to, under the `dch` rules of one job.

use std::cmp::Ordering;

use jiff::{Span, civil::Date};

use super::{
    cells::trim_spaces,
    check::RowKind,
    date::PartialDate,
    field::{Field, Kind},
    reason::Reason,
    rule::{Bound, Rule},
    rules::Rules,
    table::{Entry, TABLE},
    value,
};

/// When a null cell is an error in this file.
#[derive(Clone, Copy)]
enum Nulls {
    Accepted,
    Refused(&'static Entry),
    RefusedUnlessRefusal(&'static Entry),
}

/// What a cell that is not null is held to in this file.
#[derive(Clone, Copy)]
enum Test {
    Free,
    Plain(Rule, &'static Entry),
    AdminDate { form: &'static Entry, early: &'static Entry, late: &'static Entry },
    RecipDob { form: &'static Entry, born: &'static Entry },
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
        let holds = |entry: &Entry| Some(entry.field) == field && entry.holds(rules.profile, kind);
        let find = |rule| TABLE.iter().find(|entry| holds(entry) && entry.rule == rule);
        Self {
            field,
            nulls: match (find(Rule::NotNull), find(Rule::NotNullUnlessRefusal)) {
                (Some(entry), _) => Nulls::Refused(entry),
                (_, Some(entry)) => Nulls::RefusedUnlessRefusal(entry),
                _ => Nulls::Accepted,
            },
            coded: field.is_some_and(|field| field.kind() == Kind::Coded),
            test: Test::of(find, TABLE.iter().find(|entry| holds(entry) && is_plain(entry.rule))),
        }
    }

    /// The first defect of a cell.
    #[inline]
    pub(super) fn fault(&self, cell: &[u8], facts: &Facts, bounds: &Bounds) -> Option<Reason> {
        if cell.is_empty() {
            return match self.nulls {
                Nulls::Refused(entry) => Some(Reason::Broken(entry, Bound::None)),
                Nulls::RefusedUnlessRefusal(entry) if facts.vaccinated => {
                    Some(Reason::Broken(entry, Bound::None))
                }
                Nulls::Accepted | Nulls::RefusedUnlessRefusal(_) => None,
            };
        }
        let value = if self.coded { trim_spaces(cell) } else { cell };
        let (entry, bound) = match self.test {
            Test::Free => return None,
            Test::Plain(rule, entry) => (entry, plain_fault(rule, value, bounds.admin_type_max)?),
            Test::AdminDate { form, early, late } => {
                bounds.admin_date_fault(facts.admin_date, [form, early, late])?
            }
            Test::RecipDob { form, born } => {
                (dob_fault(value, facts.admin_date, form, born)?, Bound::None)
            }
        };
        Some(Reason::Broken(entry, bound))
    }
}

impl Test {
    /// The dates that are compared are looked at once for all their rules.
    fn of(find: impl Fn(Rule) -> Option<&'static Entry>, plain: Option<&'static Entry>) -> Self {
        let Some(form) = plain else { return Self::Free };
        match (find(Rule::NotTooEarly), find(Rule::NotAfterSubmission), find(Rule::BornBefore)) {
            (Some(early), Some(late), _) => Self::AdminDate { form, early, late },
            (.., Some(born)) => Self::RecipDob { form, born },
            _ => Self::Plain(form.rule, form),
        }
    }
}

/// Whether the rule is about the form of a cell alone.
fn is_plain(rule: Rule) -> bool {
    use Rule::{County, Date, Length, Number, NumberOrUnk, OneOf, SixDigits, State, Zip};
    matches!(
        rule,
        Length(_) | Date | OneOf(_) | County | State | Zip | Number | SixDigits | NumberOrUnk
    )
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
    fn admin_date_fault(
        &self,
        date: Option<PartialDate>,
        [form, early, late]: [&'static Entry; 3],
    ) -> Option<(&'static Entry, Bound)> {
        let Some(date) = date else { return Some((form, Bound::None)) };
        if date.compare(self.first) == Ordering::Less {
            return Some((early, Bound::Day(self.before_first)));
        }
        (date.compare(self.last) == Ordering::Greater).then_some((late, Bound::None))
    }
}

/// What the text of the rule needs, where the value breaks it.
fn plain_fault(rule: Rule, value: &[u8], admin_type_max: u32) -> Option<Bound> {
    let good = match rule {
        Rule::Length(max) => value::fits(value, max),
        Rule::Date => PartialDate::parse(value).is_some(),
        Rule::OneOf(codes) => value::is_one_of(value, codes),
        Rule::County => value::is_digits(value, 5),
        Rule::State => value::is_state(value),
        Rule::Zip => value::is_zip(value),
        Rule::Number => value::is_number(value),
        Rule::SixDigits => value::is_digits(value, 6),
        Rule::NumberOrUnk => {
            let good = value::is_admin_type(value, admin_type_max);
            return (!good).then_some(Bound::Number(admin_type_max));
        }
        _ => true,
    };
    (!good).then_some(Bound::None)
}

fn dob_fault(
    value: &[u8],
    admin_date: Option<PartialDate>,
    form: &'static Entry,
    born: &'static Entry,
) -> Option<&'static Entry> {
    let Some(day) = PartialDate::parse(value) else { return Some(form) };
    let after = admin_date.is_some_and(|date| day.compare(date) == Ordering::Greater);
    after.then_some(born)
}
