use std::{collections::HashSet, fs, io::Write};

use flate2::{Compression, write::DeflateEncoder};

use super::{pools::CITIES, *};
use crate::cvrs::{
    Field, Header, Need, RowKind,
    tests::{canonical, dch_2020, dch_2021, errors_of, shared, strict},
};

const MODELS: [Model; 3] = [Model::Redacted, Model::Identified, Model::Pprl];

fn rows(sample: Sample, count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for index in 0..count {
        sample.write_row(index, &mut out);
        out.push(b'\n');
    }
    out
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

#[test]
fn rows_are_valid_under_every_profile_as_records_and_as_deletes() {
    for model in MODELS {
        let sample = Sample::new(3, model);
        let header = Header::parse(sample.header_line().as_bytes(), Need::All).unwrap();
        for row in lines(&rows(sample, 500)) {
            for rules in [dch_2020(), dch_2021(), strict()] {
                for kind in [RowKind::Full, RowKind::Delete] {
                    assert_eq!(errors_of(&rules, &header, kind, row), [""; 0]);
                }
            }
        }
    }
}

#[test]
fn bytes_never_change() {
    let digests = MODELS.map(|model| blake3::hash(&rows(Sample::new(42, model), 200)).to_string());
    assert_eq!(
        digests,
        [
            "7788d97e1fe9ba7abdc848c6a2c1ffb6aaa015d01ecbf0dc6ad0d915833d033e",
            "b047fc7a360cf20f67a36ad90080c44209ef54555cc09ca17e7f8526df4f496f",
            "d8145e8f5a5271552f2c973b571a4cdfe2345b3a9fae55e4781e5216e03cd977",
        ]
    );
}

#[test]
fn a_row_depends_on_seed_and_index_alone() {
    let sample = Sample::new(5, Model::Identified);
    let text = rows(sample, 20);
    let mut seventh = b"kept ".to_vec();
    sample.write_row(7, &mut seventh);
    assert_eq!(seventh, [b"kept ", lines(&text).nth(7).unwrap()].concat());
    assert_ne!(rows(Sample::new(6, Model::Identified), 20), text);
    let mut far = Vec::new();
    sample.write_row(u64::MAX, &mut far);
    assert_eq!(far.split(|b| *b == b'\t').count(), 45);
}

#[test]
fn sizes_are_those_of_real_files() {
    let text = rows(Sample::new(1, Model::Identified), 20_000);
    let mut zip = DeflateEncoder::new(Vec::new(), Compression::new(6));
    zip.write_all(&text).unwrap();
    let (plain, zipped) = (text.len() / 20_000, zip.finish().unwrap().len() / 20_000);
    assert!((310..=330).contains(&plain), "{plain} bytes a row");
    assert!((95..=106).contains(&zipped), "{zipped} bytes a row when zipped");
}

#[test]
fn ids_have_36_characters_and_are_all_different() {
    let text = rows(Sample::new(9, Model::Redacted), 5_000);
    let header = canonical();
    let mut seen = HashSet::new();
    for row in lines(&text) {
        for id in [header.event_id(row), header.recip_id(row)] {
            let id = uuid::Uuid::try_parse_ascii(id).unwrap();
            assert_eq!(id.get_version_num(), 4);
            assert!(seen.insert(id));
        }
    }
}

#[test]
fn a_model_shows_what_it_should() {
    let header = canonical();
    for model in MODELS {
        let mut row = Vec::new();
        Sample::new(2, model).write_row(0, &mut row);
        let redacted = header.cell(&row, Field::RecipAddressStreet2) == b"Redacted";
        assert_eq!(redacted, model != Model::Identified);
        assert_eq!(header.cell(&row, Field::PprlId).is_empty(), model != Model::Pprl);
        let kind = match model {
            Model::Redacted => b"D",
            Model::Identified => b"I",
            Model::Pprl => b"P",
        };
        assert_eq!(header.cell(&row, Field::ExtType), kind);
    }
}

#[test]
fn dates_lie_in_their_spans() {
    let text = rows(Sample::new(4, Model::Identified), 5_000);
    let header = canonical();
    let shots: Vec<_> = lines(&text).map(|row| header.cell(row, Field::AdminDate)).collect();
    assert!(*shots.iter().min().unwrap() >= &b"2020-12-14"[..]);
    assert!(*shots.iter().max().unwrap() <= &b"2022-12-31"[..]);
    assert_eq!(shots.iter().max().unwrap(), b"2022-12-31");
    let births = lines(&text).map(|row| header.cell(row, Field::RecipDob));
    assert!(births.max().unwrap() <= &b"2009-12-31"[..]);
}

#[test]
fn counties_states_and_zips_belong_together() {
    let Some(path) = shared("spec/valuesets/COUNTY.txt") else { return };
    let counties = fs::read_to_string(path).unwrap();
    let states = fs::read_to_string(shared("spec/valuesets/STATE.txt").unwrap()).unwrap();
    for city in CITIES {
        let county = counties.lines().find(|line| line.starts_with(city.county)).unwrap();
        assert!(county.trim_end().ends_with(&format!(", {}", city.state)), "{county}");
        let state = states.lines().find(|line| line.starts_with(city.state)).unwrap();
        let zips = state.split('\t').nth(3).unwrap();
        let inside = zips.split(',').any(|span| {
            let (low, high) = span.split_once('-').unwrap_or((span, span));
            (low..=high).contains(&&city.zip[..low.len()])
        });
        assert!(inside, "{} is not of {state}", city.zip);
    }
}
