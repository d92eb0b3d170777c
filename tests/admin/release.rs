//! Releasing a held job.

use std::{fs, time::Instant};

use crate::{
    bench::{admin, admin_json, explain, kill_and_start},
    support::{PATIENCE, files, http::Server, start},
};

const ROWS: u64 = 20_000;

/// Attempts are used up soon.
const ENV: &[(&str, &str)] = &[
    ("CVRSD__ENGINE__MAX_ATTEMPTS", "2"),
    ("CVRSD__ENGINE__RETRY_MIN", "1ms"),
    ("CVRSD__ENGINE__RETRY_MAX", "2ms"),
];

#[test]
fn a_job_that_is_held_is_released_once_what_was_wrong_is_mended() {
    let server = Server::with(ENV);
    let data = server.dir.path().join("data");
    admin(&server.daemon, &["pause", "--all"]);
    let job = server.submit("POST", files::text(1, 0..ROWS));
    let behind = server.submit("DELETE", files::text(1, 0..10));
    // The job cannot make its directory.
    let (work, away) = (data.join("work"), data.join("away"));
    fs::rename(&work, &away).unwrap();
    fs::write(&work, "in the way").unwrap();
    admin(&server.daemon, &["resume", "--all"]);
    let deadline = Instant::now() + PATIENCE;
    let told = loop {
        let told = explain(&server.daemon, &job);
        // The worker that has noted it may have the job a moment longer.
        if told["reason"] == "HELD" {
            break told;
        }
        assert!(Instant::now() < deadline, "the job is not held: {told}");
    };
    assert_eq!((&told["held"], &told["failure"]["code"]), (&true.into(), &"CVRS-JOB-IO".into()));
    let told = explain(&server.daemon, &behind);
    assert_eq!(
        (&told["reason"], &told["first_job_id"]),
        (&"HELD_AHEAD".into(), &job.as_str().into())
    );
    let none = admin_json(&server.daemon, &["release", &behind]);
    assert_eq!(none["released"], false);

    fs::remove_file(&work).unwrap();
    fs::rename(&away, &work).unwrap();
    let server = kill_and_start(server, ENV);
    assert_eq!(explain(&server.daemon, &job)["reason"], "HELD", "a start does not release it");
    let text = admin(&server.daemon, &["release", &job]);
    assert_eq!(text, "released, a new round of attempts begins\n");
    server.wait(&job);
    server.wait(&behind);
    assert_eq!(server.full(&job)["rowsApplied"], ROWS);
    let seen = server.events(&job, 1);
    let failed = seen.iter().filter(|event| event["failure"]["code"] == "CVRS-JOB-IO").count();
    assert!(failed >= 2, "held and released are events: {seen:?}");
    // The journal that holds a release is sound, and read by a start.
    let Server { daemon, dir } = server;
    assert!(daemon.stop().success());
    crate::support::verify(&data);
    drop(start(&data, &[]));
    drop(dir);
}
