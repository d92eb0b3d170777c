//! CVRS rows spelt out by hand, with none of the daemon's own code.

/// The 45 columns of CVRS v2 in their order, each with a value that every profile accepts.
pub const COLUMNS: [(&str, &str); 45] = [
    ("vax_event_id", "EV1"),
    ("ext_type", "I"),
    ("pprl_id", ""),
    ("recip_id", "P1"),
    ("recip_first_name", "Ada"),
    ("recip_middle_name", "B"),
    ("recip_last_name", "Lovelace"),
    ("recip_dob", "1975-12-10"),
    ("recip_sex", "F"),
    ("recip_address_street", "1 Main St"),
    ("recip_address_street_2", "Apt 2"),
    ("recip_address_city", "Lansing"),
    ("recip_address_county", "26065"),
    ("recip_address_state", "MI"),
    ("recip_address_zip", "48901"),
    ("recip_race_1", "2106-3"),
    ("recip_race_2", ""),
    ("recip_race_3", ""),
    ("recip_race_4", ""),
    ("recip_race_5", ""),
    ("recip_race_6", ""),
    ("recip_ethnicity", "2186-5"),
    ("admin_date", "2021-03-05"),
    ("cvx", "208"),
    ("ndc", "59267-1000-1"),
    ("mvx", "PFR"),
    ("lot_number", "EL1283"),
    ("vax_expiration", "2021-06-30"),
    ("vax_admin_site", "LD"),
    ("vax_route", "C28161"),
    ("dose_num", "1"),
    ("vax_series_complete", "NO"),
    ("responsible_org", "County Health"),
    ("admin_name", "County Clinic"),
    ("vtrcks_prov_pin", "123456"),
    ("admin_type", "19"),
    ("admin_address_street", "2 Main St"),
    ("admin_address_street_2", ""),
    ("admin_address_city", "Lansing"),
    ("admin_address_county", "26065"),
    ("admin_address_state", "MI"),
    ("admin_address_zip", "48901-1234"),
    ("vax_refusal", "NO"),
    ("cmorbid_status", "UNK"),
    ("serology", "UNK"),
];

/// The header line, lower case, without a line end.
pub fn header() -> String {
    COLUMNS.map(|(name, _)| name).join("\t")
}

/// A good row with these cells changed.
pub fn row(changes: &[(&str, &str)]) -> String {
    for (name, _) in changes {
        assert!(COLUMNS.iter().any(|(column, _)| column == name), "{name} is no column");
    }
    let cell = |(name, good)| {
        changes.iter().find(|(changed, _)| *changed == name).map_or(good, |(_, value)| *value)
    };
    COLUMNS.map(cell).join("\t")
}

/// A good row with that `vax_event_id`.
pub fn event(id: &str) -> String {
    row(&[("vax_event_id", id)])
}

/// Header and rows, each line with a line feed.
pub fn file(rows: &[String]) -> String {
    let lines = std::iter::once(header()).chain(rows.iter().cloned());
    lines.map(|line| line + "\n").collect()
}

/// A file of good rows with these `vax_event_id`s.
pub fn events(ids: &[&str]) -> String {
    file(&ids.iter().map(|id| event(id)).collect::<Vec<_>>())
}

/// A delete file that names nothing but these `vax_event_id`s.
pub fn ids(ids: &[&str]) -> String {
    let lines = std::iter::once("vax_event_id").chain(ids.iter().copied());
    lines.flat_map(|line| [line, "\n"]).collect()
}
