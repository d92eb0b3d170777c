//! `cvrsd watch`: follows a job until it ends.

use std::{cell::Cell, fmt, time::Duration};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Value, json};
use tonic::Status;

use super::{
    Failure,
    client::{Jobs, Retry, Target},
    render::{self, Output},
};
use crate::{
    exit::Exit,
    proto::jobs::{
        self as wire, GetJobRequest, Job, Outcome, WatchJobRequest, WatchJobResponse,
        watch_job_response::Kind,
    },
};

/// How often the bar is drawn while nothing is told.
const TICK: Duration = Duration::from_millis(200);
const DRAINING: &str = "the server is draining; waiting for it to come back";

/// Options of `watch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id
    job: String,
    /// Show the events after this one; 0 starts with the job as it stands
    #[arg(long, value_name = "N", default_value_t = 0)]
    after_seq: u64,
    /// text shows progress and prints the result; json prints one object a message
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

/// Follows the job and prints how it ended.
///
/// # Errors
/// When there is no such job or no server, or the job ended `FAILED` or `CANCELLED`.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut jobs = args.target.connect().await?;
    to_the_end(&mut jobs, &args.job, args.after_seq, args.output).await
}

/// Follows a job, prints how it ended, and judges it.
///
/// # Errors
/// As [`run`].
pub(super) async fn to_the_end(
    jobs: &mut Jobs,
    job_id: &str,
    after_seq: u64,
    output: Output,
) -> Result<(), Failure> {
    let job = if output == Output::Json {
        let mut show = |message: &WatchJobResponse| render::print_line(message_json(message));
        follow(jobs, job_id, after_seq, &mut show).await?
    } else {
        let progress = Progress::new();
        let mut show = |message: &_| {
            progress.show(message);
            Ok(())
        };
        let job = follow(jobs, job_id, after_seq, &mut show).await;
        progress.clear();
        let job = job?;
        render::print(render::job_text(&job))?;
        job
    };
    judge(&job)
}

/// What the end of a job means for the exit code: a file that was processed is a success, also
/// where rows were refused; that is said.
fn judge(job: &Job) -> Result<(), Failure> {
    let id = &job.job_id;
    match job.outcome() {
        Outcome::Failed => {
            let reason = job.failure.as_ref().map_or("", |f| f.message.as_str());
            Err(Failure::new(Exit::Failed, format!("job {id} failed: {reason}")))
        }
        Outcome::Cancelled => Err(Failure::new(Exit::Failed, format!("job {id} was cancelled"))),
        Outcome::Partial => {
            render::note(&format!("rows were refused; `cvrsd errors {id}` lists them"));
            Ok(())
        }
        Outcome::Succeeded | Outcome::Unspecified => Ok(()),
    }
}

/// Follows a job until it is terminal, over lost connections and restarts of the server. Every
/// message is shown once.
///
/// # Errors
/// When the watch is refused, `show` fails, or the server stays away.
pub(super) async fn follow(
    jobs: &mut Jobs,
    job_id: &str,
    after_seq: u64,
    show: &mut dyn FnMut(&WatchJobResponse) -> Result<(), Failure>,
) -> Result<Job, Failure> {
    let mut watch = Watch { job_id, seq: after_seq, retry: Retry::default(), show };
    loop {
        let lost = match watch.stream(jobs).await? {
            Ended::Terminal(job) => return Ok(*job),
            Ended::Lost(status) => status,
            Ended::Silent => {
                // The stream has nothing to say after the newest event of a job that is terminal.
                match get(jobs, job_id).await {
                    Ok(job) if is_terminal(&job) => return Ok(job),
                    Ok(_) => Status::unavailable("the watch ended before the job did"),
                    Err(status) => status,
                }
            }
        };
        watch.retry.after(&lost).await?;
    }
}

struct Watch<'a> {
    job_id: &'a str,
    /// Newest event that was shown.
    seq: u64,
    retry: Retry,
    show: &'a mut dyn FnMut(&WatchJobResponse) -> Result<(), Failure>,
}

/// How one stream ended.
enum Ended {
    Terminal(Box<Job>),
    Lost(Status),
    Silent,
}

impl Watch<'_> {
    async fn stream(&mut self, jobs: &mut Jobs) -> Result<Ended, Failure> {
        let request = WatchJobRequest { job_id: self.job_id.to_owned(), after_seq: self.seq };
        let mut stream = match jobs.watch_job(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Ok(Ended::Lost(status)),
        };
        loop {
            let message = match stream.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(Ended::Silent),
                Err(status) => return Ok(Ended::Lost(status)),
            };
            if message.seq > self.seq || message.kind() == Kind::Bookmark {
                self.retry.answered();
            }
            self.seq = self.seq.max(message.seq);
            (self.show)(&message)?;
            if let Some(job) = message.job.filter(is_terminal) {
                return Ok(Ended::Terminal(Box::new(job)));
            }
        }
    }
}

/// The job as it stands.
///
/// # Errors
/// As the server says.
pub(super) async fn get(jobs: &mut Jobs, job_id: &str) -> Result<Job, Status> {
    let request = GetJobRequest { job_id: job_id.to_owned() };
    Ok(jobs.get_job(request).await?.into_inner().job.unwrap_or_default())
}

fn is_terminal(job: &Job) -> bool {
    job.status() == wire::Status::Completed
}

fn message_json(message: &WatchJobResponse) -> Value {
    let kind = message.kind().as_str_name().trim_start_matches("KIND_").to_ascii_lowercase();
    json!({
        "kind": kind,
        "seq": message.seq,
        "coalesced_count": message.coalesced_count,
        "job": message.job.as_ref().map(render::job_json),
    })
}

/// Shows how far a job is, on standard error: a bar on a terminal, else a line a message.
pub(super) struct Progress {
    /// `None` where standard error is no terminal that can move its cursor.
    bar: Option<ProgressBar>,
    /// The status that the bar shows; its rate is that of this step alone.
    step: Cell<Option<i32>>,
    colours: bool,
}

impl Progress {
    /// Progress of a job that has shown nothing yet.
    pub fn new() -> Self {
        let stderr = std::io::stderr();
        let bar = render::draws(&stderr).then(|| {
            let bar = ProgressBar::no_length();
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { bar, step: Cell::new(None), colours: render::colours(&stderr) }
    }

    /// Shows one message of a watch.
    pub fn show(&self, message: &WatchJobResponse) {
        let drains = message.kind() == Kind::Draining;
        match (&message.job, &self.bar) {
            (Some(job), None) => render::note(&line(message.seq, job)),
            (Some(job), Some(bar)) => self.draw(bar, job),
            (None, None) if drains => render::note(DRAINING),
            (None, Some(bar)) if drains => bar.set_message(DRAINING),
            (None, _) => {}
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn draw(&self, bar: &ProgressBar, job: &Job) {
        let rows = job.rows.unwrap_or_default();
        let processing = job.status() == wire::Status::Processing;
        let done = if processing { rows.processed } else { rows.total };
        bar.set_message(format!("{}{}", render::status(job.status), waits(job)));
        if self.step.replace(Some(job.status)) == Some(job.status) {
            bar.set_position(done);
            return;
        }
        bar.set_style(style(job.status(), self.colours));
        bar.update(|state| state.set_pos(done));
        if processing {
            bar.set_length(rows.valid);
        } else {
            bar.unset_length();
        }
        // What was done before, perhaps long ago, is no part of the rate.
        bar.reset_eta();
    }
}

/// How the bar looks in that step.
fn style(status: wire::Status, colours: bool) -> ProgressStyle {
    let template = match (status, colours) {
        (wire::Status::Processing, true) => {
            "{msg:<10} {wide_bar:.cyan} {human_pos}/{human_len} rows  {rate}  {left}"
        }
        (wire::Status::Processing, false) => {
            "{msg:<10} {wide_bar} {human_pos}/{human_len} rows  {rate}  {left}"
        }
        (wire::Status::Validating, _) => "{msg:<10} {spinner} {human_pos} rows checked  {rate}",
        _ => "{msg:<10} {spinner}",
    };
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    style
        .with_key("rate", |state: &ProgressState, text: &mut dyn fmt::Write| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate is not negative, and its fractions do not matter"
            )]
            let rate = state.per_sec() as u64;
            // A terminal that cannot be written to is noticed by the bar itself.
            let _ = write!(text, "{} rows/s", render::count(rate));
        })
        .with_key("left", |state: &ProgressState, text: &mut dyn fmt::Write| {
            let _ = match state.per_sec() {
                rate if rate < 0.5 => write!(text, "-"),
                _ => write!(text, "{} left", render::duration(state.eta())),
            };
        })
}

/// `#12 PROCESSING 40,000 of 50,000 rows applied` and the like.
fn line(seq: u64, job: &Job) -> String {
    let rows = job.rows.unwrap_or_default();
    let progress = match job.status() {
        wire::Status::Validating => format!(" {} rows checked", render::count(rows.total)),
        wire::Status::Processing => {
            let (done, valid) = (render::count(rows.processed), render::count(rows.valid));
            format!(" {done} of {valid} rows done")
        }
        _ => String::new(),
    };
    let outcome = render::outcome(job.outcome).map(|o| format!(" {o}")).unwrap_or_default();
    let wait = waits(job);
    format!("#{seq} {}{progress}{outcome}{wait}", render::status(job.status))
}

/// Why the job waits, where it does.
fn waits(job: &Job) -> String {
    match &job.failure {
        Some(failure) if job.held => format!(", held: {}", failure.message),
        Some(failure) if job.retry_time.is_some() => format!(", will retry: {}", failure.message),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::jobs::{Failure as JobFailure, RowCounts};

    fn job(status: wire::Status, outcome: Outcome) -> Job {
        Job { status: status.into(), outcome: outcome.into(), ..Job::default() }
    }

    #[test]
    fn a_line_tells_the_status_and_how_far_it_is() {
        let rows =
            Some(RowCounts { total: 5_000, valid: 4_000, processed: 1_000, ..<_>::default() });
        let at = |status| line(3, &Job { rows, ..job(status, Outcome::Unspecified) });
        assert_eq!(at(wire::Status::Queued), "#3 QUEUED");
        assert_eq!(at(wire::Status::Validating), "#3 VALIDATING 5,000 rows checked");
        assert_eq!(at(wire::Status::Processing), "#3 PROCESSING 1,000 of 4,000 rows done");
        let ended = job(wire::Status::Completed, Outcome::Partial);
        assert_eq!(line(9, &ended), "#9 COMPLETED PARTIAL");
    }

    #[test]
    fn a_line_tells_why_a_job_waits() {
        let failure = Some(JobFailure { code: String::new(), message: "no disk".to_owned() });
        let held =
            Job { held: true, failure, ..job(wire::Status::Validating, Outcome::Unspecified) };
        assert_eq!(line(4, &held), "#4 VALIDATING 0 rows checked, held: no disk");
    }

    #[test]
    fn only_a_job_that_failed_or_was_cancelled_fails_the_command() {
        let judged = |outcome| judge(&job(wire::Status::Completed, outcome)).map_err(|f| f.exit);
        assert_eq!(judged(Outcome::Succeeded), Ok(()));
        assert_eq!(judged(Outcome::Partial), Ok(()));
        assert_eq!(judged(Outcome::Failed), Err(Exit::Failed));
        assert_eq!(judged(Outcome::Cancelled), Err(Exit::Failed));
    }
}
