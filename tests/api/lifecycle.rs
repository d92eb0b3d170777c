//! Starting, stopping and being in the way.

use cvrsd::proto::jobs::Operation;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    files,
    jobs::{self, Upload},
    spawn, start, wait_empty, wait_exit,
};

#[test]
fn a_second_daemon_on_the_same_directory_exits_75_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path(), &[]);
    let mut second = spawn(dir.path(), &[]);
    assert_eq!(wait_exit(&mut second).code(), Some(75));
    assert!(first.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_missing_beside_the_other_is_refused_and_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let upload = Upload::zip(Operation::Create, &files::text(1, 0..10));
    jobs::run(&mut daemon.jobs().await, &upload).await;
    assert!(daemon.stop().success());
    for store in ["journal", "records"] {
        let (there, aside) = (dir.path().join(store), dir.path().join("aside"));
        std::fs::rename(&there, &aside).unwrap();
        for _ in 0..2 {
            assert_eq!(wait_exit(&mut spawn(dir.path(), &[])).code(), Some(70), "{store}");
            assert!(!there.exists(), "{store}");
        }
        std::fs::rename(&aside, &there).unwrap();
    }
    start(dir.path(), &[]);
}

#[test]
fn a_wrong_configuration_exits_64_before_a_port_opens() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = [
        ("CVRSD__ENGINE__WORKER", "2"),
        ("CVRSD__ENGINE__WORKERS", "many"),
        ("CVRSD__REST__LISTEN", "0.0.0.0:0"),
        ("CVRSD__REST__SUBMIT_STATUS", "204"),
    ];
    for pair in wrong {
        let mut child = spawn(dir.path(), &[pair]);
        assert_eq!(wait_exit(&mut child).code(), Some(64), "{pair:?}");
    }
    assert!(!dir.path().join("journal").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_metrics_answer() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", daemon.grpc));
    let mut health = HealthClient::new(channel.unwrap().connect().await.unwrap());
    for service in ["", "cvrsd.jobs.v1.JobService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving);
    }
    let upload = Upload::zip(Operation::Create, &files::text(1, 0..10));
    jobs::run(&mut daemon.jobs().await, &upload).await;
    for path in ["livez", "readyz"] {
        let url = format!("http://{}/{path}", daemon.admin);
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    }
    let url = format!("http://{}/metrics", daemon.admin);
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("cvrsd_jobs_submitted_total{operation=\"create\"} 1"), "{metrics}");
    assert!(metrics.contains("cvrsd_jobs_completed_total{outcome=\"SUCCEEDED\"} 1"));
    assert!(metrics.contains("cvrsd_journal_commits_total"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_accepted_before_a_kill_completes_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let upload = Upload::zip(Operation::Create, &files::text(1, 0..5_000));
    let (job_id, _) = jobs::submit(&mut daemon.jobs().await, &upload).await.unwrap();
    daemon.kill();
    let daemon = start(dir.path(), &[]);
    let job = jobs::wait(&mut daemon.jobs().await, &job_id).await;
    assert_eq!(job.rows.unwrap().applied, 5_000);
    wait_empty(dir.path(), &["work", "payloads", "spool"]);
}
