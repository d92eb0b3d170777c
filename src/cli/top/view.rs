//! What is shown: the newest snapshot, rates since the one before, and where the reader looks.

use std::{collections::HashMap, time::Duration};

use super::snapshot::Snapshot;
use crate::{
    cli::render,
    proto::jobs::{Job, Status},
};

/// Statuses in the order of the filter; the first is none.
const FILTERS: [Status; 6] = [
    Status::Unspecified,
    Status::Queued,
    Status::DeQueued,
    Status::Validating,
    Status::Processing,
    Status::Completed,
];

/// The state of the view.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The newest snapshot.
    pub seen: Option<Snapshot>,
    /// Rows a second of all jobs, checked and processed; `None` before the second look.
    pub rows_per_s: Option<(u64, u64)>,
    /// Rows a second of each job, in its present step.
    rates: HashMap<String, u64>,
    filter: usize,
    /// Jobs that are scrolled past.
    offset: usize,
}

impl View {
    /// Takes what was seen now.
    pub(super) fn take(&mut self, snapshot: Snapshot) {
        if let Some(before) = &self.seen {
            let time = snapshot.at.saturating_duration_since(before.at);
            // The same look again, with trouble told: it keeps its rates.
            if !time.is_zero() {
                self.rows_per_s = daemon_rates(before, &snapshot, time);
                self.rates = job_rates(before, &snapshot, time);
            }
        }
        self.seen = Some(snapshot);
        self.clamp();
    }

    /// Rows a second of that job.
    pub(super) fn rate(&self, job: &Job) -> Option<u64> {
        self.rates.get(&job.job_id).copied()
    }

    /// The jobs that the filter lets through.
    pub(super) fn filtered(&self) -> Vec<&Job> {
        let status = self.filter();
        let jobs = self.seen.iter().flat_map(|seen| &seen.jobs);
        jobs.filter(|job| status == Status::Unspecified || job.status() == status).collect()
    }

    /// The jobs from the one on to which is scrolled.
    pub(super) fn jobs(&self) -> Vec<&Job> {
        self.filtered().split_off(self.offset.min(self.filtered().len()))
    }

    /// The status that is looked for; unspecified for all.
    pub(super) fn filter(&self) -> Status {
        FILTERS.get(self.filter).copied().unwrap_or_default()
    }

    /// The filter by its name.
    pub(super) fn filter_name(&self) -> String {
        match self.filter() {
            Status::Unspecified => "all".to_owned(),
            status => render::status(status.into()),
        }
    }

    /// The next filter, or the one before.
    pub(super) fn turn_filter(&mut self, forward: bool) {
        let step = if forward { 1 } else { FILTERS.len() - 1 };
        self.filter = (self.filter + step) % FILTERS.len();
        self.offset = 0;
    }

    /// Down by so many jobs, or up where that is negative.
    pub(super) fn scroll(&mut self, jobs: isize) {
        self.offset = self.offset.saturating_add_signed(jobs);
        self.clamp();
    }

    fn clamp(&mut self) {
        self.offset = self.offset.min(self.filtered().len().saturating_sub(1));
    }
}

/// Rows of a job that are done in its present step, and all of them where that is known.
pub(super) fn progress(job: &Job) -> (u64, Option<u64>) {
    let rows = job.rows.unwrap_or_default();
    match job.status() {
        Status::Processing => (rows.processed, Some(rows.valid)),
        Status::Completed => (rows.total, Some(rows.total)),
        _ => (rows.total, None),
    }
}

fn per_second(rows: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from(u128::from(rows) * 1_000 / millis).unwrap_or(u64::MAX)
}

fn daemon_rates(before: &Snapshot, now: &Snapshot, time: Duration) -> Option<(u64, u64)> {
    let (before, now) = (before.overview.as_ref()?, now.overview.as_ref()?);
    // Counters of another process are not compared.
    let grown = |before: u64, now: u64| Some(per_second(now.checked_sub(before)?, time));
    Some((
        grown(before.rows_checked, now.rows_checked)?,
        grown(before.rows_processed, now.rows_processed)?,
    ))
}

fn job_rates(before: &Snapshot, now: &Snapshot, time: Duration) -> HashMap<String, u64> {
    let rate = |job: &Job| {
        let earlier = before.jobs.iter().find(|earlier| earlier.job_id == job.job_id)?;
        let at_work = matches!(job.status(), Status::Validating | Status::Processing);
        let done = progress(job).0.checked_sub(progress(earlier).0)?;
        let same_step = earlier.status() == job.status();
        (at_work && same_step).then(|| (job.job_id.clone(), per_second(done, time)))
    };
    now.jobs.iter().filter_map(rate).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use super::*;
    use crate::proto::{
        admin::GetOverviewResponse,
        jobs::{Operation, Outcome, RowCounts},
    };

    pub(in crate::cli::top) fn job(id: &str, status: Status, processed: u64) -> Job {
        let ended = status == Status::Completed;
        Job {
            job_id: id.to_owned(),
            operation: Operation::Delete.into(),
            status: status.into(),
            outcome: if ended { Outcome::Partial } else { Outcome::Unspecified }.into(),
            rows: Some(RowCounts { total: 5_000, valid: 4_000, processed, ..<_>::default() }),
            ..Job::default()
        }
    }

    pub(in crate::cli::top) fn snapshot(at: Instant, jobs: Vec<Job>, rows: u64) -> Snapshot {
        let overview = GetOverviewResponse {
            rows_checked: 2 * rows,
            rows_processed: rows,
            ..GetOverviewResponse::default()
        };
        Snapshot { at, overview: Some(overview), jobs, trouble: None }
    }

    #[test]
    fn rates_are_those_between_the_last_two_looks() {
        let (mut view, begin) = (View::default(), Instant::now());
        view.take(snapshot(begin, vec![job("a", Status::Processing, 1_000)], 0));
        assert_eq!(view.rows_per_s, None);
        let later = begin + Duration::from_secs(2);
        let jobs = vec![job("a", Status::Processing, 3_000), job("b", Status::Processing, 9)];
        view.take(snapshot(later, jobs, 500));
        assert_eq!(view.rows_per_s, Some((500, 250)));
        let rates: Vec<_> = view.jobs().into_iter().map(|job| view.rate(job)).collect();
        assert_eq!(rates, [Some(1_000), None]);
        // Another process counts anew, and a job that went over to its next step has no rate yet.
        let last = later + Duration::from_secs(1);
        view.take(snapshot(last, vec![job("a", Status::Completed, 4_000)], 3));
        assert_eq!(view.rows_per_s, None);
        assert_eq!(view.rate(&job("a", Status::Completed, 0)), None);
    }

    #[test]
    fn the_filter_goes_round_and_a_scroll_stays_within_what_is_there() {
        let mut view = View::default();
        let jobs = vec![
            job("a", Status::Queued, 0),
            job("b", Status::Processing, 1),
            job("c", Status::Queued, 0),
        ];
        view.take(snapshot(Instant::now(), jobs, 0));
        let shown = |view: &View| view.jobs().iter().map(|j| j.job_id.clone()).collect::<Vec<_>>();
        view.scroll(1);
        assert_eq!(shown(&view), ["b", "c"]);
        view.scroll(9);
        assert_eq!(shown(&view), ["c"]);
        view.scroll(-9);
        assert_eq!(shown(&view).len(), 3);
        view.turn_filter(true);
        assert_eq!(
            (shown(&view), view.filter_name()),
            (vec!["a".into(), "c".into()], "QUEUED".into())
        );
        view.turn_filter(false);
        view.turn_filter(false);
        assert_eq!((shown(&view).len(), view.filter_name()), (0, "COMPLETED".into()));
        view.scroll(1);
        view.turn_filter(true);
        assert_eq!(view.filter_name(), "all");
    }
}
