//! Which scope reads rows back, and what is logged of it.

use std::{collections::BTreeSet, fs::File};

use cvrsd::proto::admin::{CountRecordsRequest, ExportRecordsRequest, GetRecordRequest};
use reqwest::Method;
use tonic::{Code, Status};

use crate::{
    bench::{ALL, Bench, client, reason},
    support::files,
};

const FULL: &str = "NON_REDACTED_DB";
const REDACTED: &str = "REDACTED_DB";
const SIX: [&str; 6] = [
    "UPLOAD",
    "UPDATE",
    "DELETE",
    "EXPORT_REDACTED",
    "EXPORT_NON_REDACTED",
    "EXPORT_SUMMARIZATION",
];

/// The key of the first row of the files.
fn key() -> String {
    let text = String::from_utf8(files::text(1, 0..3)).unwrap();
    text.lines().nth(1).unwrap().split('\t').next().unwrap().to_owned()
}

/// Reads one row and all, and gives what each answered.
async fn read(bench: &Bench, token: &str, tenant: &str, storage: &str) -> [Result<(), Status>; 2] {
    let mut records = bench.records(token).await;
    let (tenant, storage) = (tenant.to_owned(), storage.to_owned());
    let get =
        GetRecordRequest { tenant: tenant.clone(), storage: storage.clone(), vax_event_id: key() };
    let got = records.get_record(get).await.map(drop);
    let exported = match records.export_records(ExportRecordsRequest { tenant, storage }).await {
        Ok(stream) => stream.into_inner().message().await.map(|piece| assert!(piece.is_some())),
        Err(status) => Err(status),
    };
    [got, exported]
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_with_the_scope_of_their_storage_and_counted_with_any() {
    let bench = Bench::with(&client("A", "TA", &format!("scopes = {SIX:?}")), &[]);
    let uploader = bench.token("A", ALL).await;
    bench.run(Method::POST, &uploader, 0..3).await;
    let mut told = BTreeSet::new();
    for scope in SIX {
        let token = bench.token("A", &[scope]).await;
        for storage in [FULL, REDACTED] {
            let allowed = scope == "EXPORT_NON_REDACTED"
                || (scope == "EXPORT_REDACTED" && storage == REDACTED);
            for answer in read(&bench, &token, "TA", storage).await {
                match answer {
                    Ok(()) => assert!(allowed, "{scope} {storage}"),
                    Err(status) => {
                        assert!(!allowed, "{scope} {storage} {status:?}");
                        let expected = (Code::PermissionDenied, "CVRS-SCOPE".to_owned());
                        assert_eq!(reason(&status), expected);
                    }
                }
            }
        }
        for (tenant, storage) in [("TB", FULL), ("TB", REDACTED), ("TA", "OTHER_DB")] {
            for answer in read(&bench, &token, tenant, storage).await {
                let expected = (Code::NotFound, "CVRS-RECORD-NOT-FOUND".to_owned());
                let status = answer.unwrap_err();
                assert_eq!(reason(&status), expected, "{scope} {tenant} {storage}");
                told.insert(status.message().to_owned());
            }
        }
        let counted =
            bench.records(&token).await.count_records(CountRecordsRequest::default()).await;
        assert!(counted.unwrap().into_inner().counts.iter().all(|c| c.count == 3), "{scope}");
    }
    let expected = ["there is no such live record", "there is no such storage"];
    assert_eq!(told.len(), 3, "with any scope in the same words: {told:?}");
    assert!(expected.iter().all(|words| told.contains(*words)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_not_the_clients_stays_unknown_with_every_scope() {
    let more = format!("scopes = {SIX:?}\nstorages = [\"REDACTED_DB\"]");
    let bench = Bench::with(&client("A", "TA", &more), &[]);
    let token = bench.token("A", &SIX).await;
    bench.run(Method::POST, &token, 0..3).await;
    for scopes in [&SIX[..], ALL] {
        let token = bench.token("A", scopes).await;
        for answer in read(&bench, &token, "TA", FULL).await {
            assert_eq!(answer.unwrap_err().code(), Code::NotFound);
        }
    }
    for answer in read(&bench, &token, "TA", REDACTED).await {
        answer.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reading_is_logged_with_client_tenant_and_storage_and_never_with_an_id() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let clients = client("A", "TA", &format!("scopes = {SIX:?}"));
    let bench = Bench::logged(&clients, File::create(&log).unwrap());
    let (all, uploader) = (bench.token("A", &SIX).await, bench.token("A", ALL).await);
    bench.run(Method::POST, &all, 0..3).await;
    assert!(read(&bench, &all, "TA", REDACTED).await.iter().all(Result::is_ok));
    assert!(read(&bench, &uploader, "TA", FULL).await.iter().all(Result::is_err));
    assert!(read(&bench, &all, &key(), FULL).await.iter().all(Result::is_err));
    assert!(bench.daemon.stop().success());
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains(&key()), "an id is in the log");
    let lines = log.lines().filter(|line| line.contains("rows are asked for"));
    let told: Vec<_> = lines
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (&line["level"], &line["client"], &line["tenant"]),
                (&"INFO".into(), &"A".into(), &"TA".into())
            );
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("call"), text("storage"), line["allowed"].as_bool().unwrap())
        })
        .collect();
    let expected = [(REDACTED, true), (FULL, false), (FULL, false)].map(|(storage, allowed)| {
        ["GetRecord", "ExportRecords"].map(|call| (call.to_owned(), storage.to_owned(), allowed))
    });
    assert_eq!(told, expected.concat());
}
