//! Backups of a daemon at work, and what is restored of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use cvrsd::{
    cvrs::sample::{Model as People, Sample},
    proto::{
        admin::{BackupRequest, backup_service_client::BackupServiceClient},
        jobs::{ListJobsRequest, Operation},
    },
};

use crate::support::{
    Daemon, against, clients, files,
    http::Server,
    jobs::{self, Client, Upload},
    model::{Expected, Model},
    program, start, verify,
};

/// Many durable points, so that the moment of a backup is in the midst of a job.
const ENV: &[(&str, &str)] =
    &[("CVRSD__ENGINE__CHECKPOINT_ROWS", "500"), ("CVRSD__ENGINE__CHECKPOINT_INTERVAL", "10ms")];

/// Submits of one test: large and small ones in turn, which depend on each other.
fn texts() -> Vec<(Operation, Vec<u8>)> {
    let (create, update, delete) = (Operation::Create, Operation::Update, Operation::Delete);
    let mut texts = vec![
        (create, rows(0, 3_000)),
        (create, rows(0, 3)),
        (delete, rows(1_000, 1_500)),
        (create, rows(5_000, 12_000)),
    ];
    for n in 0..6 {
        texts.push((create, rows(30_000 + n, 2)));
        texts.push((update, rows(200 * n, 2_000)));
        texts.push((delete, rows(6_000 + 700 * n, 900)));
        texts.push((delete, rows(30_000 + n, 1)));
    }
    texts
}

/// Some of the rows have no id.
fn rows(first: u64, count: u64) -> Vec<u8> {
    let sample = Sample::new(1, People::Identified);
    let mut text = sample.header_line().to_owned();
    for number in first..first + count {
        let mut row = Vec::new();
        sample.write_row(number, &mut row);
        let row = String::from_utf8(row).unwrap();
        text.push('\n');
        text.push_str(&if number % 100 == 7 { files::with_cell(&row, 0, "") } else { row });
    }
    text.into_bytes()
}

fn upload(number: usize, (operation, text): &(Operation, Vec<u8>)) -> Upload {
    Upload::zip(*operation, text).request_id(&format!("step-{number}"))
}

fn backup(admin: &str, out: &Path) -> Output {
    let admin = format!("http://{admin}");
    let args = ["backup", "--admin", &admin, "--out", out.to_str().unwrap()];
    Command::new(program()).args(args).output().unwrap()
}

fn restore(backup: &Path, dir: &Path) -> Output {
    let mut command = Command::new(program());
    command.arg("restore").arg(backup).arg("--data-dir").arg(dir).output().unwrap()
}

/// Ids of all jobs, oldest first.
async fn all_jobs(client: &mut Client) -> Vec<String> {
    let request = ListJobsRequest { page_size: 500, ..ListJobsRequest::default() };
    let page = client.list_jobs(request).await.unwrap().into_inner();
    let mut ids: Vec<String> = page.jobs.into_iter().map(|job| job.job_id).collect();
    ids.reverse();
    ids
}

/// What each of the first steps must come to, and the records then.
fn expected(texts: &[(Operation, Vec<u8>)]) -> (Vec<Expected>, Model) {
    let mut model = Model::default();
    let expected = texts.iter().map(|(operation, text)| model.apply(*operation, text)).collect();
    (expected, model)
}

async fn check(daemon: &Daemon, ids: &[String], texts: &[(Operation, Vec<u8>)]) {
    let (expected, model) = expected(texts);
    let mut client = daemon.jobs().await;
    for (id, expected) in ids.iter().zip(&expected) {
        let job = jobs::wait(&mut client, id).await;
        expected.check(&job, &jobs::errors(&mut client, id).await);
    }
    model.check_live(&daemon.admin).await;
}

/// Submits, and takes a backup in the midst of it.
async fn backed_up(
    daemon: &Daemon,
    texts: &[(Operation, Vec<u8>)],
    out: PathBuf,
    after: usize,
) -> Vec<String> {
    let mut client = daemon.jobs().await;
    let mut taken = None;
    let mut ids = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let (id, _) = jobs::submit(&mut client, &upload(number, text)).await.unwrap();
        ids.push(id);
        if number == after {
            let (admin, out) = (daemon.admin.clone(), out.clone());
            taken = Some(tokio::task::spawn_blocking(move || backup(&admin, &out)));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let taken = taken.unwrap().await.unwrap();
    assert!(taken.status.success(), "{taken:?}");
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_daemon_at_work_is_restored_and_every_job_ends_once_as_the_model_says() {
    let texts = texts();
    let mut unfinished = 0;
    for after in [1, 4, 13] {
        let temp = tempfile::tempdir().unwrap();
        let (out, dir) = (temp.path().join("backup"), temp.path().join("restored"));
        let daemon = start(&temp.path().join("data"), ENV);
        let ids = backed_up(&daemon, &texts, out.clone(), after).await;
        daemon.kill();
        let restored = restore(&out, &dir);
        assert!(restored.status.success(), "{restored:?}");
        let held: serde_json::Value = serde_json::from_slice(&restored.stdout).unwrap();
        unfinished += held["payloads"].as_u64().unwrap();
        verify(&dir);
        let daemon = start(&dir, ENV);
        let mut client = daemon.jobs().await;
        let there = all_jobs(&mut client).await;
        // What was submitted before the backup was asked for is in it, and nothing is left out in between.
        assert!(there.len() > after && there == ids[..there.len()], "{} jobs", there.len());
        check(&daemon, &there, &texts[..there.len()]).await;
        // Who did not know of the backup sends everything again.
        let mut again = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            again.push(jobs::submit(&mut client, &upload(number, text)).await.unwrap().0);
        }
        assert_eq!(again[..there.len()], there);
        check(&daemon, &again, &texts).await;
        assert!(daemon.stop().success());
        verify(&dir);
    }
    assert!(unfinished > 0, "each backup was taken of a daemon without work");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_also_the_way_to_a_smaller_directory_and_knows_what_was_purged() {
    let temp = tempfile::tempdir().unwrap();
    let (data, dir) = (temp.path().join("data"), temp.path().join("restored"));
    let env = [("CVRSD__RETENTION__REPORTS", "1s"), ("CVRSD__RETENTION__JOBS", "1s")];
    let daemon = start(&data, &env);
    let mut client = daemon.jobs().await;
    jobs::submit(&mut client, &Upload::zip(Operation::Create, &rows(0, 500))).await.unwrap();
    while !all_jobs(&mut client).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let out = temp.path().join("backup");
    assert!(backup(&daemon.admin, &out).status.success());
    assert!(daemon.stop().success());
    let restored = restore(&out, &dir);
    assert!(restored.status.success(), "{restored:?}");
    let daemon = start(&dir, &[]);
    expected(&[(Operation::Create, rows(0, 500))]).1.check_live(&daemon.admin).await;
    assert!(daemon.stop().success());
    verify(&dir);
}

#[test]
fn what_is_damaged_or_in_the_way_is_refused_and_nothing_is_left_behind() {
    let server = Server::new();
    server.run("POST", rows(0, 50));
    let temp = tempfile::tempdir().unwrap();
    let (out, dir) = (temp.path().join("backup"), temp.path().join("restored"));
    assert!(backup(&server.daemon.admin, &out).status.success());
    assert_eq!(backup(&server.daemon.admin, &out).status.code(), Some(64), "the file is there");
    assert!(!server.daemon.dir.join("backup-links").exists(), "no second name is left");
    let good = fs::read(&out).unwrap();
    let names = || {
        let entries = fs::read_dir(temp.path()).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    for at in [0, 20, good.len() / 3, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        for bad in [bad, good[..at].to_vec()] {
            fs::write(&out, &bad).unwrap();
            assert_eq!(restore(&out, &dir).status.code(), Some(1), "byte {at}");
            assert_eq!(names(), ["backup"], "byte {at}");
        }
    }
    fs::write(&out, &good).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("mine"), "x").unwrap();
    assert_eq!(restore(&out, &dir).status.code(), Some(1));
    assert_eq!(fs::read(dir.join("mine")).unwrap(), b"x");
    fs::remove_file(dir.join("mine")).unwrap();
    assert!(restore(&out, &dir).status.success());
    verify(&dir);
}

#[test]
fn what_is_paused_is_restored_and_damage_of_a_single_job_is_named() {
    let server = Server::new();
    let reported = server.submit("POST", rows(0, 200));
    server.wait(&reported);
    let run = |args: &[&str], daemon: &Daemon| {
        let output = against(daemon, args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["admin", "pause", "--tenant", "local", "--reason", "wrong files"], &server.daemon);
    let queued = server.submit("POST", rows(500, 200));
    // A folder that an operator may have made, and damage that the daemon lives with.
    let data = &server.daemon.dir;
    fs::create_dir(data.join("backup")).unwrap();
    fs::write(data.join("backup/mine"), "x").unwrap();
    fs::write(data.join(format!("reports/{reported}.tsv")), "damaged").unwrap();
    fs::remove_file(data.join(format!("payloads/{queued}"))).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let (out, dir) = (temp.path().join("backup"), temp.path().join("restored"));
    assert!(backup(&server.daemon.admin, &out).status.success());
    let restored = restore(&out, &dir.join(""));
    assert!(restored.status.success(), "{restored:?}");
    let told = String::from_utf8(restored.stdout).unwrap();
    assert!(told.contains(r#""damaged":2"#), "{told}");
    let noted = String::from_utf8(restored.stderr).unwrap();
    assert!(noted.contains(&reported) && noted.contains(&queued), "{noted}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "nothing is left beside");
    let Server { daemon, dir: _dir } = server;
    let mine = daemon.dir.join("backup/mine");
    assert!(daemon.stop().success());
    assert_eq!(fs::read(mine).unwrap(), b"x");
    let daemon = start(&dir, &[]);
    let paused = run(&["admin", "paused"], &daemon);
    assert!(paused.contains("wrong files"), "{paused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_takes_a_token_that_may_operate_the_daemon() {
    let server = tokio::task::spawn_blocking(|| {
        Server::with_clients(&clients::block("A", "TA", &["UPLOAD"], ""))
    });
    let server = server.await.unwrap();
    let token = clients::token(&server, "A", &["UPLOAD"]);
    let admin = format!("http://{}", server.daemon.admin);
    let mut backups = BackupServiceClient::connect(admin).await.unwrap();
    let refused = backups.backup(BackupRequest {}).await.unwrap_err();
    assert_eq!(jobs::code(&refused), "CVRS-TOKEN-MISSING");
    let mut request = tonic::Request::new(BackupRequest {});
    request.metadata_mut().insert("authorization", token.parse().unwrap());
    let refused = backups.backup(request).await.unwrap_err();
    assert_eq!(jobs::code(&refused), "CVRS-SCOPE");
}
