//! One process's hold on the stores: each durable step asks whether it is still alive, and from its death
//! on nothing becomes durable any more.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cvrsd::{
    domain::{Applied, Event, Job, JobId, PurgedJob, Storage, Tenant},
    journal::{self, Change, Journal, Purge, Purged},
    records::{self, Batch, KeyHash, Misses, RecordStore, Stage, Staged},
};
use roaring::RoaringBitmap;

#[derive(Default)]
pub struct Life {
    state: Mutex<State>,
    /// The data directory, and where its image at the death goes.
    image: Option<(PathBuf, PathBuf)>,
}

#[derive(Default)]
enum State {
    #[default]
    Live,
    /// After so many further steps; whether the last one is still taken.
    Doomed(u32, bool),
    Dead,
}

impl Life {
    /// A process over a directory that ends as an image of it.
    pub fn over(dir: PathBuf, image: PathBuf) -> Self {
        Self { state: Mutex::default(), image: Some((dir, image)) }
    }

    pub fn doom(&self, steps: u32, made: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Live) {
            *state = State::Doomed(steps, made);
        }
    }

    pub fn end(&self) {
        self.die(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn is_over(&self) -> bool {
        matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Dead)
    }

    fn die(&self, state: &mut State) {
        if matches!(state, State::Dead) {
            return;
        }
        *state = State::Dead;
        if let Some((dir, image)) = &self.image {
            while !copied_still(dir, image) {}
        }
    }

    /// Makes a durable step, unless the process is dead or ends right here.
    fn step<T, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
        killed: fn(String) -> E,
    ) -> Result<T, E> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let killed = || Err(killed("the process was killed".to_owned()));
        match &mut *state {
            State::Live => make(),
            State::Dead => killed(),
            State::Doomed(0, taken) => {
                if *taken {
                    make()?;
                }
                self.die(&mut state);
                killed()
            }
            State::Doomed(steps, _) => {
                *steps -= 1;
                make()
            }
        }
    }
}

/// Copies the directory; whether nothing in it moved meanwhile, so that the copy is of one moment.
fn copied_still(dir: &Path, image: &Path) -> bool {
    let mut before = Vec::new();
    list(dir, &mut before);
    let copied = copy(dir, image).is_ok();
    let mut after = Vec::new();
    list(dir, &mut after);
    if copied && before == after {
        return true;
    }
    fs::remove_dir_all(image).unwrap();
    std::thread::sleep(Duration::from_millis(1));
    false
}

fn list(dir: &Path, found: &mut Vec<(PathBuf, u64, SystemTime)>) {
    // What is gone by now is missing in the next list.
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let Ok(about) = entry.metadata() else { continue };
        found.push((entry.path(), about.len(), about.modified().unwrap()));
        if about.is_dir() {
            list(&entry.path(), found);
        }
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A journal within a process's life.
pub struct MortalJournal(pub Arc<Life>, pub Arc<dyn Journal>);

impl Journal for MortalJournal {
    fn commit(&self, group: &[Change]) -> Result<(), journal::Error> {
        self.0.step(|| self.1.commit(group), journal::Error::Storage)
    }

    fn purge(&self, purge: &Purge) -> Result<Purged, journal::Error> {
        self.0.step(|| self.1.purge(purge), journal::Error::Storage)
    }

    fn purged(&self) -> Result<Purged, journal::Error> {
        self.1.purged()
    }

    fn jobs(&self, above: Option<JobId>, max: usize) -> Result<Vec<Job>, journal::Error> {
        self.1.jobs(above, max)
    }

    fn job(&self, id: JobId) -> Result<Option<Job>, journal::Error> {
        self.1.job(id)
    }

    fn payload(&self, job: &Job) -> Result<Option<Bytes>, journal::Error> {
        self.1.payload(job)
    }

    fn events(&self, id: JobId, after: u64, max: usize) -> Result<Vec<Event>, journal::Error> {
        self.1.events(id, after, max)
    }

    fn find_request(&self, tenant: &Tenant, id: &str) -> Result<Option<JobId>, journal::Error> {
        self.1.find_request(tenant, id)
    }

    fn unfinished(&self) -> Result<Vec<Job>, journal::Error> {
        self.1.unfinished()
    }

    fn list(
        &self,
        tenant: &Tenant,
        below: Option<u64>,
        max: usize,
    ) -> Result<Vec<Job>, journal::Error> {
        self.1.list(tenant, below, max)
    }

    fn last_order(&self) -> Result<u64, journal::Error> {
        self.1.last_order()
    }

    fn verify_each(&self, visit: &mut dyn FnMut(&Job)) -> Result<u64, journal::Error> {
        self.1.verify_each(visit)
    }
}

/// A record store within a process's life.
pub struct MortalStore(pub Arc<Life>, pub Arc<dyn RecordStore>);

struct MortalStage<'a>(&'a Life, Box<dyn Stage + 'a>);

impl Stage for MortalStage<'_> {
    fn key(&mut self, key: KeyHash, line: u32) -> Result<(), records::Error> {
        self.1.key(key, line)
    }

    fn wanted(&mut self) -> Result<RoaringBitmap, records::Error> {
        self.1.wanted()
    }

    fn row(&mut self, line: u32, cells: &[u8]) -> Result<(), records::Error> {
        self.1.row(line, cells)
    }

    fn finish(self: Box<Self>) -> Result<(), records::Error> {
        let Self(life, stage) = *self;
        life.step(|| stage.finish(), records::Error::Storage)
    }
}

impl RecordStore for MortalStore {
    fn key(&self, vax_event_id: &[u8]) -> KeyHash {
        self.1.key(vax_event_id)
    }

    fn cursor(&self, job: JobId) -> Result<Applied, records::Error> {
        self.1.cursor(job)
    }

    fn stage<'a>(
        &'a self,
        staged: &Staged<'a>,
    ) -> Result<Option<Box<dyn Stage + 'a>>, records::Error> {
        let stage = self.0.step(|| self.1.stage(staged), records::Error::Storage)?;
        Ok(stage.map(|stage| Box::new(MortalStage(&self.0, stage)) as Box<dyn Stage>))
    }

    fn apply_all(&self, batches: &[Batch<'_>]) -> Result<Vec<Applied>, records::Error> {
        self.0.step(|| self.1.apply_all(batches), records::Error::Storage)
    }

    fn misses(&self, job: JobId) -> Result<Misses, records::Error> {
        self.1.misses(job)
    }

    fn forget(&self, job: JobId) -> Result<(), records::Error> {
        self.0.step(|| self.1.forget(job), records::Error::Storage)
    }

    fn purge(&self, jobs: &[PurgedJob]) -> Result<(), records::Error> {
        self.0.step(|| self.1.purge(jobs), records::Error::Storage)
    }

    fn remembered(&self) -> Result<Vec<JobId>, records::Error> {
        self.1.remembered()
    }

    fn counts(
        &self,
        tenant: Option<&Tenant>,
    ) -> Result<Vec<(Tenant, Storage, u64)>, records::Error> {
        self.1.counts(tenant)
    }

    fn get(
        &self,
        tenant: &Tenant,
        storage: Storage,
        id: &[u8],
    ) -> Result<Option<Vec<u8>>, records::Error> {
        self.1.get(tenant, storage, id)
    }

    fn export(
        &self,
        tenant: &Tenant,
        storage: Storage,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), records::Error> {
        self.1.export(tenant, storage, visit)
    }
}
