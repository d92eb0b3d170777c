//! Getting, refreshing and sending tokens.

use std::{
    io::Write as _,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use cvrsd::proto::{
    admin::CountRecordsRequest,
    jobs::{ListJobsRequest, job_service_client::JobServiceClient},
};
use flate2::{Compression, write::GzEncoder};
use reqwest::{Client, Method};
use serde_json::json;
use tonic::{
    Code, Request,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{
    bench::{ALL, Bench, JOBS, asked, open, problem, reason, refused, token_of},
    support::PATIENCE,
};

fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_answers_byte_for_byte_as_documented_and_so_does_its_refresh() {
    let bench = Bench::new("");
    let before = now_s();
    let first = bench.generate("A", &["Upload", "DELETE"]).await;
    let token = check_answer(first, before).await;
    let refresh = async |body: &'static str, sent: &str| {
        let request = bench.request(Method::POST, "/v0/token/refresh", sent).body(body);
        check_answer(request.send().await.unwrap(), before).await
    };
    let second = refresh("", &token).await;
    let third = refresh("anything", &format!("Bearer {second}")).await;
    for token in [token, second, third] {
        for sent in [token.clone(), format!("Bearer {token}"), format!("bearer {token}")] {
            assert_eq!(bench.get(JOBS, &sent).await.status(), 200);
            let mut jobs = bench.jobs(&sent).await;
            jobs.list_jobs(ListJobsRequest::default()).await.unwrap();
        }
    }
}

/// The token of an answer, whose every byte is checked.
async fn check_answer(response: reqwest::Response, before: i64) -> String {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    let text = response.text().await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (token, expiration) = (body["token"].as_str().unwrap(), body["expiration"].as_i64());
    let expiration = expiration.unwrap();
    assert_eq!(text, format!(r#"{{"token":"{token}","expiration":{expiration}}}"#));
    assert!(!token.contains(['[', ']', '{', '}', ',', ':', ' ']));
    assert!((before + 900..=now_s() + 900).contains(&expiration));
    token.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_come_encoded_and_in_chunks_up_to_its_limit() {
    let bench = Bench::new("");
    let send = async |body: Vec<u8>, encoding: &str| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&body).unwrap();
        let body = if encoding == "gzip" { gzip.finish().unwrap() } else { body };
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            body.chunks(20).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        let request = Client::new().post(bench.daemon.url("/v0/token/gen"));
        let request = request.header("content-encoding", encoding);
        let body = reqwest::Body::wrap_stream(tokio_stream::iter(pieces));
        request.body(body).send().await.unwrap()
    };
    let padded = |length: usize| {
        let mut body = asked("A", ALL);
        body["padding"] = "".into();
        let missing = length - body.to_string().len();
        body["padding"] = "x".repeat(missing).into();
        body.to_string().into_bytes()
    };
    for encoding in ["gzip", "identity"] {
        let fits = send(padded(8 << 10), encoding).await;
        let token = token_of(fits).await;
        assert_eq!(bench.get(JOBS, &token).await.status(), 200);
        let over = send(padded((8 << 10) + 1), encoding).await;
        assert_eq!(problem(over).await, refused(413, "CVRS-TOKEN-REQUEST-TOO-LARGE"));
    }
    let broken = send(b"no gzip".to_vec(), "gzip").await;
    assert_eq!(broken.status(), 400, "not json");
    let broken = send(padded(100 + 200), "br").await;
    assert_eq!(problem(broken).await, refused(415, "CVRS-ENCODING-UNSUPPORTED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_issued_is_refused_by_its_code() {
    let bench = Bench::new("");
    let cases = [
        (json!({ "clientSecret": "A-secret", "scopes": ALL }), 400, "CVRS-TOKEN-REQUEST"),
        (
            json!({ "clientID": "A", "clientSecret": "A-secret", "scopes": [] }),
            400,
            "CVRS-TOKEN-REQUEST",
        ),
        (asked("A", &["UPLOAD", "EXPORT"]), 400, "CVRS-SCOPE-UNKNOWN"),
        (asked("A", &["UPLOAD", "EXPORT_REDACTED"]), 403, "CVRS-SCOPE"),
        (asked("nobody", ALL), 401, "CVRS-CLIENT-UNKNOWN"),
        (
            json!({ "clientID": "A", "clientSecret": "a-secret", "scopes": ALL }),
            401,
            "CVRS-CLIENT-UNKNOWN",
        ),
    ];
    let mut unknown = Vec::new();
    for (body, status, code) in cases {
        let response = bench.post("/v0/token/gen", body).await;
        if status == 401 {
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            assert_eq!(response.status(), 401);
            unknown.push(response.text().await.unwrap());
        } else {
            assert_eq!(problem(response).await, refused(status, code));
        }
    }
    assert_eq!(unknown[0], unknown[1], "nobody learns which of the two was wrong");
    assert!(unknown[0].contains("CVRS-CLIENT-UNKNOWN"));
    let request = Client::new().post(bench.daemon.url("/v0/token/gen"));
    let text = request.header("content-type", "text/plain").body("{}").send().await.unwrap();
    assert_eq!(problem(text).await, refused(415, "CVRS-MEDIA-TYPE-UNSUPPORTED"));
    let get = bench.get("/v0/token/gen", "").await;
    assert_eq!(problem(get).await, refused(405, "CVRS-METHOD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_until_the_second_it_expires_and_then_not_even_for_a_refresh() {
    let clients = crate::bench::client("A", "TA", "");
    let bench = Bench::with(&clients, &[("CVRSD__AUTH__TOKEN_LIFETIME", "2s")]);
    let answer: serde_json::Value = bench.generate("A", ALL).await.json().await.unwrap();
    let (token, expiration) = (answer["token"].as_str().unwrap(), answer["expiration"].as_i64());
    let expiration = expiration.unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = now_s();
        let response = bench.get(JOBS, token).await;
        if response.status() == 200 {
            assert!(before < expiration, "it was let in after it expired");
        } else {
            assert_eq!(problem(response).await, refused(401, "CVRS-TOKEN-EXPIRED"));
            assert!(now_s() >= expiration, "it was refused before it expired");
            break;
        }
        assert!(Instant::now() < deadline, "it does not expire");
    }
    let late = bench.request(Method::POST, "/v0/token/refresh", token).send().await.unwrap();
    assert_eq!(problem(late).await, refused(401, "CVRS-TOKEN-EXPIRED"));
    let status = bench.jobs(token).await.list_jobs(ListJobsRequest::default()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unauthenticated, "CVRS-TOKEN-EXPIRED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn tampered_unsigned_and_foreign_tokens_are_refused() {
    let (bench, other) = (Bench::new(""), Bench::new(""));
    let token = bench.token("A", ALL).await;
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { panic!("three parts") };
    let victim = bench.token("B", ALL).await;
    let foreign_claims = victim.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"} and {"alg":"none"}
    let unsigned = ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJub25lIn0"];
    let mut bad = vec![
        other.token("A", ALL).await,
        format!("{head}.{foreign_claims}.{signature}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        token.to_uppercase(),
        format!("Basic {token}"),
        "x".repeat(5_000),
    ];
    for head in unsigned {
        bad.push(format!("{head}.{claims}."));
        bad.push(format!("{head}.{claims}.{signature}"));
    }
    for sent in bad {
        let response = bench.get(JOBS, &sent).await;
        assert_eq!(problem(response).await, refused(401, "CVRS-TOKEN-INVALID"), "{sent}");
        let status = bench.jobs(&sent).await.list_jobs(ListJobsRequest::default()).await;
        let expected = (Code::Unauthenticated, "CVRS-TOKEN-INVALID".to_owned());
        assert_eq!(reason(&status.unwrap_err()), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_learns_nothing_before_it_is_known() {
    let bench = Bench::new("");
    let client = Client::new();
    let calls = [
        (Method::GET, JOBS.to_owned()),
        (Method::GET, format!("{JOBS}?nonsense=1")),
        (Method::GET, format!("{JOBS}/nonsense")),
        (Method::GET, format!("{JOBS}/nonsense?view=x")),
        (Method::GET, "/v0/async/cvrs/nonsense".to_owned()),
        (Method::POST, format!("{JOBS}/nonsense/cancel")),
        (Method::GET, format!("{JOBS}/nonsense/errors")),
        (Method::GET, format!("{JOBS}/nonsense/events")),
        (Method::POST, JOBS.to_owned()),
        (Method::PUT, format!("{JOBS}?validateonly=true")),
        (Method::DELETE, JOBS.to_owned()),
        (Method::POST, "/v0/upload/cvrs/batch?x=1".to_owned()),
        (Method::POST, "/v0/token/refresh".to_owned()),
    ];
    for (method, path) in calls {
        let request = client.request(method.clone(), bench.daemon.url(&path)).body("x");
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        let expected = refused(401, "CVRS-TOKEN-MISSING");
        assert_eq!(problem(response).await, expected, "{method} {path}");
    }
    let nowhere = client.get(bench.daemon.url("/v0/nothing")).send().await.unwrap();
    assert_eq!(problem(nowhere).await, refused(404, "CVRS-PATH-NOT-FOUND"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reflection_metrics_and_probes_stay_open() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest,
    };
    let bench = Bench::new("");
    let url = format!("http://{}", bench.daemon.grpc);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel.clone());
    let reply = reflection.server_reflection_info(tokio_stream::iter([list])).await.unwrap();
    assert!(reply.into_inner().message().await.unwrap().is_some());
    let closed = JobServiceClient::new(channel).list_jobs(ListJobsRequest::default()).await;
    let expected = (Code::Unauthenticated, "CVRS-TOKEN-MISSING".to_owned());
    assert_eq!(reason(&closed.unwrap_err()), expected);
    for path in ["/metrics", "/livez", "/readyz"] {
        let url = format!("http://{}{path}", bench.daemon.admin);
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_authentication_whoever_asks_in_the_documented_form_gets_a_throw_away_token() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = open(dir.path());
    let ask = async |body: String| {
        Client::new().post(daemon.url("/v0/token/gen")).body(body).send().await.unwrap()
    };
    let before = now_s();
    let six = [ALL, &["EXPORT_REDACTED", "EXPORT_NON_REDACTED", "EXPORT_SUMMARIZATION"]].concat();
    let mut behalf = asked("nobody", &six);
    behalf["onBehalfOfClientID"] = json!("another");
    let mut tokens = Vec::new();
    for body in [asked("A", ALL), asked("A", ALL), behalf] {
        tokens.push(check_answer(ask(body.to_string()).await, before).await);
    }
    for sent in [None, Some("whatever"), Some(tokens[0].clone().as_str())] {
        let request = Client::new().post(daemon.url("/v0/token/refresh"));
        let request = match sent {
            Some(token) => request.header("authorization", token),
            None => request,
        };
        tokens.push(check_answer(request.send().await.unwrap(), before).await);
    }
    for token in &tokens {
        assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
        assert_eq!(tokens.iter().filter(|t| *t == token).count(), 1);
        let request = Client::new().get(daemon.url(JOBS)).header("authorization", token);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    for (body, status, code) in [
        ("{}".to_owned(), 400, "CVRS-TOKEN-REQUEST"),
        (asked("A", &[]).to_string(), 400, "CVRS-TOKEN-REQUEST"),
        (asked("A", &["EXPORT"]).to_string(), 400, "CVRS-SCOPE-UNKNOWN"),
        (" ".repeat((8 << 10) + 1), 413, "CVRS-TOKEN-REQUEST-TOO-LARGE"),
    ] {
        assert_eq!(problem(ask(body).await).await, refused(status, code));
    }
    let request = Client::new().post(daemon.url("/v0/token/gen"));
    let text = request.header("content-type", "text/plain").body("{}").send().await.unwrap();
    assert_eq!(problem(text).await, refused(415, "CVRS-MEDIA-TYPE-UNSUPPORTED"));
    assert!(!dir.path().join("keys.json").exists(), "nothing is signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_authorization_values_none_counts_on_any_face() {
    let bench = Bench::new("");
    let token = bench.token("A", ALL).await;
    let twice = bench.request(Method::GET, JOBS, &token).header("authorization", &token);
    let invalid = "CVRS-TOKEN-INVALID".to_owned();
    assert_eq!(problem(twice.send().await.unwrap()).await, (401, invalid.clone()));
    let value: MetadataValue<Ascii> = token.parse().unwrap();
    for count in [1, 2] {
        let mut list = Request::new(ListJobsRequest::default());
        let mut records = Request::new(CountRecordsRequest::default());
        for _ in 0..count {
            list.metadata_mut().append("authorization", value.clone());
            records.metadata_mut().append("authorization", value.clone());
        }
        let listed = bench.daemon.jobs().await.list_jobs(list).await.map(drop);
        let counted = bench.daemon.records().await.count_records(records).await.map(drop);
        for answer in [listed, counted] {
            match count {
                1 => answer.unwrap(),
                _ => assert_eq!(
                    reason(&answer.unwrap_err()),
                    (Code::Unauthenticated, invalid.clone())
                ),
            }
        }
    }
}
