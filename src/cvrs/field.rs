//! The 45 columns of CVRS v2 and what each is held to.
//!
//! Source: the CDC's CVRS v2 sheet (names, order, types) and "DCH Field Validation Errors" of
//! November 2020 (rules and texts).

/// What a column's type is in the CVRS v2 sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Free text or digits; taken as sent.
    String,
    /// `YYYY-MM-DD` or `YYYY-MM`; taken as sent.
    Date,
    /// A code; its value is without surrounding ASCII spaces and without case.
    Coded,
}

/// Whether a cell may be null, that is, have no byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Null {
    /// It may.
    Accepted,
    /// It may not.
    Refused,
    /// It may not where `vax_refusal` is `NO`.
    RefusedUnlessRefusal,
    /// It may not under `dch-2020`; from 2021 on it may.
    RefusedIn2020,
}

/// A closed set of codes with the text that lists them.
#[derive(Debug, PartialEq, Eq)]
pub struct Codes {
    /// The codes, in upper case.
    pub values: &'static [&'static str],
    /// What a value outside the set is told.
    pub text: &'static str,
}

/// What a cell that is not null is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing.
    Free,
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
    AdminType,
}

static EXT_TYPE: Codes = Codes { values: &["D", "I", "P"], text: "must be one of [D, I, P]" };
static SEX: Codes = Codes { values: &["F", "M", "U"], text: "must be one of [F, M, U]" };
static RACE: Codes = Codes {
    values: &["1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2131-1", "UNK", "POL"],
    text: "must be one of [1002-5, 2028-9, 2054-5, 2076-8, 2106-3, 2131-1, UNK, POL]",
};
static ETHNICITY: Codes = Codes {
    values: &["2135-2", "2186-5", "UNK", "POL"],
    text: "must be one of [2135-2, 2186-5, UNK, POL]",
};
// The text's double spaces are the published ones.
static SITE: Codes = Codes {
    values: &["LT", "LA", "LD", "LG", "LVL", "LLFA", "RT", "RA", "RD", "RG", "RVL", "RLFA"],
    text: "must be one of [LT,  LA,  LD,  LG,  LVL,  LLFA,  RT,  RA,  RD,  RG,  RVL,  RLFA]",
};
static DOSE: Codes = Codes {
    values: &["1", "2", "3", "4", "5", "6", "INV", "UNK"],
    text: r#"must be [1-6], "INV", or "UNK""#,
};
static YES_NO_UNKNOWN: Codes =
    Codes { values: &["YES", "NO", "UNK"], text: "must be one of [YES, NO, UNK]" };
static YES_NO: Codes = Codes { values: &["YES", "NO"], text: "must be one of [YES, NO]" };

macro_rules! fields {
    ($($name:ident = $text:literal, $kind:ident, $null:ident, $rule:expr;)*) => {
        /// A column of CVRS v2.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Field { $(#[doc = concat!("`", $text, "`")] $name,)* }

        impl Field {
            /// Every column, in canonical order.
            pub const ALL: [Self; 45] = [$(Self::$name,)*];

            /// Its name in a header, in lower case.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Its type.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            /// Whether its cells may be null.
            #[must_use]
            pub fn null(self) -> Null {
                match self { $(Self::$name => Null::$null,)* }
            }

            /// What its cells are held to where they are not null.
            #[must_use]
            pub fn rule(self) -> Rule {
                use Rule::{AdminType, County, Date, Free, Length, Number, OneOf, SixDigits, State, Zip};
                match self { $(Self::$name => $rule,)* }
            }
        }

        pub(super) const CANONICAL_NAMES: &[&str] = &[$($text,)*];
    };
}

fields! {
    VaxEventId = "vax_event_id", String, Refused, Length(255);
    ExtType = "ext_type", Coded, Refused, OneOf(&EXT_TYPE);
    PprlId = "pprl_id", String, Accepted, Length(100);
    RecipId = "recip_id", String, Refused, Length(255);
    RecipFirstName = "recip_first_name", String, Refused, Length(255);
    RecipMiddleName = "recip_middle_name", String, Refused, Length(255);
    RecipLastName = "recip_last_name", String, Refused, Length(255);
    RecipDob = "recip_dob", Date, Refused, Date;
    RecipSex = "recip_sex", Coded, Refused, OneOf(&SEX);
    RecipAddressStreet = "recip_address_street", String, Refused, Length(255);
    RecipAddressStreet2 = "recip_address_street_2", String, Refused, Length(255);
    RecipAddressCity = "recip_address_city", String, Refused, Length(255);
    RecipAddressCounty = "recip_address_county", Coded, RefusedIn2020, County;
    RecipAddressState = "recip_address_state", Coded, Refused, State;
    RecipAddressZip = "recip_address_zip", String, Refused, Zip;
    RecipRace1 = "recip_race_1", Coded, Refused, OneOf(&RACE);
    RecipRace2 = "recip_race_2", Coded, Accepted, OneOf(&RACE);
    RecipRace3 = "recip_race_3", Coded, Accepted, OneOf(&RACE);
    RecipRace4 = "recip_race_4", Coded, Accepted, OneOf(&RACE);
    RecipRace5 = "recip_race_5", Coded, Accepted, OneOf(&RACE);
    RecipRace6 = "recip_race_6", Coded, Accepted, OneOf(&RACE);
    RecipEthnicity = "recip_ethnicity", Coded, Refused, OneOf(&ETHNICITY);
    AdminDate = "admin_date", Date, Refused, Date;
    Cvx = "cvx", Coded, Refused, Number;
    Ndc = "ndc", Coded, Accepted, Length(50);
    Mvx = "mvx", Coded, Accepted, Length(3);
    LotNumber = "lot_number", String, Accepted, Length(255);
    VaxExpiration = "vax_expiration", Date, Accepted, Free;
    VaxAdminSite = "vax_admin_site", Coded, Accepted, OneOf(&SITE);
    VaxRoute = "vax_route", Coded, Accepted, Length(10);
    DoseNum = "dose_num", Coded, RefusedUnlessRefusal, OneOf(&DOSE);
    VaxSeriesComplete = "vax_series_complete", Coded, RefusedUnlessRefusal, OneOf(&YES_NO_UNKNOWN);
    ResponsibleOrg = "responsible_org", String, Refused, Length(255);
    AdminName = "admin_name", String, Refused, Length(255);
    VtrcksProvPin = "vtrcks_prov_pin", String, Accepted, SixDigits;
    AdminType = "admin_type", Coded, Refused, AdminType;
    AdminAddressStreet = "admin_address_street", String, Accepted, Length(255);
    AdminAddressStreet2 = "admin_address_street_2", String, Accepted, Length(255);
    AdminAddressCity = "admin_address_city", String, Accepted, Length(255);
    AdminAddressCounty = "admin_address_county", Coded, Accepted, County;
    AdminAddressState = "admin_address_state", Coded, Accepted, State;
    AdminAddressZip = "admin_address_zip", String, Accepted, Zip;
    VaxRefusal = "vax_refusal", Coded, Refused, OneOf(&YES_NO);
    CmorbidStatus = "cmorbid_status", Coded, Refused, OneOf(&YES_NO_UNKNOWN);
    Serology = "serology", Coded, Refused, OneOf(&YES_NO_UNKNOWN);
}

impl Field {
    /// The column of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(name))
    }

    /// Its place in canonical order, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Whether the redacted storage hides its cells.
    #[must_use]
    pub fn is_redacted(self) -> bool {
        matches!(
            self,
            Self::RecipFirstName
                | Self::RecipMiddleName
                | Self::RecipLastName
                | Self::RecipAddressStreet
                | Self::RecipAddressStreet2
                | Self::RecipAddressCity
        )
    }
}
