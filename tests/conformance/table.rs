//! The table of rows says what exists, and leaves nothing out.

use std::{collections::BTreeSet, fs, path::Path};

use crate::support::shared::shared;

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

/// Sections of the report that say nothing of the interface, or of a part that is not here.
const NOT_IN_SCOPE: [(&str, &str); 6] = [
    ("0", "orientation"),
    ("1.9", "export, which is row 11 of section 1.1"),
    ("6.1", "another validator: the profile `strict`, see tests/validation"),
    ("6.2", "other software"),
    ("8", "a plan of these tests"),
    ("10", "sources"),
];
/// Sections whose tables are taken as a whole.
const TAKEN_AS_A_WHOLE: [(&str, &str); 4] = [
    ("1.4", "properties of one request"),
    ("1.5", "properties of one answer"),
    ("4.3", "the 45 columns, which the tests walk"),
    ("4.5", "the value sets, which the test walks"),
];

/// Number of a heading such as `### 1.2 Headers`.
fn heading(line: &str) -> Option<&str> {
    let title = line.strip_prefix("### ").or_else(|| line.strip_prefix("## "))?;
    let number = title.split(' ').next()?.trim_end_matches('.');
    number.starts_with(|c: char| c.is_ascii_digit()).then_some(number)
}

/// First cell of a line of a table that is not its head's rule.
fn first_cell(line: &str) -> Option<&str> {
    let cell = line.strip_prefix("| ")?.split(" |").next()?.trim();
    (!cell.starts_with("---")).then_some(cell)
}

/// What names a row: numbers, or one word in backticks.
fn row_names(cell: &str) -> Vec<String> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if cell.split(", ").all(is_number) {
        return cell.split(", ").map(str::to_owned).collect();
    }
    let name = cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    name.filter(|name| !name.contains(['`', ' ']))
        .map(|name| format!("`{name}`"))
        .into_iter()
        .collect()
}

/// Rows of this folder's table, as `section` and first cell; one cell may name several sections.
fn told_rows() -> Vec<(String, String)> {
    let text = fs::read_to_string(folder().join("README.md")).unwrap();
    let (mut chapter, mut rows) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(number) = heading(line) {
            number.clone_into(&mut chapter);
        } else if let Some(cell) = first_cell(line).filter(|cell| !["row", "#"].contains(cell)) {
            let is_section =
                |word: &&str| word.starts_with(&format!("{chapter}.")) && !word.ends_with('.');
            let sections: Vec<_> = cell.split([' ', ',']).filter(is_section).collect();
            let sections = if sections.is_empty() { vec![&*chapter] } else { sections };
            rows.extend(sections.iter().map(|section| ((*section).to_owned(), cell.to_owned())));
        }
    }
    rows
}

#[test]
fn every_section_and_row_of_the_report_stands_in_the_table() {
    let Some(path) = shared("reference/domain.md") else { return };
    let report = fs::read_to_string(path).unwrap();
    let told = told_rows();
    let has = |section: &str, name: &str| {
        let words = |cell: &str| -> BTreeSet<String> {
            cell.split([' ', ',']).map(str::to_owned).collect()
        };
        told.iter().any(|(s, cell)| s == section && words(cell).contains(name))
    };
    let excluded = |list: &[(&str, &str)], section: &str| list.iter().any(|(s, _)| *s == section);
    let numbers: Vec<_> = report.lines().filter_map(heading).collect();
    // A section with parts is told by its parts.
    let whole = |number: &str| numbers.iter().any(|n| n.starts_with(&format!("{number}.")));
    let mut missing = BTreeSet::new();
    for section in numbers.iter().filter(|n| !whole(n) && !excluded(&NOT_IN_SCOPE, n)) {
        if !told.iter().any(|(s, _)| s == section) {
            missing.insert(format!("section {section}"));
        }
    }
    let (mut section, mut rows) = ("", 0);
    for line in report.lines() {
        section = heading(line).unwrap_or(section);
        let skipped = [&NOT_IN_SCOPE[..], &TAKEN_AS_A_WHOLE].iter().any(|l| excluded(l, section));
        for name in first_cell(line).filter(|_| !skipped).map(row_names).unwrap_or_default() {
            rows += 1;
            if !has(section, &name) {
                missing.insert(format!("{section} {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in the table: {missing:#?}");
    assert!(rows >= 11 + 13 + 10, "the report's rows were found: {rows}");
    for (section, cell) in &told {
        assert!(numbers.contains(&&**section), "{cell} is of no section of the report");
    }
    for (section, why) in NOT_IN_SCOPE.iter().chain(&TAKEN_AS_A_WHOLE) {
        assert!(numbers.contains(section), "{section}, {why}, is not in the report");
    }
}
