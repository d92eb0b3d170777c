//! What a rule asks of a cell, when, and what a cell that breaks it is told.

use std::fmt;

use jiff::civil::Date;

use super::{
    codes::ValueSet,
    field::Field,
    value::{Codes, Pattern},
};

/// What a row tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `vax_refusal` is anything but `YES`.
    Vaccination,
    /// `vax_refusal` is `YES`.
    Refusal,
}

/// Whose address a comparison is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The columns `recip_address_…`.
    Recipient,
    /// The columns `admin_address_…`.
    Administrator,
}

/// How exact a date must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `YYYY-MM-DD`.
    Day,
    /// `YYYY-MM-DD` or `YYYY-MM`.
    DayOrMonth,
}

/// What a cell is held to. A cell that is null keeps every rule but where it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Not null.
    NotNull,
    /// Not null where `vax_refusal` is `NO`.
    NotNullUnlessRefusal,
    /// At most that many characters.
    Length(usize),
    /// A date of the calendar, `YYYY-MM-DD` or `YYYY-MM`.
    Date,
    /// One of these codes.
    OneOf(&'static Codes),
    /// Five digits.
    County,
    /// Two ASCII letters.
    State,
    /// Five digits, or five digits, a hyphen and four digits.
    Zip,
    /// ASCII digits.
    Number,
    /// Six digits.
    SixDigits,
    /// A number from 1 to a bound that the job's rules name, or `UNK`.
    NumberOrUnk,
    /// A date not before the first `admin_date` that the job's rules accept.
    NotTooEarly,
    /// A date not after the submission date.
    NotAfterSubmission,
    /// A date not after `admin_date`, where that is a date.
    BornBefore,

    /// Strict: not null in such an event.
    RequiredFor(Event),
    /// Strict: null in such an event.
    AbsentFor(Event),
    /// Strict: at most that many characters.
    AtMost(usize),
    /// Strict: a date of the calendar; one that is spelt the American way is another rule's.
    Calendar(Precision),
    /// Strict: not a date spelt month, day, year with slashes.
    NotAmerican(Precision),
    /// Strict: of that form. A missing `ext_type` breaks it.
    Form(Pattern),
    /// Strict: a code of that set.
    InSet(ValueSet),
    /// Strict: filled where the row is of the PPRL model, null in the others; null breaks it too.
    OnlyInPprl,
    /// Strict: `Redacted` in any case, but in rows of the identified model; null breaks it too.
    Redacted,
    /// Strict: a county that begins with the number of the state beside it.
    CountyInState(Party),
    /// Strict: a ZIP from the ranges of the state beside it.
    ZipInState(Party),
    /// Strict: both dates filled and, as texts, the birth not after `admin_date`; null breaks it.
    BornByAdminDate,
    /// Strict: where it is filled, the column beside it is too.
    Implies(Field, Party),
    /// Strict: as a text, before the day after the submission date.
    NotInFuture,
    /// Strict: no earlier row of the file has this id; its first line is told.
    Unique,
}

/// What the text of a broken rule needs beside the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing.
    None,
    /// The greatest `admin_type`.
    Number(u32),
    /// The last `admin_date` that is too early.
    Day(Date),
    /// The line that has the id already.
    Line(u64),
}

impl Party {
    fn as_str(self) -> &'static str {
        match self {
            Self::Recipient => "Recipient",
            Self::Administrator => "Vaccine Administrator",
        }
    }

    /// The column of the party's state.
    pub(super) fn state(self) -> Field {
        match self {
            Self::Recipient => Field::RecipAddressState,
            Self::Administrator => Field::AdminAddressState,
        }
    }
}

impl Precision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Day => "yyyy-MM-dd",
            Self::DayOrMonth => "yyyy-MM-dd|yyyy-MM",
        }
    }
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Self::Vaccination => "Vaccination",
            Self::Refusal => "Refusal",
        }
    }
}

impl Rule {
    /// On which rows and cells it is looked at, as documents say it.
    #[must_use]
    pub fn condition(self) -> &'static str {
        match self {
            Self::NotNull => "always",
            Self::NotNullUnlessRefusal => "`vax_refusal` is `NO`",
            Self::NotTooEarly | Self::NotAfterSubmission => "the cell is a date",
            Self::BornBefore => "the cell and `admin_date` are dates",
            Self::RequiredFor(Event::Vaccination) => "`vax_refusal` is not `YES`",
            Self::RequiredFor(Event::Refusal) => "`vax_refusal` is `YES`",
            Self::AbsentFor(Event::Vaccination) => "filled, `vax_refusal` is not `YES`",
            Self::AbsentFor(Event::Refusal) => "filled, `vax_refusal` is `YES`",
            Self::Form(Pattern::ExtType) | Self::BornByAdminDate => "always, also null",
            Self::OnlyInPprl => "filled without `ext_type` `P`, or null with it",
            Self::Redacted => "`ext_type` is not `I`, also null",
            Self::CountyInState(_) | Self::ZipInState(_) => "filled, and the state is",
            _ => "filled",
        }
    }

    /// Writes what a cell of that column is told that breaks it.
    pub(super) fn tell(
        self,
        field: Field,
        bound: Bound,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let name = field.name();
        match self {
            Self::NotNull | Self::NotNullUnlessRefusal => f.write_str("must not be null"),
            Self::Length(max) => write!(f, "maximum length is {max}"),
            Self::Date => {
                f.write_str(r#"invalid date format, expected: "YYYY-MM-DD" or "YYYY-MM""#)
            }
            Self::OneOf(codes) => f.write_str(codes.text),
            Self::County => f.write_str("must be a FIPS 5-digit county code"),
            Self::State => f.write_str("must be a two-character state abbreviation"),
            Self::Zip => f.write_str("must be a valid ZIP. 5 digit or 5 digit + 4 are acceptable"),
            Self::Number => f.write_str("must be a number"),
            Self::SixDigits => f.write_str("must be six digits"),
            Self::NumberOrUnk => write!(f, r#"must be [1-{bound}] or "UNK""#),
            Self::NotTooEarly => write!(f, "{name} should not be on {bound} or earlier"),
            Self::NotAfterSubmission => write!(f, "{name} must be on or before submission date"),
            Self::BornBefore => write!(f, "{name} must be on or before admin_date"),
            _ => self.tell_strictly(name, bound, f),
        }
    }

    fn tell_strictly(self, name: &str, bound: Bound, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequiredFor(event) => {
                write!(f, "{name} is required for {} events", event.as_str())
            }
            Self::AbsentFor(event) => {
                write!(f, "{name} should not be present for {} events", event.as_str())
            }
            Self::AtMost(max) => write!(f, "{name} exceeds maximum length {max}"),
            Self::Calendar(form) => {
                write!(f, "{name} contains an invalid date, should match {}", form.as_str())
            }
            Self::NotAmerican(form) => {
                let form = form.as_str();
                write!(f, "{name} contains an incorrectly formatted date, should match {form}")
            }
            Self::Form(pattern) => {
                write!(f, "{name} does not match the regular expression {}", pattern.as_str())
            }
            Self::InSet(set) => write!(f, "{name} is not in value set {set}"),
            Self::OnlyInPprl => write!(f, "{name} should not be present"),
            Self::Redacted => write!(f, "{name} should contain value Redacted"),
            Self::CountyInState(party) | Self::ZipInState(party) => {
                let (state, party) = (party.state().name(), party.as_str());
                write!(f, "{name} does not match {state} for {party}")
            }
            Self::BornByAdminDate => write!(f, "{name} is after admin_date"),
            Self::Implies(other, party) => {
                let (other, party) = (other.name(), party.as_str());
                write!(f, "If {name} is present, {other} should be present for {party}")
            }
            // The two texts differ by a word in the validator that they come from.
            Self::NotInFuture if name == Field::RecipDob.name() => {
                write!(f, "If {name} is present it should be less than tomorrow")
            }
            Self::NotInFuture => write!(f, "If {name} is present it should less than tomorrow"),
            _ => write!(f, "Value of {name} duplicates {name} at line {bound}"),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Day(day) => write!(f, "{}", day.strftime("%B %-d, %Y")),
            Self::Line(line) => write!(f, "{line}"),
        }
    }
}
