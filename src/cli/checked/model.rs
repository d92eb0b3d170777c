//! What files should do, worked out from the files alone and without any of the daemon's
//! own code: a map of live records, and the rules as the contract words them.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    hash::{DefaultHasher, Hasher},
    io::{self, BufRead, BufReader},
    path::Path,
};

/// The storages in the order in which results list them.
pub const STORAGES: [&str; 2] = ["NON_REDACTED_DB", "REDACTED_DB"];

/// The columns that the redacted storage hides.
const REDACTED: [&str; 6] = [
    "recip_first_name",
    "recip_middle_name",
    "recip_last_name",
    "recip_address_street",
    "recip_address_street_2",
    "recip_address_city",
];

/// Live records: id in lower case to one fingerprint for each storage.
#[derive(Default)]
pub struct Model {
    /// The columns, in the order of the files that create.
    pub header: String,
    live: HashMap<String, [u64; 2]>,
}

/// What a file should have done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Data rows.
    pub rows: u64,
    /// Rows that break no rule.
    pub valid: u64,
    /// Rows that took effect.
    pub applied: u64,
    /// The error report, in its order: line and storage (none for a validation error).
    pub errors: Vec<(u64, Option<&'static str>)>,
}

impl Expected {
    /// Rows that break a rule.
    pub fn invalid(&self) -> u64 {
        self.rows - self.valid
    }

    /// Valid rows without effect.
    pub fn missed(&self) -> u64 {
        self.valid - self.applied
    }

    /// Lists rows without effect, as a report does.
    fn miss(&mut self, lines: &[u64]) {
        for storage in STORAGES {
            self.errors.extend(lines.iter().map(|line| (*line, Some(storage))));
        }
    }
}

impl Model {
    /// Makes the records of a file whose rows are all valid and tells what that should look like.
    pub fn create(&mut self, path: &Path) -> io::Result<Expected> {
        let mut lines = BufReader::new(File::open(path)?).lines();
        self.header = lines.next().transpose()?.unwrap_or_default();
        let mut expected = Expected::default();
        let mut missed = Vec::new();
        for (line, number) in lines.zip(2..) {
            let line = line?;
            expected.rows += 1;
            expected.valid += 1;
            let prints = [fingerprint(&line), fingerprint(&self.redacted(&line))];
            match self.live.entry(self.id(&line).to_ascii_lowercase()) {
                Entry::Occupied(_) => missed.push(number),
                Entry::Vacant(place) => {
                    place.insert(prints);
                    expected.applied += 1;
                }
            }
        }
        expected.miss(&missed);
        Ok(expected)
    }

    /// Deletes what a file names and tells what that should look like.
    pub fn delete(&mut self, path: &Path) -> io::Result<Expected> {
        let mut lines = BufReader::new(File::open(path)?).lines();
        let header = lines.next().transpose()?.unwrap_or_default();
        let columns: Vec<&str> = header.split('\t').collect();
        let mut expected = Expected::default();
        let mut missed = Vec::new();
        for (line, number) in lines.zip(2..) {
            let line = line?;
            let row: HashMap<&str, &str> = columns.iter().copied().zip(line.split('\t')).collect();
            expected.rows += 1;
            let id = row.get("vax_event_id").copied().unwrap_or_default();
            let dob = row.get("recip_dob").copied().unwrap_or_default();
            if id.is_empty() || id.chars().count() > 255 || !(dob.is_empty() || is_date(dob)) {
                expected.errors.push((number, None));
                continue;
            }
            expected.valid += 1;
            match self.live.remove(&id.to_ascii_lowercase()) {
                Some(_) => expected.applied += 1,
                None => missed.push(number),
            }
        }
        expected.miss(&missed);
        Ok(expected)
    }

    /// Live records.
    pub fn live(&self) -> u64 {
        self.live.len() as u64
    }

    /// Whether a storage should show this row for one of its records.
    pub fn shows(&self, storage: usize, row: &str) -> bool {
        let prints = self.live.get(&self.id(row).to_ascii_lowercase());
        prints.and_then(|p| p.get(storage)).is_some_and(|print| *print == fingerprint(row))
    }

    /// The id of a row in the order of the columns.
    pub fn id<'a>(&self, row: &'a str) -> &'a str {
        let mut cells = self.header.split('\t').zip(row.split('\t'));
        cells.find(|(column, _)| *column == "vax_event_id").map_or("", |(_, cell)| cell)
    }

    fn redacted(&self, row: &str) -> String {
        let cells = self.header.split('\t').zip(row.split('\t'));
        let shown: Vec<&str> = cells
            .map(|(column, cell)| if REDACTED.contains(&column) { "Redacted" } else { cell })
            .collect();
        shown.join("\t")
    }
}

fn fingerprint(row: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(row.as_bytes());
    hasher.finish()
}

fn is_date(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_delete_counts_rows_by_what_they_find() {
        let create = file("vax_event_id\trecip_last_name\nA\tDoe\nB\tRoe\nC\tPoe\n");
        let mut model = Model::default();
        model.create(create.path()).unwrap();
        let long = "x".repeat(256);
        let delete = file(&format!(
            "recip_dob\tvax_event_id\n\ta\n\tA\n\t\n2021-02-30\tB\n\tzz\n\t{long}\n2021-02-28\tb\n"
        ));
        let expected = model.delete(delete.path()).unwrap();
        assert_eq!((expected.rows, expected.valid, expected.applied), (7, 4, 2));
        assert_eq!((expected.invalid(), expected.missed()), (3, 2));
        let (first, second) = (Some(STORAGES[0]), Some(STORAGES[1]));
        let errors =
            [(4, None), (5, None), (7, None), (3, first), (6, first), (3, second), (6, second)];
        assert_eq!(expected.errors, errors);
        assert_eq!(model.live(), 1);
    }

    #[test]
    fn a_create_counts_rows_by_whether_their_record_is_new() {
        let create = file("vax_event_id\trecip_last_name\nA\tDoe\na\tRoe\nC\tPoe\n");
        let mut model = Model::default();
        let expected = model.create(create.path()).unwrap();
        assert_eq!((expected.rows, expected.valid, expected.applied), (3, 3, 2));
        assert_eq!(expected.errors, STORAGES.map(|storage| (3, Some(storage))));
        assert!(model.shows(0, "A\tDoe") && model.live() == 2);
    }

    #[test]
    fn a_live_row_is_shown_whole_or_redacted() {
        let create = file("vax_event_id\trecip_last_name\nA\tDoe\n");
        let mut model = Model::default();
        model.create(create.path()).unwrap();
        assert!(model.shows(0, "A\tDoe") && !model.shows(0, "A\tRedacted"));
        assert!(model.shows(1, "A\tRedacted") && !model.shows(1, "A\tDoe"));
        assert!(!model.shows(0, "B\tDoe") && !model.shows(2, "A\tDoe"));
    }
}
