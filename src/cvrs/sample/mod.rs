//! Made-up CVRS files, the same for the same seed on every machine and in every release.
//!
//! Rows are valid under every profile with its default bounds. Each depends on the seed and its
//! index alone, so any of them can be written at any time. Nobody in them exists.

mod cells;
mod pools;
mod random;

use jiff::{Span, civil::Date};

use super::canonical_header;
use cells::Row;
use pools::{
    CITIES, FIRST_NAMES, INITIALS, LAST_NAMES, ORGS, Org, PROVIDERS, RACES, SITES, STREETS, UNITS,
    VACCINES, YES_NO_UNKNOWN,
};
use random::Random;

const FIRST_BIRTH: Date = Date::constant(1931, 1, 1);
/// Days over which births spread, to the end of 2009.
const BIRTH_DAYS: u64 = 28_854;
const FIRST_SHOT: Date = Date::constant(2020, 12, 14);
/// Days over which shots spread, to the end of 2022.
const SHOT_DAYS: u64 = 748;

/// How much of a person a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Names, streets and city read `Redacted`.
    Redacted,
    /// Everything.
    Identified,
    /// Redacted, with an identifier for linking records across senders.
    Pprl,
}

/// A file of made-up rows.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    seed: u64,
    model: Model,
}

impl Sample {
    /// The file of that seed and model.
    #[must_use]
    pub fn new(seed: u64, model: Model) -> Self {
        Self { seed, model }
    }

    /// The header line, without a line feed.
    #[must_use]
    pub fn header_line(&self) -> &'static str {
        canonical_header()
    }

    /// Appends the row of that index, without a line feed. Indexes count from 0.
    pub fn write_row(&self, index: u64, out: &mut Vec<u8>) {
        let mut random = Random::of_row(self.seed, index);
        let mut row = Row::new(out);
        self.write_ids(&mut row, &mut random);
        self.write_person(&mut row, &mut random);
        write_races(&mut row, &mut random);
        write_shot(&mut row, &mut random);
        write_provider(&mut row, &mut random);
        row.text("NO");
        row.text(random.pick(&YES_NO_UNKNOWN));
        row.text(random.pick(&YES_NO_UNKNOWN));
        // Every cell wrote a tab behind it.
        out.pop();
    }

    /// `vax_event_id` to `recip_id`.
    fn write_ids(&self, row: &mut Row<'_>, random: &mut Random) {
        row.uuid(random);
        match self.model {
            Model::Redacted => row.texts(&["D", ""]),
            Model::Identified => row.texts(&["I", ""]),
            Model::Pprl => {
                row.text("P");
                row.link(random);
            }
        }
        row.uuid(random);
    }

    /// `recip_first_name` to `recip_address_zip`.
    fn write_person(&self, row: &mut Row<'_>, random: &mut Random) {
        let city = random.pick(&CITIES);
        let born = random.day(FIRST_BIRTH, BIRTH_DAYS);
        let sex = random.pick(&["F", "M"]);
        if self.model == Model::Identified {
            row.text(random.pick(&FIRST_NAMES));
            row.text(random.pick(&INITIALS));
            row.text(random.pick(&LAST_NAMES));
            row.date(born);
            row.text(sex);
            row.number_before(random.between(1, 999), random.pick(&STREETS));
            row.number_behind(random.pick(&UNITS), random.between(1, 250));
            row.text(city.name);
        } else {
            row.texts(&["Redacted"; 3]);
            row.date(born);
            row.text(sex);
            row.texts(&["Redacted"; 3]);
        }
        row.texts(&[city.county, city.state, city.zip]);
    }
}

/// `recip_race_1` to `recip_ethnicity`.
fn write_races(row: &mut Row<'_>, random: &mut Random) {
    let first = random.pick(&RACES);
    let second = random.pick(&RACES);
    let both = random.below(12) == 0 && first != second && second != "UNK";
    row.text(first);
    row.text(if both { second } else { "" });
    row.texts(&[""; 4]);
    row.text(if random.below(6) == 0 { "2135-2" } else { "2186-5" });
}

/// `admin_date` to `vax_series_complete`.
fn write_shot(row: &mut Row<'_>, random: &mut Random) {
    let shot = random.day(FIRST_SHOT, SHOT_DAYS);
    let vaccine = random.pick(&VACCINES);
    let dose = random.between(1, 3);
    row.date(shot);
    row.texts(&[vaccine.cvx, vaccine.ndc, vaccine.mvx]);
    row.number_behind(vaccine.lot, 1_000 + random.below(900) * 10);
    row.date(random.day(shot.saturating_add(Span::new().days(30)), 150));
    row.text(random.pick(&SITES));
    row.text("C28161");
    row.number(dose);
    row.text(if dose >= vaccine.doses { "YES" } else { "NO" });
}

/// `responsible_org` to `admin_address_zip`, the same for every row of a provider.
fn write_provider(row: &mut Row<'_>, random: &mut Random) {
    let number = random.below(PROVIDERS);
    let mut random = Random::of_row(PROVIDERS, number);
    let Org { name, branch, kind } = random.pick(&ORGS);
    let city = random.pick(&CITIES);
    row.text(name);
    row.number_behind(branch, 100 + number);
    row.number(random.between(100_000, 999_999));
    row.text(kind);
    row.number_before(random.between(1, 999), random.pick(&STREETS));
    row.text("");
    row.texts(&[city.name, city.county, city.state, city.zip]);
}

#[cfg(test)]
mod tests;
