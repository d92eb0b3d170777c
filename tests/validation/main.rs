//! The built binary under `validation.profile = "strict"`: files in, reports out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::{fs, process::Command};

use cvrsd::proto::jobs::{Job, Operation, Outcome, RowError};
use support::{
    Daemon, files,
    jobs::{self, Upload},
    shared::shared,
    start,
};
use tempfile::TempDir;

/// Made-up rows that break every code, and what they are told.
const OWN: &[u8] = include_bytes!("../../src/cvrs/tests/strict.txt");
const OWN_ERRORS: &str = include_str!("../../src/cvrs/tests/strict.errors.txt");

fn strict() -> (TempDir, Daemon) {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__VALIDATION__PROFILE", "strict")]);
    (dir, daemon)
}

async fn run(daemon: &Daemon, operation: Operation, text: &[u8]) -> (Job, Vec<RowError>) {
    let mut client = daemon.jobs().await;
    let job = jobs::run(&mut client, &Upload::zip(operation, text)).await;
    let errors = jobs::errors(&mut client, &job.job_id).await;
    (job, errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_every_code_has_all_its_errors_in_the_report() {
    let (_dir, daemon) = strict();
    for operation in [Operation::Create, Operation::Update, Operation::Delete] {
        let (job, errors) = run(&daemon, operation, OWN).await;
        assert_eq!(job.outcome(), Outcome::Partial);
        let told: Vec<_> = errors
            .iter()
            .filter(|e| e.storage.is_empty())
            .map(|e| format!("{} {} {}: {}", e.line, e.code, e.field, e.message))
            .collect();
        assert_eq!(told, OWN_ERRORS.lines().collect::<Vec<_>>());
        assert_eq!(job.rows.unwrap().total, 31);
    }
    let (job, _) = run(&daemon, Operation::Create, OWN).await;
    let report = reqwest::get(daemon.url(&format!("/v0/async/cvrs/jobs/{}/errors", job.job_id)));
    let report = report.await.unwrap().text().await.unwrap();
    let line = "14\tvalidation\t\tDATA007\tP-1\trecip_sex\tDATA007\t\
                recip_sex is not in value set SEX[M, F, U]";
    assert!(report.lines().any(|told| told == line), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_rows_are_created_and_deleted_under_strict() {
    let (_dir, daemon) = strict();
    let text = files::text(3, 0..2_000);
    for operation in [Operation::Create, Operation::Delete] {
        let (job, errors) = run(&daemon, operation, &text).await;
        assert_eq!(job.outcome(), Outcome::Succeeded, "{:?}", errors.first());
        assert_eq!(job.rows.unwrap().applied, 2_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_with_the_ids_alone_is_refused_row_by_row() {
    let (_dir, daemon) = strict();
    let (job, errors) = run(&daemon, Operation::Delete, b"vax_event_id\nE-1\n").await;
    assert_eq!(job.outcome(), Outcome::Partial);
    assert_eq!(job.rows.unwrap().valid, 0);
    assert_eq!((errors[0].line, &*errors[0].code, &*errors[0].field), (2, "DATA005", "ext_type"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_samples_end_as_their_reports_say() {
    let Some(good) = shared("samples/testgood.txt") else { return };
    let (_dir, daemon) = strict();
    let (job, errors) = run(&daemon, Operation::Create, &fs::read(good).unwrap()).await;
    assert_eq!((job.outcome(), errors.len()), (Outcome::Succeeded, 0));
    assert_eq!(job.rows.unwrap().applied, 33);

    let bad = fs::read(shared("samples/testerror.txt").unwrap()).unwrap();
    let (job, errors) = run(&daemon, Operation::Create, &bad).await;
    assert_eq!((job.rows.unwrap().total, job.rows.unwrap().valid), (52, 0));
    let report =
        fs::read(shared("samples/expected-reports/testerror.txt.rpt.json").unwrap()).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    // What lay in the future then may be past now; those are left out here.
    let lasting = |code: &str| !["BUSR011", "BUSR012"].contains(&code);
    let mut expected: Vec<_> = report["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap().to_owned();
            (entry["line"].as_u64().unwrap() + 1, text("code"), text("field"))
        })
        .filter(|(_, code, _)| lasting(code))
        .collect();
    let mut found: Vec<_> = errors
        .into_iter()
        .map(|e| (e.line, e.code, e.field))
        .filter(|(_, code, _)| lasting(code))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 172);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_files_that_are_no_cvrs_fail() {
    let Some(headers) = shared("samples/testMissingHeaders.txt") else { return };
    let (_dir, daemon) = strict();
    let letter = shared("samples/notacvrs.txt").unwrap();
    for (path, code) in [(headers, "CVRS-HEADER-COLUMN"), (letter, "CVRS-HEADER")] {
        let (job, errors) = run(&daemon, Operation::Create, &fs::read(path).unwrap()).await;
        assert_eq!(job.outcome(), Outcome::Failed);
        assert_eq!((errors.len(), errors[0].line, &*errors[0].code), (1, 1, code));
    }
    // As text it is refused at once, as the entry of a zip it makes a job that fails.
    let empty = fs::read(shared("samples/empty.txt").unwrap()).unwrap();
    let (job, errors) = run(&daemon, Operation::Create, &empty).await;
    assert_eq!((job.outcome(), &*errors[0].code), (Outcome::Failed, "CVRS-FILE-EMPTY"));
    let upload = Upload::text(Operation::Create, &empty);
    let refused = jobs::submit(&mut daemon.jobs().await, &upload).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}

#[test]
fn the_configuration_takes_the_three_profiles_and_no_other() {
    for (profile, status) in [("dch-2020", 0), ("dch-2021", 0), ("strict", 0), ("Strict", 64)] {
        let mut check = Command::new(env!("CARGO_BIN_EXE_cvrsd"));
        check.arg("check-config").env("CVRSD__VALIDATION__PROFILE", profile);
        assert_eq!(check.output().unwrap().status.code(), Some(status), "{profile}");
    }
}
