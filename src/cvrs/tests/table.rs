//! Each rule of the table is broken by a row that breaks nothing else, and kept by one at its edge.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{rules::tsv_cells, *};

/// What is other than in the good row.
type Edits = Vec<(Field, String)>;

/// Rows that try one rule.
#[derive(Default)]
struct Trial {
    good: Vec<Edits>,
    bad: Vec<Edits>,
    /// Codes of rules that cannot but break with it.
    also: &'static [&'static str],
}

impl Trial {
    fn values(entry: &Entry, good: &[&str], bad: &[&str]) -> Self {
        let edits = |values: &[&str]| {
            values.iter().map(|v| vec![(entry.field, (*v).to_owned())]).collect::<Vec<_>>()
        };
        Self { good: edits(good), bad: edits(bad), also: &[] }
    }

    fn with(mut self, edits: &[(Field, &str)]) -> Self {
        for row in self.good.iter_mut().chain(&mut self.bad) {
            row.extend(edits.iter().map(|(field, value)| (*field, (*value).to_owned())));
        }
        self
    }

    fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    fn of(entry: &Entry) -> Self {
        let values = |good: &[&str], bad: &[&str]| Self::values(entry, good, bad);
        let good = text_of(&base(), entry.field);
        match entry.rule {
            Rule::NotNull => values(&[&good], &[""]),
            Rule::NotNullUnlessRefusal => {
                let mut trial = values(&[&good], &[""]);
                let refusal = [(entry.field, String::new()), (Field::VaxRefusal, "YES".to_owned())];
                trial.good.push(refusal.to_vec());
                trial
            }
            Rule::Length(max) => values(&["", &"é".repeat(max)], &[&"é".repeat(max + 1)]),
            Rule::Date => values(&["2021-02-28", "2021-02"], &["2021-02-29", "2021-2-1", " "]),
            Rule::OneOf(codes) => values(codes.values, &["7", "X Y"]),
            Rule::County => values(&["00000", " 26001 "], &["2600", "260011", "2600x"]),
            Rule::State => values(&["mi", "ZZ"], &["M", "MIC", "M1"]),
            Rule::Zip => values(&["48877", "48877-1234"], &["4887", "48877-", "48877-12345"]),
            Rule::Number => values(&["0", "00208"], &["2O8", "-1"]),
            Rule::SixDigits => values(&["", "012345"], &["12345", "1234567", "12345a"]),
            Rule::NumberOrUnk => values(&["1", "unk"], &["0", "43", "01"]),
            Rule::NotTooEarly => values(&["2020-12-02", "2020-12"], &["2020-12-01", "2020-11"])
                .with(&[(Field::RecipDob, "1950-01")]),
            Rule::NotAfterSubmission => values(&["2023-02-01", "2023-02"], &["2023-02-02"]),
            Rule::BornBefore => values(&["2021-05-01", "2021-05"], &["2021-05-02", "2021-06"])
                .with(&[(Field::AdminDate, "2021-05-01")]),
            _ => Self::of_strict(entry, &good),
        }
    }

    fn of_strict(entry: &Entry, held: &str) -> Self {
        let values = |good: &[&str], bad: &[&str]| Self::values(entry, good, bad);
        match entry.rule {
            Rule::RequiredFor(event) => {
                let also: &[_] = match entry.field {
                    Field::RecipDob | Field::AdminDate => &["BUSR005"],
                    _ => &[],
                };
                let trial = values(&[held], &[""]).also(also);
                if event == Event::Refusal { trial.with(&REFUSAL) } else { trial }
            }
            Rule::AbsentFor(_) => {
                let (mut good, mut bad) = (edits(&REFUSAL), edits(&REFUSAL));
                good.push((entry.field, String::new()));
                bad.push((entry.field, held.to_owned()));
                Self { good: vec![good], bad: vec![bad], also: &[] }
            }
            Rule::AtMost(max) => at_most(entry, max),
            Rule::Calendar(Precision::Day) => {
                values(&["2021-02-28"], &["2021-02-29", "2021-02", "2021-2-28", "2021-02-280"])
            }
            Rule::Calendar(Precision::DayOrMonth) => values(
                &["2021-01-31", "2021-01"],
                &["2015-26-08", "2015-02-29", "2015", "2015-1-1"],
            )
            .with(&[(Field::AdminDate, "2022-01-01")]),
            Rule::NotAmerican(_) => {
                let trial = values(&["2021-01-31"], &["10/24/2020", "1/2/20"]);
                match entry.field {
                    Field::AdminDate => trial.with(&[(Field::RecipDob, "0001-01")]),
                    _ => trial,
                }
            }
            Rule::Form(pattern) => form(entry, pattern),
            Rule::InSet(_) => in_set(entry, held),
            Rule::OnlyInPprl => Self {
                good: vec![vec![], edits(&[(Field::ExtType, "p"), (Field::PprlId, "x")])],
                bad: vec![edits(&[(Field::PprlId, "x")]), edits(&[(Field::ExtType, "P")])],
                also: &[],
            },
            Rule::Redacted => {
                let mut trial = values(&["redacted"], &["", "Redacted ", "Jane"]);
                trial.good.push(edits(&[(Field::ExtType, "I"), (entry.field, "")]));
                trial
            }
            _ => Self::of_business(entry),
        }
    }

    fn of_business(entry: &Entry) -> Self {
        let values = |good: &[&str], bad: &[&str]| Self::values(entry, good, bad);
        match entry.rule {
            Rule::CountyInState(_) => values(&["26001", "26165"], &["27001", "25001"]),
            Rule::ZipInState(_) => values(&["48000", "49999-9999"], &["47999", "50000"]),
            Rule::BornByAdminDate => {
                values(&["2021-05-01"], &["2021-05-02"]).with(&[(Field::AdminDate, "2021-05-01")])
            }
            Rule::NotInFuture if entry.field == Field::RecipDob => Self {
                good: vec![edits(&[(entry.field, "2023-02-01"), (Field::AdminDate, "2023-02-01")])],
                bad: vec![edits(&[(entry.field, "2023-02-02"), (Field::AdminDate, "2023-02-01")])],
                also: &["BUSR005"],
            },
            Rule::NotInFuture => values(&["2023-02-01"], &["2023-02-02"]),
            Rule::Implies(other, _) => Self {
                good: vec![edits(&[(entry.field, ""), (other, "")])],
                bad: vec![edits(&[(other, "")])],
                also: &[],
            },
            // The first row of the test's file has the id of the good row.
            Rule::Unique => values(&["E-2"], &["E-1", "e-1"]),
            other => panic!("no row tries {other:?}"),
        }
    }
}

const REFUSAL: [(Field, &str); 9] = [
    (Field::VaxRefusal, "YES"),
    (Field::Ndc, ""),
    (Field::Mvx, ""),
    (Field::LotNumber, ""),
    (Field::VaxExpiration, ""),
    (Field::VaxAdminSite, ""),
    (Field::VaxRoute, ""),
    (Field::DoseNum, ""),
    (Field::VaxSeriesComplete, ""),
];

fn edits(edits: &[(Field, &str)]) -> Edits {
    edits.iter().map(|(field, value)| (*field, (*value).to_owned())).collect()
}

fn at_most(entry: &Entry, max: usize) -> Trial {
    let (fits, over) = ("é".repeat(max), "é".repeat(max + 1));
    match entry.field {
        Field::PprlId => Trial::values(entry, &[&fits], &[&over]).with(&[(Field::ExtType, "P")]),
        Field::Ndc => Trial::values(entry, &["80777-273-10"], &[&over]).also(&["DATA007"]),
        Field::Mvx => Trial::values(entry, &["MOD"], &["MODE"]).also(&["DATA007"]),
        Field::VaxRoute => Trial::values(entry, &["C28161"], &["C2816100000"]).also(&["DATA007"]),
        _ => Trial::values(entry, &[&fits], &[&over]).with(&[(Field::ExtType, "I")]),
    }
}

fn form(entry: &Entry, pattern: Pattern) -> Trial {
    let values = |good: &[&str], bad: &[&str]| Trial::values(entry, good, bad);
    match pattern {
        Pattern::NoSpace => values(&["é-\u{a0}1"], &["a b", " a", "a ", "a\u{b}"]),
        Pattern::ExtType => values(&["d", " D "], &["Q", "", " "]),
        Pattern::Zip | Pattern::ZipOrNothing => {
            values(&["", "48504", "48504-1234"], &["48504-", "4850", "48504-123", "48504-12345"])
        }
        Pattern::StartsFilled => values(&["a b ", "é"], &[" a", " ", "a\rb"]),
        Pattern::Pin => values(&["", "ZR67a2", "1"], &["1234567", "12-45", "é"]),
    }
}

fn in_set(entry: &Entry, held: &str) -> Trial {
    let padded = format!(" {} ", held.to_lowercase());
    let trial = Trial::values(entry, &["", &padded], &["?", " "]);
    match entry.field {
        Field::RecipAddressCounty | Field::AdminAddressCounty => {
            // Of the state, and no county of it.
            let mut trial = Trial::values(entry, &["26001"], &["26000", "2600"]);
            trial.good.push(edits(&[
                (Field::RecipAddressZip, ""),
                (Field::AdminAddressZip, ""),
                (entry.field, ""),
            ]));
            trial
        }
        Field::RecipAddressState => trial.with(&[(Field::RecipAddressZip, "")]),
        Field::AdminAddressState => trial.with(&[(Field::AdminAddressZip, "")]),
        _ => {
            let mut trial = trial;
            let missing = TABLE.iter().any(|other| {
                other.field == entry.field && matches!(other.rule, Rule::RequiredFor(_))
            });
            if missing {
                trial.good.remove(0);
            }
            trial
        }
    }
}

/// A vaccination that every profile takes, with every cell that may be filled.
fn base() -> Vec<u8> {
    let address = |row: Vec<u8>, fields: [Field; 3]| {
        let row = with_cell(&row, fields[0], b"26081");
        let row = with_cell(&row, fields[1], b"MI");
        with_cell(&row, fields[2], b"49503")
    };
    let mut row = Vec::new();
    Sample::new(7, sample::Model::Redacted).write_row(0, &mut row);
    for (field, value) in [
        (Field::VaxEventId, "E-1"),
        (Field::RecipDob, "1950-01-31"),
        (Field::RecipRace1, "2106-3"),
        (Field::RecipRace2, "2028-9"),
        (Field::RecipRace3, "2028-9"),
        (Field::RecipRace4, "2028-9"),
        (Field::RecipRace5, "2028-9"),
        (Field::RecipRace6, "2028-9"),
        (Field::AdminDate, "2021-06-01"),
        (Field::Cvx, "207"),
        (Field::Ndc, "80777-273-10"),
        (Field::Mvx, "MOD"),
    ] {
        row = with_cell(&row, field, value.as_bytes());
    }
    let recipient = [Field::RecipAddressCounty, Field::RecipAddressState, Field::RecipAddressZip];
    let place = [Field::AdminAddressCounty, Field::AdminAddressState, Field::AdminAddressZip];
    address(address(row, recipient), place)
}

fn text_of(row: &[u8], field: Field) -> String {
    String::from_utf8(canonical().cell(row, field).to_vec()).unwrap()
}

fn rules_of(profile: Profile) -> Rules {
    match profile {
        Profile::Dch2020 => dch_2020(),
        Profile::Dch2021 => dch_2021(),
        Profile::Strict => strict(),
    }
}

fn bound_of(entry: &Entry, rules: &Rules) -> Bound {
    match entry.rule {
        Rule::NumberOrUnk => Bound::Number(rules.admin_type_max),
        Rule::NotTooEarly => Bound::Day(rules.admin_date_min.yesterday().unwrap()),
        Rule::Unique => Bound::Line(2),
        _ => Bound::None,
    }
}

/// The errors of the edited row, which is the second of a file.
fn errors_after(rules: &Rules, kind: RowKind, first: &[u8], edits: &Edits) -> Vec<RowError> {
    let row = edits.iter().fold(base(), |row, (f, value)| with_cell(&row, *f, value.as_bytes()));
    let header = canonical();
    let mut checker = Checker::new(rules, &header, kind);
    let mut errors = Vec::new();
    checker.check(2, first, &mut errors);
    assert_eq!(errors, []);
    checker.check(3, &row, &mut errors);
    errors
}

#[test]
fn each_rule_is_broken_alone_and_kept_at_its_edge() {
    let mut tried = 0;
    for (entry, kind) in TABLE.iter().flat_map(|e| e.kinds.iter().map(move |kind| (e, *kind))) {
        for rules in entry.profiles.iter().map(|profile| rules_of(*profile)) {
            let id = if entry.rule == Rule::Unique { "E-1" } else { "E-0" };
            let first = with_cell(&base(), Field::VaxEventId, id.as_bytes());
            let trial = Trial::of(entry);
            assert!(!trial.good.is_empty() && !trial.bad.is_empty(), "{entry:?}");
            for edits in &trial.bad {
                let errors = errors_after(&rules, kind, &first, edits);
                let told: Vec<_> =
                    errors.iter().filter(|e| !trial.also.contains(&e.reason.code())).collect();
                assert_eq!(told.len(), 1, "{entry:?} {edits:?}: {errors:?}");
                assert_eq!(errors.len(), 1 + trial.also.len(), "{entry:?} {edits:?}: {errors:?}");
                assert_eq!(told[0].field, Some(entry.field), "{edits:?}");
                assert_eq!(
                    told[0].reason,
                    Reason::Broken(entry, bound_of(entry, &rules)),
                    "{edits:?}"
                );
                let text = told[0].reason.to_string();
                let value =
                    &edits.iter().find(|(field, _)| *field == entry.field).unwrap_or(&edits[0]).1;
                assert!(value.len() < 6 || !text.contains(value.as_str()), "{text}");
            }
            let mut good = trial.good;
            if entry.field == Field::AdminType && rules.profile != Profile::Strict {
                let max = rules.admin_type_max;
                good.push(vec![(entry.field, max.to_string())]);
                let over = vec![(entry.field, (max + 1).to_string())];
                assert_eq!(errors_after(&rules, kind, &first, &over).len(), 1);
            }
            for edits in &good {
                let errors = errors_after(&rules, kind, &first, edits);
                let other =
                    |e: &&RowError| e.reason != Reason::Broken(entry, bound_of(entry, &rules));
                assert!(errors.iter().all(|e| other(&e)), "{entry:?} {edits:?}");
                let excused = matches!(entry.rule, Rule::Length(_) | Rule::NotNullUnlessRefusal)
                    || rules.profile == Profile::Strict;
                assert!(errors.is_empty() || excused, "{entry:?} {edits:?}: {errors:?}");
                if rules.profile == Profile::Strict {
                    assert_eq!(errors, [], "{entry:?} {edits:?}");
                }
            }
            tried += 1;
        }
    }
    println!("{} rules, {tried} trials by rule, profile and kind", TABLE.len());
}

#[test]
fn a_rule_that_does_not_hold_for_deletes_breaks_none() {
    for entry in TABLE.iter().filter(|entry| !entry.kinds.contains(&RowKind::Delete)) {
        for rules in entry.profiles.iter().map(|profile| rules_of(*profile)) {
            for edits in Trial::of(entry).bad {
                let first = with_cell(&base(), Field::VaxEventId, b"E-0");
                assert_eq!(errors_after(&rules, RowKind::Delete, &first, &edits), [], "{edits:?}");
            }
        }
    }
}

/// Whether `strict` takes that code in the column, and not because the column has no set.
fn is_in_set(field: Field, code: &str) -> bool {
    let taken = |code: &str| {
        let row = with_cell(&base(), field, code.to_ascii_lowercase().as_bytes());
        let mut errors = Vec::new();
        Checker::new(&strict(), &canonical(), RowKind::Full).check(2, &row, &mut errors);
        errors.iter().all(|e| e.reason.code() != "DATA007" || e.field != Some(field))
    };
    taken(code) && !taken("no such code")
}

#[test]
fn codes_from_all_over_a_value_set_are_taken() {
    for (field, codes) in [
        (Field::RecipSex, &["M", "F", "U"][..]),
        (Field::RecipRace1, &["1002-5", "2054-5", "POL", "UNK"]),
        (Field::RecipEthnicity, &["2135-2", "2186-5", "POL", "UNK"]),
        (Field::RecipAddressCounty, &["01001", "26165", "56045", "72001"]),
        (Field::RecipAddressState, &["AL", "DC", "MI", "PR", "WY"]),
        (Field::Cvx, &["207", "208", "01", "198", "900"]),
        (Field::Ndc, &["59267-1000-1", "80777-273-10", "99999-9999-01"]),
        (Field::Mvx, &["MOD", "PFR", "SKB"]),
        (Field::VaxAdminSite, &["LA", "RD", "LLFA"]),
        (Field::VaxRoute, &["C28161", "IM", "TD"]),
        (Field::DoseNum, &["1", "6", "INV", "UNK"]),
        (Field::VaxSeriesComplete, &["YES", "NO", "UNK"]),
        (Field::AdminType, &["1", "28", "UNK"]),
    ] {
        for code in codes {
            assert!(is_in_set(field, code), "{}: {code}", field.name());
        }
    }
}

#[test]
fn the_value_sets_are_the_published_ones() {
    for entry in TABLE {
        let Rule::InSet(set) = entry.rule else { continue };
        let named = set.to_string();
        let (name, _) = named.split_once('[').unwrap();
        let Some(path) = shared(&format!("spec/valuesets/{name}.txt")) else { return };
        let published = fs::read_to_string(path).unwrap();
        let codes = published.lines().filter(|line| !line.starts_with('#'));
        let published: BTreeSet<_> =
            codes.filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(set.codes().iter().copied().collect::<BTreeSet<_>>(), published, "{name}");
        for code in published {
            assert!(is_in_set(entry.field, code), "{}: {code}", entry.field.name());
        }
    }
}

/// `field: text` of each rule of a profile for rows that are no deletes.
fn texts_of(rules: &Rules) -> BTreeMap<String, &'static str> {
    let holding = TABLE.iter().filter(|entry| entry.holds(rules.profile, RowKind::Full));
    let text = |entry: &'static Entry| {
        let text = entry.text(bound_of(entry, rules));
        (format!("{}: {text}", entry.field.name()), entry.rule.condition())
    };
    holding.map(text).collect()
}

#[test]
fn the_rules_of_2020_are_the_published_70_and_no_other() {
    let published = include_str!("dch-2020.tsv").lines().skip(1);
    let published: BTreeMap<String, &str> = published
        .map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            (format!("{}: {}", cells[0], cells[1]), cells[2])
        })
        .collect();
    assert_eq!(published.len(), 70);
    let ours = texts_of(&dch_2020());
    assert_eq!(ours.keys().collect::<Vec<_>>(), published.keys().collect::<Vec<_>>());
    for (text, condition) in ours {
        assert_eq!(condition.replace('`', ""), published[&text], "{text}");
    }
}

#[test]
fn our_copy_of_the_published_rules_is_the_published_one() {
    let Some(path) = shared("spec/dch-field-errors.tsv") else { return };
    let published = fs::read_to_string(path).unwrap();
    let published: BTreeSet<_> =
        published.lines().skip(1).map(|line| tsv_cells(line)[..2].to_vec()).collect();
    let copied = include_str!("dch-2020.tsv").lines().skip(1);
    let copied: BTreeSet<_> = copied
        .map(|line| line.split('\t').take(2).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(copied, published);
}

#[test]
fn what_2021_added_and_dropped_is_four_rules_and_a_bound() {
    let (before, after) = (texts_of(&dch_2020()), texts_of(&dch_2021()));
    let gone: Vec<_> = before.keys().filter(|text| !after.contains_key(*text)).collect();
    let new: Vec<_> = after.keys().filter(|text| !before.contains_key(*text)).collect();
    assert_eq!(
        gone,
        [r#"admin_type: must be [1-28] or "UNK""#, "recip_address_county: must not be null"]
    );
    assert_eq!(
        new,
        [
            "admin_date: admin_date must be on or before submission date",
            "admin_date: admin_date should not be on December 1, 2020 or earlier",
            r#"admin_type: must be [1-42] or "UNK""#,
            "recip_dob: recip_dob must be on or before admin_date",
        ]
    );
}

#[test]
fn codes_are_those_that_people_may_look_up() {
    let codes: Vec<_> = Reason::codes().into_iter().collect();
    assert_eq!(codes.len(), 30);
    let rows: Vec<_> = codes.iter().filter(|code| code.starts_with("CVRS-ROW-")).collect();
    assert_eq!(rows.len(), 8);
    assert!(Miss::ALL.iter().all(|miss| !codes.contains(&miss.code())));
}
