//! The documented quick start: a token and an upload by curl.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{
    need, run,
    support::{
        clients::{asked, block},
        http::Server,
        rows,
    },
};

const JSON: [&str; 4] = ["-H", "accept: application/json", "-H", "Content-Type: application/json"];
const GEN: &str = "/v0/token/gen";
const BATCH: &str = "/v0/upload/cvrs/batch";

fn server() -> Server {
    need(Command::new("curl").arg("--version"), "curl");
    let scopes = ["UPLOAD", "DELETE", "EXPORT_NON_REDACTED"];
    Server::with_clients(&block("CV1-UPLOAD", "CV1", &scopes, ""))
}

fn curl(args: &[&str]) -> String {
    run(Command::new("curl").args(["-s", "-S"]).args(args))
}

/// A file as the quick start shows it: names in upper case, ids that are numbers.
fn upper_case_file(path: &Path) {
    let ids = ["1458619", "2458618", "9458617", "8458616"];
    let file = rows::events(&ids).replace(&rows::header(), &rows::header().to_uppercase());
    std::fs::write(path, file).unwrap();
}

#[test]
fn the_quick_start_generates_a_token_and_uploads() {
    quick_start(&server());
}

#[test]
fn the_quick_start_needs_no_configuration() {
    need(Command::new("curl").arg("--version"), "curl");
    quick_start(&Server::new());
}

fn quick_start(server: &Server) {
    let url = |path: &str| server.daemon.url(path);
    let body = asked("CV1-UPLOAD", &["UPLOAD", "EXPORT_NON_REDACTED"]);
    let answer = curl(&[&["-X", "POST", &url(GEN)], &JSON[..], &["-d", &body]].concat());
    let token: Value = serde_json::from_str(&answer).unwrap();
    let authorization = format!("Authorization: {}", token["token"].as_str().unwrap());
    let file = server.dir.path().join("records.txt");
    upper_case_file(&file);
    let data = format!("@{}", file.display());
    let text = ["-H", "Content-Type: text/plain", "-H", &authorization, "--data-binary", &data];
    let answer = curl(&[&["-X", "POST", &url(BATCH), "-w", "\n%{http_code}"], &text[..]].concat());
    let (body, status) = answer.rsplit_once('\n').unwrap();
    assert_eq!(status, "200", "{body}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["totalRecords"], &body["validationErrorsCount"]), (&4.into(), &0.into()));
    assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["recordsProcessed"], 4);
    let refresh = ["-X", "POST", &url("/v0/token/refresh"), "-H", &authorization, "-d", ""];
    let refreshed: Value = serde_json::from_str(&curl(&refresh)).unwrap();
    assert!(refreshed["token"].is_string(), "{refreshed}");
}

#[test]
fn the_batch_file_of_the_cdc_pipes_its_request_and_cuts_the_answer_into_words() {
    let server = server();
    let file = server.dir.path().join("records.txt");
    upper_case_file(&file);
    // As upload.cmd does it, with a shell's tools in place of those of Windows.
    let script = r#"
        set -eu
        answer=$(echo "$REQUEST" | curl -sS "$SERVER/v0/token/gen" \
            --header "Content-Type: application/json" --header "Accept: application/json" --data @-)
        set -- $(echo "$answer" | tr '[]{},: ' '        ')
        [ "$1" = '"token"' ]
        token=${2#\"}
        curl -sS --location --request POST "$SERVER/v0/upload/cvrs/batch" \
            --header "Content-Type: text/plain" --header "Authorization: ${token%\"}" \
            --header "Accept: application/json" --data-binary "@$FILE"
    "#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).env("SERVER", server.daemon.url("")).env("FILE", &file);
    // Upper case, spaces and all.
    let request = r#"{ "clientID": "CV1-UPLOAD", "clientSecret": "CV1-UPLOAD-secret", "scopes": ["UPLOAD" ] }"#;
    let body: Value = serde_json::from_str(&run(shell.env("REQUEST", request))).unwrap();
    assert_eq!(body["storageResult"]["REDACTED_DB"]["recordsProcessed"], 4, "{body}");
}
