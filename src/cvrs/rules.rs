//! Which rules a file is held to.

use jiff::civil::Date;

/// A set of validation rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// The published list of November 2020.
    Dch2020,
    /// That list with the additions and relaxations seen in 2021.
    Dch2021,
    /// The rules of the validator that the CDC offered to senders.
    Strict,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Dch2020, Self::Dch2021, Self::Strict];

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dch2020 => "dch-2020",
            Self::Dch2021 => "dch-2021",
            Self::Strict => "strict",
        }
    }

    /// The greatest `admin_type` where the configuration names none. `strict` has a list of its own
    /// and asks for no bound.
    #[must_use]
    pub fn admin_type_max(self) -> u32 {
        match self {
            Self::Dch2020 | Self::Strict => 28,
            Self::Dch2021 => 42,
        }
    }
}

/// The rules that one job's file is held to: a profile with its bounds filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The set of rules.
    pub profile: Profile,
    /// First `admin_date` that is accepted (`dch-2021`).
    pub admin_date_min: Date,
    /// Greatest number accepted as `admin_type` (`dch-2020`, `dch-2021`).
    pub admin_type_max: u32,
    /// UTC day on which the file was received.
    pub submission_date: Date,
    /// Days after the submission date that still count as not in the future, for senders west of us.
    pub future_tolerance_days: u32,
}
