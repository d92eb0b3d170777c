//! Section 1.4: getting and refreshing tokens.

use std::{
    io::Write,
    time::{Duration, Instant, SystemTime},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::{
    PATIENCE,
    clients::{asked, block, generate, secret, token},
    http::{self, Answer, JOBS, Server},
};

const ALL: [&str; 3] = ["UPLOAD", "UPDATE", "DELETE"];
const REFRESH: &str = "/v0/token/refresh";

/// Client `CV1-UPLOAD` with every scope for uploads.
fn server() -> Server {
    Server::with_clients(&block("CV1-UPLOAD", "CV1", &ALL, ""))
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Token and expiration of an answer, whose every byte is checked.
fn issued(answer: &Answer) -> (String, u64) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let (token, expiration) = (body["token"].as_str().unwrap(), body["expiration"].as_u64());
    let expiration = expiration.unwrap();
    assert_eq!(answer.body, format!(r#"{{"token":"{token}","expiration":{expiration}}}"#));
    (token.to_owned(), expiration)
}

fn lists(server: &Server, authorization: &str) -> u16 {
    server.call("GET", JOBS, &[("Authorization", authorization)], b"").status
}

#[test]
fn s1_1_row_1_a_token_is_generated() {
    let server = server();
    let (token, _) = issued(&generate(&server, &asked("CV1-UPLOAD", &["UPLOAD"])));
    assert_eq!(lists(&server, &token), 200);
}

#[test]
fn s1_1_row_2_a_token_is_refreshed() {
    let server = server();
    let old = token(&server, "CV1-UPLOAD", &ALL);
    let answer = server.call("POST", REFRESH, &[("Authorization", &old)], b"");
    let (new, _) = issued(&answer);
    assert_eq!(lists(&server, &new), 200);
}

#[test]
fn s1_1_rows_1_2_without_authentication_tokens_are_there_for_the_asking() {
    let server = Server::new();
    let (token, _) = issued(&generate(&server, &asked("CV1-UPLOAD", &["UPLOAD"])));
    let (new, _) = issued(&server.call("POST", REFRESH, &[("Authorization", &token)], b""));
    for token in [token, new] {
        assert_eq!(lists(&server, &token), 200);
    }
    assert_eq!(generate(&server, "{}").problem().0, 400);
}

#[test]
fn s1_2_authorization_raw_token() {
    let server = server();
    let token = token(&server, "CV1-UPLOAD", &ALL);
    for value in [token.clone(), format!("Bearer {token}"), format!("bearer {token}")] {
        assert_eq!(lists(&server, &value), 200, "{value}");
    }
    for value in [format!("Basic {token}"), format!("{token}x"), token[1..].to_owned()] {
        assert_eq!(lists(&server, &value), 401, "{value}");
    }
}

#[test]
fn s1_4_expiration_is_in_seconds_and_15_minutes_away() {
    let server = server();
    let before = now();
    let (_, expiration) = issued(&generate(&server, &asked("CV1-UPLOAD", &ALL)));
    assert!((before + 900..=now() + 900).contains(&expiration), "{expiration}");
}

#[test]
fn s1_4_an_expired_token_is_401() {
    let auth = format!("token_lifetime = \"2s\"\n{}", block("A", "TA", &ALL, ""));
    let server = Server::with_clients(&auth);
    let token = token(&server, "A", &ALL);
    assert_eq!(lists(&server, &token), 200);
    let deadline = Instant::now() + PATIENCE;
    while lists(&server, &token) == 200 {
        assert!(Instant::now() < deadline, "the token does not expire");
        std::thread::sleep(Duration::from_millis(50));
    }
    let answer = server.call("POST", REFRESH, &[("Authorization", &token)], b"");
    assert_eq!(answer.problem().0, 401, "an expired token is not refreshed");
}

#[test]
fn s1_4_the_three_required_properties_are_needed_in_their_exact_case() {
    let server = server();
    let whole = json!({
        "clientID": "CV1-UPLOAD", "clientSecret": secret("CV1-UPLOAD"), "scopes": ["UPLOAD"]
    });
    issued(&generate(&server, &whole.to_string()));
    for (name, other) in
        [("clientID", "clientId"), ("clientSecret", "clientsecret"), ("scopes", "Scopes")]
    {
        for renamed in [None, Some(other)] {
            let mut body = whole.clone();
            let value = body.as_object_mut().unwrap().remove(name).unwrap();
            if let Some(renamed) = renamed {
                body[renamed] = value;
            }
            assert_eq!(generate(&server, &body.to_string()).problem().0, 400, "{body}");
        }
    }
    for body in ["", "x", "[]", "null", "{}"] {
        assert_eq!(generate(&server, body).problem().0, 400, "{body}");
    }
}

#[test]
fn s1_4_a_refusal_never_tells_the_secret() {
    let server = server();
    let wrong =
        json!({ "clientID": "CV1-UPLOAD", "clientSecret": "hunter2", "scopes": ["UPLOAD"] });
    let broken = r#"{"clientID":"CV1-UPLOAD","clientSecret":"hunter2","scopes":"UPLOAD"}"#;
    for body in [wrong.to_string(), broken.to_owned()] {
        let answer = generate(&server, &body);
        answer.problem();
        assert!(!answer.body.contains("hunter2"), "{answer:?}");
    }
}

#[test]
fn s1_4_scopes_are_spelt_in_any_case() {
    let server = server();
    for scope in ["Upload", "upload", "UPLOAD"] {
        issued(&generate(&server, &asked("CV1-UPLOAD", &[scope])));
    }
}

#[test]
fn s1_4_all_six_documented_scopes_are_known() {
    let six = [
        "UPLOAD",
        "DELETE",
        "UPDATE",
        "EXPORT_REDACTED",
        "EXPORT_NON_REDACTED",
        "EXPORT_SUMMARIZATION",
    ];
    let server = Server::with_clients(&block("A", "TA", &six, ""));
    issued(&generate(&server, &asked("A", &six)));
}

#[test]
fn s1_4_a_scope_that_was_not_granted_is_403() {
    let server = Server::with_clients(&block("A", "TA", &["UPLOAD"], ""));
    for scopes in [&["DELETE"][..], &["UPLOAD", "DELETE"], &["EXPORT_REDACTED"]] {
        assert_eq!(generate(&server, &asked("A", scopes)).problem().0, 403, "{scopes:?}");
    }
}

#[test]
fn s1_4_a_wrong_secret_and_an_unknown_client_are_401_alike() {
    let server = server();
    let mut wrong: Value = serde_json::from_str(&asked("CV1-UPLOAD", &ALL)).unwrap();
    wrong["clientSecret"] = "wrong".into();
    let [wrong, unknown] =
        [wrong.to_string(), asked("CV1-OTHER", &ALL)].map(|body| generate(&server, &body));
    assert_eq!(wrong.problem().0, 401);
    assert_eq!(wrong.body, unknown.body, "nobody learns which clients exist");
}

#[test]
fn s1_4_refresh_takes_the_current_token_and_no_body() {
    let server = server();
    let old = token(&server, "CV1-UPLOAD", &["UPLOAD"]);
    // What curl sends for an empty body.
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for headers in [&[("Authorization", old.as_str())][..], &[("Authorization", &old), form]] {
        issued(&server.call("POST", REFRESH, headers, b""));
    }
    assert_eq!(server.call("POST", REFRESH, &[], b"").problem().0, 401);
    let broken = [("Authorization", "no token")];
    assert_eq!(server.call("POST", REFRESH, &broken, b"").problem().0, 401);
}

#[test]
fn s1_4_a_refreshed_token_has_the_scopes_of_the_old_one() {
    let server = server();
    let old = token(&server, "CV1-UPLOAD", &["UPLOAD"]);
    let answer = server.call("POST", REFRESH, &[("Authorization", &old)], b"");
    let (new, _) = issued(&answer);
    let headers = [("Authorization", new.as_str()), ("Content-Type", "text/plain")];
    let delete = server.call("DELETE", JOBS, &headers, b"vax_event_id\nEV1\n");
    assert_eq!(delete.problem().0, 403);
}

#[test]
fn s1_4_a_request_may_come_gzipped_and_chunked() {
    let server = server();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(asked("CV1-UPLOAD", &["UPLOAD"]).as_bytes()).unwrap();
    let headers = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
        ("Transfer-Encoding", "chunked"),
    ];
    let mut stream = server.open("POST", "/v0/token/gen", &headers);
    stream.write_all(&http::chunked(&gzip.finish().unwrap(), 32)).unwrap();
    issued(&http::read(stream));
}

#[test]
fn s1_4_a_batch_file_takes_the_token_as_the_first_pair() {
    let server = server();
    let answer = generate(&server, &asked("CV1-UPLOAD", &["UPLOAD"]));
    // The CDC's upload.cmd cuts the answer at these characters and sets a variable of the first word
    // to the second.
    let words: Vec<_> = answer
        .body
        .split(['[', ']', '{', '}', ',', ':', ' '])
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches('"'))
        .collect();
    assert_eq!((words[0], words[2], words.len()), ("token", "expiration", 4));
    assert_eq!(lists(&server, words[1]), 200);
    assert_eq!(answer.body.lines().count(), 1);
}

#[test]
fn s1_4_on_behalf_of_needs_a_permission() {
    let server = Server::with_clients(&(block("A", "TA", &ALL, "") + &block("B", "TB", &ALL, "")));
    let mut body: Value = serde_json::from_str(&asked("A", &ALL)).unwrap();
    body["onBehalfOfClientID"] = "B".into();
    assert_eq!(generate(&server, &body.to_string()).problem().0, 403);
    body["onBehalfOfClientID"] = Value::Null;
    issued(&generate(&server, &body.to_string()));
}

#[test]
fn s1_4_token_paths_take_post_alone() {
    let server = server();
    for path in ["/v0/token/gen", REFRESH] {
        assert_eq!(server.get(path).problem(), (405, "CVRS-METHOD".to_owned()));
    }
}
