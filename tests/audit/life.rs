//! One life of jobs over all three faces.

use std::{fs, process::Command};

use cvrsd::proto::{
    admin::{CountRecordsRequest, ExportRecordsRequest, GetRecordRequest},
    jobs::Operation,
};
use sha2::{Digest, Sha256};
use tonic::Code;

use crate::{
    log::{audit, entries, told, verified},
    support::{
        http::{JOBS, Server},
        jobs::{self, Upload},
        rows,
    },
};

const UNKNOWN: &str = "0190a5c0-0000-7000-8000-000000000000";
const STORAGE: &str = "NON_REDACTED_DB";
/// Values of the rows, of which none may be in the log.
const VALUES: [&str; 7] =
    ["MARKED-1", "MARKED-2", "MARKED-3", "Lovelace", "1975-12-10", "Main St", "EL1283"];

#[tokio::test(flavor = "multi_thread")]
async fn each_act_over_each_face_has_its_entry_and_no_entry_has_a_value_of_a_row() {
    let server = Server::new();
    let text = rows::events(&["MARKED-1", "MARKED-2"]);
    let created = rest(&server, &text);
    let deleted = grpc(&server).await;
    records(&server).await;
    let head = verified(&server.daemon.dir, &[])["head"].as_str().unwrap().to_owned();
    let dir = server.daemon.dir.clone();
    assert!(server.daemon.stop().success());

    let entries = entries(&dir);
    let expected = "audit.segment - -\ndaemon.start - -\njournal.verified - -
job.submit rest -\njob.watch rest -\njob.read rest -\nreport.read rest -\njob.cancel rest -
job.read rest CVRS-JOB-NOT-FOUND\njob.submit rest CVRS-MEDIA-TYPE-MISMATCH
job.submit grpc -\njob.watch grpc -\njob.repeat grpc -
job.repeat grpc CVRS-REQUEST-CONFLICT\nreport.read grpc -
records.count admin -\nrecord.read admin -\nrecord.read admin -\nrecords.export admin -
records.exported admin -\nrecords.export admin CVRS-RECORD-NOT-FOUND\ndaemon.stop - -";
    assert_eq!(entries.iter().map(told).collect::<Vec<_>>().join("\n"), expected);

    let submit = &entries[3];
    assert_eq!(submit["job"], *created);
    assert_eq!(submit["operation"], "create");
    assert_eq!((&submit["client"], &submit["tenant"]), (&"local".into(), &"local".into()));
    assert_eq!(submit["bytes"], text.len());
    let digest: Vec<_> = Sha256::digest(&text).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(submit["sha256"], digest.concat());
    assert!(submit["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(submit["forwarded"], "for=203.0.113.9");
    assert_eq!(entries[7]["detail"], "it has ended already");
    for number in [10, 12, 13] {
        assert_eq!(entries[number]["job"], *deleted);
    }
    assert_eq!((&submit["order"], &entries[10]["order"]), (&1.into(), &2.into()));
    assert_eq!((&entries[16]["rows"], &entries[17]["rows"]), (&1.into(), &0.into()));
    assert_eq!(entries[19]["rows"], 1);

    let stored = fs::read_to_string(dir.join("audit/00000001.log")).unwrap();
    for value in VALUES {
        assert!(!stored.contains(value), "{value}");
    }
    assert_eq!(verified(&dir, &["--head", &head])["has_head"], true);
    ends_with_hashes_of_standard_tools(&stored);
    let last = entries.last().unwrap()["time"].as_str().unwrap();
    let until = audit("export", &dir, &["--until", last, "--output", "tsv"]);
    let lines = String::from_utf8(until.stdout).unwrap();
    assert!(lines.starts_with("seq\ttime\tkind\t"));
    let before = entries.iter().filter(|entry| entry["time"].as_str().unwrap() < last).count();
    assert_eq!(lines.lines().count(), 1 + before);
    crate::support::verify(&dir);
}

fn rest(server: &Server, text: &str) -> String {
    let headers = [("Content-Type", "text/plain"), ("Forwarded", "for=203.0.113.9")];
    let id = server.call("POST", JOBS, &headers, text.as_bytes()).accepted();
    server.events(&id, 0);
    // A client polls; its first read is recorded.
    for _ in 0..5 {
        assert_eq!(server.get(&format!("{JOBS}/{id}")).status, 200);
    }
    assert_eq!(server.get(&format!("{JOBS}/{id}/errors")).status, 200);
    assert_eq!(server.call("POST", &format!("{JOBS}/{id}/cancel"), &[], b"").status, 200);
    assert_eq!(server.get(&format!("{JOBS}/{UNKNOWN}")).status, 404);
    assert_eq!(server.upload("POST", "text/plain", crate::support::files::zip(b"x")).status, 415);
    id
}

async fn grpc(server: &Server) -> String {
    let mut client = server.daemon.jobs().await;
    let delete = |id| Upload::text(Operation::Delete, rows::ids(&[id]).as_bytes()).request_id("k");
    let (id, _) = jobs::submit(&mut client, &delete("MARKED-1")).await.unwrap();
    jobs::watch(&mut client, &id, 0).await.1.unwrap();
    let (same, _) = jobs::submit(&mut client, &delete("MARKED-1")).await.unwrap();
    assert_eq!(same, id);
    let conflict = jobs::submit(&mut client, &delete("MARKED-3")).await.unwrap_err();
    assert_eq!(conflict.code(), Code::AlreadyExists);
    jobs::errors(&mut client, &id).await;
    id
}

async fn records(server: &Server) {
    let mut records = server.daemon.records().await;
    let (local, storage) = ("local".to_owned(), STORAGE.to_owned());
    records.count_records(CountRecordsRequest::default()).await.unwrap();
    let get = |id: &str| GetRecordRequest {
        tenant: local.clone(),
        storage: storage.clone(),
        vax_event_id: id.to_owned(),
    };
    records.get_record(get("MARKED-2")).await.unwrap();
    assert_eq!(records.get_record(get("MARKED-1")).await.unwrap_err().code(), Code::NotFound);
    let export =
        |tenant: &str| ExportRecordsRequest { tenant: tenant.to_owned(), storage: storage.clone() };
    let mut stream = records.export_records(export("local")).await.unwrap().into_inner();
    while stream.message().await.unwrap().is_some() {}
    let mut other = records.export_records(export("MARKED-3")).await.unwrap().into_inner();
    assert_eq!(other.message().await.unwrap_err().code(), Code::NotFound);
}

/// Each line's hash is what `sha256sum` says of the bytes before it.
fn ends_with_hashes_of_standard_tools(stored: &str) {
    for line in stored.lines() {
        let (body, seal) = line.rsplit_once(r#","hash":""#).unwrap();
        let script = r#"printf %s "$1" | sha256sum | cut -d" " -f1"#;
        let sum = Command::new("sh").args(["-c", script, "sh", body]).output().unwrap();
        assert_eq!(String::from_utf8(sum.stdout).unwrap().trim(), seal.trim_end_matches("\"}"));
    }
}
