//! An engine over stores that outlive it.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use cvrsd::{
    auth::Principal,
    config::{Clock, Config},
    domain::{Storage, StorageSet, Tenant},
    engine::{Engine, Parts, Service},
    intake::Spool,
    journal::{self, Journal},
    poison::Poison,
    records::{self, RecordStore},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::sleep};

use super::{
    life::{Life, MortalJournal, MortalStore},
    oracle::Oracle,
    tally,
    watching::Watching,
};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long jobs and reports are kept; the clock of a purge is set so far ahead.
pub const KEPT: Duration = Duration::from_hours(100 * 24);
/// Attempts of a job that crashes interrupt again and again.
const ATTEMPTS: u32 = 1_000_000;

/// Which stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The models: what they hold is durable.
    Memory,
    /// sled and fjall: what their files hold is durable.
    Files,
}

pub struct Bench {
    pub kind: Kind,
    temp: TempDir,
    lives: u32,
    config: Config,
    /// Stores in memory, which no crash touches.
    kept: Option<Stores>,
    pub stores: Stores,
    pub life: Arc<Life>,
    pub service: Service,
    poison: Poison,
    pub oracle: Oracle,
    pub watching: Vec<Watching>,
    /// The unfinished job that is cancelled right after the next crash.
    pub cancel_first: Option<usize>,
}

#[derive(Clone)]
pub struct Stores {
    pub journal: Arc<dyn Journal>,
    pub records: Arc<dyn RecordStore>,
}

pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    })
}

/// Who calls: two tenants, each with a client for both storages and one for a single one.
pub fn caller(client: usize) -> Principal {
    let (tenant, storages) = match client {
        0 => ("local", StorageSet::ALL),
        1 => ("other", StorageSet::ALL),
        2 => ("local", StorageSet::from_iter([Storage::Redacted])),
        _ => ("other", StorageSet::from_iter([Storage::NonRedacted])),
    };
    let tenant = Tenant::new(tenant).unwrap();
    Principal { client: format!("client-{client}"), tenant, storages, ..Principal::local() }
}

/// Who reads records of that tenant.
pub fn reader(tenant: &Tenant) -> Principal {
    Principal { tenant: tenant.clone(), ..caller(0) }
}

pub fn tenants() -> [Tenant; 2] {
    [0, 1].map(|client| caller(client).tenant)
}

/// Waits until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        sleep(Duration::from_micros(200)).await;
    }
}

impl Bench {
    pub fn new(kind: Kind) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.engine.checkpoint_rows = 7;
        config.engine.checkpoint_interval = Duration::from_mins(1);
        config.engine.max_attempts = ATTEMPTS;
        // Files of some 20 rows are large, keys of some 30 rows are sorted on disk.
        config.engine.express_bytes = 8_000;
        config.engine.sort_bytes = 1_000;
        config.records.memtable_bytes = 1 << 20;
        config.retention.reports = Clock::After(KEPT);
        config.retention.jobs = Clock::After(KEPT);
        config.data.dir = temp.path().join("life-0");
        let kept = (kind == Kind::Memory).then(|| Stores {
            journal: Arc::new(journal::Memory::default()),
            records: Arc::new(records::memory::Store::default()),
        });
        fs::create_dir(&config.data.dir).unwrap();
        let mut bench = Self {
            kind,
            temp,
            lives: 0,
            stores: opened(kept.as_ref(), &config),
            kept,
            life: Arc::default(),
            service: Service::new(&config, cvrsd::audit::Log::default()),
            poison: Poison::default(),
            config,
            oracle: Oracle::default(),
            watching: Vec::new(),
            cancel_first: None,
        };
        bench.start();
        bench
    }

    /// A new process over what is durable. Its stores are open.
    fn start(&mut self) {
        self.life = Arc::new(match self.kind {
            Kind::Memory => Life::default(),
            Kind::Files => Life::over(self.config.data.dir.clone(), self.next_dir()),
        });
        self.poison = Poison::default();
        self.service = Service::new(&self.config, cvrsd::audit::Log::default());
        let spool = Spool::open(&self.config.data, &self.config.intake).unwrap();
        let Stores { journal, records } = self.stores.clone();
        let journal = Arc::new(MortalJournal(Arc::clone(&self.life), journal));
        let store = Arc::new(MortalStore(Arc::clone(&self.life), records));
        let parts = Parts { journal, store, spool, audit: self.service.audit().clone() };
        self.service.install(Engine::start(parts, &self.config, &self.poison).unwrap());
    }

    fn next_dir(&self) -> PathBuf {
        self.temp.path().join(format!("life-{}", self.lives + 1))
    }

    pub fn engine(&self) -> &Engine {
        self.service.engine().unwrap()
    }

    /// A call was refused: only a dead process may do that.
    pub fn assert_over(&self, error: &impl std::fmt::Display) {
        assert!(self.life.is_over(), "{error}; stopped by {:?}", self.poison.reason());
    }

    /// Abandons everything, opens what was durable, and compares.
    pub async fn crash(&mut self) {
        self.life.end();
        self.poison.trip("the process was killed");
        self.service.drain();
        tally::add(self.kind, "crashes", 1);
        self.bury().await;
        if self.kind == Kind::Files {
            let image = self.next_dir();
            let old = std::mem::replace(&mut self.config.data.dir, image);
            self.lives += 1;
            self.open();
            fs::remove_dir_all(old).unwrap();
        }
        self.start();
        if let Some(from) = self.cancel_first.take() {
            self.cancel_unfinished(from).await;
        }
        self.recall().await;
    }

    /// Stops in order and starts again.
    pub async fn restart(&mut self) {
        self.service.drain();
        let closed = self.engine().close(Instant::now() + PATIENCE).await;
        if self.life.is_over() {
            return self.crash().await;
        }
        assert!(closed.unwrap(), "a worker did not stop");
        self.bury().await;
        if self.kind == Kind::Files {
            self.open();
        }
        self.start();
        self.recall().await;
    }

    /// Waits until nothing of the process is left.
    async fn bury(&mut self) {
        until("every worker has stopped", || self.engine().is_drained()).await;
        for watching in std::mem::take(&mut self.watching) {
            watching.end(&mut self.oracle).await;
        }
        self.service = Service::new(&self.config, cvrsd::audit::Log::default());
        if self.kind == Kind::Files {
            let none = Stores {
                journal: Arc::new(journal::Memory::default()),
                records: Arc::new(records::memory::Store::default()),
            };
            let old = std::mem::replace(&mut self.stores, none);
            let (journal, records) = (Arc::downgrade(&old.journal), Arc::downgrade(&old.records));
            drop(old);
            let held = || journal.strong_count() + records.strong_count();
            until("the stores are closed", || held() == 0).await;
        }
    }

    fn open(&mut self) {
        self.stores = opened(self.kept.as_ref(), &self.config);
    }

    /// Names of what lies in a directory below the data directory.
    pub fn files(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.config.data.dir.join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn opened(kept: Option<&Stores>, config: &Config) -> Stores {
    if let Some(kept) = kept {
        return kept.clone();
    }
    let dir = &config.data.dir;
    let journal = journal::Sled::open(&dir.join("journal"), &config.journal).unwrap();
    let records = records::embedded::Store::open(&dir.join("records"), &config.records).unwrap();
    Stores { journal: Arc::new(journal), records: Arc::new(records) }
}

impl Drop for Bench {
    /// So that a case that failed leaves no thread behind.
    fn drop(&mut self) {
        self.service.drain();
    }
}
