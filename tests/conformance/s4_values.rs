//! Section 4.5: every code of every value set, on the wire under the default profile.

use crate::support::{http::Server, rows, shared::shared};

const RACES: &str = "1002-5 2028-9 2076-8 2054-5 2106-3 2131-1 UNK POL";
const YES_NO_UNKNOWN: &str = "YES NO UNK";
const STATES: &str = "AL AK AS AZ AR CA CO CT DE DC FL FM GA GU HI ID IL IN IA KS KY LA ME MH MD MA \
    MI MN MS MO MT NE NV NH NJ NM NY NC ND MP OH OK OR PA PR PW RI SC SD TN TX UT VT VI VA WA WV WI \
    WY";

/// The codes of each column, apart by spaces. Of NDC, which has its form alone, those that the report
/// names; of `admin_type` also those that came up after the sheet.
const SETS: [(&str, &str); 23] = [
    ("ext_type", "D P I"),
    ("recip_sex", "M F U"),
    ("recip_address_state", STATES),
    ("recip_race_1", RACES),
    ("recip_race_2", RACES),
    ("recip_race_3", RACES),
    ("recip_race_4", RACES),
    ("recip_race_5", RACES),
    ("recip_race_6", RACES),
    ("recip_ethnicity", "2135-2 2186-5 UNK POL"),
    (
        "cvx",
        "207 208 210 211 212 213 217 218 219 221 225 226 227 228 229 230 300 301 302 500 501 502 503 \
         504 505 506 507 508 509 510 511 512 513 514 515 516 517 518 519 520 900 901 902 87 14 09 62 \
         141",
    ),
    (
        "ndc",
        "80777-273-10 80777-273-99 59267-1000-1 59267-1000-2 59267-1000-3 0310-1222-10 59676-580-05 \
         80777-0273-10 59676-0580-05",
    ),
    ("mvx", "MOD PFR ASZ NVX JSN PMC AAA BBB"),
    ("vax_admin_site", "LT LA LD LG LVL LLFA RT RA RD RG RVL RLFA"),
    (
        "vax_route",
        "C38238 C28161 C38284 C38276 C38288 C38676 C38299 C38305 IM NS IN IV PO OTH SC TD",
    ),
    ("dose_num", "1 2 3 4 5 6 INV UNK"),
    ("vax_series_complete", YES_NO_UNKNOWN),
    (
        "admin_type",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 \
         35 36 37 38 39 40 41 42 UNK",
    ),
    ("admin_address_state", STATES),
    ("admin_address_county", "01001 36061 56045 72153"),
    ("vax_refusal", "YES NO"),
    ("cmorbid_status", YES_NO_UNKNOWN),
    ("serology", YES_NO_UNKNOWN),
];

/// Creates one row for each column and code; none may be refused.
fn check_taken(codes: &[(&str, String)]) {
    let server = Server::new();
    let row = |(n, (column, code)): (usize, &(&str, String))| {
        rows::row(&[("vax_event_id", &format!("EV{n}")), (column, code)])
    };
    let lines: Vec<_> = codes.iter().enumerate().map(row).collect();
    let job = server.run_full("POST", rows::file(&lines));
    assert_eq!(job["validationErrors"], serde_json::json!([]));
    assert_eq!((&job["outcome"], &job["rowsApplied"]), (&"SUCCEEDED".into(), &codes.len().into()));
}

#[test]
fn s4_5_every_code_of_every_value_set_is_taken() {
    let codes = SETS.iter().flat_map(|(column, codes)| {
        codes.split_ascii_whitespace().map(|code| (*column, code.to_owned()))
    });
    let codes: Vec<_> = codes.collect();
    check_taken(&codes);
}

#[test]
fn s4_5_every_published_county_is_taken() {
    let Some(path) = shared("spec/valuesets/COUNTY.txt") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let counties = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
    let codes: Vec<_> = counties.map(|code| ("recip_address_county", code.to_owned())).collect();
    assert!(codes.len() > 3_000, "{}", codes.len());
    check_taken(&codes);
}
