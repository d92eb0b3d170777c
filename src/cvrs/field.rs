//! The 45 columns of CVRS v2: names, order and types as in the CDC's CVRS v2 sheet.

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

macro_rules! fields {
    ($($name:ident = $text:literal, $kind:ident;)*) => {
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
        }

        pub(super) const CANONICAL_NAMES: &[&str] = &[$($text,)*];
    };
}

fields! {
    VaxEventId = "vax_event_id", String;
    ExtType = "ext_type", Coded;
    PprlId = "pprl_id", String;
    RecipId = "recip_id", String;
    RecipFirstName = "recip_first_name", String;
    RecipMiddleName = "recip_middle_name", String;
    RecipLastName = "recip_last_name", String;
    RecipDob = "recip_dob", Date;
    RecipSex = "recip_sex", Coded;
    RecipAddressStreet = "recip_address_street", String;
    RecipAddressStreet2 = "recip_address_street_2", String;
    RecipAddressCity = "recip_address_city", String;
    RecipAddressCounty = "recip_address_county", Coded;
    RecipAddressState = "recip_address_state", Coded;
    RecipAddressZip = "recip_address_zip", String;
    RecipRace1 = "recip_race_1", Coded;
    RecipRace2 = "recip_race_2", Coded;
    RecipRace3 = "recip_race_3", Coded;
    RecipRace4 = "recip_race_4", Coded;
    RecipRace5 = "recip_race_5", Coded;
    RecipRace6 = "recip_race_6", Coded;
    RecipEthnicity = "recip_ethnicity", Coded;
    AdminDate = "admin_date", Date;
    Cvx = "cvx", Coded;
    Ndc = "ndc", Coded;
    Mvx = "mvx", Coded;
    LotNumber = "lot_number", String;
    VaxExpiration = "vax_expiration", Date;
    VaxAdminSite = "vax_admin_site", Coded;
    VaxRoute = "vax_route", Coded;
    DoseNum = "dose_num", Coded;
    VaxSeriesComplete = "vax_series_complete", Coded;
    ResponsibleOrg = "responsible_org", String;
    AdminName = "admin_name", String;
    VtrcksProvPin = "vtrcks_prov_pin", String;
    AdminType = "admin_type", Coded;
    AdminAddressStreet = "admin_address_street", String;
    AdminAddressStreet2 = "admin_address_street_2", String;
    AdminAddressCity = "admin_address_city", String;
    AdminAddressCounty = "admin_address_county", Coded;
    AdminAddressState = "admin_address_state", Coded;
    AdminAddressZip = "admin_address_zip", String;
    VaxRefusal = "vax_refusal", Coded;
    CmorbidStatus = "cmorbid_status", Coded;
    Serology = "serology", Coded;
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
