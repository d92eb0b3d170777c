//! An attempt failed.

use std::time::Duration;

use super::{Command, attempts_allowed};
use crate::domain::{EventKind, Failure, Job};

/// How long to wait before another attempt.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Attempts without progress after which the job is held.
    pub attempts_max: u32,
    /// Wait before the second attempt.
    pub min: Duration,
    /// Longest wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait after that many attempts: doubled each time, and a random half of it left out, so
    /// that jobs that failed together do not come back together.
    fn wait(&self, attempts: u32) -> Duration {
        let factor = 1_u32 << attempts.saturating_sub(1).min(20);
        let full = self.min.saturating_mul(factor).min(self.max);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// Plans another attempt, or holds the job where the attempts are used up.
pub struct Postpone {
    /// Why the attempt failed.
    pub failure: Failure,
    /// How long to wait.
    pub backoff: Backoff,
    /// The present, in microseconds since the Unix epoch.
    pub now_us: i64,
}

impl Command for Postpone {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.is_terminal() || job.held || job.retry_at_us.is_some() {
            return Vec::new();
        }
        if job.attempt >= attempts_allowed(job, self.backoff.attempts_max) {
            return vec![EventKind::Held(self.failure)];
        }
        let wait = self.backoff.wait(job.attempt).as_micros();
        let retry_at_us = self.now_us.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
        vec![EventKind::AttemptFailed { failure: self.failure, retry_at_us }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_within_their_bounds() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(10));
        let backoff = Backoff { attempts_max: 5, min, max };
        for attempts in 1..100 {
            let wait = backoff.wait(attempts);
            assert!(wait >= min / 2 && wait <= max, "{attempts}: {wait:?}");
        }
        assert!(backoff.wait(30) >= max / 2);
    }
}
