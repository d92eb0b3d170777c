//! What operators do, and what retention removes.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    log::{entries, told},
    support::{
        PATIENCE, against,
        clients::{block, token},
        files,
        http::{JOBS, Server},
    },
};

#[test]
fn an_operators_acts_are_recorded_without_the_words_of_the_operator() {
    let clients =
        [block("OP", "T", &["UPLOAD", "ADMIN", "BACKUP"], ""), block("A", "TA", &["UPLOAD"], "")];
    let server = Server::with_clients(&clients.concat());
    let (operator, other) =
        (token(&server, "OP", &["UPLOAD", "ADMIN", "BACKUP"]), token(&server, "A", &["UPLOAD"]));
    let act = |token: &str, args: &[&str]| {
        let args = [args, &["--token", token]].concat();
        against(&server.daemon, &args).output().unwrap().status.code()
    };
    let out = server.dir.path().join("backup");
    assert_eq!(
        act(&operator, &["admin", "pause", "--tenant", "TA", "--reason", "marked"]),
        Some(0)
    );
    assert_eq!(act(&operator, &["admin", "resume", "--tenant", "TA"]), Some(0));
    assert_eq!(act(&operator, &["admin", "level", "info,marked=debug"]), Some(0));
    assert_eq!(act(&operator, &["backup", "--out", out.to_str().unwrap()]), Some(0));
    assert_ne!(act(&other, &["admin", "pause", "--all"]), Some(0));
    assert_ne!(act(&other, &["backup", "--out", "other"]), Some(0));
    assert_eq!(act(&operator, &["admin", "drain"]), Some(0));
    let dir = server.daemon.dir.clone();
    assert!(server.daemon.wait().success());
    let entries = entries(&dir);
    let acts: Vec<_> = entries
        .iter()
        .filter(|entry| entry["kind"] == "admin.act")
        .map(|entry| format!("{} {} {}", told(entry), entry["client"], entry["detail"]))
        .collect();
    let expected = [
        r#"admin.act admin - "OP" "pause TA""#,
        r#"admin.act admin - "OP" "resume TA""#,
        r#"admin.act admin - "OP" "set-log-level""#,
        r#"admin.act admin - "OP" "backup""#,
        r#"admin.act admin CVRS-SCOPE "A" "pause *""#,
        r#"admin.act admin CVRS-SCOPE "A" "backup""#,
        r#"admin.act admin - "OP" "drain""#,
    ];
    assert_eq!(acts, expected);
    assert!(!serde_json::to_string(&entries).unwrap().contains("marked"));
}

#[test]
fn what_retention_removes_is_recorded_and_the_log_outlives_it() {
    let server =
        Server::with(&[("CVRSD__RETENTION__REPORTS", "1s"), ("CVRSD__RETENTION__JOBS", "1s")]);
    let id = server.submit("POST", files::text(1, 0..3));
    server.wait(&id);
    let deadline = Instant::now() + PATIENCE;
    while server.get(&format!("{JOBS}/{id}")).status != 404 {
        assert!(Instant::now() < deadline, "the job is not purged");
        thread::sleep(Duration::from_millis(20));
    }
    let dir = server.daemon.dir.clone();
    assert!(server.daemon.stop().success());
    let entries = entries(&dir);
    let purge = entries.iter().find(|entry| entry["kind"] == "retention.purge").unwrap();
    assert_eq!((&purge["detail"], &purge["count"]), (&"jobs".into(), &1.into()));
    assert!(entries.iter().any(|entry| entry["kind"] == "job.submit" && entry["job"] == *id));
}
