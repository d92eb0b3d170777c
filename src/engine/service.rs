//! What the faces call. Every call is made for a [`Principal`]; another tenant's job does not exist for it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    command::{Cancel as CancelJob, decision},
    pipe::Pieces,
    records::Records,
    reports::ReportReader,
    runtime::Engine,
    submit::Submit,
    worker::cleanup,
};
use crate::{
    audit::{self, Entry, Kind},
    auth::Principal,
    clock,
    config::{self, Config},
    cvrs::{Profile, Rules},
    domain::{Job, JobId, MediaType, Operation, Payload, Status, Submitted},
    error::{Code, Error},
    intake::{Encoding, Expected, Meter},
    journal,
    limits::{PAGE_JOBS_DEFAULT, PAGE_JOBS_MAX, PAGE_SCAN_MAX, REQUEST_ID_CHARS_MAX},
    watch::Watcher,
};

/// Whether the daemon takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Recovery is not done.
    Starting,
    /// Serving.
    Serving,
    /// No new work; what runs comes to a durable point.
    Draining,
}

/// The jobs of this daemon. A cheap handle.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    engine: OnceLock<Engine>,
    phase: watch::Sender<Phase>,
    audit: audit::Log,
    validation: config::Validation,
    /// Ends the uploads that a drain can wait for no longer.
    cut: CancellationToken,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

/// What a caller asks for at submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitRequest {
    /// What is done with each row.
    pub operation: Operation,
    /// What the body is.
    pub media_type: MediaType,
    /// How the body is encoded on the wire.
    pub encoding: Encoding,
    /// Check every row, apply none.
    pub validate_only: bool,
    /// Idempotency key.
    pub request_id: Option<String>,
    /// Announced bytes of the body as sent.
    pub content_length: Option<u64>,
    /// Announced SHA-256 of the decoded body.
    pub content_sha256: Option<[u8; 32]>,
}

/// The durable answer to a submit.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The job as it stands.
    pub job: Arc<Job>,
    /// The idempotency key had made this job before.
    pub replayed: bool,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Most jobs to return; 0 for the default.
    pub page_size: usize,
    /// Id of the job at which the page before ended; empty for the first page.
    pub page_token: String,
    /// Only jobs with this status.
    pub status: Option<Status>,
    /// Only jobs with this operation.
    pub operation: Option<Operation>,
}

/// A page of jobs, newest first.
#[derive(Clone, Debug, Default)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Arc<Job>>,
    /// Token of the next page; empty on the last one.
    pub next_page_token: String,
}

/// What a cancel did.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// The job after it.
    pub job: Arc<Job>,
    /// The job was not terminal: it is cancelled, or ends at its next batch.
    pub took_effect: bool,
}

impl Service {
    /// A service that answers `CVRS-STARTING` until its engine is there. What its callers do is recorded there.
    #[must_use]
    pub fn new(config: &Config, audit: audit::Log) -> Self {
        let shared = Shared {
            engine: OnceLock::new(),
            phase: watch::Sender::new(Phase::Starting),
            audit,
            validation: config.validation.clone(),
            cut: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Serves from now on, over that engine. Only the first call counts.
    pub fn install(&self, engine: Engine) {
        if self.shared.engine.set(engine).is_ok() {
            self.set_phase(Phase::Serving);
        }
        // A drain that began during the start found no engine to tell.
        if let (Phase::Draining, Some(engine)) = (self.phase(), self.engine()) {
            engine.drain();
        }
    }

    /// Takes no new work from now on, ends watches, and tells running jobs to stop.
    pub fn drain(&self) {
        self.set_phase(Phase::Draining);
        if let Some(engine) = self.shared.engine.get() {
            engine.drain();
        }
    }

    /// Waits until no job runs and no upload is on its way, at most until the deadline; then refuses
    /// the uploads that still are.
    pub async fn settle(&self, deadline: Instant) {
        if let Some(engine) = self.shared.engine.get() {
            while !(engine.is_drained() && engine.spool.is_idle()) && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        self.shared.cut.cancel();
    }

    /// The engine, once there.
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        self.shared.engine.get()
    }

    /// Where acts are recorded.
    #[must_use]
    pub fn audit(&self) -> &audit::Log {
        &self.shared.audit
    }

    /// Whether the daemon takes calls.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }

    /// Tells of every change of [`Service::phase`].
    #[must_use]
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// Without the scope of the operation, while starting or draining, for a malformed idempotency
    /// key, an announced length over the bound, over a quota of the client, or when too many
    /// uploads run.
    pub async fn begin(&self, caller: &Principal, request: SubmitRequest) -> Result<Submit, Error> {
        let operation = request.operation;
        let begun = self.take(caller, request).await;
        begun.inspect_err(|error| {
            let entry = caller.entry(Kind::Submit).doing(operation);
            self.shared.audit.refuse(entry.refused(error.code));
        })
    }

    async fn take(&self, caller: &Principal, request: SubmitRequest) -> Result<Submit, Error> {
        caller.may(request.operation)?;
        let engine = self.ready()?;
        if self.phase() == Phase::Draining {
            return Err(draining());
        }
        if let Some(id) = &request.request_id {
            check_request_id(id)?;
        }
        let SubmitRequest { media_type, encoding, content_length, .. } = request;
        let id = JobId::generate();
        let length = content_length.filter(|_| encoding == Encoding::Identity);
        let repeats = repeated(engine, caller, &request).await?;
        let claim =
            engine.quotas.claim(&caller.client, caller.quota, id, repeats.is_some(), length)?;
        // A repeat makes no job, so it takes no more room than that of its job.
        let (meter, keep_max): (Meter, _) = match &repeats {
            Some(job) => (Box::new(|_| Ok(())), job.spec.payload.length),
            None => (claim.meter(), u64::MAX),
        };
        let upload =
            engine.spool.begin(media_type, encoding, content_length, meter, keep_max).await?;
        let received_us = clock::now_us();
        let spec = Submitted {
            id,
            tenant: caller.tenant.clone(),
            client: caller.client.clone(),
            operation: request.operation,
            storages: caller.storages,
            validate_only: request.validate_only || caller.validate_only,
            request_id: request.request_id,
            // Filled in once the body is there.
            payload: Payload { media_type, length: 0, sha256: [0; 32], inline: false },
            order: 0,
            origin: caller.origin.clone(),
            rules: rules(&self.shared.validation, received_us),
        };
        let expected = Expected { length, sha256: request.content_sha256 };
        let (journal, spool, poison) =
            (engine.journal.clone(), engine.spool.clone(), engine.poison.clone());
        let cut = self.shared.cut.clone();
        let audit = self.shared.audit.clone();
        Ok(Submit {
            upload,
            spec,
            expected,
            repeats,
            _claim: claim,
            journal,
            spool,
            poison,
            cut,
            audit,
        })
    }

    /// The job as it stands. Another tenant's is refused in the words for one that never was.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, `CVRS-JOB-NOT-FOUND`, or when the journal cannot be read.
    pub async fn get(&self, caller: &Principal, id: JobId) -> Result<Arc<Job>, Error> {
        let entry = caller.entry(Kind::JobRead).of(id);
        let job = self.own(caller, id).await;
        let job =
            job.inspect_err(|error| self.shared.audit.refuse(entry.clone().refused(error.code)))?;
        self.shared.audit.note_read(entry, job.is_terminal()).await.map_err(stopping)?;
        Ok(job)
    }

    async fn own(&self, caller: &Principal, id: JobId) -> Result<Arc<Job>, Error> {
        caller.may_read()?;
        let job = self.ready()?.journal.job(id).await.map_err(internal)?;
        let own = job.filter(|job| job.spec.tenant == caller.tenant);
        own.ok_or_else(|| Error::no_job(id))
    }

    /// A page of the caller's jobs, newest first.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, `CVRS-PAGE-TOKEN`, or when the journal cannot be read.
    pub async fn list(&self, caller: &Principal, query: ListQuery) -> Result<JobPage, Error> {
        caller.may_read()?;
        let engine = self.ready()?;
        let size = if query.page_size == 0 { PAGE_JOBS_DEFAULT } else { query.page_size };
        let size = size.min(PAGE_JOBS_MAX);
        let PageEnd { mut last, below_id } = page_end(engine, caller, &query.page_token).await?;
        // A filter may pass over many jobs; they are not read one by one.
        let filtered = query.status.is_some() || query.operation.is_some() || below_id.is_some();
        let read = if filtered { PAGE_JOBS_MAX } else { size };
        let mut page = JobPage::default();
        let mut seen = 0;
        loop {
            let below = last.as_ref().map(|job| job.spec.order);
            let jobs = engine.journal.list(&caller.tenant, below, read).await.map_err(internal)?;
            let is_end = jobs.len() < read;
            for job in jobs {
                if page.jobs.len() == size || seen == PAGE_SCAN_MAX {
                    page.next_page_token = PageEnd { last, below_id }.token();
                    return Ok(page);
                }
                seen += 1;
                last = Some(Arc::clone(&job));
                let wanted = query.status.is_none_or(|s| s == job.status())
                    && query.operation.is_none_or(|o| o == job.spec.operation)
                    && below_id.is_none_or(|id| job.spec.id < id);
                if wanted {
                    page.jobs.push(job);
                }
            }
            if is_end {
                return Ok(page);
            }
        }
    }

    /// Asks a job to stop. A finished job stays as it is.
    ///
    /// # Errors
    /// `CVRS-JOB-NOT-FOUND`, `CVRS-SCOPE` without the scope of its operation, or when the journal
    /// fails.
    pub async fn cancel(&self, caller: &Principal, id: JobId) -> Result<Cancel, Error> {
        let (service, caller) = (self.clone(), caller.clone());
        // On a task of its own: a caller that goes away must not stop it between its entry and the act.
        let cancel = async move {
            let entry = caller.entry(Kind::Cancel).of(id);
            let cancelled = service.stop(&caller, id, entry.clone()).await;
            cancelled.inspect_err(|error| service.shared.audit.refuse(entry.refused(error.code)))
        };
        tokio::spawn(cancel.in_current_span()).await.map_err(Error::internal)?
    }

    async fn stop(&self, caller: &Principal, id: JobId, entry: Entry) -> Result<Cancel, Error> {
        let before = self.own(caller, id).await?;
        caller.may(before.spec.operation)?;
        let entry = entry.doing(before.spec.operation);
        if before.is_terminal() {
            let entry = entry.saying("it has ended already");
            self.shared.audit.note(entry).await.map_err(stopping)?;
            return Ok(Cancel { job: before, took_effect: false });
        }
        self.shared.audit.record(entry).await.map_err(stopping)?;
        let engine = self.ready()?;
        let committed = engine.journal.record(id, decision(CancelJob)).await.map_err(internal)?;
        let job = committed.job;
        if job.is_terminal() && !committed.events.is_empty() {
            let (job, store) = (Arc::clone(&job), Arc::clone(&engine.store));
            let (spool, workspace) = (engine.spool.clone(), engine.workspace.clone());
            let poison = engine.poison.clone();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = cleanup(&job, &*store, &spool, &workspace) {
                    poison.trip(error.to_string());
                }
            });
        }
        let took_effect = !job.is_terminal() || !committed.events.is_empty();
        Ok(Cancel { job, took_effect })
    }

    /// Follows a job. The caller's rights are looked at when it begins, not again until it ends.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, `CVRS-JOB-NOT-FOUND`, `CVRS-SEQ-OUT-OF-RANGE`, or when the journal cannot be read.
    pub async fn watch(
        &self,
        caller: &Principal,
        id: JobId,
        after_seq: u64,
    ) -> Result<Watcher, Error> {
        let entry = caller.entry(Kind::Watch).of(id);
        let watcher = async {
            self.own(caller, id).await?;
            let engine = self.ready()?;
            Watcher::start(&engine.hub, &engine.journal, id, after_seq).await
        };
        let watcher = watcher.await;
        let watcher = watcher
            .inspect_err(|error| self.shared.audit.refuse(entry.clone().refused(error.code)))?;
        self.shared.audit.note(entry).await.map_err(stopping)?;
        Ok(watcher)
    }

    /// A job and its report, for a caller who takes all of it.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, `CVRS-JOB-NOT-FOUND`, or when the report cannot be opened.
    pub async fn download(
        &self,
        caller: &Principal,
        id: JobId,
    ) -> Result<(Arc<Job>, ReportReader), Error> {
        let entry = caller.entry(Kind::Report).of(id);
        let opened = async {
            let job = self.own(caller, id).await?;
            let reader = self.report(&job).await?;
            Ok((job, reader))
        };
        let opened: Result<(Arc<Job>, ReportReader), Error> = opened.await;
        let (job, reader) = opened
            .inspect_err(|error| self.shared.audit.refuse(entry.clone().refused(error.code)))?;
        let entry = Entry { bytes: Some(reader.tsv_length()), ..entry };
        self.shared.audit.record(entry).await.map_err(stopping)?;
        Ok((job, reader))
    }

    /// Reads what is durable of a job's report.
    ///
    /// # Errors
    /// While starting, or when the report cannot be opened.
    pub async fn report(&self, job: &Job) -> Result<ReportReader, Error> {
        ReportReader::open(self.ready()?, job).await
    }

    /// Reads live records back.
    ///
    /// # Errors
    /// While starting.
    pub fn records(&self) -> Result<Records, Error> {
        let engine = self.ready()?;
        let (store, audit) = (Arc::clone(&engine.store), self.shared.audit.clone());
        Ok(Records::new(store, audit, engine.exports.clone()))
    }

    /// Begins a backup of everything, of all tenants, and gives it piece by piece.
    ///
    /// # Errors
    /// `CVRS-SCOPE` without the scope `BACKUP`, `CVRS-READERS-EXHAUSTED`; while starting or draining.
    pub async fn backup(&self, caller: &Principal) -> Result<Pieces, Error> {
        let entry = caller.entry(Kind::Admin).saying("backup");
        let begun = async {
            caller.may_backup()?;
            if self.phase() == Phase::Draining {
                return Err(draining());
            }
            let engine = self.ready()?;
            self.shared.audit.record(entry.clone()).await.map_err(stopping)?;
            engine.backup()
        };
        let begun = begun.await;
        begun.inspect_err(|error: &Error| self.shared.audit.refuse(entry.refused(error.code)))
    }

    pub(super) fn ready(&self) -> Result<&Engine, Error> {
        let engine = self.shared.engine.get();
        engine.ok_or_else(|| Error::new(Code::Starting, "the daemon is starting"))
    }

    fn set_phase(&self, phase: Phase) {
        // A drain is final, also when recovery ends after it began.
        self.shared.phase.send_if_modified(|current| {
            let change = *current != Phase::Draining && *current != phase;
            if change {
                *current = phase;
            }
            change
        });
    }
}

/// The job that the idempotency key has made, where the client has a quota: a repeat makes no job, so it
/// gets its answer also where no further job would be taken.
async fn repeated(
    engine: &Engine,
    caller: &Principal,
    request: &SubmitRequest,
) -> Result<Option<Arc<Job>>, Error> {
    let quota = caller.quota;
    let bounded = quota.jobs_queued_max.is_some() || quota.spool_bytes_max.is_some();
    let Some(key) = request.request_id.as_ref().filter(|_| bounded) else { return Ok(None) };
    match engine.journal.find_request(&caller.tenant, key).await.map_err(internal)? {
        Some(id) => engine.journal.job(id).await.map_err(internal),
        None => Ok(None),
    }
}

pub(super) fn draining() -> Error {
    Error::new(Code::Draining, "the daemon is draining")
}

fn check_request_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > REQUEST_ID_CHARS_MAX || !id.bytes().all(|b| b.is_ascii_graphic())
    {
        let text = "an idempotency key is 1 to 255 visible ascii characters";
        return Err(Error::new(Code::RequestIdMalformed, text));
    }
    Ok(())
}

/// Where the page before ended.
#[derive(Default)]
struct PageEnd {
    /// The last job that was looked at.
    last: Option<Arc<Job>>,
    /// The end of an earlier page that has been purged: all above that id was given before. The listing goes
    /// from the newest job on again, and may take several pages until it is back there.
    below_id: Option<JobId>,
}

impl PageEnd {
    /// Ids alone: a place in the order of submits would tell how much other tenants submit.
    fn token(self) -> String {
        let Self { last: Some(last), below_id } = self else { return String::new() };
        match below_id.filter(|below| *below <= last.spec.id) {
            Some(below) => format!("{}.{below}", last.spec.id),
            None => last.spec.id.to_string(),
        }
    }
}

/// Reads a token. Jobs of other tenants are treated like none.
async fn page_end(engine: &Engine, caller: &Principal, token: &str) -> Result<PageEnd, Error> {
    if token.is_empty() {
        return Ok(PageEnd::default());
    }
    let unknown = || Error::new(Code::PageToken, "the page token is not one of ours");
    let (at, below) = token.split_once('.').map_or((token, None), |(at, id)| (at, Some(id)));
    let id: JobId = at.parse().map_err(|_| unknown())?;
    let below_id = below.map(str::parse).transpose().map_err(|_| unknown())?;
    if below_id.is_some_and(|below| !engine.horizon.is_behind(below)) {
        return Err(unknown());
    }
    let job = engine.journal.job(id).await.map_err(internal)?;
    match job.filter(|job| job.spec.tenant == caller.tenant) {
        Some(job) => Ok(PageEnd { last: Some(job), below_id }),
        None if engine.horizon.is_behind(id) => {
            Ok(PageEnd { last: None, below_id: Some(below_id.map_or(id, |below| below.min(id))) })
        }
        None => Err(unknown()),
    }
}

fn rules(config: &config::Validation, received_us: i64) -> Rules {
    let profile = match config.profile {
        config::ProfileName::Dch2020 => Profile::Dch2020,
        config::ProfileName::Dch2021 => Profile::Dch2021,
        config::ProfileName::Strict => Profile::Strict,
    };
    Rules {
        profile,
        admin_date_min: config.admin_date_min,
        admin_type_max: config.admin_type_max.unwrap_or(profile.admin_type_max()),
        submission_date: clock::utc_day(received_us),
        future_tolerance_days: config.future_tolerance_days,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err takes")]
pub(super) fn stopping(error: audit::Error) -> Error {
    Error::new(Code::Internal, error.to_string())
}

pub(super) fn internal(error: journal::Error) -> Error {
    match error {
        journal::Error::Poisoned => Error::new(Code::Internal, "the daemon is stopping"),
        // Purged between a look and what followed.
        journal::Error::NoJob(id) => Error::no_job(id),
        other => Error::internal(other),
    }
}
