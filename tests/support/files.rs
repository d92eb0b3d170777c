//! CVRS files for tests.

use std::io::{Cursor, Write};

use cvrsd::cvrs::sample::{Model, Sample};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// The text of a file with those rows of the generator.
pub fn text(seed: u64, rows: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let sample = Sample::new(seed, Model::Identified);
    let mut out = sample.header_line().as_bytes().to_vec();
    for index in rows {
        out.push(b'\n');
        sample.write_row(index, &mut out);
    }
    out.push(b'\n');
    out
}

/// A zip with that text as its one entry.
pub fn zip(text: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("20210101_01_AAA.txt", options).unwrap();
    zip.write_all(text).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A copy of the row with one cell, by its place in the canonical order, set to something else.
pub fn with_cell(row: &str, column: usize, value: &str) -> String {
    let mut cells: Vec<&str> = row.split('\t').collect();
    cells[column] = value;
    cells.join("\t")
}
