//! When the next durable point is due.

use std::time::{Duration, Instant};

use crate::limits::CHECKPOINTS_MAX;

/// Checkpoints after which the interval doubles.
const DOUBLE_EVERY: u32 = CHECKPOINTS_MAX / 20;

/// Rows between two looks at the clock.
const CLOCK_EVERY: u64 = 256;

/// Spaces the checkpoints of one step: each `rows` rows or `interval`, and twice as far apart after
/// every fiftieth, so that a job of any length has at most `limits::CHECKPOINTS_MAX` of them.
#[derive(Debug)]
pub struct Pace {
    rows: u64,
    interval: Duration,
    taken: u32,
    most: u32,
    last_rows: u64,
    looked_rows: u64,
    last_time: Instant,
}

impl Pace {
    /// The pace of a step that begins at `rows_done` rows when the job already has `taken`
    /// checkpoints and may have `most`.
    #[must_use]
    pub fn new(rows: usize, interval: Duration, taken: u32, most: u32, rows_done: u64) -> Self {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let last_time = Instant::now();
        let (last_rows, looked_rows) = (rows_done, rows_done);
        Self { rows, interval, taken, most, last_rows, looked_rows, last_time }
    }

    /// Whether a checkpoint is due now that so many rows are done.
    #[must_use]
    pub fn is_due(&mut self, rows_done: u64) -> bool {
        if self.taken >= self.most || rows_done == self.last_rows {
            return false;
        }
        let widen = 1_u32 << (self.taken / DOUBLE_EVERY).min(30);
        if rows_done - self.last_rows >= self.rows.saturating_mul(u64::from(widen)) {
            return true;
        }
        if rows_done - self.looked_rows < CLOCK_EVERY {
            return false;
        }
        self.looked_rows = rows_done;
        self.last_time.elapsed() >= self.interval.saturating_mul(widen)
    }

    /// Notes that a checkpoint was taken.
    pub fn took(&mut self, rows_done: u64) {
        self.taken += 1;
        self.last_rows = rows_done;
        self.looked_rows = rows_done;
        self.last_time = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_any_length_has_a_bounded_number_of_checkpoints() {
        let mut pace = Pace::new(1, Duration::MAX, 0, CHECKPOINTS_MAX, 0);
        let mut taken = 0;
        for rows in 1..=5_000_000 {
            if pace.is_due(rows) {
                pace.took(rows);
                taken += 1;
            }
        }
        assert!(taken <= CHECKPOINTS_MAX, "{taken}");
        assert!(taken > 500, "{taken}");
    }

    #[test]
    fn nothing_is_due_without_a_new_row() {
        let mut pace = Pace::new(1, Duration::ZERO, 0, 10, 7);
        assert!(!pace.is_due(7));
        assert!(pace.is_due(8));
    }

    #[test]
    fn the_clock_is_looked_at_now_and_then() {
        let mut pace = Pace::new(1_000, Duration::ZERO, 0, 10, 7);
        assert!(!pace.is_due(6 + CLOCK_EVERY));
        assert!(pace.is_due(7 + CLOCK_EVERY));
    }
}
