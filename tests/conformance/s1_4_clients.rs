//! Section 1.4: what a token allows, and what clients see of each other.

use serde_json::Value;

use crate::support::{
    clients::{block, token},
    http::{Answer, JOBS, Server},
    rows,
};

const ALL: [&str; 3] = ["UPLOAD", "UPDATE", "DELETE"];
const BATCH: &str = "/v0/upload/cvrs/batch";

/// Client `A` and its sister `A2` of tenant `TA`, `B` of tenant `TB`.
fn server() -> Server {
    let blocks = [("A", "TA"), ("A2", "TA"), ("B", "TB")];
    Server::with_clients(&blocks.map(|(id, tenant)| block(id, tenant, &ALL, "")).concat())
}

fn upload(server: &Server, token: &str, method: &str, path: &str, text: &str) -> Answer {
    let headers = [("Authorization", token), ("Content-Type", "text/plain")];
    server.call(method, path, &headers, text.as_bytes())
}

fn get(server: &Server, token: &str, path: &str) -> Answer {
    server.call("GET", path, &[("Authorization", token)], b"")
}

/// Runs a file synchronously.
fn run(server: &Server, token: &str, method: &str, text: &str) -> Value {
    let answer = upload(server, token, method, BATCH, text);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn s1_4_upload_is_post_update_is_put_and_delete_is_delete() {
    let server = server();
    for (scope, allowed) in [("UPLOAD", "POST"), ("UPDATE", "PUT"), ("DELETE", "DELETE")] {
        let token = token(&server, "A", &[scope]);
        for method in ["POST", "PUT", "DELETE"] {
            for (path, done) in [(JOBS, 202), (BATCH, 200)] {
                let answer = upload(&server, &token, method, path, &rows::events(&["EV1"]));
                if method == allowed {
                    assert_eq!(answer.status, done, "{scope} {method} {path}");
                } else {
                    assert_eq!(answer.problem().0, 403, "{scope} {method} {path}");
                }
            }
        }
    }
}

#[test]
fn s1_4_a_job_is_read_with_any_scope_for_uploads() {
    let server = server();
    let upload_token = token(&server, "A", &["UPLOAD"]);
    let id = run(&server, &upload_token, "POST", &rows::events(&["EV1"]))["id"].clone();
    let path = format!("{JOBS}/{}", id.as_str().unwrap());
    for scope in ALL {
        let token = token(&server, "A", &[scope]);
        assert_eq!(get(&server, &token, &path).status, 200, "{scope}");
    }
}

#[test]
fn s1_4_validate_only_is_a_property_of_the_client() {
    let server = Server::with_clients(
        &(block("CV1-VALIDATE", "CV1", &ALL, "validate_only = true")
            + &block("CV1-UPLOAD", "CV1", &ALL, "")),
    );
    let validate = token(&server, "CV1-VALIDATE", &ALL);
    let upload_token = token(&server, "CV1-UPLOAD", &ALL);
    let file = rows::events(&["EV1"]);
    let checked = upload(&server, &validate, "POST", BATCH, &file);
    assert_eq!(checked.status, 200);
    assert!(checked.body.contains(r#""storageResult":{},"totalRecords":1,"#), "{checked:?}");
    let body = run(&server, &upload_token, "POST", &file);
    assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["recordsProcessed"], 1);
}

#[test]
fn s1_8_a_clients_jobs_touch_its_own_storages_alone() {
    let storages = "storages = [\"REDACTED_DB\"]";
    let server =
        Server::with_clients(&(block("R", "TA", &ALL, storages) + &block("A", "TA", &ALL, "")));
    let redacted = token(&server, "R", &ALL);
    let body = run(&server, &redacted, "POST", &rows::events(&["EV1"]));
    let names: Vec<_> = body["storageResult"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["REDACTED_DB"]);
    let both = token(&server, "A", &ALL);
    let body = run(&server, &both, "DELETE", &rows::ids(&["EV1"]));
    assert_eq!(body["storageResult"]["REDACTED_DB"]["recordsProcessed"], 1);
}

#[test]
fn s1_10_status_401_is_a_missing_or_invalid_token() {
    let server = server();
    let id = "018f0000-0000-7000-8000-000000000000";
    let paths = [JOBS.to_owned(), format!("{JOBS}/{id}"), format!("{JOBS}/{id}/errors")];
    for path in &paths {
        assert_eq!(server.get(path).problem().0, 401, "{path}");
        assert_eq!(get(&server, "not-a-token", path).problem().0, 401, "{path}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        for path in [JOBS, BATCH] {
            let answer = upload(&server, "", method, path, &rows::events(&["EV1"]));
            assert_eq!(answer.problem().0, 401, "{method} {path}");
        }
    }
}

#[test]
fn s1_10_status_403_is_a_scope_that_is_missing() {
    let server = server();
    let token = token(&server, "A", &["UPLOAD"]);
    let answer = upload(&server, &token, "DELETE", JOBS, &rows::ids(&["EV1"]));
    assert_eq!(answer.problem().0, 403);
    assert_eq!(get(&server, &token, JOBS).body, r#"{"jobs":[],"nextPageToken":""}"#);
}

#[test]
fn s3_2_the_key_belongs_to_the_tenant() {
    let server = server();
    let [a, b] = ["A", "B"].map(|id| token(&server, id, &ALL));
    let file = rows::events(&["EV1"]);
    for token in [&a, &b] {
        let body = run(&server, token, "POST", &file);
        assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["recordsProcessed"], 1);
    }
    run(&server, &a, "DELETE", &file);
    let body = run(&server, &b, "PUT", &file);
    assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["recordsProcessed"], 1);
}

#[test]
fn s7_a_tenant_does_not_see_that_anothers_job_exists() {
    let server = server();
    let [a, b] = ["A", "B"].map(|id| token(&server, id, &ALL));
    let id = run(&server, &a, "POST", &rows::events(&["EV1"]))["id"].clone();
    let id = id.as_str().unwrap();
    let unknown = "018f0000-0000-7000-8000-000000000000";
    for path in ["", "/errors", "/events"] {
        let [theirs, none] =
            [id, unknown].map(|id| get(&server, &b, &format!("{JOBS}/{id}{path}")));
        assert_eq!(theirs.problem(), (404, "CVRS-JOB-NOT-FOUND".to_owned()), "{path}");
        assert_eq!(theirs.body.replace(id, unknown), none.body, "{path}");
    }
    let cancel = format!("{JOBS}/{id}/cancel");
    let answer = server.call("POST", &cancel, &[("Authorization", &b)], b"");
    assert_eq!(answer.problem().0, 404);
    assert_eq!(get(&server, &b, JOBS).body, r#"{"jobs":[],"nextPageToken":""}"#);
}

#[test]
fn s7_a_client_sees_every_job_of_its_tenant() {
    let server = server();
    let [a, sister] = ["A", "A2"].map(|id| token(&server, id, &ALL));
    let id = run(&server, &a, "POST", &rows::events(&["EV1"]))["id"].clone();
    let seen = get(&server, &sister, &format!("{JOBS}/{}", id.as_str().unwrap()));
    assert_eq!(seen.json()["id"], id);
    assert_eq!(get(&server, &sister, JOBS).json()["jobs"][0]["id"], id);
}

#[test]
fn s7_idempotency_keys_belong_to_the_tenant() {
    let server = server();
    let [a, sister, b] = ["A", "A2", "B"].map(|id| token(&server, id, &ALL));
    let submit = |token: &str| {
        let headers =
            [("Authorization", token), ("Content-Type", "text/plain"), ("Idempotency-Key", "k")];
        server.call("POST", JOBS, &headers, rows::events(&["EV1"]).as_bytes()).accepted()
    };
    let first = submit(&a);
    assert_eq!(submit(&sister), first);
    assert_ne!(submit(&b), first);
}

#[test]
fn s9_6_401_is_the_token_and_403_the_scope() {
    let server = server();
    let token = token(&server, "A", &["UPDATE"]);
    let file = rows::events(&["EV1"]);
    assert_eq!(upload(&server, &token, "POST", JOBS, &file).problem().0, 403);
    let mut damaged = token;
    damaged.pop();
    assert_eq!(upload(&server, &damaged, "POST", JOBS, &file).problem().0, 401);
    assert_eq!(upload(&server, &damaged, "PUT", JOBS, &file).problem().0, 401);
}
