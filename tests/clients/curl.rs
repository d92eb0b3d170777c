//! The tour by curl.

use std::process::Command;

use serde_json::Value;

use crate::{
    need, run, source,
    support::{files, start, wait_empty},
};

#[test]
fn the_tour_by_curl_shows_what_the_contract_says() {
    need(Command::new("curl").arg("--version"), "curl");
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(&dir.path().join("data"), &[]);
    let (text, zip) = (dir.path().join("a.txt"), dir.path().join("a.zip"));
    std::fs::write(&text, files::text(1, 0..3)).unwrap();
    std::fs::write(&zip, files::zip(&files::text(1, 0..5))).unwrap();
    let mut tour = Command::new(source("examples/curl/tour.sh"));
    tour.args([&text, &zip]).env("CVRSD_REST", daemon.url(""));
    // Twice: the second tour finds the records gone and the keys of the first one taken.
    for _ in 0..2 {
        let told = run(&mut tour);
        assert_eq!(told.matches("HTTP/1.1 202 Accepted").count(), 2, "{told}");
        let bodies = told.lines().filter(|line| line.starts_with('{'));
        let bodies: Vec<Value> = bodies.map(|line| serde_json::from_str(line).unwrap()).collect();
        let completed: Vec<&Value> = bodies.iter().filter(|b| b["status"] == "COMPLETED").collect();
        let [created, deleted, repeated] = completed[..] else { panic!("{told}") };
        for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
            let counts = |job: &Value| {
                let result = &job["storageResult"][storage];
                (result["recordsProcessed"].as_u64(), result["processingErrorsCount"].as_u64())
            };
            assert_eq!(counts(created), (Some(3), Some(0)));
            assert_eq!(counts(deleted), (Some(3), Some(2)));
        }
        assert_eq!(repeated["id"], deleted["id"]);
        assert_ne!(created["id"], deleted["id"]);
        let rows = told.lines().filter(|line| line.ends_with("\tRecord does not exist"));
        assert_eq!(rows.count(), 4, "{told}");
        assert!(told.contains("HTTP/1.1 415 "), "{told}");
        assert_eq!(bodies.last().unwrap()["code"], "CVRS-MEDIA-TYPE-MISMATCH");
    }
    wait_empty(&daemon.dir, &["spool", "payloads", "work"]);
    assert!(daemon.stop().success());
}
