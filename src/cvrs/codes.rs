//! The value sets of the profile `strict`, and which numbers belong to a state.
//!
//! Facts of `CDCgov/CDC_IIS_Open_Tools`, in its order, as texts name a set's first and last codes.

use std::{fmt, sync::LazyLock};

/// A row of `codes/state.txt`.
struct State {
    code: &'static str,
    /// How its county codes begin.
    fips: &'static str,
    /// How its ZIP codes begin: from, to. Empty where they are not known.
    zips: Vec<(&'static str, &'static str)>,
}

static STATES: LazyLock<Vec<State>> = LazyLock::new(|| {
    let lines = include_str!("codes/state.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(State::parse).collect()
});

impl State {
    fn parse(line: &'static str) -> Option<Self> {
        let mut words = line.split(' ');
        let (code, fips) = (words.next()?, words.next()?);
        let spans = words.flat_map(|spans| spans.split(','));
        let zips = spans.map(|span| span.split_once('-').unwrap_or((span, span))).collect();
        Some(Self { code, fips, zips })
    }

    fn of(code: &[u8]) -> Option<&'static Self> {
        STATES.iter().find(|state| code.eq_ignore_ascii_case(state.code.as_bytes()))
    }
}

/// Whether the county's code begins with the state's number; also where there is no such state.
pub(super) fn county_is_in_state(county: &[u8], state: &[u8]) -> bool {
    State::of(state).is_none_or(|state| county.starts_with(state.fips.as_bytes()))
}

/// Whether the ZIP code lies in one of the state's ranges; also where these are not known, but not
/// where there is no such state.
pub(super) fn zip_is_in_state(zip: &[u8], state: &[u8]) -> bool {
    let Some(state) = State::of(state) else { return false };
    let inside = |(low, high): &(&str, &str)| {
        let (low, high) = (low.as_bytes(), high.as_bytes());
        zip.starts_with(low) || zip.starts_with(high) || (low < zip && zip < high)
    };
    state.zips.is_empty() || state.zips.iter().any(inside)
}

/// The codes of a set, and how texts show them.
struct List {
    /// In upper case, sorted.
    sorted: Vec<&'static str>,
    shown: String,
}

impl List {
    /// From the codes of a text, separated by white space; lines that begin with `#` are remarks.
    fn parse(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self::of(lines.flat_map(str::split_whitespace).collect())
    }

    fn of(codes: Vec<&'static str>) -> Self {
        let shown = match codes.as_slice() {
            [first, second, _, .., before, last] => {
                format!("{first}, {second} ... {before}, {last}")
            }
            few => few.join(", "),
        };
        let mut sorted = codes;
        sorted.sort_unstable();
        Self { sorted, shown }
    }
}

macro_rules! value_sets {
    ($($name:ident = $text:literal, $list:expr;)*) => {
        /// A set of codes. Displays as texts name it: its name, its first and its last codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ValueSet { $(#[doc = concat!("`", $text, "`")] $name,)* }

        impl ValueSet {
            fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            fn list(self) -> &'static List {
                match self {
                    $(Self::$name => {
                        static LIST: LazyLock<List> = LazyLock::new(|| $list);
                        &LIST
                    })*
                }
            }
        }
    };
}

value_sets! {
    Sex = "SEX", List::parse("M F U");
    RaceWithUnk = "RACEWITHUNK", List::parse("1002-5 2028-9 2076-8 2054-5 2106-3 2131-1 UNK POL");
    Race = "RACE", List::parse("1002-5 2028-9 2076-8 2054-5 2106-3 2131-1");
    Ethnicity = "ETHNICITY", List::parse("2135-2 2186-5 UNK POL");
    County = "COUNTY", List::parse(include_str!("codes/county.txt"));
    State = "STATE", List::of(STATES.iter().map(|state| state.code).collect());
    Cvx = "CVX", List::parse(include_str!("codes/cvx.txt"));
    Ndc = "NDC", List::parse(include_str!("codes/ndc.txt"));
    Mvx = "MVX", List::parse(include_str!("codes/mvx.txt"));
    Site = "SITE", List::parse("LT LA LD LG LVL LLFA RT RA RD RG RVL RLFA");
    Route = "ROUTE", List::parse(
        "C38238 C28161 C38284 C38276 C38288 C38676 C38299 C38305 IM NS IN IV PO OTH SC TD"
    );
    Dose = "DOSE", List::parse("1 2 3 4 5 6 INV UNK");
    YesNo = "YES_NO", List::parse("YES NO");
    YesNoUnk = "YES_NO_UNK", List::parse("YES NO UNK");
    AdminType = "DCHTYPE2", List::parse(
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 UNK"
    );
}

impl ValueSet {
    /// Whether it is one of the codes, in any case.
    pub(super) fn contains(self, value: &[u8]) -> bool {
        let upper = || value.iter().map(u8::to_ascii_uppercase);
        self.list().sorted.binary_search_by(|code| code.bytes().cmp(upper())).is_ok()
    }

    /// Every code, sorted.
    #[cfg(test)]
    pub(super) fn codes(self) -> &'static [&'static str] {
        &self.list().sorted
    }
}

impl fmt::Display for ValueSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.name(), self.list().shown)
    }
}
