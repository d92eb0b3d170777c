//! The keys of the trees. Numbers are big-endian, so that keys sort as they count.

use super::super::Error;
use crate::domain::{JobId, Tenant};

const ID_BYTES: usize = 16;
const SEQ_BYTES: usize = 8;
/// Ends a tenant's name; no name holds it.
const NAME_END: u8 = 0;

/// Key of an event.
pub(super) fn event(id: JobId, seq: u64) -> [u8; ID_BYTES + SEQ_BYTES] {
    let mut key = [0; ID_BYTES + SEQ_BYTES];
    let (id_part, seq_part) = key.split_at_mut(ID_BYTES);
    id_part.copy_from_slice(id.as_bytes());
    seq_part.copy_from_slice(&seq.to_be_bytes());
    key
}

/// The job and number of an event's key.
pub(super) fn parse_event(key: &[u8]) -> Option<(JobId, u64)> {
    let (id, seq) = key.split_first_chunk::<ID_BYTES>()?;
    Some((JobId::from_bytes(*id), u64::from_be_bytes(seq.try_into().ok()?)))
}

/// Key of an idempotency key.
pub(super) fn request(tenant: &Tenant, request_id: &str) -> Vec<u8> {
    named(tenant, request_id.as_bytes())
}

/// Key of a tenant's job at that place in the order of submits.
pub(super) fn tenant(tenant: &Tenant, order: u64) -> Vec<u8> {
    named(tenant, &order.to_be_bytes())
}

/// Key of an unfinished job.
pub(super) fn unfinished(order: u64) -> [u8; 8] {
    order.to_be_bytes()
}

/// The job that 16 stored bytes name.
pub(super) fn job_id(bytes: &[u8]) -> Result<JobId, Error> {
    bytes
        .try_into()
        .map(JobId::from_bytes)
        .map_err(|_| Error::Damaged(format!("a job id has {} bytes", bytes.len())))
}

fn named(tenant: &Tenant, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.as_str().len() + 1 + rest.len());
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(NAME_END);
    key.extend_from_slice(rest);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_sort_by_job_and_then_by_number() {
        let (a, b) = (JobId::from_bytes([1; 16]), JobId::from_bytes([2; 16]));
        let keys = [event(a, 1), event(a, 255), event(a, 256), event(a, u64::MAX), event(b, 1)];
        assert!(keys.is_sorted());
        assert_eq!(parse_event(&event(b, 256)), Some((b, 256)));
        assert_eq!(parse_event(&keys[0][1..]), None);
    }

    #[test]
    fn a_tenant_whose_name_begins_another_stays_apart() {
        let (short, long) = (Tenant::new("ab").unwrap(), Tenant::new("abc").unwrap());
        assert!(tenant(&short, u64::MAX) < tenant(&long, 0));
        assert!(!tenant(&long, 0).starts_with(&named(&short, b"")));
    }
}
