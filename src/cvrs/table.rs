//! Every rule of every profile: the one table that checking, documents and tests go by.
//!
//! Sources: "DCH Field Validation Errors" of November 2020 for `dch-2020`, what the service was seen
//! to answer in 2021 for `dch-2021`, and the validator of CDCgov/CDC_IIS_Open_Tools, CVRS version 2,
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
#[expect(clippy::enum_glob_use, reason = "a row of the table is one line")]
use {Field::*, Rule::*};

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
    dch(NULL, BOTH, ANY, VaxEventId, NotNull),
    dch(LENGTH, BOTH, ANY, VaxEventId, Length(255)),
    dch(NULL, BOTH, FULL, ExtType, NotNull),
    dch(VALUE, BOTH, ANY, ExtType, OneOf(&value::EXT_TYPE)),
    dch(LENGTH, BOTH, ANY, PprlId, Length(100)),
    dch(NULL, BOTH, FULL, RecipId, NotNull),
    dch(LENGTH, BOTH, ANY, RecipId, Length(255)),
    dch(NULL, BOTH, FULL, RecipFirstName, NotNull),
    dch(LENGTH, BOTH, ANY, RecipFirstName, Length(255)),
    dch(NULL, BOTH, FULL, RecipMiddleName, NotNull),
    dch(LENGTH, BOTH, ANY, RecipMiddleName, Length(255)),
    dch(NULL, BOTH, FULL, RecipLastName, NotNull),
    dch(LENGTH, BOTH, ANY, RecipLastName, Length(255)),
    dch(NULL, BOTH, FULL, RecipDob, NotNull),
    dch(DATE, BOTH, ANY, RecipDob, Date),
    dch(RANGE, D21, FULL, RecipDob, BornBefore),
    dch(NULL, BOTH, FULL, RecipSex, NotNull),
    dch(VALUE, BOTH, ANY, RecipSex, OneOf(&value::SEX)),
    dch(NULL, BOTH, FULL, RecipAddressStreet, NotNull),
    dch(LENGTH, BOTH, ANY, RecipAddressStreet, Length(255)),
    dch(NULL, BOTH, FULL, RecipAddressStreet2, NotNull),
    dch(LENGTH, BOTH, ANY, RecipAddressStreet2, Length(255)),
    dch(NULL, BOTH, FULL, RecipAddressCity, NotNull),
    dch(LENGTH, BOTH, ANY, RecipAddressCity, Length(255)),
    dch(NULL, D20, FULL, RecipAddressCounty, NotNull),
    dch(FORMAT, BOTH, ANY, RecipAddressCounty, County),
    dch(NULL, BOTH, FULL, RecipAddressState, NotNull),
    dch(FORMAT, BOTH, ANY, RecipAddressState, State),
    dch(NULL, BOTH, FULL, RecipAddressZip, NotNull),
    dch(FORMAT, BOTH, ANY, RecipAddressZip, Zip),
    dch(NULL, BOTH, FULL, RecipRace1, NotNull),
    dch(VALUE, BOTH, ANY, RecipRace1, OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, RecipRace2, OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, RecipRace3, OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, RecipRace4, OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, RecipRace5, OneOf(&value::RACE)),
    dch(VALUE, BOTH, ANY, RecipRace6, OneOf(&value::RACE)),
    dch(NULL, BOTH, FULL, RecipEthnicity, NotNull),
    dch(VALUE, BOTH, ANY, RecipEthnicity, OneOf(&value::ETHNICITY)),
    dch(NULL, BOTH, FULL, AdminDate, NotNull),
    dch(DATE, BOTH, ANY, AdminDate, Date),
    dch(RANGE, D21, FULL, AdminDate, NotTooEarly),
    dch(RANGE, D21, FULL, AdminDate, NotAfterSubmission),
    dch(NULL, BOTH, FULL, Cvx, NotNull),
    dch(FORMAT, BOTH, ANY, Cvx, Number),
    dch(LENGTH, BOTH, ANY, Ndc, Length(50)),
    dch(LENGTH, BOTH, ANY, Mvx, Length(3)),
    dch(LENGTH, BOTH, ANY, LotNumber, Length(255)),
    dch(VALUE, BOTH, ANY, VaxAdminSite, OneOf(&value::SITE)),
    dch(LENGTH, BOTH, ANY, VaxRoute, Length(10)),
    dch(NULL, BOTH, FULL, DoseNum, NotNullUnlessRefusal),
    dch(VALUE, BOTH, ANY, DoseNum, OneOf(&value::DOSE)),
    dch(NULL, BOTH, FULL, VaxSeriesComplete, NotNullUnlessRefusal),
    dch(VALUE, BOTH, ANY, VaxSeriesComplete, OneOf(&value::YES_NO_UNK)),
    dch(NULL, BOTH, FULL, ResponsibleOrg, NotNull),
    dch(LENGTH, BOTH, ANY, ResponsibleOrg, Length(255)),
    dch(NULL, BOTH, FULL, AdminName, NotNull),
    dch(LENGTH, BOTH, ANY, AdminName, Length(255)),
    dch(FORMAT, BOTH, ANY, VtrcksProvPin, SixDigits),
    dch(NULL, BOTH, FULL, AdminType, NotNull),
    dch(VALUE, BOTH, ANY, AdminType, NumberOrUnk),
    dch(LENGTH, BOTH, ANY, AdminAddressStreet, Length(255)),
    dch(LENGTH, BOTH, ANY, AdminAddressStreet2, Length(255)),
    dch(LENGTH, BOTH, ANY, AdminAddressCity, Length(255)),
    dch(FORMAT, BOTH, ANY, AdminAddressCounty, County),
    dch(FORMAT, BOTH, ANY, AdminAddressState, State),
    dch(FORMAT, BOTH, ANY, AdminAddressZip, Zip),
    dch(NULL, BOTH, FULL, VaxRefusal, NotNull),
    dch(VALUE, BOTH, ANY, VaxRefusal, OneOf(&value::YES_NO)),
    dch(NULL, BOTH, FULL, CmorbidStatus, NotNull),
    dch(VALUE, BOTH, ANY, CmorbidStatus, OneOf(&value::YES_NO_UNK)),
    dch(NULL, BOTH, FULL, Serology, NotNull),
    dch(VALUE, BOTH, ANY, Serology, OneOf(&value::YES_NO_UNK)),

    strict("REQD001", VaxEventId, RequiredFor(Vaccination)),
    strict("REQD002", VaxEventId, RequiredFor(Refusal)),
    strict("DATA008", VaxEventId, AtMost(255)),
    strict("DATA005", VaxEventId, Form(Pattern::NoSpace)),
    strict("BUSR013", VaxEventId, Unique),
    strict("DATA005", ExtType, Form(Pattern::ExtType)),
    strict("DATA008", PprlId, AtMost(100)),
    strict("DATA004", PprlId, OnlyInPprl),
    strict("REQD001", RecipId, RequiredFor(Vaccination)),
    strict("REQD002", RecipId, RequiredFor(Refusal)),
    strict("DATA008", RecipId, AtMost(255)),
    strict("DATA005", RecipId, Form(Pattern::NoSpace)),
    strict("DATA008", RecipFirstName, AtMost(255)),
    strict("DATA006", RecipFirstName, Redacted),
    strict("DATA008", RecipMiddleName, AtMost(255)),
    strict("DATA006", RecipMiddleName, Redacted),
    strict("DATA008", RecipLastName, AtMost(255)),
    strict("DATA006", RecipLastName, Redacted),
    strict("REQD001", RecipDob, RequiredFor(Vaccination)),
    strict("REQD002", RecipDob, RequiredFor(Refusal)),
    strict("DATA001", RecipDob, Calendar(DayOrMonth)),
    strict("DATA009", RecipDob, NotAmerican(DayOrMonth)),
    strict("BUSR005", RecipDob, BornByAdminDate),
    strict("BUSR011", RecipDob, NotInFuture),
    strict("REQD001", RecipSex, RequiredFor(Vaccination)),
    strict("REQD002", RecipSex, RequiredFor(Refusal)),
    strict("DATA007", RecipSex, InSet(ValueSet::Sex)),
    strict("DATA008", RecipAddressStreet, AtMost(255)),
    strict("DATA006", RecipAddressStreet, Redacted),
    strict("DATA008", RecipAddressStreet2, AtMost(255)),
    strict("DATA006", RecipAddressStreet2, Redacted),
    strict("DATA008", RecipAddressCity, AtMost(255)),
    strict("DATA006", RecipAddressCity, Redacted),
    strict("DATA007", RecipAddressCounty, InSet(ValueSet::County)),
    strict("BUSR001", RecipAddressCounty, CountyInState(Recipient)),
    strict("DATA007", RecipAddressState, InSet(ValueSet::State)),
    strict("DATA005", RecipAddressZip, Form(Pattern::Zip)),
    strict("BUSR003", RecipAddressZip, ZipInState(Recipient)),
    strict("BUSR007", RecipAddressZip, Implies(RecipAddressState, Recipient)),
    strict("BUSR009", RecipAddressZip, Implies(RecipAddressCounty, Recipient)),
    strict("REQD001", RecipRace1, RequiredFor(Vaccination)),
    strict("REQD002", RecipRace1, RequiredFor(Refusal)),
    strict("DATA007", RecipRace1, InSet(ValueSet::RaceWithUnk)),
    strict("DATA007", RecipRace2, InSet(ValueSet::Race)),
    strict("DATA007", RecipRace3, InSet(ValueSet::Race)),
    strict("DATA007", RecipRace4, InSet(ValueSet::Race)),
    strict("DATA007", RecipRace5, InSet(ValueSet::Race)),
    strict("DATA007", RecipRace6, InSet(ValueSet::Race)),
    strict("REQD001", RecipEthnicity, RequiredFor(Vaccination)),
    strict("REQD002", RecipEthnicity, RequiredFor(Refusal)),
    strict("DATA007", RecipEthnicity, InSet(ValueSet::Ethnicity)),
    strict("REQD001", AdminDate, RequiredFor(Vaccination)),
    strict("REQD002", AdminDate, RequiredFor(Refusal)),
    strict("DATA001", AdminDate, Calendar(Day)),
    strict("DATA009", AdminDate, NotAmerican(Day)),
    strict("BUSR012", AdminDate, NotInFuture),
    strict("REQD001", Cvx, RequiredFor(Vaccination)),
    strict("REQD002", Cvx, RequiredFor(Refusal)),
    strict("DATA007", Cvx, InSet(ValueSet::Cvx)),
    strict("DNTS002", Ndc, AbsentFor(Refusal)),
    strict("DATA008", Ndc, AtMost(50)),
    strict("DATA007", Ndc, InSet(ValueSet::Ndc)),
    strict("DNTS002", Mvx, AbsentFor(Refusal)),
    strict("DATA008", Mvx, AtMost(3)),
    strict("DATA007", Mvx, InSet(ValueSet::Mvx)),
    strict("DNTS002", LotNumber, AbsentFor(Refusal)),
    strict("DNTS002", VaxExpiration, AbsentFor(Refusal)),
    strict("DATA001", VaxExpiration, Calendar(DayOrMonth)),
    strict("DATA009", VaxExpiration, NotAmerican(DayOrMonth)),
    strict("DNTS002", VaxAdminSite, AbsentFor(Refusal)),
    strict("DATA007", VaxAdminSite, InSet(ValueSet::Site)),
    strict("DNTS002", VaxRoute, AbsentFor(Refusal)),
    strict("DATA008", VaxRoute, AtMost(10)),
    strict("DATA007", VaxRoute, InSet(ValueSet::Route)),
    strict("REQD001", DoseNum, RequiredFor(Vaccination)),
    strict("DNTS002", DoseNum, AbsentFor(Refusal)),
    strict("DATA007", DoseNum, InSet(ValueSet::Dose)),
    strict("REQD001", VaxSeriesComplete, RequiredFor(Vaccination)),
    strict("DNTS002", VaxSeriesComplete, AbsentFor(Refusal)),
    strict("DATA007", VaxSeriesComplete, InSet(ValueSet::YesNoUnk)),
    strict("REQD001", ResponsibleOrg, RequiredFor(Vaccination)),
    strict("REQD002", ResponsibleOrg, RequiredFor(Refusal)),
    strict("DATA008", ResponsibleOrg, AtMost(255)),
    strict("DATA005", ResponsibleOrg, Form(Pattern::StartsFilled)),
    strict("REQD001", AdminName, RequiredFor(Vaccination)),
    strict("REQD002", AdminName, RequiredFor(Refusal)),
    strict("DATA008", AdminName, AtMost(255)),
    strict("DATA005", AdminName, Form(Pattern::StartsFilled)),
    strict("DATA005", VtrcksProvPin, Form(Pattern::Pin)),
    strict("REQD001", AdminType, RequiredFor(Vaccination)),
    strict("REQD002", AdminType, RequiredFor(Refusal)),
    strict("DATA007", AdminType, InSet(ValueSet::AdminType)),
    strict("DATA007", AdminAddressCounty, InSet(ValueSet::County)),
    strict("BUSR002", AdminAddressCounty, CountyInState(Administrator)),
    strict("DATA007", AdminAddressState, InSet(ValueSet::State)),
    strict("DATA005", AdminAddressZip, Form(Pattern::ZipOrNothing)),
    strict("BUSR004", AdminAddressZip, ZipInState(Administrator)),
    strict("BUSR008", AdminAddressZip, Implies(AdminAddressState, Administrator)),
    strict("BUSR010", AdminAddressZip, Implies(AdminAddressCounty, Administrator)),
    strict("REQD001", VaxRefusal, RequiredFor(Vaccination)),
    strict("DATA007", VaxRefusal, InSet(ValueSet::YesNo)),
    strict("REQD001", CmorbidStatus, RequiredFor(Vaccination)),
    strict("REQD002", CmorbidStatus, RequiredFor(Refusal)),
    strict("DATA007", CmorbidStatus, InSet(ValueSet::YesNoUnk)),
    strict("REQD001", Serology, RequiredFor(Vaccination)),
    strict("REQD002", Serology, RequiredFor(Refusal)),
    strict("DATA007", Serology, InSet(ValueSet::YesNoUnk)),
];
