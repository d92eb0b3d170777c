//! Ids that a file has already had.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, Hasher, RandomState},
};

use siphasher::sip128::{Hasher128, SipHasher13};

/// Tables that the ids are spread over. Each grows by itself, so that growing takes little at once, and
/// there are so many that those of the 5,000,000 rows of `intake.max_rows` are full without doubling.
const TABLES: u8 = 180;

/// A part of an id's hash; the table is another.
type Part = [u8; 11];
/// The number of a line, as bytes so that an entry has no padding.
type Line = [u8; 4];

/// The line of the first row with each id. Holds 88 bits of a keyed hash and four bytes of line for an
/// id, not the id, so that its size depends on the number of rows alone. With the table they are 95
/// bits: 5,000,000 ids of which two look alike come up once in some 10^15 files.
pub(super) struct Seen {
    hasher: SipHasher13,
    tables: Vec<HashMap<Part, Line>>,
}

impl Seen {
    /// With a key of its own, so that nobody can make up two ids that look alike.
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        let hasher = SipHasher13::new_with_keys(random.hash_one(0_u8), random.hash_one(1_u8));
        Self { hasher, tables: vec![HashMap::new(); TABLES.into()] }
    }

    /// The line of the first row with that id, in any case; `None` where this is the first, which is
    /// noted, or where the id is null.
    pub(super) fn first(&mut self, id: &[u8], line: u64) -> Option<u64> {
        if id.is_empty() {
            return None;
        }
        let (table, part) = self.place(id);
        match self.tables.get_mut(table)?.entry(part) {
            Entry::Occupied(first) => Some(u32::from_be_bytes(*first.get()).into()),
            Entry::Vacant(free) => {
                free.insert(u32::try_from(line).unwrap_or(u32::MAX).to_be_bytes());
                None
            }
        }
    }

    /// The table by the hash's greatest bits, and the part by its least.
    fn place(&self, id: &[u8]) -> (usize, Part) {
        let mut hasher = self.hasher;
        hasher.write(&id.to_ascii_uppercase());
        let hash = hasher.finish128().as_u128();
        let [table, ..] = (((hash >> 64) * u128::from(TABLES)) << 56).to_be_bytes();
        let mut part = Part::default();
        part.iter_mut().zip(hash.to_le_bytes()).for_each(|(to, from)| *to = from);
        (table.into(), part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_again_in_any_case_with_the_line_of_its_first_row() {
        let mut seen = Seen::new();
        for (id, line, first) in [
            ("EV-1", 2, None),
            ("ev-1", 3, Some(2)),
            ("EV-1 ", 4, None),
            ("", 5, None),
            ("", 6, None),
            ("Ev-1", 7, Some(2)),
            ("late", u64::MAX, None),
            ("LATE", u64::MAX, Some(u32::MAX.into())),
        ] {
            assert_eq!(seen.first(id.as_bytes(), line), first, "{id} in line {line}");
        }
    }

    #[test]
    fn as_many_ids_as_a_file_may_have_are_told_apart_in_less_than_100_mb() {
        let mut seen = Seen::new();
        for line in 0..5_000_000_u64 {
            assert_eq!(seen.first(format!("EV-{line}").as_bytes(), line), None);
        }
        // Seven of eight slots can be taken, and each has a byte beside its entry.
        let slots: usize = seen.tables.iter().map(|table| table.capacity() / 7 * 8).sum();
        let bytes = slots * (size_of::<(Part, Line)>() + 1);
        assert!(bytes < 100_000_000, "{bytes}");
        for line in [0, 1, 2_500_000, 4_999_999] {
            assert_eq!(seen.first(format!("ev-{line}").as_bytes(), 9), Some(line));
        }
    }
}
