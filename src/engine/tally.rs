//! What was done since the start, told by the journal's committer.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{Job, JobId, Outcome},
    journal::{Committed, Observer},
};

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows that were checked.
    pub rows_checked: u64,
    /// Valid rows that were applied or found without effect.
    pub rows_processed: u64,
    /// Jobs that ended, in the order of [`Outcome::ALL`].
    pub ended: [u64; Outcome::ALL.len()],
}

/// Keeps them.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    /// How far each job that has not ended had come: rows checked and processed.
    live: HashMap<JobId, (u64, u64)>,
}

impl Tally {
    /// Counts what a job did from where an earlier process left it.
    pub(super) fn seed(&self, job: &Job) {
        self.state().live.insert(job.spec.id, so_far(job));
    }

    pub(super) fn totals(&self) -> Totals {
        self.state().totals
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Tally {
    fn committed(&self, group: &[Committed]) {
        let mut state = self.state();
        for Committed { job, .. } in group {
            let now = so_far(job);
            let before = if job.is_terminal() {
                state.live.remove(&job.spec.id)
            } else {
                state.live.insert(job.spec.id, now)
            };
            let before = before.unwrap_or_default();
            let totals = &mut state.totals;
            totals.rows_checked += now.0.saturating_sub(before.0);
            totals.rows_processed += now.1.saturating_sub(before.1);
            let ended = Outcome::ALL.iter().zip(&mut totals.ended);
            ended.filter(|(o, _)| job.outcome() == Some(**o)).for_each(|(_, count)| *count += 1);
        }
    }
}

fn so_far(job: &Job) -> (u64, u64) {
    (job.validated.rows, job.applied.position)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{
        EventKind, StorageSet, Validated,
        testing::{all_applied, ending, first, fold, submitted},
    };

    #[test]
    fn rows_count_once_and_from_where_a_job_stood_at_the_start() {
        let tally = Tally::default();
        let tell = |job: &Job| {
            tally.committed(&[Committed { job: Arc::new(job.clone()), events: Vec::new() }]);
        };
        let at = |rows| Validated { line: rows + 1, rows, rows_valid: rows, ..<_>::default() };
        let job = fold(first(submitted(1)).0, [EventKind::DeQueued, EventKind::ValidationStarted]);
        let job = fold(job, [EventKind::ValidationAdvanced(at(4))]);
        tally.seed(&job);
        assert_eq!(tally.totals(), Totals::default());
        let validated = at(9);
        let job = fold(job, [EventKind::ProcessingStarted { validated, warnings: Vec::new() }]);
        tell(&job);
        tell(&job);
        let applied = all_applied(StorageSet::ALL, 9);
        tell(&fold(job, [ending(Outcome::Succeeded, validated, applied, None)]));
        let ended = [1, 0, 0, 0];
        assert_eq!(tally.totals(), Totals { rows_checked: 5, rows_processed: 9, ended });
        assert!(tally.state().live.is_empty());
    }
}
