//! A disk that has less room than `data.reserve_bytes`.

use cvrsd::proto::jobs::{Operation, Outcome};

use crate::support::{
    files,
    http::Server,
    jobs::{self, Upload},
    start, wait_empty,
};

/// More than any disk has.
const NO_ROOM: &[(&str, &str)] = &[("CVRSD__DATA__RESERVE_BYTES", "1099511627776")];
const ROWS: u64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn below_the_reserve_uploads_are_refused_while_accepted_jobs_run_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let daemon = start(&data, &[("CVRSD__ENGINE__CHECKPOINT_ROWS", "100")]);
    let create = Upload::zip(Operation::Create, &files::text(1, 0..ROWS));
    let (job_id, _) = jobs::submit(&mut daemon.jobs().await, &create).await.unwrap();
    daemon.kill();

    let server = Server { daemon: start(&data, NO_ROOM), dir };
    let mut client = server.daemon.jobs().await;
    for upload in [&create, &Upload::text(Operation::Delete, b"vax_event_id\nE1\n")] {
        let refused = jobs::submit(&mut client, upload).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    }
    let refused = server.upload("DELETE", "text/plain", "vax_event_id\nE1\n");
    assert_eq!(refused.problem(), (507, "CVRS-DISK-RESERVE".to_owned()));
    let job = jobs::wait(&mut client, &job_id).await;
    assert_eq!((job.outcome(), job.rows.unwrap().applied), (Outcome::Succeeded, ROWS));
    wait_empty(&data, &["spool", "payloads"]);
}
