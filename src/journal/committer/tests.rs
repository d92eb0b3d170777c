//! Grouping, order, idempotency, refusals, failures.

use std::{
    slice::from_ref,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{super::Memory, *};
use crate::{
    domain::{
        Operation, Status, StorageSet, Tenant,
        testing::{failure, submitted},
    },
    journal::{Change, Purge, Purged},
    limits::{COMMIT_GROUP_MAX, REQUEST_ID_CHARS_MAX},
};

/// A memory journal whose commits wait while its gate is shut.
#[derive(Default)]
struct Gated {
    memory: Memory,
    shut: Mutex<bool>,
    moved: Condvar,
    groups: Mutex<Vec<Vec<Change>>>,
    waiting: AtomicBool,
    panics: AtomicBool,
}

impl Gated {
    fn set_shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.moved.notify_all();
    }

    /// Returns once a commit waits at the gate.
    async fn someone_waits(&self) {
        while !self.waiting.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn group_sizes(&self) -> Vec<usize> {
        self.groups.lock().unwrap().iter().map(Vec::len).collect()
    }
}

impl Journal for Gated {
    fn commit(&self, group: &[Change]) -> Result<(), Error> {
        assert!(!self.panics.load(Ordering::SeqCst), "on purpose");
        let mut shut = self.shut.lock().unwrap();
        self.waiting.store(true, Ordering::SeqCst);
        while *shut {
            shut = self.moved.wait(shut).unwrap();
        }
        self.waiting.store(false, Ordering::SeqCst);
        self.groups.lock().unwrap().push(group.to_vec());
        self.memory.commit(group)
    }

    fn purge(&self, purge: &Purge) -> Result<Purged, Error> {
        self.memory.purge(purge)
    }

    fn purged(&self) -> Result<Purged, Error> {
        self.memory.purged()
    }

    fn jobs(&self, above: Option<JobId>, max: usize) -> Result<Vec<Job>, Error> {
        self.memory.jobs(above, max)
    }

    fn job(&self, id: JobId) -> Result<Option<Job>, Error> {
        self.memory.job(id)
    }

    fn events(&self, id: JobId, after_seq: u64, max: usize) -> Result<Vec<Event>, Error> {
        self.memory.events(id, after_seq, max)
    }

    fn find_request(&self, tenant: &Tenant, request_id: &str) -> Result<Option<JobId>, Error> {
        self.memory.find_request(tenant, request_id)
    }

    fn unfinished(&self) -> Result<Vec<Job>, Error> {
        self.memory.unfinished()
    }

    fn list(&self, tenant: &Tenant, below: Option<u64>, max: usize) -> Result<Vec<Job>, Error> {
        self.memory.list(tenant, below, max)
    }

    fn last_order(&self) -> Result<u64, Error> {
        self.memory.last_order()
    }

    fn payload(&self, job: &Job) -> Result<Option<Bytes>, Error> {
        self.memory.payload(job)
    }

    fn verify_each(&self, visit: &mut dyn FnMut(&Job)) -> Result<u64, Error> {
        self.memory.verify_each(visit)
    }
}

/// Remembers what it was told.
#[derive(Default)]
struct Ear {
    heard: Mutex<Vec<(JobId, u64, Status)>>,
}

impl Observer for Ear {
    fn committed(&self, group: &[Committed]) {
        assert!(!group.is_empty());
        for Committed { job, events } in group {
            assert!(!events.is_empty());
            self.heard.lock().unwrap().push((job.spec.id, job.seq, job.status()));
        }
    }
}

struct Bench {
    journal: Arc<Gated>,
    ear: Arc<Ear>,
    poison: Poison,
    handle: Handle,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings { now_us: clock::now_us, stall: COMMIT_STALL })
    }

    fn with(settings: Settings) -> Self {
        let (journal, ear) = (Arc::new(Gated::default()), Arc::new(Ear::default()));
        let poison = Poison::default();
        let observers: Vec<Arc<dyn Observer>> = vec![ear.clone()];
        let handle = start_with(journal.clone(), observers, poison.clone(), settings).unwrap();
        Self { journal, ear, poison, handle }
    }

    async fn submit(&self) -> Arc<Job> {
        match self.handle.submit(submitted(0), None).await.unwrap() {
            Submission::New(job) => job,
            other => panic!("{other:?}"),
        }
    }

    /// Shuts the gate and sends a first submit there; all after it wait in the queue.
    async fn block(&self) -> tokio::task::JoinHandle<Result<Submission, Error>> {
        self.journal.set_shut(true);
        let first = tokio::spawn(call_submit(self, submitted(0)));
        self.journal.someone_waits().await;
        first
    }

    /// Makes the calls in that order, each on a task of its own, while the gate is shut.
    async fn queue<T: Send + 'static>(
        &self,
        calls: Vec<impl Future<Output = T> + Send + 'static>,
    ) -> Vec<tokio::task::JoinHandle<T>> {
        let mut tasks = Vec::new();
        for call in calls {
            let free = self.handle.free_places();
            tasks.push(tokio::spawn(call));
            while self.handle.free_places() == free {
                tokio::task::yield_now().await;
            }
        }
        tasks
    }

    fn heard(&self) -> Vec<(JobId, u64, Status)> {
        self.ear.heard.lock().unwrap().clone()
    }
}

fn all(kinds: Vec<EventKind>) -> Decision {
    Box::new(move |_| kinds)
}

fn keyed(request: &str) -> Submitted {
    Submitted { request_id: Some(request.to_owned()), ..submitted(0) }
}

#[tokio::test]
async fn a_submit_is_numbered_timed_durable_and_told() {
    let bench = Bench::new();
    for order in 1..=3 {
        let before = clock::now_us();
        let job = bench.submit().await;
        assert_eq!(job.spec.order, order);
        assert!(job.submit_time_us >= before);
        assert_eq!(bench.journal.memory.job(job.spec.id).unwrap().as_ref(), Some(&*job));
        assert_eq!(bench.heard().last(), Some(&(job.spec.id, 1, Status::Queued)));
        assert_eq!(bench.handle.live(job.spec.id), Some(job));
    }
    assert_eq!(bench.handle.unfinished().len(), 3);
}

#[tokio::test]
async fn what_waits_is_committed_together_and_told_in_order() {
    let bench = Bench::new();
    let job = bench.submit().await;
    let id = job.spec.id;
    let first = bench.block().await;
    let kinds = [EventKind::DeQueued, EventKind::ValidationStarted, EventKind::CancelRequested];
    let calls = kinds.into_iter().map(|kind| call_record(&bench, id, all(vec![kind]))).collect();
    let tasks = bench.queue(calls).await;
    assert_eq!(bench.heard().len(), 1);
    assert_eq!(bench.handle.live(id).unwrap().seq, 1);
    bench.journal.set_shut(false);
    for (task, seq) in tasks.into_iter().zip(2..) {
        let committed = task.await.unwrap().unwrap();
        assert_eq!(committed.job.seq, seq);
        assert_eq!(committed.events[0].seq, seq);
    }
    first.await.unwrap().unwrap();
    // The first submit, the one at the gate, and one change for the three records.
    assert_eq!(bench.journal.group_sizes(), [1, 1, 1]);
    let last = bench.journal.groups.lock().unwrap()[2][0].clone();
    assert_eq!(last.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(last.job.seq, 4);
    let told: Vec<_> = bench.heard().iter().filter(|h| h.0 == id).map(|h| h.1).collect();
    assert_eq!(told, [1, 2, 3, 4]);
}

fn call_submit(
    bench: &Bench,
    spec: Submitted,
) -> impl Future<Output = Result<Submission, Error>> + Send + 'static {
    let handle = bench.handle.clone();
    async move { handle.submit(spec, None).await }
}

fn call_record(
    bench: &Bench,
    id: JobId,
    decision: Decision,
) -> impl Future<Output = Result<Committed, Error>> + Send + 'static {
    let handle = bench.handle.clone();
    async move { handle.record(id, decision).await }
}

#[tokio::test]
async fn a_group_holds_its_limit_and_not_one_more() {
    let bench = Bench::new();
    let first = bench.block().await;
    let calls =
        (0..=COMMIT_GROUP_MAX).map(|_| call_submit(&bench, submitted(0))).collect::<Vec<_>>();
    let tasks = bench.queue(calls).await;
    bench.journal.set_shut(false);
    for task in std::iter::once(first).chain(tasks) {
        task.await.unwrap().unwrap();
    }
    assert_eq!(bench.journal.group_sizes(), [1, COMMIT_GROUP_MAX, 1]);
}

#[tokio::test]
async fn the_observer_knows_before_the_caller() {
    let bench = Bench::new();
    for n in 1..=50 {
        bench.submit().await;
        assert_eq!(bench.heard().len(), n);
    }
}

#[tokio::test]
async fn the_same_key_gives_the_same_job_and_another_upload_a_conflict() {
    let bench = Bench::new();
    let made = keyed("key");
    let Submission::New(job) = bench.handle.submit(made.clone(), None).await.unwrap() else {
        panic!()
    };
    let repeat = |change: fn(&mut Submitted)| {
        let mut spec = Submitted { id: JobId::generate(), ..made.clone() };
        change(&mut spec);
        bench.handle.submit(spec, None)
    };
    let Submission::Existing(again) = repeat(|_| {}).await.unwrap() else { panic!() };
    assert_eq!(again, job);
    let others: [fn(&mut Submitted); 5] = [
        |s| s.operation = Operation::Update,
        |s| s.validate_only = true,
        |s| s.storages = StorageSet::EMPTY,
        |s| s.payload.length += 1,
        |s| s.payload.sha256[31] ^= 1,
    ];
    for other in others {
        let Submission::Conflict(other) = repeat(other).await.unwrap() else { panic!() };
        assert_eq!(other, job);
    }
    let other_tenant = repeat(|s| s.tenant = Tenant::new("other").unwrap()).await.unwrap();
    assert!(matches!(other_tenant, Submission::New(_)));
    assert_eq!(bench.heard().len(), 2);
}

#[tokio::test]
async fn a_repeat_answers_with_the_jobs_present_state_also_when_it_has_ended() {
    let bench = Bench::new();
    let made = keyed("key");
    bench.handle.submit(made.clone(), None).await.unwrap();
    let ended = bench.handle.record(made.id, cancelled()).await.unwrap().job;
    assert!(ended.is_terminal());
    assert_eq!(bench.handle.live(made.id), None);
    let repeat = Submitted { id: JobId::generate(), ..made };
    let Submission::Existing(job) = bench.handle.submit(repeat, None).await.unwrap() else {
        panic!()
    };
    assert_eq!(job, ended);
}

fn cancelled() -> Decision {
    let ending = crate::domain::testing::ending(
        crate::domain::Outcome::Cancelled,
        crate::domain::Validated::default(),
        crate::domain::Applied::default(),
        None,
    );
    all(vec![EventKind::CancelRequested, ending])
}

#[tokio::test]
async fn equal_keys_of_one_group_make_one_job() {
    let bench = Bench::new();
    let first = bench.block().await;
    let specs = [keyed("key"), keyed("key"), Submitted { validate_only: true, ..keyed("key") }];
    let made = specs[0].id;
    let calls = specs.into_iter().map(|spec| call_submit(&bench, spec)).collect();
    let mut tasks = bench.queue(calls).await.into_iter();
    bench.journal.set_shut(false);
    let mut next = async || tasks.next().unwrap().await.unwrap().unwrap();
    assert!(matches!(next().await, Submission::New(job) if job.spec.id == made));
    assert!(matches!(next().await, Submission::Existing(job) if job.spec.id == made));
    assert!(matches!(next().await, Submission::Conflict(job) if job.spec.id == made));
    drop(first);
    assert_eq!(bench.journal.group_sizes(), [1, 1]);
}

#[tokio::test]
async fn an_illegal_decision_is_refused_alone_and_whole() {
    let bench = Bench::new();
    let id = bench.submit().await.spec.id;
    let first = bench.block().await;
    let calls = vec![
        call_record(&bench, id, all(vec![EventKind::DeQueued])),
        // Its first event could follow, its second can't.
        call_record(&bench, id, all(vec![EventKind::ValidationStarted, EventKind::DeQueued])),
        call_record(&bench, JobId::generate(), all(vec![EventKind::DeQueued])),
        call_record(&bench, id, all(vec![EventKind::CancelRequested])),
    ];
    let tasks = bench.queue(calls).await;
    bench.journal.set_shut(false);
    drop(first);
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert!(answers[0].is_ok());
    assert!(matches!(answers[1], Err(Error::Illegal(_))));
    assert!(matches!(answers[2], Err(Error::NoJob(_))));
    let last = answers[3].as_ref().unwrap();
    assert_eq!((last.job.seq, last.job.status()), (3, Status::DeQueued));
    assert!(!bench.poison.is_tripped());
    assert_eq!(bench.journal.memory.verify().unwrap(), 2);
}

#[tokio::test]
async fn a_used_job_id_is_refused() {
    let bench = Bench::new();
    let job = bench.submit().await;
    let again = bench
        .handle
        .submit(Submitted { payload: job.spec.payload.clone(), ..job.spec.clone() }, None);
    assert!(matches!(again.await, Err(Error::Illegal(_))));
    assert!(!bench.poison.is_tripped());
}

#[tokio::test]
async fn a_decision_that_finds_nothing_commits_nothing() {
    let bench = Bench::new();
    let job = bench.submit().await;
    let committed = bench.handle.record(job.spec.id, all(vec![])).await.unwrap();
    assert_eq!((committed.job, committed.events.len()), (job, 0));
    assert_eq!(bench.journal.group_sizes(), [1]);
    assert_eq!(bench.heard().len(), 1);
}

#[tokio::test]
async fn a_failed_commit_poisons_for_ever_and_tells_nobody_else() {
    let bench = Bench::new();
    let job = bench.submit().await;
    bench.journal.memory.fail_next_commit();
    assert!(matches!(bench.handle.submit(submitted(0), None).await, Err(Error::Poisoned)));
    assert!(bench.poison.reason().unwrap().contains("the commit failed"));
    assert_eq!(bench.heard().len(), 1);
    assert_eq!(bench.handle.unfinished(), from_ref(&job));
    let id = job.spec.id;
    for _ in 0..2 {
        let again = bench.handle.record(id, all(vec![EventKind::DeQueued])).await;
        assert!(matches!(again, Err(Error::Poisoned)));
    }
    let handle = bench.handle.clone();
    let blocking = tokio::task::spawn_blocking(move || handle.record_blocking(id, all(vec![])));
    assert!(matches!(blocking.await.unwrap(), Err(Error::Poisoned)));
    assert!(matches!(bench.handle.close().await, Err(Error::Poisoned)));
    assert_eq!(bench.journal.group_sizes(), [1, 1]);
}

#[tokio::test]
async fn everyone_who_waits_behind_a_failed_commit_is_told() {
    let bench = Bench::new();
    let mut tasks = vec![bench.block().await];
    tasks.extend(bench.queue((0..3).map(|_| call_submit(&bench, submitted(0))).collect()).await);
    bench.journal.memory.fail_next_commit();
    bench.journal.set_shut(false);
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Err(Error::Poisoned)));
    }
    assert_eq!(bench.journal.group_sizes(), [1]);
}

#[tokio::test]
async fn a_panic_in_the_journal_poisons() {
    let bench = Bench::new();
    bench.journal.panics.store(true, Ordering::SeqCst);
    assert!(matches!(bench.handle.submit(submitted(0), None).await, Err(Error::Poisoned)));
    assert_eq!(bench.poison.tripped().await, "the committer panicked");
    assert!(matches!(bench.handle.submit(submitted(0), None).await, Err(Error::Poisoned)));
}

#[tokio::test]
async fn a_commit_that_hangs_poisons_and_is_not_acknowledged_when_it_comes_back() {
    let stall = Duration::from_millis(50);
    let bench = Bench::with(Settings { now_us: clock::now_us, stall });
    bench.journal.set_shut(true);
    assert!(matches!(bench.handle.submit(submitted(0), None).await, Err(Error::Poisoned)));
    assert_eq!(bench.poison.reason().unwrap(), "a commit took more than 50 ms");
    bench.journal.set_shut(false);
    assert!(matches!(bench.handle.close().await, Err(Error::Poisoned)));
    drop(bench.handle.clone());
    assert_eq!(bench.heard(), []);
    assert_eq!(bench.handle.unfinished(), []);
}

#[tokio::test]
async fn another_part_that_poisons_stops_the_committer() {
    let bench = Bench::new();
    bench.poison.trip("the record store failed");
    assert!(matches!(bench.handle.submit(submitted(0), None).await, Err(Error::Poisoned)));
    assert!(bench.journal.group_sizes().is_empty());
}

#[tokio::test]
async fn a_caller_that_goes_away_changes_nothing() {
    let bench = Bench::new();
    let at_the_gate = bench.block().await;
    let spec = submitted(0);
    let queued = bench.queue(vec![call_submit(&bench, spec.clone())]).await;
    at_the_gate.abort();
    for task in queued {
        task.abort();
    }
    bench.journal.set_shut(false);
    bench.submit().await;
    assert_eq!(bench.handle.live(spec.id).unwrap().spec.order, 2);
    assert_eq!(bench.heard().len(), 3);
}

static CLOCK: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn times_never_decrease_when_the_clock_goes_back() {
    let now_us = || CLOCK.load(Ordering::SeqCst);
    let bench = Bench::with(Settings { now_us, stall: COMMIT_STALL });
    CLOCK.store(5_000, Ordering::SeqCst);
    let id = bench.submit().await.spec.id;
    for (now, kind, time_us) in [
        (6_000, EventKind::DeQueued, 6_000),
        (2_000, EventKind::ValidationStarted, 6_000),
        (0, EventKind::CancelRequested, 6_000),
        (7_000, EventKind::AttemptStarted, 7_000),
    ] {
        CLOCK.store(now, Ordering::SeqCst);
        let committed = bench.handle.record(id, all(vec![kind])).await.unwrap();
        assert_eq!(committed.events[0].time_us, time_us);
    }
    // 0 means "not set" in what is stored.
    CLOCK.store(0, Ordering::SeqCst);
    assert_eq!(bench.submit().await.submit_time_us, 1);
}

#[tokio::test]
async fn sentences_are_cut_before_they_are_stored() {
    let bench = Bench::new();
    let id = bench.submit().await.spec.id;
    let mut long = failure();
    long.message = "x".repeat(10_000);
    let kinds = vec![EventKind::DeQueued, EventKind::Held(long)];
    let job = bench.handle.record(id, all(kinds)).await.unwrap().job;
    assert_eq!(job.failure.as_ref().unwrap().message.len(), 300);
}

#[tokio::test]
async fn an_idempotency_key_has_its_limit() {
    let bench = Bench::new();
    for (length, taken) in
        [(REQUEST_ID_CHARS_MAX, true), (REQUEST_ID_CHARS_MAX + 1, false), (0, false)]
    {
        let answer = bench.handle.submit(keyed(&"k".repeat(length)), None).await;
        assert_eq!(answer.is_ok(), taken, "{length}");
    }
    assert!(!bench.poison.is_tripped());
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_the_rest() {
    let bench = Bench::new();
    let mut tasks = vec![bench.block().await];
    tasks.extend(bench.queue(vec![call_submit(&bench, submitted(0))]).await);
    let handle = bench.handle.clone();
    let closing = bench.queue(vec![async move { handle.close().await }]).await;
    tasks.extend(bench.queue(vec![call_submit(&bench, submitted(0))]).await);
    bench.journal.set_shut(false);
    for closed in closing {
        closed.await.unwrap().unwrap();
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let late = bench.handle.submit(submitted(0), None).await;
    assert!(matches!(late, Err(Error::Storage(why)) if why == "the journal is closed"));
    assert_eq!(bench.handle.unfinished().len(), 3);
    assert!(bench.handle.job(bench.handle.unfinished()[0].spec.id).await.unwrap().is_some());
    bench.handle.close().await.unwrap();
}

#[tokio::test]
async fn a_start_goes_on_where_the_journal_stands() {
    let bench = Bench::new();
    let jobs = [bench.submit().await, bench.submit().await, bench.submit().await];
    let ended = bench.handle.record(jobs[1].spec.id, cancelled()).await.unwrap().job;
    bench.handle.close().await.unwrap();
    let handle = start(bench.journal.clone(), vec![], Poison::default()).unwrap();
    assert_eq!(handle.unfinished(), [jobs[0].clone(), jobs[2].clone()]);
    assert_eq!(handle.job(ended.spec.id).await.unwrap(), Some(ended.clone()));
    assert_eq!(handle.job(JobId::generate()).await.unwrap(), None);
    let Submission::New(job) = handle.submit(submitted(0), None).await.unwrap() else { panic!() };
    assert_eq!(job.spec.order, 4);
    let listed = handle.list(&Tenant::local(), None, 10).await.unwrap();
    assert_eq!(listed, [job, jobs[2].clone(), ended, jobs[0].clone()]);
}

#[tokio::test]
async fn readers_see_only_what_is_published() {
    let bench = Bench::new();
    let job = bench.submit().await;
    let id = job.spec.id;
    // As if a commit had reached the journal's trees, but not the disk.
    let memory = &bench.journal.memory;
    let kind = EventKind::DeQueued;
    let event = crate::domain::testing::event(&job, kind);
    let ahead = (*job).clone().next(&event).unwrap();
    memory.commit(&[Change { job: Arc::new(ahead), events: vec![event], payload: None }]).unwrap();
    let (new, event) = crate::domain::testing::first(submitted(2));
    let new_id = new.spec.id;
    memory.commit(&[Change { job: Arc::new(new), events: vec![event], payload: None }]).unwrap();
    let handle = &bench.handle;
    assert_eq!(handle.job(id).await.unwrap(), Some(job.clone()));
    assert_eq!(handle.events(id, 0, 10).await.unwrap().len(), 1);
    assert_eq!(handle.list(&Tenant::local(), None, 10).await.unwrap(), from_ref(&job));
    assert_eq!(handle.list(&Tenant::local(), None, 1).await.unwrap(), [job]);
    assert_eq!(handle.job(new_id).await.unwrap(), None);
    assert!(matches!(handle.events(new_id, 0, 10).await, Err(Error::NoJob(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_at_once_get_an_account_without_gaps() {
    let bench = Bench::new();
    let mut tasks = Vec::new();
    for _ in 0..40 {
        let handle = bench.handle.clone();
        tasks.push(tokio::spawn(async move {
            let Submission::New(job) = handle.submit(submitted(0), None).await.unwrap() else {
                panic!()
            };
            let id = job.spec.id;
            for kind in [EventKind::DeQueued, EventKind::ValidationStarted] {
                handle.record(id, all(vec![kind])).await.unwrap();
            }
            let handle = handle.clone();
            tokio::task::spawn_blocking(move || handle.record_blocking(id, cancelled()))
                .await
                .unwrap()
                .unwrap()
        }));
    }
    for task in tasks {
        let ended = task.await.unwrap();
        let events = bench.handle.events(ended.job.spec.id, 0, 10).await.unwrap();
        assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }
    assert_eq!(bench.handle.unfinished(), []);
    let handle = bench.handle.clone();
    let listed = tokio::spawn(async move { handle.list(&Tenant::local(), None, 50).await });
    assert_eq!(listed.await.unwrap().unwrap().len(), 40);
    bench.handle.close().await.unwrap();
    assert_eq!(bench.journal.verify().unwrap(), 40);
}
