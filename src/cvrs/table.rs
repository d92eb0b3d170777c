//! Every rule of every profile: the one table that checking, documents and tests go by.
//!
//! Sources: "DCH Field Validation Errors" of November 2020 for `dch-2020`, what the service was seen
//! to answer in 2021 for `dch-2021`, and the validator of `CDCgov/CDC_IIS_Open_Tools`, CVRS version 2,
//! for `strict`.

use std::fmt;

use super::{
    check::RowKind,
    codes::ValueSet,
    field::Field,
    rule::{
        Bound,
        Event::{Refusal, Vaccination},
        Party::{Administrator, Recipient},
        Precision::{Day, DayOrMonth},
        Rule,
    },
    rules::Profile,
    value::{self, Pattern},
};

/// One rule of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Stable code, as in the column `code` of a report.
    pub code: &'static str,
    /// The profiles in which it holds.
    pub profiles: &'static [Profile],
    /// The kinds of rows on which it holds.
    pub kinds: &'static [RowKind],
    /// The column.
    pub field: Field,
    /// What the column is held to.
    pub rule: Rule,
}

impl Entry {
    /// Whether it holds for rows of that kind under that profile.
    #[must_use]
    pub fn holds(&self, profile: Profile, kind: RowKind) -> bool {
        self.profiles.contains(&profile) && self.kinds.contains(&kind)
    }

    /// What a cell that breaks it is told.
    #[must_use]
    pub fn text(&self, bound: Bound) -> Text<'_> {
        Text { entry: self, bound }
    }
}

/// Displays what a cell that breaks a rule is told. Never holds the cell's value.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    entry: &'a Entry,
    bound: Bound,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.rule.tell(self.entry.field, self.bound, f)
    }
}

const BOTH: &[Profile] = &[Profile::Dch2020, Profile::Dch2021];
const D20: &[Profile] = &[Profile::Dch2020];
const D21: &[Profile] = &[Profile::Dch2021];

const ANY: &[RowKind] = &[RowKind::Full, RowKind::Delete];
const FULL: &[RowKind] = &[RowKind::Full];

const NULL: &str = "CVRS-ROW-NULL";
const LENGTH: &str = "CVRS-ROW-LENGTH";
const FORMAT: &str = "CVRS-ROW-FORMAT";
const VALUE: &str = "CVRS-ROW-VALUE";
const DATE: &str = "CVRS-ROW-DATE";
const RANGE: &str = "CVRS-ROW-RANGE";

const fn dch(
    code: &'static str,
    profiles: &'static [Profile],
    kinds: &'static [RowKind],
    field: Field,
    rule: Rule,
) -> Entry {
    Entry { code, profiles, kinds, field, rule }
}

const fn strict(code: &'static str, field: Field, rule: Rule) -> Entry {
    Entry { code, profiles: &[Profile::Strict], kinds: ANY, field, rule }
}

/// The rules, by profile, then in canonical order of columns; those of one column in the order in
/// which they are told. Of a column's `dch` rules the one on null cells comes first and the first
/// that a cell breaks is told; of its `strict` rules all are.
#[rustfmt::skip]
pub static TABLE: &[Entry] = &[
    dch(NULL, BOTH, ANY, Field::VaxEventId, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::VaxEventId, Rule::Length(255)),
    dch(NULL, BOTH, FULL, Field::ExtType, Rule::NotNull),
    dch(VALUE, BOTH, ANY, Field::ExtType, Rule::OneOf(&value::EXT_TYPE)),
    dch(LENGTH, BOTH, ANY, Field::PprlId, Rule::Length(100)),
    dch(NULL, BOTH, FULL, Field::RecipId, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::RecipId, Rule::Length(255)),
    dch(NULL, BOTH, FULL, Field::RecipFirstName, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::RecipFirstName, Rule::Length(255)),
    dch(NULL, BOTH, FULL, Field::RecipMiddleName, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::RecipMiddleName, Rule::Length(255)),
    dch(NULL, BOTH, FULL, Field::RecipLastName, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::RecipLastName, Rule::Length(255)),
    dch(NULL, BOTH, FULL, Field::RecipDob, Rule::NotNull),
    dch(DATE, BOTH, ANY, Field::RecipDob, Rule::Date),
    dch(RANGE, D21, FULL, Field::RecipDob, Rule::BornBefore),
    dch(NULL, BOTH, FULL, Field::RecipSex, Rule::NotNull),
    dch(VALUE, BOTH, ANY, Field::RecipSex, Rule::OneOf(&value::SEX)),
    dch(NULL, BOTH, FULL, Field::RecipAddressStreet, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::RecipAddressStreet, Rule::Length(255)),
    dch(NULL, BOTH, FULL, Field::RecipAddressStreet2, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::RecipAddressStreet2, Rule::Length(255)),
    dch(NULL, BOTH, FULL, Field::RecipAddressCity, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::RecipAddressCity, Rule::Length(255)),
    dch(NULL, D20, FULL, Field::RecipAddressCounty, Rule::NotNull),
    dch(FORMAT, BOTH, ANY, Field::RecipAddressCounty, Rule::County),
    dch(NULL, BOTH, FULL, Field::RecipAddressState, Rule::NotNull),
    dch(FORMAT, BOTH, ANY, Field::RecipAddressState, Rule::State),
    dch(NULL, BOTH, FULL, Field::RecipAddressZip, Rule::NotNull),
    dch(FORMAT, BOTH, ANY, Field::RecipAddressZip, Rule::Zip),
    dch(NULL, BOTH, FULL, Field::RecipRace1, Rule::NotNull),
    dch(VALUE, BOTH, ANY, Field::RecipRace1, Rule::OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, Field::RecipRace2, Rule::OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, Field::RecipRace3, Rule::OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, Field::RecipRace4, Rule::OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, Field::RecipRace5, Rule::OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, Field::RecipRace6, Rule::OneOf(&value::RACE)),
    dch(NULL, BOTH, FULL, Field::RecipEthnicity, Rule::NotNull),
    dch(VALUE, BOTH, ANY, Field::RecipEthnicity, Rule::OneOf(&value::ETHNICITY)),
    dch(NULL, BOTH, FULL, Field::AdminDate, Rule::NotNull),
    dch(DATE, BOTH, ANY, Field::AdminDate, Rule::Date),
    dch(RANGE, D21, FULL, Field::AdminDate, Rule::NotTooEarly),
    dch(RANGE, D21, FULL, Field::AdminDate, Rule::NotAfterSubmission),
    dch(NULL, BOTH, FULL, Field::Cvx, Rule::NotNull),
    dch(FORMAT, BOTH, ANY, Field::Cvx, Rule::Number),
    dch(LENGTH, BOTH, ANY, Field::Ndc, Rule::Length(50)),
    dch(LENGTH, BOTH, ANY, Field::Mvx, Rule::Length(3)),
    dch(LENGTH, BOTH, ANY, Field::LotNumber, Rule::Length(255)),
    dch(VALUE, BOTH, ANY, Field::VaxAdminSite, Rule::OneOf(&value::SITE)),
    dch(LENGTH, BOTH, ANY, Field::VaxRoute, Rule::Length(10)),
    dch(NULL, BOTH, FULL, Field::DoseNum, Rule::NotNullUnlessRefusal),
    dch(VALUE, BOTH, ANY, Field::DoseNum, Rule::OneOf(&value::DOSE)),
    dch(NULL, BOTH, FULL, Field::VaxSeriesComplete, Rule::NotNullUnlessRefusal),
    dch(VALUE, BOTH, ANY, Field::VaxSeriesComplete, Rule::OneOf(&value::YES_NO_UNK)),
    dch(NULL, BOTH, FULL, Field::ResponsibleOrg, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::ResponsibleOrg, Rule::Length(255)),
    dch(NULL, BOTH, FULL, Field::AdminName, Rule::NotNull),
    dch(LENGTH, BOTH, ANY, Field::AdminName, Rule::Length(255)),
    dch(FORMAT, BOTH, ANY, Field::VtrcksProvPin, Rule::SixDigits),
    dch(NULL, BOTH, FULL, Field::AdminType, Rule::NotNull),
    dch(VALUE, BOTH, ANY, Field::AdminType, Rule::NumberOrUnk),
    dch(LENGTH, BOTH, ANY, Field::AdminAddressStreet, Rule::Length(255)),
    dch(LENGTH, BOTH, ANY, Field::AdminAddressStreet2, Rule::Length(255)),
    dch(LENGTH, BOTH, ANY, Field::AdminAddressCity, Rule::Length(255)),
    dch(FORMAT, BOTH, ANY, Field::AdminAddressCounty, Rule::County),
    dch(FORMAT, BOTH, ANY, Field::AdminAddressState, Rule::State),
    dch(FORMAT, BOTH, ANY, Field::AdminAddressZip, Rule::Zip),
    dch(NULL, BOTH, FULL, Field::VaxRefusal, Rule::NotNull),
    dch(VALUE, BOTH, ANY, Field::VaxRefusal, Rule::OneOf(&value::YES_NO)),
    dch(NULL, BOTH, FULL, Field::CmorbidStatus, Rule::NotNull),
    dch(VALUE, BOTH, ANY, Field::CmorbidStatus, Rule::OneOf(&value::YES_NO_UNK)),
    dch(NULL, BOTH, FULL, Field::Serology, Rule::NotNull),
    dch(VALUE, BOTH, ANY, Field::Serology, Rule::OneOf(&value::YES_NO_UNK)),

    strict("REQD001", Field::VaxEventId, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::VaxEventId, Rule::RequiredFor(Refusal)),
    strict("DATA008", Field::VaxEventId, Rule::AtMost(255)),
    strict("DATA005", Field::VaxEventId, Rule::Form(Pattern::NoSpace)),
    strict("BUSR013", Field::VaxEventId, Rule::Unique),
    strict("DATA005", Field::ExtType, Rule::Form(Pattern::ExtType)),
    strict("DATA008", Field::PprlId, Rule::AtMost(100)),
    strict("DATA004", Field::PprlId, Rule::OnlyInPprl),
    strict("REQD001", Field::RecipId, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::RecipId, Rule::RequiredFor(Refusal)),
    strict("DATA008", Field::RecipId, Rule::AtMost(255)),
    strict("DATA005", Field::RecipId, Rule::Form(Pattern::NoSpace)),
    strict("DATA008", Field::RecipFirstName, Rule::AtMost(255)),
    strict("DATA006", Field::RecipFirstName, Rule::Redacted),
    strict("DATA008", Field::RecipMiddleName, Rule::AtMost(255)),
    strict("DATA006", Field::RecipMiddleName, Rule::Redacted),
    strict("DATA008", Field::RecipLastName, Rule::AtMost(255)),
    strict("DATA006", Field::RecipLastName, Rule::Redacted),
    strict("REQD001", Field::RecipDob, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::RecipDob, Rule::RequiredFor(Refusal)),
    strict("DATA001", Field::RecipDob, Rule::Calendar(DayOrMonth)),
    strict("DATA009", Field::RecipDob, Rule::NotAmerican(DayOrMonth)),
    strict("BUSR005", Field::RecipDob, Rule::BornByAdminDate),
    strict("BUSR011", Field::RecipDob, Rule::NotInFuture),
    strict("REQD001", Field::RecipSex, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::RecipSex, Rule::RequiredFor(Refusal)),
    strict("DATA007", Field::RecipSex, Rule::InSet(ValueSet::Sex)),
    strict("DATA008", Field::RecipAddressStreet, Rule::AtMost(255)),
    strict("DATA006", Field::RecipAddressStreet, Rule::Redacted),
    strict("DATA008", Field::RecipAddressStreet2, Rule::AtMost(255)),
    strict("DATA006", Field::RecipAddressStreet2, Rule::Redacted),
    strict("DATA008", Field::RecipAddressCity, Rule::AtMost(255)),
    strict("DATA006", Field::RecipAddressCity, Rule::Redacted),
    strict("DATA007", Field::RecipAddressCounty, Rule::InSet(ValueSet::County)),
    strict("BUSR001", Field::RecipAddressCounty, Rule::CountyInState(Recipient)),
    strict("DATA007", Field::RecipAddressState, Rule::InSet(ValueSet::State)),
    strict("DATA005", Field::RecipAddressZip, Rule::Form(Pattern::Zip)),
    strict("BUSR003", Field::RecipAddressZip, Rule::ZipInState(Recipient)),
    strict("BUSR007", Field::RecipAddressZip, Rule::Implies(Field::RecipAddressState, Recipient)),
    strict("BUSR009", Field::RecipAddressZip, Rule::Implies(Field::RecipAddressCounty, Recipient)),
    strict("REQD001", Field::RecipRace1, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::RecipRace1, Rule::RequiredFor(Refusal)),
    strict("DATA007", Field::RecipRace1, Rule::InSet(ValueSet::RaceWithUnk)),
    strict("DATA007", Field::RecipRace2, Rule::InSet(ValueSet::Race)),
    strict("DATA007", Field::RecipRace3, Rule::InSet(ValueSet::Race)),
    strict("DATA007", Field::RecipRace4, Rule::InSet(ValueSet::Race)),
    strict("DATA007", Field::RecipRace5, Rule::InSet(ValueSet::Race)),
    strict("DATA007", Field::RecipRace6, Rule::InSet(ValueSet::Race)),
    strict("REQD001", Field::RecipEthnicity, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::RecipEthnicity, Rule::RequiredFor(Refusal)),
    strict("DATA007", Field::RecipEthnicity, Rule::InSet(ValueSet::Ethnicity)),
    strict("REQD001", Field::AdminDate, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::AdminDate, Rule::RequiredFor(Refusal)),
    strict("DATA001", Field::AdminDate, Rule::Calendar(Day)),
    strict("DATA009", Field::AdminDate, Rule::NotAmerican(Day)),
    strict("BUSR012", Field::AdminDate, Rule::NotInFuture),
    strict("REQD001", Field::Cvx, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::Cvx, Rule::RequiredFor(Refusal)),
    strict("DATA007", Field::Cvx, Rule::InSet(ValueSet::Cvx)),
    strict("DNTS002", Field::Ndc, Rule::AbsentFor(Refusal)),
    strict("DATA008", Field::Ndc, Rule::AtMost(50)),
    strict("DATA007", Field::Ndc, Rule::InSet(ValueSet::Ndc)),
    strict("DNTS002", Field::Mvx, Rule::AbsentFor(Refusal)),
    strict("DATA008", Field::Mvx, Rule::AtMost(3)),
    strict("DATA007", Field::Mvx, Rule::InSet(ValueSet::Mvx)),
    strict("DNTS002", Field::LotNumber, Rule::AbsentFor(Refusal)),
    strict("DNTS002", Field::VaxExpiration, Rule::AbsentFor(Refusal)),
    strict("DATA001", Field::VaxExpiration, Rule::Calendar(DayOrMonth)),
    strict("DATA009", Field::VaxExpiration, Rule::NotAmerican(DayOrMonth)),
    strict("DNTS002", Field::VaxAdminSite, Rule::AbsentFor(Refusal)),
    strict("DATA007", Field::VaxAdminSite, Rule::InSet(ValueSet::Site)),
    strict("DNTS002", Field::VaxRoute, Rule::AbsentFor(Refusal)),
    strict("DATA008", Field::VaxRoute, Rule::AtMost(10)),
    strict("DATA007", Field::VaxRoute, Rule::InSet(ValueSet::Route)),
    strict("REQD001", Field::DoseNum, Rule::RequiredFor(Vaccination)),
    strict("DNTS002", Field::DoseNum, Rule::AbsentFor(Refusal)),
    strict("DATA007", Field::DoseNum, Rule::InSet(ValueSet::Dose)),
    strict("REQD001", Field::VaxSeriesComplete, Rule::RequiredFor(Vaccination)),
    strict("DNTS002", Field::VaxSeriesComplete, Rule::AbsentFor(Refusal)),
    strict("DATA007", Field::VaxSeriesComplete, Rule::InSet(ValueSet::YesNoUnk)),
    strict("REQD001", Field::ResponsibleOrg, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::ResponsibleOrg, Rule::RequiredFor(Refusal)),
    strict("DATA008", Field::ResponsibleOrg, Rule::AtMost(255)),
    strict("DATA005", Field::ResponsibleOrg, Rule::Form(Pattern::StartsFilled)),
    strict("REQD001", Field::AdminName, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::AdminName, Rule::RequiredFor(Refusal)),
    strict("DATA008", Field::AdminName, Rule::AtMost(255)),
    strict("DATA005", Field::AdminName, Rule::Form(Pattern::StartsFilled)),
    strict("DATA005", Field::VtrcksProvPin, Rule::Form(Pattern::Pin)),
    strict("REQD001", Field::AdminType, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::AdminType, Rule::RequiredFor(Refusal)),
    strict("DATA007", Field::AdminType, Rule::InSet(ValueSet::AdminType)),
    strict("DATA007", Field::AdminAddressCounty, Rule::InSet(ValueSet::County)),
    strict("BUSR002", Field::AdminAddressCounty, Rule::CountyInState(Administrator)),
    strict("DATA007", Field::AdminAddressState, Rule::InSet(ValueSet::State)),
    strict("DATA005", Field::AdminAddressZip, Rule::Form(Pattern::ZipOrNothing)),
    strict("BUSR004", Field::AdminAddressZip, Rule::ZipInState(Administrator)),
    strict("BUSR008", Field::AdminAddressZip, Rule::Implies(Field::AdminAddressState, Administrator)),
    strict("BUSR010", Field::AdminAddressZip, Rule::Implies(Field::AdminAddressCounty, Administrator)),
    strict("REQD001", Field::VaxRefusal, Rule::RequiredFor(Vaccination)),
    strict("DATA007", Field::VaxRefusal, Rule::InSet(ValueSet::YesNo)),
    strict("REQD001", Field::CmorbidStatus, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::CmorbidStatus, Rule::RequiredFor(Refusal)),
    strict("DATA007", Field::CmorbidStatus, Rule::InSet(ValueSet::YesNoUnk)),
    strict("REQD001", Field::Serology, Rule::RequiredFor(Vaccination)),
    strict("REQD002", Field::Serology, Rule::RequiredFor(Refusal)),
    strict("DATA007", Field::Serology, Rule::InSet(ValueSet::YesNoUnk)),
];
