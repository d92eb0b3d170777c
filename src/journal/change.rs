//! What every journal asks of a change before it stores it.

use super::{Change, Error};
use crate::domain::JobId;

impl Change {
    /// The job that changes.
    pub(super) fn id(&self) -> JobId {
        self.job.spec.id
    }

    /// Whether the job is new, which its first event tells.
    pub(super) fn is_new(&self) -> bool {
        self.events.first().is_some_and(|e| e.seq == 1)
    }

    /// Checks that the events follow the stored one without a gap and end where the job stands.
    pub(super) fn check(&self, stored_seq: Option<u64>) -> Result<(), Error> {
        let mut seq = stored_seq.unwrap_or(0);
        for event in &self.events {
            if event.seq.checked_sub(1) != Some(seq) {
                return Err(self.refuse(event.seq, "does not follow what is stored"));
            }
            seq = event.seq;
        }
        if self.events.is_empty() || self.job.seq != seq {
            return Err(self.refuse(self.job.seq, "is not the newest of the change"));
        }
        self.check_payload()
    }

    /// Checks that a new job whose payload is inline brings it, and nothing else brings one.
    fn check_payload(&self) -> Result<(), Error> {
        let described = &self.job.spec.payload;
        let expected = (self.is_new() && described.inline).then_some(described.length);
        if self.payload.as_ref().map(|payload| payload.len() as u64) != expected {
            return Err(self.refuse(self.job.seq, "has another payload than it says"));
        }
        Ok(())
    }

    /// Checks that a new job comes after all others in the order of submits.
    pub(super) fn check_order(&self, last_order: u64) -> Result<(), Error> {
        if self.job.spec.order <= last_order {
            return Err(self.refuse(1, "does not come last in the order of submits"));
        }
        Ok(())
    }

    /// The error of a change that cannot be stored.
    pub(super) fn refuse(&self, seq: u64, why: &str) -> Error {
        Error::Storage(format!("event {seq} of job {} {why}", self.id()))
    }
}
