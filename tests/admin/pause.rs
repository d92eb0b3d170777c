//! Pauses that outlive the process.

use crate::{
    bench::{admin, admin_json, explain, kill_and_start, run, status, submit},
    support::{clients, http::Server},
};

#[test]
fn a_pause_holds_jobs_in_the_queue_over_a_kill_until_it_is_resumed() {
    let server = Server::new();
    let reason = "the registry moves to a new disk";
    let pause = admin_json(&server.daemon, &["pause", "--all", "--reason", reason]);
    let expected = ["tenant", "by", "reason"].map(|name| pause[name].clone());
    assert_eq!(expected, [serde_json::Value::Null, "local".into(), reason.into()]);
    let jobs = [submit(&server, 3), submit(&server, 20_000)];
    let told = explain(&server.daemon, &jobs[1]);
    assert_eq!((&told["reason"], &told["jobs_ahead"]), (&"PAUSED".into(), &1.into()));
    let summary = told["summary"].as_str().unwrap();
    assert!(summary.starts_with("everything is paused by local since 20"), "{summary}");
    assert!(summary.contains(reason), "{summary}");

    let server = kill_and_start(server, &[]);
    let listed = admin_json(&server.daemon, &["paused"]);
    assert_eq!(listed, serde_json::json!([pause]));
    let late = submit(&server, 4);
    // Whatever a worker would take, it would have by the time that all of this is answered.
    for job in jobs.iter().chain([&late]) {
        assert_eq!(explain(&server.daemon, job)["reason"], "PAUSED");
        assert_eq!(status(&server, job), "QUEUED");
    }
    let text = admin(&server.daemon, &["resume", "--all"]);
    assert_eq!(text, "resumed\n");
    for job in jobs.iter().chain([&late]) {
        server.wait(job);
    }
    assert_eq!(explain(&server.daemon, &late)["reason"], "ENDED");
    assert_eq!(admin(&server.daemon, &["resume", "--all"]), "no effect, it was not paused\n");
    assert_eq!(admin_json(&server.daemon, &["paused"]), serde_json::json!([]));
}

#[test]
fn a_paused_tenant_hinders_no_other_and_stays_paused_when_everything_is_resumed() {
    let scopes = ["UPLOAD", "ADMIN"];
    let clients: String =
        [("A", "TA"), ("B", "TB")].map(|(id, t)| clients::block(id, t, &scopes, "")).concat();
    let server = Server::with_clients(&clients);
    let tokens = ["A", "B"].map(|id| clients::token(&server, id, &scopes));
    let act = |args: &[&str]| admin(&server.daemon, &[args, &["--token", &tokens[1]]].concat());
    act(&["pause", "--tenant", "TA", "--reason", "bad files"]);
    act(&["pause", "--all"]);
    let submit = |token: &str| {
        let headers = [("Content-Type", "text/plain"), ("Authorization", token)];
        let body = crate::support::files::text(1, 0..3);
        server.call("POST", crate::support::http::JOBS, &headers, &body).accepted()
    };
    let (of_a, of_b) = (submit(&tokens[0]), submit(&tokens[1]));
    let reason = |job: &str| {
        let text = act(&["explain", job, "--output", "json"]);
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        let pauses = told["pauses"].as_array().unwrap().len();
        (told["reason"].as_str().unwrap().to_owned(), pauses)
    };
    assert_eq!(
        (reason(&of_a), reason(&of_b)),
        (("PAUSED".to_owned(), 2), ("PAUSED".to_owned(), 1))
    );
    let left = act(&["resume", "--all"]);
    assert!(left.contains("TA") && left.contains("bad files"), "{left}");
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while reason(&of_b).0 != "ENDED" {
        assert!(std::time::Instant::now() < deadline, "the other tenant's job does not end");
    }
    assert_eq!(reason(&of_a), ("PAUSED".to_owned(), 1));
    act(&["resume", "--tenant", "TA"]);
    while reason(&of_a).0 != "ENDED" {
        assert!(std::time::Instant::now() < deadline, "the job does not end after its resume");
    }
}

#[test]
fn with_now_a_running_job_stops_at_its_checkpoint_and_goes_on_after_the_resume() {
    let server = Server::with(&[("CVRSD__ENGINE__CHECKPOINT_ROWS", "100")]);
    let job = submit(&server, 60_000);
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while status(&server, &job) == "QUEUED" {
        assert!(std::time::Instant::now() < deadline, "the job does not begin");
    }
    admin(&server.daemon, &["pause", "--all", "--now"]);
    let told = loop {
        let told = explain(&server.daemon, &job);
        if told["reason"] != "RUNNING" {
            break told;
        }
        assert!(std::time::Instant::now() < deadline, "the job does not stop");
    };
    assert_eq!(told["reason"], "PAUSED", "it stopped before its end: {told}");
    admin(&server.daemon, &["resume", "--all"]);
    server.wait(&job);
    let full = server.full(&job);
    assert_eq!((&full["outcome"], &full["rowsApplied"]), (&"SUCCEEDED".into(), &60_000.into()));
}

#[test]
fn what_cannot_be_paused_is_refused() {
    let server = Server::new();
    let long = "x".repeat(201);
    for (args, exit) in [
        (&["pause"][..], 64),
        (&["pause", "--all", "--tenant", "a"], 64),
        (&["resume"], 64),
        (&["pause", "--tenant", "a b"], 1),
        (&["pause", "--all", "--reason", &long], 1),
        (&["pause", "--all", "--reason", "a\nb"], 1),
    ] {
        let output = run(&server.daemon, &[&["admin"], args].concat());
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {output:?}");
        if exit == 1 {
            let line = String::from_utf8(output.stderr).unwrap();
            assert!(line.contains("CVRS-PARAMETER"), "{line}");
        }
    }
    admin(&server.daemon, &["pause", "--tenant", "a", "--reason", &long[1..]]);
    assert_eq!(admin_json(&server.daemon, &["paused"])[0]["tenant"], "a");
}

#[test]
fn a_damaged_file_of_pauses_stops_the_start_and_verify_names_it() {
    let server = Server::new();
    admin(&server.daemon, &["pause", "--all"]);
    let Server { daemon, dir } = server;
    assert!(daemon.stop().success());
    let data = dir.path().join("data");
    let file = data.join("paused.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("local", "other")).unwrap();
    let output = crate::support::command(&data, &[], &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(70));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("paused.json is damaged"), "{told}");
    let mut verify = std::process::Command::new(crate::support::program());
    let output = verify.arg("verify").arg("--dir").arg(&data).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("paused.json"));
}
