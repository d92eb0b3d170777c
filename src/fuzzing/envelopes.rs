//! What the journal stores.

use crate::{
    domain::{Event, Job, JobId},
    journal::codec::{
        NO_HASH, decode_counters, decode_event, decode_job, decode_payload, decode_purged,
        encode_counters, encode_event, encode_job, encode_purged, encode_unfinished,
        envelope::seal, split_unfinished,
    },
    limits::JOURNAL_VALUE_BYTES_MAX,
};

/// Whose values they are.
const ID: [u8; 16] = [7; 16];
/// Bytes between two messages of one input.
const BETWEEN: &[u8] = b"\xff\xff";

/// Bytes as they are, and as the content of an envelope, are decoded or refused. What decodes is encoded to
/// something that decodes to the same, and that is refused with any bit of it changed. Events fold, or are
/// refused.
pub fn envelopes(data: &[u8]) {
    let id = JobId::from_bytes(ID);
    decode_all(id, data);
    let mut job: Option<Job> = None;
    for content in messages(data) {
        decode_all(id, &seal(&[content]));
        let sealed = seal(&[&NO_HASH, content]);
        for seq in [job.as_ref().map_or(1, |job| job.seq.saturating_add(1)), 1] {
            let Ok(stored) = decode_event(id, seq, &sealed) else { continue };
            check_event(id, &stored.event, data.len());
            job = folded(job, &stored.event);
            break;
        }
        if let Some(job) = &job {
            check_job(job, data.len());
        }
    }
}

fn messages(data: &[u8]) -> Vec<&[u8]> {
    let mut rest = data;
    let mut found = Vec::new();
    while let Some(at) = rest.windows(BETWEEN.len()).position(|bytes| bytes == BETWEEN) {
        found.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    found.push(rest);
    found
}

/// Nothing but an error comes of what is no value.
fn decode_all(id: JobId, bytes: &[u8]) {
    if let Ok(stored) = decode_job(id, bytes) {
        check_job(&stored.job, bytes.len());
    }
    if let Ok(numbers) = decode_counters(bytes) {
        assert_eq!(encode_counters(numbers), bytes);
    }
    if let Ok(purged) = decode_purged(bytes)
        && let Ok(again) = encode_purged(&purged)
    {
        assert_eq!(decode_purged(&again).unwrap(), purged);
    }
    if let Ok((id, rest)) = split_unfinished(bytes)
        && let Ok(payload) = decode_payload(id, rest)
        && bytes.len() <= JOURNAL_VALUE_BYTES_MAX
    {
        assert_eq!(encode_unfinished(id, payload).unwrap(), bytes);
    }
}

fn folded(job: Option<Job>, event: &Event) -> Option<Job> {
    match job.clone().map_or_else(|| Job::first(event), |job| job.next(event)) {
        Ok(next) => {
            assert_eq!(next.seq, event.seq);
            assert!(job.is_none_or(|job| next.status() >= job.status()));
            Some(next)
        }
        Err(_) => job,
    }
}

fn check_event(id: JobId, event: &Event, at: usize) {
    let Ok(bytes) = encode_event(id, &NO_HASH, event) else { return };
    let again = decode_event(id, event.seq, &bytes).unwrap();
    assert_eq!((&again.event, again.previous), (event, NO_HASH));
    assert!(decode_event(id, event.seq.wrapping_add(1), &bytes).is_err());
    assert!(decode_event(id, event.seq, &damaged(&bytes, at)).is_err());
}

fn check_job(job: &Job, at: usize) {
    let id = job.spec.id;
    let Ok(bytes) = encode_job(job, &NO_HASH) else { return };
    let again = decode_job(id, &bytes).unwrap();
    assert_eq!((&again.job, again.head), (job, NO_HASH));
    assert!(decode_job(id, &damaged(&bytes, at)).is_err());
}

/// With one bit changed, another one for each number.
fn damaged(bytes: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let bit = number.wrapping_mul(7_919) % (8 * bytes.len());
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}
