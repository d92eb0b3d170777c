//! `cvrsd.admin.v1.BackupService`.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{records::asked, status::status};
use crate::{
    engine::Service,
    proto::admin::{self as proto, backup_service_server::BackupService},
};

/// The method over the service, for callers who were let in.
#[derive(Clone, Debug)]
pub(super) struct Backups {
    service: Service,
}

impl Backups {
    pub(super) fn new(service: Service) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl BackupService for Backups {
    type BackupStream = Pin<Box<dyn Stream<Item = Result<proto::BackupResponse, Status>> + Send>>;

    async fn backup(
        &self,
        request: Request<proto::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let (caller, _) = asked(request)?;
        let pieces = self.service.backup(&caller).await;
        tracing::info!(client = caller.client, allowed = pieces.is_ok(), "a backup is asked for");
        let pieces = ReceiverStream::new(pieces.map_err(status)?);
        let pieces = pieces.map(|piece| {
            let bytes = piece.map_err(status)?;
            Ok(proto::BackupResponse { bytes })
        });
        Ok(Response::new(Box::pin(pieces)))
    }
}
