//! Refusals are recorded at a bounded rate: whoever makes them must not fill the disk with them.

use std::time::{Duration, Instant};

use crate::limits::{AUDIT_REFUSALS_DAY_MAX, AUDIT_REFUSALS_INTERVAL, AUDIT_REFUSALS_MAX};

const DAY: Duration = Duration::from_hours(24);

/// How many were recorded lately, and how many were not.
#[derive(Debug)]
pub(super) struct Refusals {
    began: Instant,
    recorded: u64,
    /// The same of the day.
    day: (Instant, u64),
    suppressed: u64,
}

impl Refusals {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, recorded: 0, day: (now, 0), suppressed: 0 }
    }

    /// Whether one more is recorded; otherwise it is counted.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.passed(now) >= AUDIT_REFUSALS_INTERVAL {
            (self.began, self.recorded) = (now, 0);
        }
        if now.saturating_duration_since(self.day.0) >= DAY {
            self.day = (now, 0);
        }
        let room = self.recorded < AUDIT_REFUSALS_MAX && self.day.1 < AUDIT_REFUSALS_DAY_MAX;
        if room {
            self.recorded += 1;
            self.day.1 += 1;
        } else {
            self.suppress(1);
        }
        room
    }

    /// Counts so many that could not be recorded.
    pub(super) fn suppress(&mut self, count: u64) {
        self.suppressed += count;
    }

    /// The number that is to be recorded now that the interval has passed, or at the end.
    pub(super) fn due(&mut self, now: Instant, at_end: bool) -> Option<u64> {
        let due = at_end || self.passed(now) >= AUDIT_REFUSALS_INTERVAL;
        (due && self.suppressed > 0).then(|| std::mem::take(&mut self.suppressed))
    }

    fn passed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_the_rate_is_counted_and_the_count_is_told_once() {
        let start = Instant::now();
        let mut refusals = Refusals::new(start);
        let recorded = (0..AUDIT_REFUSALS_MAX + 7).filter(|_| refusals.take(start)).count();
        assert_eq!(recorded as u64, AUDIT_REFUSALS_MAX);
        assert_eq!(refusals.due(start, false), None);
        let later = start + AUDIT_REFUSALS_INTERVAL;
        assert_eq!(refusals.due(later, false), Some(7));
        assert_eq!(refusals.due(later, true), None);
        assert!(refusals.take(later));
    }

    #[test]
    fn a_day_has_a_bound_of_its_own() {
        let start = Instant::now();
        let mut refusals = Refusals::new(start);
        let minute = |n: u32| start + n * AUDIT_REFUSALS_INTERVAL;
        let minutes = (0..24 * 60).flat_map(|n| [minute(n); 50]);
        let recorded = minutes.filter(|now| refusals.take(*now)).count();
        assert_eq!(recorded as u64, AUDIT_REFUSALS_DAY_MAX);
        assert!(refusals.take(start + DAY));
    }
}
