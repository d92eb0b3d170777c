//! Client certificates.

use std::fs;

use cvrsd::proto::jobs::{ListJobsRequest, Operation, job_service_client::JobServiceClient};
use serde_json::Value;
use tonic::Code;

use crate::{
    bench::{Answer, Bench, named, stderr, stdout},
    pki::{Authority, Pair, dns, uri},
    support::{
        clients::{asked, block},
        files,
        http::JOBS,
        jobs::{self, Upload},
    },
};

/// Client `A` of tenant `TA` by a DNS name, `B` of `TB` by a URI, `C` of `TC` by a common name.
fn abc() -> String {
    let (a, b) = (named("A", "TA", "a.example"), named("B", "TB", "spiffe://x/b"));
    format!("{a}{b}{}", named("C", "TC", "Acme Upload"))
}

fn problem(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    (answer.status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_its_client_on_every_face_without_a_token() {
    let bench = Bench::mutual(true, &abc());
    let dir = bench.path();
    let a = bench.clients.client(dir, "a", vec![dns("A.example")]);
    let b = bench.clients.client(dir, "b", vec![uri("spiffe://x/b")]);
    let c = bench.clients.client(dir, "acme upload", vec![]);
    let file = dir.join("a.txt");
    fs::write(&file, files::text(1, 0..3)).unwrap();
    for (pair, tenant) in [(&a, "TA"), (&b, "TB"), (&c, "TC")] {
        let args = ["submit", "create", file.to_str().unwrap(), "--watch"];
        let output = bench.cvrsd_as(&args, Some(pair));
        assert!(output.status.success(), "{}", stderr(&output));
        let answer = bench.curl(&bench.daemon.rest, JOBS, Some(pair), &[]);
        let listed: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(listed["jobs"].as_array().unwrap().len(), 1, "its own tenant's alone");
        let output = bench.cvrsd_as(&["records", "count"], Some(pair));
        let expected = format!(
            "tenant\tstorage\tcount\n{tenant}\tNON_REDACTED_DB\t3\n{tenant}\tREDACTED_DB\t3\n"
        );
        assert_eq!(stdout(&output), expected);
        let output = bench.cvrsd_as(&["records", "export", "--tenant", tenant], Some(pair));
        assert_eq!(output.status.code(), Some(1), "it has no scope to export");
        assert!(stderr(&output).contains("CVRS-SCOPE"), "{output:?}");
    }
    let mut client = JobServiceClient::new(bench.channel(Some(&a)).await.unwrap());
    let job = jobs::run(&mut client, &Upload::text(Operation::Delete, &files::text(1, 0..3))).await;
    assert_eq!(job.tenant, "TA");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_certificate_is_required_no_other_connection_is_served() {
    let bench = Bench::mutual(true, &abc());
    let dir = bench.path();
    let good = bench.clients.client(dir, "good", vec![dns("a.example")]);
    // Of the authority that signed the daemon's own, of an unknown one, and of nobody.
    let own = bench.ca.client(dir, "own", vec![dns("a.example")]);
    let wrong = Authority::new(dir, "wrong").client(dir, "stranger", vec![dns("a.example")]);
    let mut expired = crate::pki::named("expired");
    expired.subject_alt_names = vec![dns("a.example")];
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let expired = bench.clients.sign(&expired, dir, "expired");
    let daemon = &bench.daemon;
    for pair in [None, Some(&own), Some(&wrong), Some(&expired)] {
        for (address, path) in [(&daemon.rest, JOBS), (&daemon.admin, "/metrics")] {
            let answer = bench.curl(address, path, pair, &[]);
            assert!(answer.code != 0 && answer.status == 0, "{answer:?}");
        }
        let output = bench.cvrsd_as(&["list"], pair);
        assert_eq!(output.status.code(), Some(69), "{output:?}");
    }
    assert_eq!(bench.curl(&daemon.rest, JOBS, Some(&good), &[]).status, 200);
    assert_eq!(bench.curl(&daemon.admin, "/metrics", Some(&good), &[]).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_certificate_of_nobody_is_not_authenticated() {
    for required in [true, false] {
        let bench = Bench::mutual(required, &abc());
        let unknown = bench.clients.client(bench.path(), "unknown", vec![dns("z.example")]);
        let names = vec![dns("a.example"), uri("spiffe://x/b")];
        let both = bench.clients.client(bench.path(), "both", names);
        for pair in [&unknown, &both] {
            let answer = bench.curl(&bench.daemon.rest, JOBS, Some(pair), &[]);
            assert_eq!(problem(&answer), (401, "CVRS-CERTIFICATE-INVALID".to_owned()));
            let mut client = JobServiceClient::new(bench.channel(Some(pair)).await.unwrap());
            let refused = client.list_jobs(ListJobsRequest::default()).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
            assert_eq!(jobs::code(&refused), "CVRS-CERTIFICATE-INVALID");
            let output = bench.cvrsd_as(&["records", "count"], Some(pair));
            assert_eq!(output.status.code(), Some(1));
            assert!(stderr(&output).contains("CVRS-CERTIFICATE-INVALID"), "{output:?}");
            assert_eq!(bench.curl(&bench.daemon.admin, "/livez", Some(pair), &[]).status, 200);
        }
    }
}

/// A token of that client, asked for on a connection with that certificate.
fn token(bench: &Bench, id: &str, pair: Option<&Pair>) -> String {
    let body = asked(id, &["UPLOAD"]);
    let post = ["-H", "Content-Type: application/json", "-d", &body];
    let answer = bench.curl(&bench.daemon.rest, "/v0/token/gen", pair, &post);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

#[test]
fn where_a_certificate_is_optional_a_token_does_and_must_not_be_anothers() {
    let more = "certificate_names = [\"d.example\"]";
    let with_secrets =
        format!("{}{}", block("D", "TD", &["UPLOAD"], more), block("E", "TE", &["UPLOAD"], ""));
    let bench = Bench::mutual(false, &format!("{}{with_secrets}", abc()));
    let a = bench.clients.client(bench.path(), "a", vec![dns("a.example")]);
    let d = bench.clients.client(bench.path(), "d", vec![dns("d.example")]);
    let nobody = bench.clients.client(bench.path(), "nobody", vec![dns("z.example")]);
    let list = |token: Option<&str>, pair| {
        let header = format!("Authorization: Bearer {}", token.unwrap_or_default());
        let more = if token.is_some() { vec!["-H", &header] } else { vec![] };
        bench.curl(&bench.daemon.rest, JOBS, pair, &more)
    };
    let missing = (401, "CVRS-TOKEN-MISSING".to_owned());
    assert_eq!(problem(&list(None, None)), missing);
    let (of_d, of_e) = (token(&bench, "D", None), token(&bench, "E", Some(&nobody)));
    for (token, pair) in [
        (Some(&of_d), None),
        (Some(&of_d), Some(&d)),
        (None, Some(&d)),
        (Some(&of_d), Some(&nobody)),
        (Some(&of_e), Some(&nobody)),
        (Some(&of_e), None),
    ] {
        let answer = list(token.map(String::as_str), pair);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let mismatch = (401, "CVRS-CERTIFICATE-MISMATCH".to_owned());
    for (token, pair) in [(&of_d, &a), (&of_e, &a), (&of_e, &d)] {
        assert_eq!(problem(&list(Some(token), Some(pair))), mismatch);
        let output = bench.cvrsd_as(&["list", "--token", token], Some(pair));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("CVRS-CERTIFICATE-MISMATCH"), "{output:?}");
    }
    let invalid = (401, "CVRS-TOKEN-INVALID".to_owned());
    assert_eq!(problem(&list(Some("made.up.token"), Some(&a))), invalid, "not silently A");
    let log = bench.log();
    for secret in [&of_d, &of_e] {
        assert!(!log.contains(secret.as_str()), "a token is in the log");
    }
}

#[test]
fn without_authentication_a_required_certificate_still_guards_the_door() {
    let bench = Bench::mutual(true, crate::bench::NOBODY);
    let any = bench.clients.client(bench.path(), "any", vec![]);
    assert_eq!(bench.curl(&bench.daemon.rest, JOBS, Some(&any), &[]).status, 200);
    assert_ne!(bench.curl(&bench.daemon.rest, JOBS, None, &[]).code, 0);
}
