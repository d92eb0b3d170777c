//! People who are easy to find, and the search for them in every form in which a value may be printed.

use std::{ops::Range, sync::LazyLock};

use memchr::memmem;

use crate::support::rows;

const PERSON: &str = "ZqxPerson";
const EVENT: &str = "ZqxEV";
const DATE: &str = "1903-07-29";
/// Any part of a mark but for the date.
const STEM: &str = "zqx";
/// Values of rows that stand nowhere else. Ids are too, but may stand in reports.
const MARKS: [(&str, &str); 8] = [
    ("recip_first_name", "Zqxfirstname"),
    ("recip_middle_name", "Zqxmiddle"),
    ("recip_last_name", "Zqxlastname"),
    ("recip_dob", DATE),
    ("recip_address_street", "77 Zqxstreet"),
    ("recip_address_street_2", "Zqxflat"),
    ("recip_address_city", "Zqxcity"),
    ("recip_id", PERSON),
];
/// Cells that break a rule.
const WRONG: [(&str, &str); 6] = [
    ("recip_dob", "Zqx-29-07-1903"),
    ("admin_date", "Zqxdate"),
    ("recip_address_state", "Zqxstate"),
    ("recip_sex", "Zqxsex"),
    ("cvx", "Zqxcvx"),
    ("vax_event_id", ""),
];

/// What is looked for, in lower case: text, and whole values as byte lists and in hexadecimal digits. Of the stem these
/// would be so short that a hash may have them by chance.
static FORMS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let values = MARKS.iter().chain(&WRONG).map(|(_, value)| *value).chain([EVENT]);
    // Keys are stored in one case.
    let spelt = values
        .filter(|value| !value.is_empty())
        .flat_map(|value| [value.to_owned(), value.to_lowercase(), value.to_uppercase()]);
    let printed = spelt.flat_map(|value| {
        let decimal: Vec<String> = value.bytes().map(|byte| byte.to_string()).collect();
        let hexadecimal: Vec<String> = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        // As `Debug` and as JSON print a list.
        [decimal.join(", "), decimal.join(","), hexadecimal.concat()]
    });
    [STEM, DATE].map(str::to_owned).into_iter().chain(printed).collect()
});

/// A row with every mark but where it is changed.
pub fn row(number: usize, changes: &[(&str, &str)]) -> String {
    let event = format!("{EVENT}{number}");
    let mut cells = vec![("vax_event_id", event.as_str())];
    // What stands first counts, so what is to be wrong goes before the marks.
    cells.splice(0..0, changes.iter().copied());
    cells.extend(MARKS);
    rows::row(&cells)
}

/// Rows of which some are wrong, each in a cell with a mark.
pub fn mixed(rows: Range<usize>) -> String {
    let row = |n: usize| match n % 4 {
        0 => row(n, &[WRONG[n / 4 % WRONG.len()]]),
        _ => row(n, &[]),
    };
    rows::file(&rows.map(row).collect::<Vec<_>>())
}

/// What it tells of somebody, with what stands around.
pub fn tells(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let at = FORMS.iter().find_map(|form| memmem::find(lower.as_bytes(), form.as_bytes()))?;
    let around = lower.char_indices().filter(|(i, _)| i.abs_diff(at) < 200);
    Some(around.map(|(_, c)| c).collect())
}

pub fn silent(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} is there");
    if let Some(found) = tells(text) {
        panic!("{what} tells of somebody: {found}");
    }
}

/// A report names rows by their two ids, and tells nothing else of them.
pub fn silent_but_for_ids(what: &str, text: &str) {
    silent(what, &text.replace(EVENT, "").replace(PERSON, ""));
}

#[test]
fn every_form_of_a_value_is_found() {
    let bytes = b"in a Zqxcity".to_vec();
    for told in [
        "in a zQxCity".to_owned(),
        format!("{bytes:?}"),
        serde_json::to_string(&bytes).unwrap(),
        "6E205A717863697479".to_owned(),
        format!("{:?}", b"ZQXEV12"),
        "born on 1903-07-29".to_owned(),
    ] {
        assert!(tells(&told).is_some(), "{told}");
    }
    silent("a line", "in a city, 90, 113, 121, 5a7179, born on 1903-07-30");
    silent_but_for_ids("a report", "2 ZqxEV17 ZqxPerson recip_dob");
    assert!(tells("2 ZqxEV17 Zqxcity").is_some());
}
