//! The table of rows says what exists.

use std::{collections::BTreeSet, fs, path::Path};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance"))
}

/// Names of tests of the sections, out of the source.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let line = line.trim_start().trim_start_matches("async ");
            let Some(rest) = line.strip_prefix("fn s") else { continue };
            if rest.starts_with(|c: char| c.is_ascii_digit()) {
                let name = rest.split('(').next().unwrap();
                assert!(names.insert(format!("s{name}")), "s{name} stands twice");
            }
        }
    }
    names
}

#[test]
fn every_test_stands_in_the_table_once_and_no_other() {
    let text = fs::read_to_string(folder().join("README.md")).unwrap();
    let mut told = BTreeSet::new();
    for name in text.split('`').skip(1).step_by(2) {
        let section = name.strip_prefix('s').is_some_and(|rest| rest.starts_with(char::is_numeric));
        if section && !name.contains('.') {
            assert!(told.insert(name.to_owned()), "{name} stands twice in the table");
        }
    }
    let tests = tests();
    let missing: Vec<_> = tests.difference(&told).collect();
    let gone: Vec<_> = told.difference(&tests).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not told: {missing:#?}, gone: {gone:#?}");
}
