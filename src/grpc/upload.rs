//! Receiving an upload: first its header, then chunks that follow each other.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use tonic::Status;

use super::message::timestamp;
use crate::{
    auth::Principal,
    domain::{Job, MediaType, Operation},
    engine::{Service, Submission, SubmitRequest},
    error::{Code, Error},
    intake::Encoding,
    limits::{CHUNK_BYTES_MAX, GRPC_MESSAGE_BYTES_MAX, REQUEST_HEAD_TIMEOUT},
    listener::FirstTooLarge,
    proto::jobs::{self as proto, UploadChunk, UploadHeader},
};

/// What a message of an upload carries, whichever of the three methods it belongs to.
pub(crate) enum Part {
    /// Only in the first message.
    Header(UploadHeader),
    /// In every later one.
    Chunk(UploadChunk),
}

/// A message of one of the three submit methods.
pub(crate) trait UploadMessage: Send + 'static {
    /// What it carries, if anything.
    fn part(self) -> Option<Part>;
}

macro_rules! submit_method {
    ($request:ident, $module:ident, $response:ident) => {
        impl UploadMessage for proto::$request {
            fn part(self) -> Option<Part> {
                Some(match self.part? {
                    proto::$module::Part::Header(header) => Part::Header(header),
                    proto::$module::Part::Chunk(chunk) => Part::Chunk(chunk),
                })
            }
        }

        impl From<&Job> for proto::$response {
            fn from(job: &Job) -> Self {
                Self {
                    job_id: job.spec.id.to_string(),
                    seq: job.seq,
                    content_sha256: job.spec.payload.sha256.to_vec(),
                    content_length: job.spec.payload.length,
                    accept_time: Some(timestamp(job.submit_time_us)),
                }
            }
        }
    };
}

submit_method!(SubmitDeleteJobRequest, submit_delete_job_request, SubmitDeleteJobResponse);
submit_method!(SubmitCreateJobRequest, submit_create_job_request, SubmitCreateJobResponse);
submit_method!(SubmitUpdateJobRequest, submit_update_job_request, SubmitUpdateJobResponse);

/// Receives one upload and answers once body and job are durable.
///
/// A caller who goes away drops this future and with it the unfinished upload.
///
/// # Errors
/// As the upload is refused.
pub(crate) async fn receive<M: UploadMessage>(
    service: &Service,
    caller: &Principal,
    operation: Operation,
    mut messages: impl Stream<Item = Result<M, Status>> + Unpin,
) -> Result<Submission, Error> {
    let header = first(&mut messages, REQUEST_HEAD_TIMEOUT).await?;
    let mut submit = service.begin(caller, announced(operation, header)?).await?;
    let mut position = 0;
    let chunks = messages.map(move |message| {
        let data = chunk(message.map_err(|s| broken(&s))?, position)?;
        position += data.len() as u64;
        Ok(data)
    });
    submit.pump(chunks).await?;
    submit.finish().await
}

async fn first<M: UploadMessage>(
    messages: &mut (impl Stream<Item = Result<M, Status>> + Unpin),
    within: Duration,
) -> Result<UploadHeader, Error> {
    let next = timeout(within, messages.next()).await.map_err(|_| stalled())?;
    let message = next.transpose().map_err(|s| not_first(&s))?;
    match message.and_then(UploadMessage::part) {
        Some(Part::Header(header)) => Ok(header),
        _ => Err(Error::new(
            Code::UploadSequence,
            "the first message of an upload must carry its header",
        )),
    }
}

/// What the header announces.
fn announced(operation: Operation, header: UploadHeader) -> Result<SubmitRequest, Error> {
    if header.media_type.is_empty() {
        return Err(Error::new(Code::MediaTypeMissing, "the header names no media type"));
    }
    let Some(media_type) = MediaType::parse(&header.media_type) else {
        return Err(Error::new(
            Code::MediaTypeUnsupported,
            "the media type is neither application/zip nor text/plain",
        ));
    };
    let content_sha256 = header.content_sha256.map(digest).transpose()?;
    Ok(SubmitRequest {
        operation,
        media_type,
        encoding: Encoding::Identity,
        validate_only: header.validate_only,
        request_id: Some(header.request_id).filter(|id| !id.is_empty()),
        content_length: header.content_length,
        content_sha256,
    })
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 32], Error> {
    <[u8; 32]>::try_from(bytes).map_err(|bytes| {
        let sentence = format!("content_sha256 has {} bytes, not 32", bytes.len());
        Error::new(Code::UploadHeader, sentence)
    })
}

/// The bytes of a message that must carry the chunk at `position`.
fn chunk<M: UploadMessage>(message: M, position: u64) -> Result<Bytes, Error> {
    let Some(Part::Chunk(chunk)) = message.part() else {
        return Err(Error::new(
            Code::UploadSequence,
            "every message after the first must carry a chunk",
        ));
    };
    if chunk.data.len() > CHUNK_BYTES_MAX {
        let sentence =
            format!("a chunk has {} bytes, at most {CHUNK_BYTES_MAX} are taken", chunk.data.len());
        return Err(Error::new(Code::ChunkTooLarge, sentence));
    }
    if chunk.offset != position {
        let sentence = format!("a chunk starts at {}, the next byte is {position}", chunk.offset);
        return Err(Error::new(Code::ChunkOffset, sentence));
    }
    Ok(chunk.data)
}

fn stalled() -> Error {
    Error::new(Code::BodyTimeout, "the upload stalled")
}

/// [`broken`], for a message that must be the header.
fn not_first(status: &Status) -> Error {
    let causes = std::iter::successors(status.source(), |cause| (*cause).source());
    if causes.into_iter().any(<dyn std::error::Error>::is::<FirstTooLarge>) {
        let sentence = format!("{FirstTooLarge}: it must carry the header alone");
        return Error::new(Code::UploadSequence, sentence);
    }
    broken(status)
}

/// What the transport could not deliver: a message above its own bound, or the connection broke.
fn broken(status: &Status) -> Error {
    if status.code() == tonic::Code::OutOfRange {
        let sentence = format!("a message is longer than {GRPC_MESSAGE_BYTES_MAX} bytes");
        return Error::new(Code::ChunkTooLarge, sentence);
    }
    Error::new(Code::BodyAborted, "the upload broke off before its end")
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use proto::submit_delete_job_request::Part as DeletePart;

    use super::*;

    fn message(offset: u64, length: usize) -> proto::SubmitDeleteJobRequest {
        let chunk = UploadChunk { offset, data: vec![0; length].into() };
        proto::SubmitDeleteJobRequest { part: Some(DeletePart::Chunk(chunk)) }
    }

    fn header() -> UploadHeader {
        UploadHeader { media_type: "text/plain; charset=utf-8".to_owned(), ..Default::default() }
    }

    #[test]
    fn a_chunk_of_one_mebibyte_is_taken_and_one_byte_more_is_not() {
        assert_eq!(chunk(message(0, CHUNK_BYTES_MAX), 0).unwrap().len(), CHUNK_BYTES_MAX);
        let error = chunk(message(0, CHUNK_BYTES_MAX + 1), 0).unwrap_err();
        assert_eq!(error.code, Code::ChunkTooLarge);
    }

    #[test]
    fn a_chunk_must_start_where_the_last_one_ended() {
        assert!(chunk(message(7, 1), 7).is_ok());
        for wrong in [0, 6, 8, u64::MAX] {
            assert_eq!(chunk(message(wrong, 1), 7).unwrap_err().code, Code::ChunkOffset);
        }
    }

    #[test]
    fn a_header_or_nothing_in_place_of_a_chunk_is_out_of_sequence() {
        for part in [None, Some(DeletePart::Header(header()))] {
            let message = proto::SubmitDeleteJobRequest { part };
            assert_eq!(chunk(message, 0).unwrap_err().code, Code::UploadSequence);
        }
    }

    #[tokio::test]
    async fn an_upload_starts_with_its_header() {
        let head = proto::SubmitDeleteJobRequest { part: Some(DeletePart::Header(header())) };
        let mut messages = stream::iter([Ok(head)]);
        assert_eq!(first(&mut messages, REQUEST_HEAD_TIMEOUT).await.unwrap(), header());
        let empty = proto::SubmitDeleteJobRequest { part: None };
        for messages in [vec![], vec![Ok(message(0, 1))], vec![Ok(empty)]] {
            let mut messages = stream::iter(messages);
            let error = first(&mut messages, REQUEST_HEAD_TIMEOUT).await.unwrap_err();
            assert_eq!(error.code, Code::UploadSequence);
        }
    }

    #[tokio::test]
    async fn an_upload_without_a_header_times_out() {
        let mut silent = stream::pending::<Result<proto::SubmitDeleteJobRequest, Status>>();
        let error = first(&mut silent, Duration::from_millis(5)).await.unwrap_err();
        assert_eq!(error.code, Code::BodyTimeout);
    }

    #[test]
    fn a_header_is_read_as_announced() {
        let given = UploadHeader {
            request_id: "k".to_owned(),
            validate_only: true,
            content_length: Some(5),
            content_sha256: Some(vec![1; 32]),
            ..header()
        };
        let request = announced(Operation::Update, given).unwrap();
        assert_eq!(
            request,
            SubmitRequest {
                operation: Operation::Update,
                media_type: MediaType::Text,
                encoding: Encoding::Identity,
                validate_only: true,
                request_id: Some("k".to_owned()),
                content_length: Some(5),
                content_sha256: Some([1; 32]),
            }
        );
        assert_eq!(announced(Operation::Delete, header()).unwrap().request_id, None);
    }

    #[test]
    fn a_wrong_header_is_refused_by_its_code() {
        let refused = |header| announced(Operation::Delete, header).unwrap_err().code;
        let media_type = |text: &str| UploadHeader { media_type: text.to_owned(), ..header() };
        assert_eq!(refused(media_type("")), Code::MediaTypeMissing);
        assert_eq!(refused(media_type("application/json")), Code::MediaTypeUnsupported);
        for length in [0, 31, 33] {
            let content_sha256 = Some(vec![0; length]);
            assert_eq!(refused(UploadHeader { content_sha256, ..header() }), Code::UploadHeader);
        }
    }

    #[test]
    fn a_message_above_the_transports_bound_is_a_chunk_too_large() {
        assert_eq!(broken(&Status::out_of_range("x")).code, Code::ChunkTooLarge);
        assert_eq!(broken(&Status::cancelled("x")).code, Code::BodyAborted);
    }
}
