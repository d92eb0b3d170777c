//! How events and jobs lie in a store: prost messages in an envelope.
//!
//! An event's envelope holds the hash of the envelope before it, so the events of a job are a chain
//! that ends in the head hash stored with the job. Errors name job and event, never what is in them.

mod date;
pub(crate) mod envelope;
mod event;
mod job;
mod parts;
mod purged;
#[cfg(test)]
mod tests;

use prost::Message;

use super::{Error, Purged};
use crate::{
    domain::{Event, Job, JobId},
    limits::JOURNAL_VALUE_BYTES_MAX,
    proto::storage,
};
use envelope::Fault;

/// BLAKE3 of an event's envelope; zeros stand before event 1.
pub(crate) type Hash = [u8; 32];

/// What comes before event 1.
pub(crate) const NO_HASH: Hash = [0; 32];

const PURGED_NAME: &str = "the record of what was purged";

/// A job as it is stored, with the hash of its newest event.
#[derive(Debug)]
pub(crate) struct StoredJob {
    /// The job.
    pub(crate) job: Job,
    /// Hash of the envelope of its newest event.
    pub(crate) head: Hash,
}

/// An event as it is stored, with its place in the chain.
#[derive(Debug)]
pub(crate) struct StoredEvent {
    /// The event.
    pub(crate) event: Event,
    /// Hash of the envelope before it.
    pub(crate) previous: Hash,
}

/// The hash that the next event's envelope holds.
pub(crate) fn hash(envelope: &[u8]) -> Hash {
    *blake3::hash(envelope).as_bytes()
}

/// The envelope of an event that follows the one with that hash.
pub(crate) fn encode_event(id: JobId, previous: &Hash, event: &Event) -> Result<Vec<u8>, Error> {
    let body = event::to_proto(event).encode_to_vec();
    bounded(envelope::seal(&[previous, &body]), || event_name(id, event.seq))
}

/// The event that was stored as that one of that job.
pub(crate) fn decode_event(id: JobId, seq: u64, bytes: &[u8]) -> Result<StoredEvent, Error> {
    open_event(id, seq, bytes).map_err(|fault| fault.of(&event_name(id, seq)))
}

fn open_event(id: JobId, seq: u64, bytes: &[u8]) -> Result<StoredEvent, Fault> {
    let (previous, body) =
        envelope::open(bytes)?.split_first_chunk().ok_or("it is shorter than a hash")?;
    let message = storage::Event::decode(body).map_err(|_| "its message cannot be read")?;
    let event = event::from_proto(id, message)?;
    if event.seq != seq {
        return Err("its number is not that of its key".into());
    }
    Ok(StoredEvent { event, previous: *previous })
}

/// The envelope of a job whose newest event has that hash.
pub(crate) fn encode_job(job: &Job, head: &Hash) -> Result<Vec<u8>, Error> {
    let message = storage::StoredJob { job: Some(job::to_proto(job)), head: head.to_vec() };
    bounded(envelope::seal(&[&message.encode_to_vec()]), || job_name(job.spec.id))
}

/// The job that was stored under that id.
pub(crate) fn decode_job(id: JobId, bytes: &[u8]) -> Result<StoredJob, Error> {
    open_job(id, bytes).map_err(|fault| fault.of(&job_name(id)))
}

fn open_job(id: JobId, bytes: &[u8]) -> Result<StoredJob, Fault> {
    let body = envelope::open(bytes)?;
    let message = storage::StoredJob::decode(body).map_err(|_| "its message cannot be read")?;
    let head = message.head.try_into().map_err(|_| "its head is not a hash")?;
    let job = job::from_proto(id, message.job.ok_or("the job is missing")?)?;
    Ok(StoredJob { job, head })
}

/// The entry of a job that is not terminal: its id and, where the journal keeps it, its payload in an
/// envelope.
pub(crate) fn encode_unfinished(id: JobId, payload: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let mut bytes = id.as_bytes().to_vec();
    if let Some(payload) = payload {
        bytes.extend(envelope::seal(&[payload]));
    }
    bounded(bytes, || payload_name(id))
}

/// The job that such an entry names, and the rest of it.
pub(crate) fn split_unfinished(bytes: &[u8]) -> Result<(JobId, &[u8]), Error> {
    let (id, rest) = bytes
        .split_first_chunk()
        .ok_or_else(|| Error::Damaged(format!("a job id has {} bytes", bytes.len())))?;
    Ok((JobId::from_bytes(*id), rest))
}

/// The payload in the rest of an entry, where it holds one.
pub(crate) fn decode_payload(id: JobId, rest: &[u8]) -> Result<Option<&[u8]>, Error> {
    if rest.is_empty() {
        return Ok(None);
    }
    envelope::open(rest).map(Some).map_err(|fault| fault.of(&payload_name(id)))
}

/// Three numbers of the whole journal in an envelope of their own.
pub(crate) fn encode_counters(numbers: [u64; 3]) -> Vec<u8> {
    let [a, b, c] = numbers.map(u64::to_be_bytes);
    envelope::seal(&[&a, &b, &c])
}

/// The numbers that [`encode_counters`] stored.
pub(crate) fn decode_counters(bytes: &[u8]) -> Result<[u64; 3], Error> {
    open_counters(bytes).map_err(|fault| fault.of("the record of counters"))
}

fn open_counters(bytes: &[u8]) -> Result<[u64; 3], Fault> {
    let (numbers, rest) = envelope::open(bytes)?.as_chunks::<8>();
    match numbers {
        [a, b, c] if rest.is_empty() => Ok([a, b, c].map(|n| u64::from_be_bytes(*n))),
        _ => Err("it has another length".into()),
    }
}

/// The envelope of what was purged.
pub(crate) fn encode_purged(purged: &Purged) -> Result<Vec<u8>, Error> {
    let message = purged::to_proto(purged).encode_to_vec();
    bounded(envelope::seal(&[&message]), || PURGED_NAME.to_owned())
}

/// What was purged, as it was stored.
pub(crate) fn decode_purged(bytes: &[u8]) -> Result<Purged, Error> {
    open_purged(bytes).map_err(|fault| fault.of(PURGED_NAME))
}

fn open_purged(bytes: &[u8]) -> Result<Purged, Fault> {
    let message = storage::Purged::decode(envelope::open(bytes)?);
    purged::from_proto(message.map_err(|_| "its message cannot be read")?)
}

fn bounded(bytes: Vec<u8>, name: impl Fn() -> String) -> Result<Vec<u8>, Error> {
    if bytes.len() > JOURNAL_VALUE_BYTES_MAX {
        return Err(Error::Storage(format!(
            "{} takes {} bytes, more than {JOURNAL_VALUE_BYTES_MAX}",
            name(),
            bytes.len()
        )));
    }
    Ok(bytes)
}

fn event_name(id: JobId, seq: u64) -> String {
    format!("event {seq} of job {id}")
}

fn payload_name(id: JobId) -> String {
    format!("the payload of job {id}")
}

fn job_name(id: JobId) -> String {
    format!("job {id}")
}
