//! Made-up files and what is to be expected of them.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    cvrs::{
        Field,
        sample::{Model as People, Sample},
        with_cell,
    },
    domain::Operation,
};

/// A file of text as it is put together.
pub(super) struct Text {
    sample: Sample,
    bytes: Vec<u8>,
    /// Number of the last line.
    pub(super) line: u64,
    /// Line and row of each valid row.
    pub(super) valid: Vec<(u64, Vec<u8>)>,
    /// Line and column of each validation error.
    pub(super) errors: Vec<(u64, &'static str)>,
    /// Rows, valid or not.
    pub(super) rows: u64,
}

impl Text {
    /// A file with the full header.
    pub(super) fn new() -> Self {
        let sample = Sample::new(7, People::Identified);
        let bytes = format!("{}\r\n", sample.header_line()).into_bytes();
        Self { sample, bytes, line: 1, valid: Vec::new(), errors: Vec::new(), rows: 0 }
    }

    /// Valid rows with these numbers.
    pub(super) fn of(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut text = Self::new();
        numbers.into_iter().for_each(|number| text.valid(number));
        text
    }

    /// Rows with these numbers and, among them, all that can be odd: rows that are not valid, ids a
    /// second time and in another case, empty lines, both kinds of line ends.
    pub(super) fn mixed(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut text = Self::new();
        for number in numbers {
            match number % 10 {
                2 => text.invalid(number, Field::VaxEventId, ""),
                3 => text.invalid(number, Field::RecipSex, "X"),
                5 => {
                    text.valid(number);
                    text.valid(number);
                }
                6 => {
                    text.valid(number);
                    text.shouted(number);
                }
                7 => {
                    text.empty("\r\n");
                    text.valid(number);
                    text.empty("\n");
                }
                _ => text.valid(number),
            }
        }
        text
    }

    pub(super) fn row(&self, number: u64) -> Vec<u8> {
        let mut row = Vec::new();
        self.sample.write_row(number, &mut row);
        row
    }

    pub(super) fn valid(&mut self, number: u64) {
        let row = self.row(number);
        self.push_valid(row, if number.is_multiple_of(2) { "\n" } else { "\r\n" });
    }

    /// The row with its id in the other case.
    fn shouted(&mut self, number: u64) {
        let row = self.row(number);
        let id = id_of(&row).to_ascii_uppercase();
        let row = with_cell(&row, Field::VaxEventId, id.as_bytes());
        self.push_valid(row, "\n");
    }

    pub(super) fn invalid(&mut self, number: u64, field: Field, value: &str) {
        let row = with_cell(&self.row(number), field, value.as_bytes());
        self.push(&row, "\n");
        self.rows += 1;
        self.errors.push((self.line, field.name()));
    }

    pub(super) fn empty(&mut self, end: &str) {
        self.push(b"", end);
    }

    pub(super) fn push_valid(&mut self, row: Vec<u8>, end: &str) {
        self.push(&row, end);
        self.rows += 1;
        self.valid.push((self.line, row));
    }

    fn push(&mut self, row: &[u8], end: &str) {
        self.bytes.extend_from_slice(row);
        self.bytes.extend_from_slice(end.as_bytes());
        self.line += 1;
    }

    /// Any bytes instead.
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.bytes = bytes.to_vec();
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn zipped(&self) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file("rows.txt", options).unwrap();
        zip.write_all(&self.bytes).unwrap();
        zip.finish().unwrap().into_inner()
    }
}

pub(super) fn id_of(row: &[u8]) -> String {
    String::from_utf8(row.split(|byte| *byte == b'\t').next().unwrap().to_vec()).unwrap()
}

/// One storage as the contract has it, row by row.
#[derive(Clone, Default)]
pub(super) struct Model(BTreeMap<String, Vec<u8>>);

impl Model {
    /// Applies these valid rows; returns the lines without effect.
    pub(super) fn apply(&mut self, operation: Operation, valid: &[(u64, Vec<u8>)]) -> Vec<u64> {
        let mut missed = Vec::new();
        for (line, row) in valid {
            let id = id_of(row).to_ascii_lowercase();
            if self.0.contains_key(&id) == (operation == Operation::Create) {
                missed.push(*line);
            } else if operation == Operation::Delete {
                self.0.remove(&id);
            } else {
                self.0.insert(id, row.clone());
            }
        }
        missed
    }

    /// All that is live, sorted.
    pub(super) fn rows(&self) -> Vec<Vec<u8>> {
        let mut rows: Vec<_> = self.0.values().cloned().collect();
        rows.sort();
        rows
    }
}
