use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};

use super::*;
use crate::cvrs::tests::{dch_2020, dch_2021, errors_of};

const MODELS: [Model; 3] = [Model::Redacted, Model::Identified, Model::Pprl];

fn text(sample: Sample, rows: u64) -> Vec<u8> {
    let mut out = sample.header_line().as_bytes().to_vec();
    out.push(b'\n');
    for index in 0..rows {
        sample.write_row(index, &mut out);
        out.push(b'\n');
    }
    out
}

#[test]
fn x() {
    let sample = Sample::new(1, Model::Identified);
    let text = text(sample, 20000);
    println!("{}", String::from_utf8_lossy(&text[..2500]));
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::new(6));
    deflate.write_all(&text).unwrap();
    println!("{} {}", text.len() as f64 / 20000., deflate.finish().unwrap().len() as f64 / 20000.);
}
