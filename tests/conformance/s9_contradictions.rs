//! Section 9: where the documents contradict themselves.

use crate::support::{
    files,
    http::{JOBS, Server},
    rows,
};

#[test]
fn s9_1_text_plain_on_delete_and_on_the_others() {
    let server = Server::new();
    for method in ["POST", "PUT", "DELETE"] {
        let id = server.upload(method, "text/plain", rows::events(&["EV1"])).accepted();
        server.wait(&id);
        assert_eq!(server.full(&id)["outcome"], "SUCCEEDED", "{method}");
    }
}

#[test]
fn s9_2_the_short_status_path_is_an_alias() {
    let server = Server::new();
    let id = server.submit("POST", rows::events(&["EV1"]));
    let body = server.wait(&id);
    assert_eq!(server.get(&format!("/v0/async/cvrs/{id}")).body, body);
    let malformed = server.get("/v0/async/cvrs/x").problem();
    assert_eq!(malformed, (400, "CVRS-JOB-ID".to_owned()));
}

#[test]
fn s9_3_referer_is_optional_for_the_status() {
    let server = Server::new();
    let id = server.submit("POST", rows::events(&["EV1"]));
    assert_eq!(server.get(&format!("{JOBS}/{id}")).status, 200);
}

#[test]
fn s9_4_the_status_path_serves_jobs_of_every_verb() {
    let server = Server::new();
    for method in ["POST", "PUT", "DELETE"] {
        let id = server.submit(method, rows::events(&["EV1"]));
        assert_eq!(server.get(&format!("{JOBS}/{id}")).json()["id"], id, "{method}");
    }
}

#[test]
fn s9_5_cvrs_is_uploaded_asynchronously_and_hl7_is_not() {
    let server = Server::new();
    server.upload("POST", "text/plain", rows::events(&["EV1"])).accepted();
    let hl7 = server.call("POST", "/v0/async/hl7/jobs", &[("Content-Type", "text/plain")], b"MSH|");
    assert_eq!(hl7.problem(), (404, "CVRS-PATH-NOT-FOUND".to_owned()));
}

#[test]
fn s9_8_storage_result_is_a_map_by_storage() {
    let server = Server::new();
    let submitted = server.upload("POST", "text/plain", rows::events(&["EV1"]));
    assert!(submitted.json()["storageResult"].is_null());
    server.wait(&submitted.accepted());
    let body = server.run("DELETE", rows::ids(&["EV1"]));
    let names: Vec<_> = body["storageResult"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["NON_REDACTED_DB", "REDACTED_DB"]);
}

#[test]
fn s9_9_county_is_decided_by_the_profile_and_state_and_zip_are_needed() {
    for (profile, errors) in [("dch-2020", 3), ("dch-2021", 2)] {
        let server = Server::with(&[("CVRSD__VALIDATION__PROFILE", profile)]);
        let row = rows::row(&[
            ("recip_address_county", ""),
            ("recip_address_state", ""),
            ("recip_address_zip", ""),
        ]);
        let body = server.run("POST", rows::file(&[row]));
        assert_eq!(body["validationErrorsCount"], errors, "{profile}");
    }
}

#[test]
fn s9_10_a_month_is_compared_at_the_precision_of_months() {
    let server = Server::new();
    for (born, given, errors) in [
        ("2021-03", "2021-03-05", 0),
        ("2021-04", "2021-03-05", 1),
        ("2021-03-31", "2021-03", 0),
        ("1975-12-10", "2020-12", 0),
        ("1975-12-10", "2020-11", 1),
    ] {
        let id = format!("{born}/{given}");
        let row = rows::row(&[("vax_event_id", &id), ("recip_dob", born), ("admin_date", given)]);
        let body = server.run("POST", rows::file(&[row]));
        assert_eq!(body["validationErrorsCount"], errors, "{id}");
    }
}

#[test]
fn s9_async_zip_and_text_give_the_same_job() {
    let server = Server::new();
    let file = rows::events(&["EV1", "EV2"]);
    let id = server.upload("POST", "application/zip", files::zip(file.as_bytes())).accepted();
    let zipped = server.wait(&id).replace(&id, "");
    server.run("DELETE", &file);
    let id = server.submit("POST", &file);
    assert_eq!(server.wait(&id).replace(&id, ""), zipped);
}
