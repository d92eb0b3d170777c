//! The tables of rules in `docs/VALIDATION.md` are made from the table of the checker.
//!
//! `CVRSD_UPDATE=1 cargo nextest run the_document_shows_every_rule` writes them anew.

use std::{env, fmt::Write, fs};

use super::*;

#[test]
fn the_document_shows_every_rule() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/VALIDATION.md");
    let mut text = fs::read_to_string(&path).unwrap();
    let before = text.clone();
    for (name, table) in [("dch", dch_table()), ("strict", strict_table())] {
        let (start, end) = (format!("<!-- rules: {name} -->\n"), "<!-- end -->");
        let from = text.find(&start).expect("the document has the table's place") + start.len();
        let to = from + text[from..].find(end).expect("the table's place has an end");
        text.replace_range(from..to, &table);
    }
    if env::var_os("CVRSD_UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
        return;
    }
    assert!(
        text == before,
        "run this test with CVRSD_UPDATE=1: docs/VALIDATION.md is not as the rules"
    );
}

fn dch_table() -> String {
    let mut table =
        "\n| column | profile | rows | when | code | text |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for entry in TABLE.iter().filter(|e| !e.profiles.contains(&Profile::Strict)) {
        let profiles = match entry.profiles {
            [one] => format!("`{}`", one.as_str()),
            _ => "both".to_owned(),
        };
        let rows = match entry.kinds {
            [_, _] => "all",
            _ => "no deletes",
        };
        let bound = match entry.rule {
            Rule::NotTooEarly => Bound::Day(date(2020, 12, 1)),
            Rule::NumberOrUnk => Bound::Number(28),
            _ => Bound::None,
        };
        writeln!(
            table,
            "| `{}` | {profiles} | {rows} | {} | `{}` | `{}` |",
            entry.field.name(),
            entry.rule.condition(),
            entry.code,
            entry.text(bound)
        )
        .unwrap();
    }
    table.push('\n');
    table
}

fn strict_table() -> String {
    let mut table = "\n| column | code | when | text |\n|---|---|---|---|\n".to_owned();
    for entry in TABLE.iter().filter(|e| e.profiles.contains(&Profile::Strict)) {
        let text = entry.text(Bound::Line(2)).to_string().replace('|', "\\|");
        let (name, condition) = (entry.field.name(), entry.rule.condition());
        writeln!(table, "| `{name}` | `{}` | {condition} | `{text}` |", entry.code).unwrap();
    }
    table.push('\n');
    table
}
