//! The daemon: builds the rooms, opens the listeners, runs and drains.

mod files;
mod found;
mod listen;
mod notify;
mod reload;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    files::Look,
    listen::{Listeners, withdraw},
    reload::{Changing, Reload},
};
pub(crate) use self::{
    found::Found,
    listen::{LOCK_FILE, lock},
};
use crate::{
    admin,
    audit::{self, Entry, Kind},
    auth::{self, Authenticator},
    config::{self, Clock, Config, Effective, Origins},
    engine::{self, Engine, Parts, Service},
    exit::Exit,
    failpoint::{Point, hit},
    grpc,
    intake::Spool,
    journal::{self, Sled},
    poison::Poison,
    records, rest,
    telemetry::{self, Metrics},
    tls::Tls,
    traces,
};

/// How often what histograms collected is folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// Time at the end of a drain in which connections get their last answers.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a log or store may take to close at the end.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Why the daemon ended other than well.
#[derive(Debug)]
pub struct Ended {
    /// What the process exits with.
    pub exit: Exit,
    /// One sentence.
    pub reason: String,
}

impl Ended {
    fn new(exit: Exit, reason: impl std::fmt::Display) -> Self {
        Self { exit, reason: reason.to_string() }
    }
}

/// Whether a start would accept the files and addresses that the configuration names. Blocks.
///
/// # Errors
/// When it would not.
pub fn check(config: &Config) -> Result<(), Ended> {
    open_tls(&config.tls)?;
    traces::check(&config.traces).map_err(|e| Ended::new(Exit::Usage, e))
}

fn open_tls(config: &config::Tls) -> Result<Option<Tls>, Ended> {
    Tls::open(config).map_err(|e| Ended::new(Exit::Usage, e))
}

/// Runs the daemon until a signal, an operator or a failure ends it. `file` is read again on `SIGHUP` and when it
/// changes.
///
/// # Errors
/// When it could not start, or a store failed.
pub async fn run((config, origins): (Config, Origins), file: Option<&Path>) -> Result<(), Ended> {
    let config = &config;
    let usage = |e: telemetry::Error| Ended::new(Exit::Usage, e);
    let level = telemetry::logging(&config.log).map_err(usage)?;
    let metrics = telemetry::metrics().map_err(usage)?;
    let (settings, files) = (config.traces.clone(), file.map(Path::to_owned));
    let seen = tokio::task::spawn_blocking(move || {
        // What is written to it from here on is a change.
        let seen = Look::at(files.as_slice());
        traces::start(&settings).map(|()| seen)
    });
    let seen = seen
        .await
        .map_err(|e| Ended::new(Exit::Stopped, e))?
        .map_err(|e| Ended::new(Exit::Usage, e))?;
    let mut asks = Asks::new().map_err(|e| Ended::new(Exit::Stopped, e))?;
    // A core file would hold rows.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|e| Ended::new(Exit::Stopped, e))?;
    let settings = config.tls.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let look = Look::at(&settings.files());
        open_tls(&settings).map(|tls| (look, tls))
    });
    let (certificates, tls) = opened.await.map_err(|e| Ended::new(Exit::Stopped, e))??;
    // Records are nobody else's to read, whatever the directory above allows.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let dir = config.data.dir.clone();
    let _lock = tokio::task::spawn_blocking(move || lock(&dir))
        .await
        .map_err(|e| Ended::new(Exit::Stopped, e))??;
    // A daemon that was killed left its addresses behind.
    withdraw(&config.data.dir);
    // Before the audit log has a start: one without an address is tried again and again.
    let (listeners, addresses) = Listeners::bind(config, tls.as_ref()).await?;
    let poison = Poison::default();
    let audit = open_audit(config, &poison).await?;
    let authenticator = authenticator(config, &audit).await?;
    let effective = Arc::new(Effective::new(config.clone(), origins));
    let changing = Changing {
        authenticator: authenticator.clone(),
        tls,
        level: level.clone(),
        effective: Arc::clone(&effective),
    };
    let reload = Reload::start(file, [seen, certificates], changing);
    let service = Service::new(config, audit.clone());
    let shutdown = CancellationToken::new();
    let operator = admin::Operator { effective, level, drain: asks.drain.clone() };
    let probes = {
        let metrics = metrics.clone();
        admin::Probes { metrics: Arc::new(move || metrics.render()), poison: poison.clone() }
    };
    let mut faces = listeners.serve(config, &service, &authenticator, probes, operator, &shutdown);

    let started = {
        let (config, service, poison) = (config.clone(), service.clone(), poison.clone());
        tokio::task::spawn_blocking(move || {
            start(&config, &service, &poison).map(|e| service.install(e))
        })
    };
    let ended = tokio::select! {
        started = started => match started {
            Ok(Ok(())) => {
                let dir = &config.data.dir;
                addresses.announce(dir).map_err(|e| Ended::new(Exit::Stopped, e))?;
                tracing::info!(data_dir = %config.data.dir.display(), "serving");
                notify::tell(NotifyState::Ready);
                until_ended(&mut asks, &mut faces, &poison, &metrics, &reload, &audit).await
            }
            Ok(Err(ended)) => Err(ended),
            Err(panicked) => Err(Ended::new(Exit::Stopped, panicked)),
        },
        ended = until_ended(&mut asks, &mut faces, &poison, &metrics, &reload, &audit) => ended,
    };
    if ended.is_ok() {
        drain(config, &service, &shutdown, &mut faces, &poison).await;
    }
    withdraw(&config.data.dir);
    // After a failure nothing is waited for.
    if !poison.is_tripped() {
        if timeout(CLOSE_WAIT, close_audit(&audit, ended.as_ref().err())).await.is_err() {
            tracing::error!("the end is not in the audit log");
        }
        let closed = timeout(CLOSE_WAIT, tokio::task::spawn_blocking(traces::close));
        if !closed.await.is_ok_and(|closed| closed.is_ok()) {
            tracing::warn!("the last traces are lost");
        }
    }
    if let Some(reason) = poison.reason() {
        // Closing the stores in order would write and sync again on top of what failed.
        tracing::error!(%reason, "cvrsd stopped");
        std::process::exit(Exit::Stopped as i32);
    }
    ended
}

/// Opens the audit log and records the start.
async fn open_audit(config: &Config, poison: &Poison) -> Result<audit::Log, Ended> {
    let (config, poison) = (config.clone(), poison.clone());
    let open = move || {
        let dir = config.data.dir.join(audit::FOLDER);
        let audit = audit::Log::open(&dir, &config.audit, &poison)?;
        let version = env!("CARGO_PKG_VERSION");
        let entry = auth::clients_entry(Kind::Start, &config.auth);
        audit.record_blocking(entry.saying(format!("version {version}")))?;
        Ok(audit)
    };
    let opened = tokio::task::spawn_blocking(open).await;
    opened
        .map_err(|e| Ended::new(Exit::Stopped, e))?
        .map_err(|e: audit::Error| Ended::new(Exit::Stopped, e))
}

/// Records the end, then closes the log. After a storage failure it has its last entry already.
async fn close_audit(audit: &audit::Log, ended: Option<&Ended>) {
    let entry = match ended {
        None => Entry::new(Kind::Stop),
        Some(ended) => Entry::new(Kind::Stop).saying(format!("exit code {}", ended.exit as i32)),
    };
    let audit = audit.clone();
    let close = move || {
        let recorded = audit.record_blocking(entry);
        audit.close();
        recorded
    };
    if let Ok(Err(error)) = tokio::task::spawn_blocking(close).await {
        tracing::error!(%error, "the end is not in the audit log");
    }
}

/// Reads the signing keys, or makes the first one.
async fn authenticator(config: &Config, audit: &audit::Log) -> Result<Authenticator, Ended> {
    let (auth, dir, audit) = (config.auth.clone(), config.data.dir.clone(), audit.clone());
    let open = move || Authenticator::open(&auth, &dir, audit);
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|e| Ended::new(Exit::Stopped, e))?.map_err(|e| match e {
        auth::OpenError::Keys(_) | auth::OpenError::Audit(_) => Ended::new(Exit::Stopped, e),
        auth::OpenError::Clients(_) | auth::OpenError::Mode => Ended::new(Exit::Usage, e),
    })
}

/// Opens the stores and starts the engine over them. Blocks.
fn start(config: &Config, service: &Service, poison: &Poison) -> Result<Engine, Ended> {
    let dir = &config.data.dir;
    let stopped = |e: &dyn std::fmt::Display| Ended::new(Exit::Stopped, e);
    let found = Found::look(dir);
    found.check_journal().map_err(|e| stopped(&e))?;
    // Before the journal is written to.
    records::embedded::check_format(&dir.join("records")).map_err(|e| stopped(&e))?;
    let journal = Sled::open(&dir.join("journal"), &config.journal).map_err(|e| match e {
        journal::Error::InUse(_) => Ended::new(Exit::InUse, e),
        other => stopped(&other),
    })?;
    hit(Point::StartJournal);
    found.check_records(&journal).map_err(|e| stopped(&e))?;
    let store = records::embedded::Store::open(&dir.join("records"), &config.records)
        .map_err(|e| stopped(&e))?;
    hit(Point::StartRecords);
    let keeps_payloads = config.retention.payloads > Clock::After(Duration::ZERO);
    let spool = Spool::open(&config.data, &config.intake).map_err(|e| stopped(&e))?;
    let spool = spool.keeping_ended(keeps_payloads);
    hit(Point::StartSpool);
    let (journal, store) = (Arc::new(journal), Arc::new(store));
    let parts = Parts { journal, store, spool, audit: service.audit().clone() };
    Engine::start(parts, config, poison).map_err(|e: engine::Error| stopped(&e))
}

/// Waits until somebody asks for a drain (`Ok`) or for whatever ends the daemon otherwise.
async fn until_ended(
    asks: &mut Asks,
    faces: &mut JoinSet<Result<(), String>>,
    poison: &Poison,
    metrics: &Metrics,
    reload: &Reload,
    audit: &audit::Log,
) -> Result<(), Ended> {
    let mut upkeep = every(UPKEEP);
    let mut pulse = notify::pulse().map(every);
    loop {
        tokio::select! {
            asked = asks.next() => match asked {
                Asked::Drain(by) => {
                    tracing::info!(by, "draining");
                    return Ok(());
                }
                Asked::Reload => reload.ask(),
            },
            reason = poison.tripped() => return Err(Ended::new(Exit::Stopped, reason)),
            Some(face) = faces.join_next() => {
                let reason = match face {
                    Ok(Ok(())) => "a listener ended".to_owned(),
                    Ok(Err(reason)) => reason,
                    Err(panicked) => panicked.to_string(),
                };
                return Err(Ended::new(Exit::Stopped, reason));
            }
            _ = upkeep.tick() => {
                metrics.upkeep();
                audit.upkeep();
            }
            () = next(pulse.as_mut()) => notify::tell(NotifyState::Watchdog),
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Its next tick; never where there is none.
async fn next(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => _ = interval.tick().await,
        None => std::future::pending().await,
    }
}

/// Ends well within `engine.drain_timeout`: no new work, streams get their last message, uploads in
/// progress may end, running jobs come to a durable point.
async fn drain(
    config: &Config,
    service: &Service,
    shutdown: &CancellationToken,
    faces: &mut JoinSet<Result<(), String>>,
    poison: &Poison,
) {
    notify::tell(NotifyState::Stopping);
    let (began, most) = (Instant::now(), config.engine.drain_timeout);
    let deadline = began + most;
    service.drain();
    // Listeners stay open meanwhile: callers are told that the daemon drains, probes are answered.
    service.settle(began + most.saturating_sub(LAST_WORDS.min(most / 2))).await;
    shutdown.cancel();
    let left = || deadline.saturating_duration_since(Instant::now());
    let closed = timeout(left(), async { while faces.join_next().await.is_some() {} }).await;
    if closed.is_err() {
        tracing::warn!("connections were still open at the drain timeout");
        faces.abort_all();
    }
    let Some(engine) = service.engine() else { return };
    // What was queued may still be committed after the deadline, but a disk that hangs is not waited for.
    match timeout(left() + CLOSE_WAIT, engine.close(deadline)).await {
        Err(_) => poison.trip("the journal did not close in time".to_owned()),
        Ok(Ok(true)) => tracing::info!("drained"),
        Ok(Ok(false)) => tracing::warn!("a job was still running at the drain timeout; it resumes"),
        Ok(Err(error)) => tracing::error!(%error, "the journal did not close well"),
    }
}

/// What a signal or an operator asks for.
enum Asked {
    Drain(&'static str),
    Reload,
}

struct Asks {
    drain: CancellationToken,
    term: Signal,
    int: Signal,
    hangup: Signal,
}

impl Asks {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            drain: CancellationToken::new(),
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.term.recv() => Asked::Drain("SIGTERM"),
            _ = self.int.recv() => Asked::Drain("SIGINT"),
            () = self.drain.cancelled() => Asked::Drain("admin"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
