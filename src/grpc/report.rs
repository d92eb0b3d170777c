//! The error report as a stream of messages, one for each page.

use futures_util::{Stream, stream};
use tonic::Status;

use super::{message, status::status};
use crate::{engine::ReportReader, proto::jobs as proto};

/// Every error in report order.
pub(super) fn pages(
    reader: ReportReader,
) -> impl Stream<Item = Result<proto::ListJobErrorsResponse, Status>> {
    stream::try_unfold(reader, |mut reader| async move {
        let page = reader.next_page().await.map_err(status)?;
        Ok(page.map(|rows| {
            let errors = rows.into_iter().map(message::row_error).collect();
            (proto::ListJobErrorsResponse { errors }, reader)
        }))
    })
}
