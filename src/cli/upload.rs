//! Sending a file as a job.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use prost_types::Timestamp;
use sha2::{Digest, Sha256};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    Failure,
    client::{Jobs, Retry},
};
use crate::{
    domain::{MediaType, Operation},
    exit::Exit,
    limits::{CHUNK_BYTES_MAX, CLIENT_QUEUE_CHUNKS},
    proto::jobs::{
        SubmitCreateJobRequest, SubmitDeleteJobRequest, SubmitUpdateJobRequest, UploadChunk,
        UploadHeader, submit_create_job_request, submit_delete_job_request,
        submit_update_job_request,
    },
};

/// A file to send, as it was when it was looked at. The server refuses it if it changed since.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    media_type: MediaType,
    /// Bytes.
    pub length: u64,
    sha256: [u8; 32],
}

impl Source {
    /// Reads the file once, for its length and digest.
    ///
    /// # Errors
    /// When it cannot be read, or is a folder, pipe or device: those cannot be read again.
    pub async fn inspect(path: &Path) -> Result<Self, Failure> {
        let path = path.to_owned();
        let name = path.display().to_string();
        let unreadable = |e: io::Error| Failure::new(Exit::Usage, format!("{name}: {e}"));
        spawn_blocking(move || inspect(path)).await.map_err(io::Error::from)?.map_err(unreadable)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

fn inspect(path: PathBuf) -> io::Result<Source> {
    let mut file = File::open(&path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut digest = Sha256::new();
    let mut length = 0;
    let mut start = Vec::new();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES_MAX);
    while read_chunk(&mut file, &mut chunk)? {
        if length == 0 {
            start = chunk.iter().copied().take(4).collect();
        }
        digest.update(&chunk);
        length += chunk.len() as u64;
    }
    let media_type = media_type(&path, &start);
    Ok(Source { path, media_type, length, sha256: digest.finalize().into() })
}

/// The media type by the name's extension, else by how the file starts.
fn media_type(path: &Path, start: &[u8]) -> MediaType {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "zip" => MediaType::Zip,
        "txt" => MediaType::Text,
        // A local file header, or the end record of an archive without entries.
        _ if start == b"PK\x03\x04" || start == b"PK\x05\x06" => MediaType::Zip,
        _ => MediaType::Text,
    }
}

/// Fills the buffer with the next chunk; false at the end of the file.
fn read_chunk(file: &mut impl Read, chunk: &mut Vec<u8>) -> io::Result<bool> {
    chunk.clear();
    file.take(CHUNK_BYTES_MAX as u64).read_to_end(chunk)?;
    Ok(!chunk.is_empty())
}

/// What is asked beside the file.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is done with each row.
    pub operation: Operation,
    /// The idempotency key; with it a repeated upload is the same job.
    pub request_id: String,
    /// Check every row, apply none.
    pub validate_only: bool,
}

/// The server's answer: body and job are durable.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// UUID of the job.
    pub job_id: String,
    /// Number of the newest event of the job.
    pub seq: u64,
    /// SHA-256 of the body.
    pub content_sha256: Vec<u8>,
    /// Length of the body in bytes.
    pub content_length: u64,
    /// When the job became durable.
    pub accept_time: Option<Timestamp>,
}

/// Sends the file; again, under the same key, where the server was lost.
///
/// # Errors
/// When the upload is refused, the file cannot be read, or the server stays away.
pub async fn send(
    jobs: &mut Jobs,
    order: &Order,
    source: &Source,
    bar: &ProgressBar,
) -> Result<Receipt, Failure> {
    let mut retry = Retry::default();
    loop {
        bar.set_position(0);
        let (chunks, reader) = read_ahead(source.path.clone());
        let bar = bar.clone();
        let chunks = chunks.inspect(move |chunk| bar.inc(chunk.data.len() as u64));
        let answer = call(jobs, order, header(order, source), chunks).await;
        let status = match answer {
            Ok(receipt) => return Ok(receipt),
            Err(status) => status,
        };
        // A file that could not be read to its end is why the server found it too short.
        if let Ok(Err(error)) = reader.await {
            let name = source.path.display();
            return Err(Failure::new(Exit::Failed, format!("{name}: {error}")));
        }
        retry.after(&status).await?;
    }
}

/// A bar that shows how many of these bytes were sent; hidden where nobody looks.
pub fn bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "sending {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}",
    );
    let bar = ProgressBar::new(length);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn header(order: &Order, source: &Source) -> UploadHeader {
    UploadHeader {
        request_id: order.request_id.clone(),
        media_type: source.media_type.as_str().to_owned(),
        validate_only: order.validate_only,
        content_length: Some(source.length),
        content_sha256: Some(source.sha256.to_vec()),
    }
}

type Chunks = ReceiverStream<UploadChunk>;

/// The file's chunks, read on a thread of their own a few ahead.
fn read_ahead(path: PathBuf) -> (Chunks, JoinHandle<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(CLIENT_QUEUE_CHUNKS);
    let reader = spawn_blocking(move || {
        let mut file = File::open(path)?;
        let mut offset = 0;
        let mut data = Vec::with_capacity(CHUNK_BYTES_MAX);
        while read_chunk(&mut file, &mut data)? {
            let length = data.len() as u64;
            let chunk = UploadChunk { offset, data: Bytes::from(std::mem::take(&mut data)) };
            if sender.blocking_send(chunk).is_err() {
                break;
            }
            offset += length;
        }
        Ok(())
    });
    (ReceiverStream::new(receiver), reader)
}

/// Makes one call out of three methods that differ by their message types alone.
macro_rules! submit {
    ($jobs:ident . $method:ident, $request:ident, $part:path, $header:ident, $chunks:ident) => {{
        use $part as Part;
        let first = stream::iter([$request { part: Some(Part::Header($header)) }]);
        let rest = $chunks.map(|chunk| $request { part: Some(Part::Chunk(chunk)) });
        let answer = $jobs.$method(first.chain(rest)).await?.into_inner();
        Receipt {
            job_id: answer.job_id,
            seq: answer.seq,
            content_sha256: answer.content_sha256,
            content_length: answer.content_length,
            accept_time: answer.accept_time,
        }
    }};
}

async fn call(
    jobs: &mut Jobs,
    order: &Order,
    header: UploadHeader,
    chunks: impl Stream<Item = UploadChunk> + Send + 'static,
) -> Result<Receipt, Status> {
    Ok(match order.operation {
        Operation::Create => submit!(
            jobs.submit_create_job,
            SubmitCreateJobRequest,
            submit_create_job_request::Part,
            header,
            chunks
        ),
        Operation::Update => submit!(
            jobs.submit_update_job,
            SubmitUpdateJobRequest,
            submit_update_job_request::Part,
            header,
            chunks
        ),
        Operation::Delete => submit!(
            jobs.submit_delete_job,
            SubmitDeleteJobRequest,
            submit_delete_job_request::Part,
            header,
            chunks
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_is_the_extension_or_how_the_file_starts() {
        let of = |name: &str, start: &[u8]| media_type(Path::new(name), start);
        assert_eq!(of("a.ZIP", b"vax_"), MediaType::Zip);
        assert_eq!(of("a.txt", b"PK\x03\x04"), MediaType::Text);
        assert_eq!(of("a.tsv", b"PK\x03\x04"), MediaType::Zip);
        assert_eq!(of("a", b"PK\x05\x06"), MediaType::Zip);
        assert_eq!(of("a.dat", b"vax_"), MediaType::Text);
        assert_eq!(of("a", b""), MediaType::Text);
    }

    #[tokio::test]
    async fn a_file_is_cut_into_chunks_that_join_to_it() {
        for length in [0, 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 3 * CHUNK_BYTES_MAX] {
            let bytes: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let (chunks, reader) = read_ahead(file.path().to_owned());
            let chunks: Vec<UploadChunk> = chunks.collect().await;
            reader.await.unwrap().unwrap();
            let mut joined = Vec::new();
            for chunk in &chunks {
                assert_eq!(chunk.offset, joined.len() as u64);
                assert!(!chunk.data.is_empty() && chunk.data.len() <= CHUNK_BYTES_MAX);
                joined.extend_from_slice(&chunk.data);
            }
            assert_eq!(chunks.len(), length.div_ceil(CHUNK_BYTES_MAX));
            assert!(joined == bytes);
            let source = Source::inspect(file.path()).await.unwrap();
            assert_eq!(source.length, length as u64);
            assert_eq!(source.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
        }
    }

    #[tokio::test]
    async fn a_folder_or_a_missing_file_is_bad_usage() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("missing.txt")] {
            assert_eq!(Source::inspect(&path).await.unwrap_err().exit, Exit::Usage);
        }
    }
}
