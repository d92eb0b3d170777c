//! The messages of a gRPC upload, through to an engine.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use futures_util::stream;
use prost::Message;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tonic::Status;

use super::runtime;
use crate::{
    auth::Principal,
    config::Config,
    domain::{MediaType, Operation},
    engine::{Engine, Parts, Service, Submission},
    error::{Error, Kind},
    grpc::upload::receive,
    intake::Spool,
    journal,
    limits::CHUNK_BYTES_MAX,
    poison::Poison,
    proto::jobs::{SubmitDeleteJobRequest, UploadHeader, submit_delete_job_request::Part},
    records,
};

/// Messages of one input.
const MESSAGES_MAX: usize = 64;
/// Inputs after which the engine is made anew, so that its jobs do not pile up.
const INPUTS: u32 = 1_000;
/// How long its jobs may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// An engine over stores in memory.
struct Place {
    service: Service,
    spool: Spool,
    poison: Poison,
    dir: TempDir,
    inputs: u32,
}

/// The first byte gives the operation, and whether the upload breaks off; the others are messages, each behind its
/// length. An upload is accepted only where its header comes first, each chunk where the last one ended, and
/// the body is the one that was announced; and one that is plainly right is. A refusal leaves nothing behind.
pub fn upload(data: &[u8]) {
    static PLACE: Mutex<Option<Place>> = Mutex::new(None);
    let Some((first, rest)) = data.split_first() else { return };
    let operation = Operation::ALL[usize::from(*first) % Operation::ALL.len()];
    let breaks_off = first & 0x80 != 0;
    let messages = messages(rest);
    let mut place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let here = place.get_or_insert_with(Place::new);
    let answer = runtime().block_on(here.send(operation, &messages, breaks_off));
    check(answer, operation, &messages, breaks_off);
    assert_eq!(here.poison.reason(), None);
    here.inputs += 1;
    if here.inputs == INPUTS
        && let Some(place) = place.take()
    {
        place.end();
    }
}

fn messages(mut bytes: &[u8]) -> Vec<SubmitDeleteJobRequest> {
    let mut messages = Vec::new();
    while !bytes.is_empty() && messages.len() < MESSAGES_MAX {
        let Ok(message) = SubmitDeleteJobRequest::decode_length_delimited(&mut bytes) else {
            break;
        };
        messages.push(message);
    }
    messages
}

fn check(
    answer: Result<Submission, Error>,
    operation: Operation,
    messages: &[SubmitDeleteJobRequest],
    breaks_off: bool,
) {
    let sent = body(messages).filter(|_| !breaks_off);
    match answer {
        Ok(Submission { job, replayed }) => {
            let (header, body) = sent.expect("an upload out of its order was accepted");
            let sha256: [u8; 32] = Sha256::digest(&body).into();
            let (spec, payload) = (&job.spec, &job.spec.payload);
            assert_eq!((payload.length, payload.sha256), (body.len() as u64, sha256));
            assert!(header.content_length.is_none_or(|length| length == payload.length));
            assert!(header.content_sha256.as_ref().is_none_or(|digest| *digest == sha256));
            assert_eq!(MediaType::parse(&header.media_type), Some(payload.media_type));
            assert_eq!((spec.operation, spec.validate_only), (operation, header.validate_only));
            assert_eq!(spec.request_id.as_deref().unwrap_or_default(), header.request_id);
            assert!(!replayed || !header.request_id.is_empty());
        }
        Err(error) => {
            assert_ne!(error.code.kind(), Kind::Internal, "{error:?}");
            let plain = sent.is_some_and(|(header, body)| is_plain(header, &body));
            assert!(!plain, "refused: {error:?}");
        }
    }
}

/// Header and body of messages in their order.
fn body(messages: &[SubmitDeleteJobRequest]) -> Option<(&UploadHeader, Vec<u8>)> {
    let (first, chunks) = messages.split_first()?;
    let Some(Part::Header(header)) = &first.part else { return None };
    let mut body = Vec::new();
    for message in chunks {
        let Some(Part::Chunk(chunk)) = &message.part else { return None };
        if chunk.offset != body.len() as u64 || chunk.data.len() > CHUNK_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk.data);
    }
    Some((header, body))
}

fn is_plain(header: &UploadHeader, body: &[u8]) -> bool {
    header.media_type == "text/plain"
        && header.request_id.is_empty()
        && header.content_length.is_none()
        && header.content_sha256.is_none()
        && !body.is_empty()
        && !body.starts_with(b"PK")
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        dir.path().clone_into(&mut config.data.dir);
        let spool = Spool::open(&config.data, &config.intake).unwrap();
        let parts = Parts {
            journal: Arc::new(journal::Memory::default()),
            store: Arc::new(records::memory::Store::default()),
            spool: spool.clone(),
            audit: crate::audit::Log::default(),
        };
        let (service, poison) =
            (Service::new(&config, crate::audit::Log::default()), Poison::default());
        service.install(Engine::start(parts, &config, &poison).unwrap());
        Self { service, spool, poison, dir, inputs: 0 }
    }

    async fn send(
        &self,
        operation: Operation,
        messages: &[SubmitDeleteJobRequest],
        breaks_off: bool,
    ) -> Result<Submission, Error> {
        let mut sent: Vec<_> = messages.iter().cloned().map(Ok).collect();
        if breaks_off {
            sent.push(Err(Status::cancelled("the client has gone")));
        }
        receive(&self.service, &Principal::local(), operation, stream::iter(sent)).await
    }

    /// Every job comes to its end, and of bodies nothing is left.
    fn end(self) {
        let began = Instant::now();
        let engine = self.service.engine().unwrap();
        let files = |name| fs::read_dir(self.dir.path().join(name)).unwrap().count();
        let left = || files("spool") + files("payloads") + files("work") + engine.unfinished();
        while left() > 0 || !self.spool.is_idle() {
            assert!(began.elapsed() < PATIENCE, "something is left behind");
            sleep(Duration::from_millis(1));
        }
        self.service.drain();
        while !engine.is_drained() {
            assert!(began.elapsed() < PATIENCE, "a worker does not stop");
            sleep(Duration::from_millis(1));
        }
    }
}
