//! Sections 4.2 and 4.4: versions of the column list, models of the data.

use serde_json::Value;

use crate::support::{http::Server, rows};

/// A file of one row with these further columns, each before the one that is named.
fn with_columns(extra: &[(&str, &str, &str)]) -> String {
    let row = rows::event("EV1");
    let mut columns = Vec::new();
    for ((name, _), cell) in rows::COLUMNS.iter().zip(row.split('\t')) {
        for (_, new, value) in extra.iter().filter(|(before, _, _)| before == name) {
            columns.push((*new, *value));
        }
        columns.push((*name, cell));
    }
    let (names, cells): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    format!("{}\n{}\n", names.join("\t"), cells.join("\t"))
}

fn creates(file: &str) -> Value {
    let body = Server::new().run_full("POST", file);
    assert_eq!(body["outcome"], "SUCCEEDED", "{body}");
    body
}

#[test]
fn s4_2_v1_has_47_columns() {
    let file = with_columns(&[
        ("vax_refusal", "vax_prov_suffix", "RN"),
        ("serology", "recip_missed_appt", "NO"),
    ]);
    assert_eq!(file.lines().next().unwrap().split('\t').count(), 47);
    let warnings = creates(&file)["warnings"].clone();
    let warnings: Vec<_> =
        warnings.as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("vax_prov_suffix") && warnings[1].contains("recip_missed_appt"));
}

#[test]
fn s4_2_transitional_has_46_columns() {
    let file = with_columns(&[("vax_refusal", "vax_prov_suffix", "RN")]);
    assert_eq!(creates(&file)["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn s4_2_v2_has_45_columns_and_no_warning() {
    assert_eq!(creates(&rows::events(&["EV1"]))["warnings"].as_array().unwrap().len(), 0);
}

#[test]
fn s4_2_every_one_of_the_45_is_needed_for_create_and_update() {
    let server = Server::new();
    for (missing, _) in rows::COLUMNS {
        let renamed = rows::header().replace(missing, "x");
        // A name may be the start of another, which would be renamed with it.
        let file = format!("{}\n{}\n", renamed, rows::event("EV1"));
        for method in ["POST", "PUT"] {
            let job = server.run_full(method, &file);
            assert_eq!(job["outcome"], "FAILED", "{missing}");
            let (code, message) = (&job["failure"]["code"], job["failure"]["message"].to_string());
            if *code == "CVRS-HEADER-COLUMN" {
                assert!(message.contains(missing), "{message}");
            } else {
                assert_eq!(code, "CVRS-HEADER-DUPLICATE", "{missing}");
            }
        }
    }
}

#[test]
fn s4_2_columns_are_found_by_name_in_any_order() {
    let mut columns: Vec<_> = rows::COLUMNS.to_vec();
    columns.rotate_left(17);
    columns.swap(0, 30);
    let (names, cells): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let server = Server::new();
    let file = format!("{}\n{}\n", names.join("\t"), cells.join("\t"));
    assert_eq!(server.run_full("POST", file)["outcome"], "SUCCEEDED");
    assert_eq!(server.run_full("DELETE", rows::ids(&["EV1"]))["outcome"], "SUCCEEDED");
}

#[test]
fn s4_4_identified_rows_need_middle_name_and_street_2() {
    for profile in ["dch-2020", "dch-2021"] {
        let server = Server::with(&[("CVRSD__VALIDATION__PROFILE", profile)]);
        let row = rows::row(&[("recip_middle_name", ""), ("recip_address_street_2", "")]);
        let body = server.run("POST", rows::file(&[row]));
        assert_eq!(body["validationErrorsCount"], 2, "{profile}");
    }
}

#[test]
fn s4_4_a_single_space_is_not_null() {
    let row = rows::row(&[("recip_middle_name", " "), ("recip_address_street_2", " ")]);
    creates(&rows::file(&[row]));
}

#[test]
fn s4_4_redacted_and_pprl_rows_are_taken() {
    let hidden = [
        "recip_first_name",
        "recip_middle_name",
        "recip_last_name",
        "recip_address_street",
        "recip_address_street_2",
        "recip_address_city",
    ];
    let mut cells: Vec<_> = hidden.iter().map(|name| (*name, "Redacted")).collect();
    cells.push(("ext_type", "D"));
    creates(&rows::file(&[rows::row(&cells)]));
    cells.pop();
    cells.extend([("ext_type", "P"), ("pprl_id", "a1b2c3")]);
    creates(&rows::file(&[rows::row(&cells)]));
}
