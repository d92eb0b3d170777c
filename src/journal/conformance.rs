//! What every journal must do, run over each of them.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    slice::from_ref,
    sync::Arc,
};

use bytes::Bytes;
use proptest::prelude::*;

use super::{Change, Error, Journal, Memory, Purge, Purged, Sled};
use crate::{
    config,
    domain::{
        Applied, Ending, Event, EventKind, Job, JobId, Operation, Origin, Outcome, Payload,
        PurgedJob, StorageSet, Submitted, Tenant, Validated,
        testing::{event, failure, first, legal, submitted},
    },
    limits::SMALL_PAYLOAD_BYTES_MAX,
};

/// A journal, and how to close it and open it anew.
struct Bench {
    journal: Option<Arc<dyn Journal>>,
    dir: Option<tempfile::TempDir>,
}

impl Bench {
    fn memory() -> Self {
        Self { journal: Some(Arc::new(Memory::default())), dir: None }
    }

    fn sled() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Self { journal: None, dir: Some(dir) };
        bench.reopen();
        bench
    }

    fn both() -> [Self; 2] {
        [Self::memory(), Self::sled()]
    }

    fn journal(&self) -> &dyn Journal {
        &**self.journal.as_ref().unwrap()
    }

    /// Opens what is durable again; what is in memory stays.
    fn reopen(&mut self) {
        let Some(dir) = &self.dir else { return };
        self.journal = None;
        let path: PathBuf = dir.path().join("journal");
        self.journal = Some(Arc::new(Sled::open(&path, &config::Journal::default()).unwrap()));
    }
}

fn new(spec: Submitted) -> (Job, Change) {
    let (job, event) = first(spec);
    let payload = payload_of(&job);
    (job.clone(), Change { job: Arc::new(job), events: vec![event], payload })
}

/// What the journal keeps of a job: a payload that is its own.
fn payload_of(job: &Job) -> Option<Bytes> {
    let Payload { inline, length, .. } = job.spec.payload;
    let length = usize::try_from(length).unwrap();
    let kept = inline && !job.is_terminal();
    kept.then(|| job.spec.id.as_bytes().iter().copied().cycle().take(length).collect())
}

fn with_payload(order: u64, length: u64) -> Submitted {
    let mut spec = submitted(order);
    (spec.payload.length, spec.payload.inline) = (length, true);
    spec
}

fn grown(job: &Job, kinds: impl IntoIterator<Item = EventKind>) -> (Job, Change) {
    let mut job = job.clone();
    let mut events = Vec::new();
    for kind in kinds {
        let event = event(&job, kind);
        job = job.next(&event).unwrap();
        events.push(event);
    }
    (job.clone(), Change { job: Arc::new(job), events, payload: None })
}

fn with_request(order: u64, tenant: &str, request: &str) -> Submitted {
    let tenant = Tenant::new(tenant).unwrap();
    Submitted { tenant, request_id: Some(request.to_owned()), ..submitted(order) }
}

#[test]
fn an_empty_journal_has_nothing_and_verifies() {
    for bench in Bench::both() {
        let journal = bench.journal();
        assert_eq!(journal.job(JobId::generate()).unwrap(), None);
        assert_eq!(journal.events(JobId::generate(), 0, 10).unwrap(), []);
        assert_eq!(journal.find_request(&Tenant::local(), "a").unwrap(), None);
        assert_eq!(journal.unfinished().unwrap(), []);
        assert_eq!(journal.list(&Tenant::local(), None, 10).unwrap(), []);
        assert_eq!(journal.last_order().unwrap(), 0);
        assert_eq!(journal.verify().unwrap(), 0);
    }
}

#[test]
fn a_committed_job_is_there_and_is_still_there_after_a_reopen() {
    for mut bench in Bench::both() {
        let (job, change) = new(with_request(7, "t", "key"));
        let (later, growth) = grown(&job, [EventKind::DeQueued, EventKind::ValidationStarted]);
        bench.journal().commit(from_ref(&change)).unwrap();
        bench.reopen();
        assert_eq!(bench.journal().job(job.spec.id).unwrap(), Some(job.clone()));
        bench.journal().commit(from_ref(&growth)).unwrap();
        bench.reopen();
        let journal = bench.journal();
        assert_eq!(journal.job(job.spec.id).unwrap(), Some(later.clone()));
        let all = [change.events, growth.events].concat();
        assert_eq!(journal.events(job.spec.id, 0, 10).unwrap(), all);
        assert_eq!(journal.find_request(&job.spec.tenant, "key").unwrap(), Some(job.spec.id));
        assert_eq!(journal.unfinished().unwrap(), from_ref(&later));
        assert_eq!(journal.list(&job.spec.tenant, None, 10).unwrap(), [later]);
        assert_eq!(journal.last_order().unwrap(), 7);
        assert_eq!(journal.verify().unwrap(), 1);
    }
}

#[test]
fn events_are_read_in_pages() {
    for bench in Bench::both() {
        let (job, mut change) = new(submitted(1));
        let (job, growth) = grown(&job, [EventKind::DeQueued, EventKind::AttemptStarted]);
        change.events.extend(growth.events);
        change.job = Arc::new(job.clone());
        let (_, neighbour) = new(submitted(2));
        bench.journal().commit(&[change.clone(), neighbour]).unwrap();
        let read = |after, max| bench.journal().events(job.spec.id, after, max).unwrap();
        assert_eq!(read(0, 2), change.events[..2]);
        assert_eq!(read(2, 2), change.events[2..]);
        assert_eq!(read(0, 0), []);
        assert_eq!(read(3, 5), []);
        assert_eq!(read(u64::MAX, 5), []);
    }
}

#[test]
fn a_listing_is_the_tenants_own_newest_first_in_pages() {
    for bench in Bench::both() {
        let tenants = ["a", "ab", "a", "a", "b"];
        let jobs: Vec<Job> = tenants
            .iter()
            .zip(1..)
            .map(|(tenant, order)| {
                let tenant = Tenant::new(tenant).unwrap();
                let (job, change) = new(Submitted { tenant, ..submitted(order) });
                bench.journal().commit(&[change]).unwrap();
                job
            })
            .collect();
        let list = |below, max| {
            let found = bench.journal().list(&Tenant::new("a").unwrap(), below, max).unwrap();
            found.iter().map(|job| job.spec.order).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 10), [4, 3, 1]);
        assert_eq!(list(None, 2), [4, 3]);
        assert_eq!(list(Some(3), 2), [1]);
        assert_eq!(list(Some(1), 2), [0; 0]);
        assert_eq!(list(Some(0), 2), [0; 0]);
        assert_eq!(list(None, 0), [0; 0]);
        let unfinished = bench.journal().unfinished().unwrap();
        assert_eq!(unfinished, jobs);
    }
}

#[test]
fn the_same_key_of_another_tenant_is_another_key() {
    for bench in Bench::both() {
        let (a, change_a) = new(with_request(1, "a", "key"));
        let (b, change_b) = new(with_request(2, "b", "key"));
        bench.journal().commit(&[change_a, change_b]).unwrap();
        for job in [a, b] {
            let found = bench.journal().find_request(&job.spec.tenant, "key").unwrap();
            assert_eq!(found, Some(job.spec.id));
        }
        assert_eq!(bench.journal().find_request(&Tenant::local(), "key").unwrap(), None);
    }
}

#[test]
fn a_group_that_cannot_be_stored_leaves_nothing_behind() {
    let (stored, stored_change) = new(with_request(5, "t", "taken"));
    let (good, good_change) = new(submitted(6));
    let gap = {
        let (job, change) = grown(&stored, [EventKind::DeQueued, EventKind::AttemptStarted]);
        Change { job: Arc::new(job), events: change.events[1..].to_vec(), payload: None }
    };
    let (_, small_change) = new(with_payload(7, 20));
    let (short, payload) = (Bytes::from_static(&[1; 19]), small_change.payload.clone());
    let (_, file_change) = new(submitted(7));
    let bad: Vec<(&str, Vec<Change>)> = vec![
        ("an event is left out", vec![gap]),
        ("no event", vec![Change { job: Arc::new(good.clone()), events: vec![], payload: None }]),
        ("a job twice", vec![good_change.clone()]),
        ("an order that is not the last", vec![new(submitted(5)).1]),
        ("a key that is taken", vec![new(with_request(7, "t", "taken")).1]),
        (
            "a key twice in the group",
            vec![new(with_request(7, "t", "k")).1, new(with_request(8, "t", "k")).1],
        ),
        ("a payload that is missing", vec![Change { payload: None, ..small_change.clone() }]),
        ("a payload of another length", vec![Change { payload: Some(short), ..small_change }]),
        ("a payload that belongs in a file", vec![Change { payload, ..file_change }]),
        ("an unknown job", vec![grown(&new(submitted(9)).0, [EventKind::DeQueued]).1]),
    ];
    for bench in Bench::both() {
        let journal = bench.journal();
        journal.commit(from_ref(&stored_change)).unwrap();
        for (name, changes) in &bad {
            let group = [vec![good_change.clone()], changes.clone()].concat();
            assert!(matches!(journal.commit(&group), Err(Error::Storage(_))), "{name}");
            assert_eq!(journal.job(good.spec.id).unwrap(), None, "{name}");
            assert_eq!(journal.last_order().unwrap(), 5, "{name}");
            assert_eq!(journal.unfinished().unwrap(), from_ref(&stored), "{name}");
            assert_eq!(journal.verify().unwrap(), 1, "{name}");
        }
        journal.commit(from_ref(&good_change)).unwrap();
        assert_eq!(journal.verify().unwrap(), 2);
    }
}

/// A job that has ended, and the change that makes it.
fn ended(spec: Submitted) -> (Job, Change) {
    let (job, mut change) = new(spec);
    let failed = |job: &Job| {
        let ending = Ending { outcome: Outcome::Failed, failure: Some(failure()), ..ended_empty() };
        grown(job, [EventKind::Completed(Box::new(ending))])
    };
    let (job, growth) = failed(&job);
    change.events.extend(growth.events);
    change.job = Arc::new(job.clone());
    (job, change)
}

fn ended_empty() -> Ending {
    Ending {
        outcome: Outcome::Failed,
        validated: Validated::default(),
        applied: Applied::default(),
        report_length: 0,
        report_crc: 0,
        failure: None,
    }
}

fn purge_of(jobs: &[JobId]) -> Purge {
    Purge { jobs: jobs.to_vec(), ..Purge::default() }
}

#[test]
fn of_a_purged_job_nothing_is_left_and_its_key_makes_another_one() {
    for mut bench in Bench::both() {
        let (job, change) = ended(with_request(1, "t", "key"));
        let (other, neighbour) = ended(with_request(2, "t", "other"));
        bench.journal().commit(&[change, neighbour]).unwrap();
        let purged = bench.journal().purge(&purge_of(&[job.spec.id])).unwrap();
        assert_eq!((purged.jobs, purged.events), (1, 2));
        assert_eq!(purged.newest, [PurgedJob::from(&job)]);
        for _ in 0..2 {
            let journal = bench.journal();
            assert_eq!(journal.job(job.spec.id).unwrap(), None);
            assert_eq!(journal.events(job.spec.id, 0, 10).unwrap(), []);
            assert_eq!(journal.find_request(&job.spec.tenant, "key").unwrap(), None);
            assert_eq!(journal.list(&job.spec.tenant, None, 10).unwrap(), from_ref(&other));
            assert_eq!(journal.jobs(None, 10).unwrap(), from_ref(&other));
            assert_eq!(journal.purged().unwrap(), purged);
            assert_eq!(journal.verify().unwrap(), 1);
            bench.reopen();
        }
        let (again, change) = new(with_request(3, "t", "key"));
        bench.journal().commit(&[change]).unwrap();
        let found = bench.journal().find_request(&job.spec.tenant, "key").unwrap();
        assert_eq!(found, Some(again.spec.id));
        assert_eq!(bench.journal().verify().unwrap(), 2);
    }
}

#[test]
fn the_order_of_submits_goes_on_also_where_the_newest_job_is_purged() {
    for mut bench in Bench::both() {
        let (job, change) = ended(submitted(7));
        bench.journal().commit(&[change]).unwrap();
        bench.journal().purge(&purge_of(&[job.spec.id])).unwrap();
        bench.reopen();
        assert_eq!(bench.journal().last_order().unwrap(), 7);
        assert!(bench.journal().commit(&[new(submitted(7)).1]).is_err());
        bench.reopen();
        bench.journal().commit(&[new(submitted(8)).1]).unwrap();
        assert_eq!(bench.journal().verify().unwrap(), 1);
    }
}

#[test]
fn a_purge_of_what_has_not_ended_changes_nothing() {
    for bench in Bench::both() {
        let journal = bench.journal();
        let (done, done_change) = ended(submitted(1));
        let (open, open_change) = new(submitted(2));
        journal.commit(&[done_change, open_change]).unwrap();
        let (done, open, never) = (done.spec.id, open.spec.id, JobId::generate());
        for jobs in [vec![done, open], vec![done, never], vec![done, done]] {
            assert!(matches!(journal.purge(&purge_of(&jobs)), Err(Error::Storage(_))));
            assert_eq!(journal.purged().unwrap(), Purged::default());
            assert_eq!(journal.verify().unwrap(), 2);
        }
        journal.purge(&purge_of(&[done])).unwrap();
    }
}

#[test]
fn what_may_be_gone_is_noted_and_never_taken_back() {
    for mut bench in Bench::both() {
        let note = |bench: &Bench, jobs_before_us, reports_before_us| {
            let purge = Purge { jobs: Vec::new(), jobs_before_us, reports_before_us };
            bench.journal().purge(&purge).unwrap()
        };
        note(&bench, 5, 9);
        bench.reopen();
        let purged = note(&bench, 7, 3);
        assert_eq!((purged.jobs_before_us, purged.reports_before_us), (7, 9));
        assert_eq!(purged.newest, []);
    }
}

#[test]
fn an_empty_group_changes_nothing() {
    for bench in Bench::both() {
        bench.journal().commit(&[]).unwrap();
        assert_eq!(bench.journal().verify().unwrap(), 0);
    }
}

/// What the journal must answer, kept apart from every journal.
#[derive(Default)]
struct Model {
    jobs: BTreeMap<u64, Job>,
    events: HashMap<JobId, Vec<Event>>,
    last_order: u64,
    purged: Purged,
}

impl Model {
    /// One more job, or one more event of a job that is there.
    fn step(&mut self, rng: &mut fastrand::Rng) -> Change {
        let running: Vec<u64> =
            self.jobs.values().filter(|j| !j.is_terminal()).map(|j| j.spec.order).collect();
        let (job, change) = match rng.choice(&running) {
            Some(order) if rng.u8(..6) > 0 => {
                let job = &self.jobs[order];
                grown(job, legal(job, rng))
            }
            _ => {
                let order = self.last_order + rng.u64(1..3);
                self.last_order = order;
                new(random_spec(order, rng))
            }
        };
        self.events.entry(job.spec.id).or_default().extend(change.events.clone());
        self.jobs.insert(job.spec.order, job);
        change
    }

    /// Takes some of the jobs out that have ended.
    fn purge(&mut self, rng: &mut fastrand::Rng) -> Purge {
        let ended = self.jobs.values().filter(|job| job.is_terminal());
        let out: Vec<Job> = ended.filter(|_| rng.bool()).cloned().collect();
        for job in &out {
            self.jobs.remove(&job.spec.order);
            self.purged.jobs += 1;
            self.purged.events += self.events.remove(&job.spec.id).unwrap().len() as u64;
        }
        let purge = Purge {
            jobs: out.iter().map(|job| job.spec.id).collect(),
            jobs_before_us: rng.i64(..10),
            reports_before_us: rng.i64(..10),
        };
        let Purged { jobs_before_us, reports_before_us, newest, .. } = &mut self.purged;
        *jobs_before_us = purge.jobs_before_us.max(*jobs_before_us);
        *reports_before_us = purge.reports_before_us.max(*reports_before_us);
        *newest = out.iter().map(PurgedJob::from).collect();
        purge
    }

    fn assert_same(&self, journal: &dyn Journal, rng: &mut fastrand::Rng) {
        let running = self.jobs.values().filter(|job| !job.is_terminal());
        assert_eq!(journal.unfinished().unwrap(), running.cloned().collect::<Vec<_>>());
        let last = self.last_order;
        assert_eq!(journal.last_order().unwrap(), last);
        assert_eq!(journal.purged().unwrap(), self.purged);
        let mut by_id: Vec<&Job> = self.jobs.values().collect();
        by_id.sort_unstable_by_key(|job| job.spec.id);
        for (above, max) in [(None, 3), (rng.choice(&by_id).map(|job| job.spec.id), 50)] {
            let expected = by_id.iter().filter(|job| above.is_none_or(|id| job.spec.id > id));
            let expected: Vec<Job> = expected.take(max).map(|job| (*job).clone()).collect();
            assert_eq!(journal.jobs(above, max).unwrap(), expected);
        }
        for job in self.jobs.values() {
            let id = job.spec.id;
            assert_eq!(journal.job(id).unwrap().as_ref(), Some(job));
            assert_eq!(journal.payload(job).unwrap(), payload_of(job));
            let events = &self.events[&id];
            let after = rng.usize(..=events.len());
            let read = journal.events(id, after as u64, usize::MAX).unwrap();
            assert_eq!(read, events[after..]);
            if let Some(request) = &job.spec.request_id {
                assert_eq!(journal.find_request(&job.spec.tenant, request).unwrap(), Some(id));
            }
        }
        for name in ["a", "ab"] {
            let tenant = Tenant::new(name).unwrap();
            let below = rng.bool().then(|| rng.u64(..=last + 1));
            let max = rng.usize(..6);
            let expected: Vec<Job> = self
                .jobs
                .range(..below.unwrap_or(u64::MAX))
                .rev()
                .map(|(_, job)| job.clone())
                .filter(|job| job.spec.tenant == tenant)
                .take(max)
                .collect();
            assert_eq!(journal.list(&tenant, below, max).unwrap(), expected);
        }
        assert_eq!(journal.verify().unwrap(), self.jobs.len() as u64);
    }
}

fn random_spec(order: u64, rng: &mut fastrand::Rng) -> Submitted {
    let most = SMALL_PAYLOAD_BYTES_MAX as u64;
    let small = with_payload(order, *rng.choice(&[1, 700, most]).unwrap());
    Submitted {
        tenant: Tenant::new(if rng.bool() { "a" } else { "ab" }).unwrap(),
        client: if rng.bool() { "c".to_owned() } else { String::new() },
        operation: rng.choice(Operation::ALL).unwrap(),
        storages: StorageSet::from_bits(rng.u32(..4)).unwrap(),
        validate_only: rng.u8(..5) == 0,
        request_id: rng.bool().then(|| format!("key-{order}")),
        origin: Origin {
            forwarded: rng.bool().then(|| "for=192.0.2.1".into()),
            ..Origin::default()
        },
        ..if rng.bool() { small } else { submitted(order) }
    }
}

/// The changes of a group, with those of one job merged as the committer does, or not.
fn group(changes: Vec<Change>, merged: bool) -> Vec<Change> {
    if !merged {
        return changes;
    }
    let mut group: Vec<Change> = Vec::new();
    for change in changes {
        match group.iter_mut().find(|c| c.id() == change.id()) {
            Some(earlier) => {
                earlier.job = change.job;
                assert_eq!(change.payload, None);
                earlier.events.extend(change.events);
            }
            None => group.push(change),
        }
    }
    group
}

fn run_random(mut bench: Bench, seed: u64, rounds: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut model = Model::default();
    for _ in 0..rounds {
        let steps = rng.usize(1..12);
        let changes = (0..steps).map(|_| model.step(&mut rng)).collect();
        bench.journal().commit(&group(changes, rng.bool())).unwrap();
        if rng.u8(..3) == 0 {
            let purge = model.purge(&mut rng);
            assert_eq!(bench.journal().purge(&purge).unwrap(), model.purged);
        }
        if rng.u8(..4) == 0 {
            bench.reopen();
        }
        model.assert_same(bench.journal(), &mut rng);
    }
}

proptest! {
    #[test]
    fn random_groups_in_memory_are_what_the_model_says(seed: u64) {
        run_random(Bench::memory(), seed, 12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn random_groups_on_sled_are_what_the_model_says_also_after_reopens(seed: u64) {
        run_random(Bench::sled(), seed, 12);
    }
}
