//! Section 1.1: the paths.

use crate::support::{
    files,
    http::{JOBS, Server},
    rows,
};

fn takes_a_zip(method: &str, before: &[&str], expected: u64) {
    let server = Server::new();
    if !before.is_empty() {
        server.run("POST", rows::events(before));
    }
    let zip = files::zip(rows::events(&["EV1"]).as_bytes());
    let id = server.upload(method, "application/zip", zip).accepted();
    server.wait(&id);
    assert_eq!(server.full(&id)["rowsApplied"], expected);
}

#[test]
fn s1_1_row_3_create_async_takes_a_zip() {
    takes_a_zip("POST", &[], 1);
}

#[test]
fn s1_1_row_4_update_async_takes_a_zip() {
    takes_a_zip("PUT", &["EV1"], 1);
}

#[test]
fn s1_1_row_5_delete_async_takes_a_zip() {
    takes_a_zip("DELETE", &["EV1"], 1);
}

#[test]
fn s1_1_row_6_the_status_path_takes_get() {
    let server = Server::new();
    let id = server.submit("POST", rows::events(&["EV1"]));
    let answer = server.get(&format!("{JOBS}/{id}"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["id"], id);
}

/// A documented path that this daemon does not have.
fn is_not_here(path: &str, methods: &[&str], media: &str) {
    let server = Server::new();
    for method in methods {
        let answer = server.call(method, path, &[("Content-Type", media)], b"x");
        assert_eq!(answer.problem(), (404, "CVRS-PATH-NOT-FOUND".to_owned()), "{method} {path}");
    }
}

#[test]
fn s1_1_row_8_hl7_text_is_not_here() {
    is_not_here("/v0/upload/hl7/batch", &["POST", "PUT", "DELETE"], "text/plain");
}

#[test]
fn s1_1_row_9_hl7_json_is_not_here() {
    is_not_here("/v0/upload/hl7/json", &["POST", "PUT", "DELETE"], "application/json");
}

#[test]
fn s1_1_row_10_file_download_is_not_here() {
    is_not_here("/v0/upload/file/018f0000-0000-7000-8000-000000000000", &["GET"], "text/plain");
}

#[test]
fn s1_1_row_11_export_is_not_here() {
    is_not_here("/v0/export", &["POST"], "application/json");
    is_not_here("/v0/upload/export", &["POST"], "application/json");
}
