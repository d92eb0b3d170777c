//! Where the daemon is, which dies and comes back.

use std::{path::PathBuf, sync::Mutex};

use cvrsd::proto::admin::{ExportRecordsRequest, admin_service_client::AdminServiceClient};
use tempfile::TempDir;
use tokio_stream::StreamExt;

use crate::support::{Daemon, jobs::Client, model::STORAGES, start};

/// Attempts are counted per job without progress, and here are more kills than a site has. The journal's cache
/// is one that is full within minutes, so that it does not hide what else grows.
const ENV: &[(&str, &str)] = &[
    ("CVRSD__ENGINE__MAX_ATTEMPTS", "1000"),
    ("CVRSD__ENGINE__RETRY_MIN", "50ms"),
    ("CVRSD__JOURNAL__CACHE_BYTES", "8388608"),
];

pub struct Place {
    dir: TempDir,
    daemon: Mutex<Option<Daemon>>,
}

impl Place {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let daemon = Mutex::new(Some(start(dir.path(), ENV)));
        Self { dir, daemon }
    }

    /// Kills it without a chance to clean up, and starts the next one.
    pub fn restart(&self) {
        let mut daemon = self.daemon.lock().unwrap();
        daemon.take().unwrap().kill();
        *daemon = Some(start(self.dir.path(), ENV));
        println!("killed and started again");
    }

    pub fn stop(&self) {
        assert!(self.daemon.lock().unwrap().take().unwrap().stop().success());
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn pid(&self) -> u32 {
        self.daemon.lock().unwrap().as_ref().unwrap().pid()
    }

    pub fn rest(&self) -> String {
        self.daemon.lock().unwrap().as_ref().unwrap().rest.clone()
    }

    /// A client, where the daemon lives at the moment.
    pub async fn client(&self) -> Option<Client> {
        let address = self.daemon.lock().unwrap().as_ref().unwrap().grpc.clone();
        Client::connect(format!("http://{address}")).await.ok()
    }

    /// Every worker deletes what it created, so between their rounds nothing is left.
    pub async fn check_no_record_is_live(&self) {
        let admin = format!("http://{}", self.daemon.lock().unwrap().as_ref().unwrap().admin);
        let mut records = AdminServiceClient::connect(admin).await.unwrap();
        for storage in STORAGES {
            let request =
                ExportRecordsRequest { tenant: "local".to_owned(), storage: storage.to_owned() };
            let mut stream = records.export_records(request).await.unwrap().into_inner();
            let mut lines = 0;
            while let Some(page) = stream.next().await {
                lines += memchr::memchr_iter(b'\n', &page.unwrap().lines).count();
            }
            assert_eq!(lines, 1, "records are live in {storage}");
        }
    }
}
