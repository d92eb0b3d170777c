//! Readers of records who take nothing.

use std::time::{Duration, Instant};

use cvrsd::limits::READER_STALL;
use cvrsd::proto::admin::{
    BackupRequest, ExportRecordsRequest, ExportRecordsResponse,
    backup_service_client::BackupServiceClient,
};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use crate::{
    bench::{admin, submit},
    support::{Daemon, http::Server},
};

/// Exports of one client that run at once.
const EXPORTS: usize = 4;
/// So many that an export does not fit into what is sent ahead.
const ROWS: u64 = 20_000;
const DRAIN: Duration = Duration::from_secs(3);

/// An export on a connection of its own, whose first piece is there.
async fn export(daemon: &Daemon) -> Result<Streaming<ExportRecordsResponse>, Status> {
    let request =
        ExportRecordsRequest { tenant: "local".to_owned(), storage: "NON_REDACTED_DB".to_owned() };
    let mut stream = daemon.records().await.export_records(request).await?.into_inner();
    assert!(stream.message().await?.is_some());
    Ok(stream)
}

fn reason(refused: &Status) -> (Code, String) {
    (refused.code(), refused.get_details_error_info().unwrap().reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_take_nothing_are_few_and_hold_up_neither_others_nor_a_drain() {
    let server = Server::with(&[("CVRSD__ENGINE__DRAIN_TIMEOUT", "3s")]);
    server.wait(&submit(&server, ROWS));
    let mut readers = Vec::new();
    for _ in 0..EXPORTS {
        readers.push(export(&server.daemon).await.unwrap());
    }
    let refused = export(&server.daemon).await.unwrap_err();
    let exhausted = (Code::ResourceExhausted, "CVRS-READERS-EXHAUSTED".to_owned());
    assert_eq!(reason(&refused), exhausted);
    assert!(refused.get_details_retry_info().is_some());
    assert_eq!(admin(&server.daemon, &["paused"]), "paused  since  by  reason\n");

    // A reader who goes makes room, and one who reads on gets all.
    drop(readers.pop());
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut whole = loop {
        match export(&server.daemon).await {
            Ok(stream) => break stream,
            Err(refused) => assert_eq!(reason(&refused), exhausted),
        }
        assert!(Instant::now() < deadline, "there is no room");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    while whole.message().await.unwrap().is_some() {}

    let url = format!("http://{}", server.daemon.admin);
    let mut backups = BackupServiceClient::connect(url).await.unwrap();
    let _first = backups.backup(BackupRequest {}).await.unwrap();
    let refused = backups.backup(BackupRequest {}).await.unwrap_err();
    assert_eq!(reason(&refused), exhausted);

    server.daemon.signal("TERM");
    let began = Instant::now();
    let Server { daemon, dir: _dir } = server;
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(
        began.elapsed() < DRAIN + Duration::from_secs(4),
        "the drain took {:?}",
        began.elapsed()
    );
    drop(readers);
}

/// Takes a minute, most of which it sleeps.
#[tokio::test(flavor = "multi_thread")]
async fn long_wait_readers_who_take_nothing_for_a_minute_are_told_and_make_room() {
    let server = Server::new();
    server.wait(&submit(&server, ROWS));
    let mut readers = Vec::new();
    for _ in 0..EXPORTS {
        readers.push(export(&server.daemon).await.unwrap());
    }
    assert_eq!(export(&server.daemon).await.unwrap_err().code(), Code::ResourceExhausted);
    tokio::time::sleep(READER_STALL + Duration::from_secs(3)).await;
    let mut next = export(&server.daemon).await.expect("there is room again");
    while next.message().await.unwrap().is_some() {}
    for mut reader in readers {
        let refused = loop {
            match reader.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it looks like a whole export"),
                Err(refused) => break refused,
            }
        };
        assert_eq!(reason(&refused).1, "CVRS-BODY-TIMEOUT");
    }
}
