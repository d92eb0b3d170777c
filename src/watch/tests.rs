//! Watchers over the real committer, with a journal in memory.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{Hub, Message, Watcher};
use crate::{
    domain::{
        EventKind, Job, JobId, Outcome, StorageSet, Submitted, Validated,
        testing::{all_applied, ending, failure, submitted},
    },
    error::Code,
    journal::{self, Committed, Decision, Handle, Memory, Observer, Submission},
    limits::{WATCH_LAG_EVENTS_MAX, WATCH_PAGE_EVENTS, WATCH_RING_EVENTS},
    poison::Poison,
};

struct Bench {
    hub: Arc<Hub>,
    journal: Arc<Memory>,
    handle: Handle,
}

impl Bench {
    fn new() -> Self {
        Self::hearing_after(Vec::new())
    }

    /// A hub that hears of each commit after these others.
    fn hearing_after(mut others: Vec<Arc<dyn Observer>>) -> Self {
        let (hub, journal) = (Arc::new(Hub::default()), Arc::new(Memory::default()));
        others.push(hub.clone());
        let handle = journal::start(journal.clone(), others, Poison::default()).unwrap();
        Self { hub, journal, handle }
    }

    async fn submit(&self) -> JobId {
        submit(&self.handle, submitted(0)).await
    }

    async fn record(&self, id: JobId, kinds: Vec<EventKind>) -> Arc<Job> {
        self.handle.record(id, decided(kinds)).await.unwrap().job
    }

    /// A job in validation, which may have any number of checkpoints. It stands at event 3.
    async fn validating(&self) -> JobId {
        let id = self.submit().await;
        self.record(id, vec![EventKind::DeQueued, EventKind::ValidationStarted]).await;
        id
    }

    /// Takes that many checkpoints, some of them in one commit.
    async fn advance(&self, id: JobId, count: u64) {
        let mut left = count;
        while left > 0 {
            let now = left.min(1 + left % 7);
            let kinds = (0..now).map(|_| checkpoint()).collect();
            self.record(id, kinds).await;
            left -= now;
        }
    }

    async fn fail(&self, id: JobId) -> Arc<Job> {
        self.record(id, vec![failed()]).await
    }

    async fn watch(&self, id: JobId, after_seq: u64) -> Watcher {
        Watcher::start(&self.hub, &self.handle, id, after_seq).await.unwrap()
    }
}

async fn submit(handle: &Handle, spec: Submitted) -> JobId {
    match handle.submit(spec, None).await.unwrap() {
        Submission::New(job) => job.spec.id,
        other => panic!("{other:?}"),
    }
}

fn decided(kinds: Vec<EventKind>) -> Decision {
    Box::new(move |_| kinds)
}

fn checkpoint() -> EventKind {
    EventKind::ValidationAdvanced(Validated::default())
}

fn failed() -> EventKind {
    ending(Outcome::Failed, Validated::default(), all_applied(StorageSet::ALL, 0), Some(failure()))
}

/// The next message, which must come soon.
async fn next(watcher: &mut Watcher) -> Option<Message> {
    timeout(Duration::from_secs(20), watcher.next()).await.unwrap().map(Result::unwrap)
}

async fn next_snapshot(watcher: &mut Watcher) -> Arc<Job> {
    match next(watcher).await {
        Some(Message::Snapshot(job)) => job,
        other => panic!("{other:?}"),
    }
}

/// Number of the next event and how many were left out before it.
async fn next_event(watcher: &mut Watcher) -> (u64, u64) {
    match next(watcher).await {
        Some(Message::Event { job, coalesced }) => (job.seq, coalesced),
        other => panic!("{other:?}"),
    }
}

/// Follows to the end: numbers must follow each other, but for what was said to be left out. Returns
/// the last state and how many events were left out.
async fn follow(watcher: &mut Watcher, after_seq: u64) -> (Arc<Job>, u64) {
    let (mut seq, mut left_out, mut last) = (after_seq, 0, None);
    while let Some(message) = next(watcher).await {
        match message {
            Message::Snapshot(job) => {
                assert_eq!((after_seq, seq), (0, 0), "a snapshot comes first");
                seq = job.seq;
                last = Some(job);
            }
            Message::Event { job, coalesced } => {
                assert_eq!(job.seq, seq + 1 + coalesced);
                seq = job.seq;
                left_out += coalesced;
                last = Some(job);
            }
            other => panic!("{other:?}"),
        }
    }
    (last.unwrap(), left_out)
}

#[tokio::test]
async fn a_watch_begins_with_a_snapshot_and_tells_every_event_to_the_end() {
    let bench = Bench::new();
    let id = bench.submit().await;
    let mut watcher = bench.watch(id, 0).await;
    assert_eq!(next_snapshot(&mut watcher).await, bench.handle.live(id).unwrap());
    bench.record(id, vec![EventKind::DeQueued, EventKind::ValidationStarted]).await;
    bench.record(id, vec![checkpoint()]).await;
    let ended = bench.fail(id).await;
    for seq in 2..=5 {
        let Some(Message::Event { job, coalesced: 0 }) = next(&mut watcher).await else { panic!() };
        assert_eq!(job.seq, seq);
        assert_eq!(job.is_terminal(), seq == 5);
        if seq == 5 {
            assert_eq!(job, ended);
        }
    }
    assert!(watcher.next().await.is_none());
    assert!(watcher.next().await.is_none());
}

#[tokio::test]
async fn each_state_told_is_the_fold_of_the_events_up_to_it() {
    let bench = Bench::new();
    let id = bench.validating().await;
    let mut live = bench.watch(id, 1).await;
    bench.advance(id, 40).await;
    bench.fail(id).await;
    let mut replayed = bench.watch(id, 1).await;
    let events = bench.handle.events(id, 0, 1_000).await.unwrap();
    let mut folded = Job::first(&events[0]).unwrap();
    for event in &events[1..] {
        folded = folded.next(event).unwrap();
        for watcher in [&mut live, &mut replayed] {
            let Some(Message::Event { job, coalesced: 0 }) = next(watcher).await else { panic!() };
            assert_eq!(*job, folded);
        }
    }
}

#[tokio::test]
async fn a_resume_tells_what_comes_after_any_event_of_a_job_that_runs() {
    let bench = Bench::new();
    let id = bench.validating().await;
    // More than the ring and a page of the journal hold.
    let count = WATCH_PAGE_EVENTS as u64 + WATCH_RING_EVENTS as u64 + 10;
    bench.advance(id, count).await;
    let newest = bench.handle.live(id).unwrap().seq;
    let mut watchers = Vec::new();
    for after_seq in 1..=newest {
        watchers.push((after_seq, bench.watch(id, after_seq).await));
    }
    let ended = bench.fail(id).await;
    for (after_seq, mut watcher) in watchers {
        assert_eq!(follow(&mut watcher, after_seq).await, (Arc::clone(&ended), 0), "{after_seq}");
    }
}

#[tokio::test]
async fn a_resume_tells_what_comes_after_any_event_of_a_job_that_ended() {
    let bench = Bench::new();
    let id = bench.validating().await;
    bench.advance(id, 80).await;
    let ended = bench.fail(id).await;
    for after_seq in (0..ended.seq).step_by(7) {
        let mut watcher = bench.watch(id, after_seq).await;
        assert_eq!(follow(&mut watcher, after_seq).await, (Arc::clone(&ended), 0), "{after_seq}");
    }
}

#[tokio::test]
async fn a_watch_after_the_last_event_of_a_finished_job_ends_at_once() {
    let bench = Bench::new();
    let id = bench.validating().await;
    let ended = bench.fail(id).await;
    assert!(bench.watch(id, ended.seq).await.next().await.is_none());
    let mut watcher = bench.watch(id, 0).await;
    assert_eq!(next_snapshot(&mut watcher).await, ended);
    assert!(watcher.next().await.is_none());
}

#[tokio::test]
async fn an_event_from_the_future_is_out_of_range() {
    let bench = Bench::new();
    let id = bench.validating().await;
    let refused = |id, after_seq| Watcher::start(&bench.hub, &bench.handle, id, after_seq);
    assert!(refused(id, 3).await.is_ok());
    assert_eq!(refused(id, 4).await.err().unwrap().code, Code::SeqOutOfRange);
    assert_eq!(refused(id, u64::MAX).await.err().unwrap().code, Code::SeqOutOfRange);
    bench.fail(id).await;
    assert!(refused(id, 4).await.is_ok());
    assert_eq!(refused(id, 5).await.err().unwrap().code, Code::SeqOutOfRange);
    assert_eq!(refused(JobId::generate(), 0).await.err().unwrap().code, Code::JobNotFound);
}

#[tokio::test]
async fn a_reader_just_not_too_slow_is_told_every_event() {
    let bench = Bench::new();
    let id = bench.validating().await;
    let mut watcher = bench.watch(id, 3).await;
    bench.advance(id, WATCH_LAG_EVENTS_MAX).await;
    for seq in 4..4 + WATCH_LAG_EVENTS_MAX {
        assert_eq!(next_event(&mut watcher).await, (seq, 0));
    }
}

#[tokio::test]
async fn a_reader_too_slow_by_one_gets_the_newest_state_and_the_exact_count() {
    let bench = Bench::new();
    let id = bench.validating().await;
    let mut watcher = bench.watch(id, 3).await;
    bench.advance(id, WATCH_LAG_EVENTS_MAX + 1).await;
    let expected = (4 + WATCH_LAG_EVENTS_MAX, WATCH_LAG_EVENTS_MAX);
    assert_eq!(next_event(&mut watcher).await, expected);
    // What was left out can be had by asking again.
    let mut again = bench.watch(id, 3).await;
    for seq in 4..=4 + WATCH_LAG_EVENTS_MAX {
        assert_eq!(next_event(&mut again).await, (seq, 0));
    }
    bench.advance(id, 1_000).await;
    bench.fail(id).await;
    let (ended, left_out) = follow(&mut watcher, expected.0).await;
    assert!(ended.is_terminal());
    assert_eq!(left_out, 1_000);
}

#[tokio::test]
async fn events_that_were_there_when_the_watch_began_are_told_however_many() {
    let bench = Bench::new();
    let id = bench.validating().await;
    bench.advance(id, 500).await;
    let mut watcher = bench.watch(id, 3).await;
    for seq in 4..=100 {
        assert_eq!(next_event(&mut watcher).await, (seq, 0));
    }
    bench.advance(id, 200).await;
    for seq in 101..=503 {
        assert_eq!(next_event(&mut watcher).await, (seq, 0));
    }
    assert_eq!(next_event(&mut watcher).await, (703, 199));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commits_leave_no_gap_and_no_double() {
    let bench = Arc::new(Bench::new());
    let id = bench.validating().await;
    let mut readers = Vec::new();
    for reader in 0..12_u64 {
        let bench = Arc::clone(&bench);
        readers.push(tokio::spawn(async move {
            // They come while the job runs, from where they like.
            sleep(Duration::from_millis(reader * 3)).await;
            let newest = bench.handle.live(id).map_or(3, |job| job.seq);
            let after_seq = if reader % 3 == 0 { 0 } else { newest / reader };
            let mut watcher = bench.watch(id, after_seq).await;
            follow(&mut watcher, after_seq).await.0
        }));
    }
    let mut writers = Vec::new();
    for _ in 0..4 {
        let bench = Arc::clone(&bench);
        writers.push(tokio::spawn(async move {
            for _ in 0..150 {
                bench.advance(id, 3).await;
                tokio::task::yield_now().await;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let ended = bench.fail(id).await;
    assert_eq!(ended.seq, 3 + 4 * 150 * 3 + 1);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), ended);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_is_given_up_halfway_loses_nothing() {
    let bench = Arc::new(Bench::new());
    let id = bench.validating().await;
    bench.advance(id, 300).await;
    let mut watcher = bench.watch(id, 1).await;
    let writer = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            for _ in 0..40 {
                bench.advance(id, 1).await;
                sleep(Duration::from_millis(1)).await;
            }
            bench.fail(id).await
        })
    };
    let mut seq = 1;
    loop {
        let patience = Duration::from_micros(fastrand::u64(0..300));
        let Ok(message) = timeout(patience, watcher.next()).await else { continue };
        let Some(message) = message else { break };
        let Message::Event { job, coalesced } = message.unwrap() else { panic!() };
        assert_eq!(job.seq, seq + 1 + coalesced);
        seq = job.seq;
    }
    assert_eq!(writer.await.unwrap().seq, seq);
}

#[tokio::test]
async fn silence_is_broken_by_bookmarks_with_the_newest_event_told() {
    let bench = Bench::new();
    let id = bench.validating().await;
    let mut watcher = bench.watch(id, 2).await;
    watcher.bookmark = Duration::from_millis(20);
    assert_eq!(next_event(&mut watcher).await, (3, 0));
    for _ in 0..2 {
        let Some(Message::Bookmark { seq: 3 }) = next(&mut watcher).await else { panic!() };
    }
    bench.advance(id, 1).await;
    assert_eq!(next_event(&mut watcher).await, (4, 0));
    let Some(Message::Bookmark { seq: 4 }) = next(&mut watcher).await else { panic!() };
}

#[tokio::test]
async fn a_drain_ends_every_watch_with_a_last_message() {
    let bench = Bench::new();
    let id = bench.validating().await;
    let mut waiting = bench.watch(id, 3).await;
    let mut behind = bench.watch(id, 1).await;
    let hub = Arc::clone(&bench.hub);
    let drain = async move {
        sleep(Duration::from_millis(20)).await;
        hub.drain();
    };
    let (message, ()) = tokio::join!(next(&mut waiting), drain);
    assert!(matches!(message, Some(Message::Draining { seq: 3 })));
    assert!(waiting.next().await.is_none());
    // What is committed is told first, also to one who comes late.
    assert_eq!(next_event(&mut behind).await, (2, 0));
    assert_eq!(next_event(&mut behind).await, (3, 0));
    assert!(matches!(next(&mut behind).await, Some(Message::Draining { seq: 3 })));
    let mut late = bench.watch(id, 0).await;
    assert_eq!(next_snapshot(&mut late).await.seq, 3);
    assert!(matches!(next(&mut late).await, Some(Message::Draining { seq: 3 })));
}

#[tokio::test]
async fn a_job_that_ends_while_the_daemon_drains_is_told_so() {
    let bench = Bench::new();
    let id = bench.validating().await;
    let mut watcher = bench.watch(id, 3).await;
    let ended = bench.fail(id).await;
    bench.hub.drain();
    assert_eq!(follow(&mut watcher, 3).await, (ended, 0));
}

#[tokio::test]
async fn nothing_is_kept_of_jobs_that_ended() {
    let bench = Bench::new();
    let mut watchers = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..20 {
        let id = bench.validating().await;
        watchers.push(bench.watch(id, 0).await);
        assert!(bench.hub.feed(id).is_some());
        ids.push(id);
    }
    let kept: Vec<_> = ids.iter().map(|id| Arc::downgrade(&bench.hub.feed(*id).unwrap())).collect();
    for id in &ids {
        bench.fail(*id).await;
        assert!(bench.hub.feed(*id).is_none());
    }
    // Those who were there when it ended still hear of it.
    for watcher in &mut watchers {
        assert!(follow(watcher, 0).await.0.is_terminal());
    }
    drop(watchers);
    assert!(kept.iter().all(|feed| feed.upgrade().is_none()));
    assert!(bench.hub.is_empty());
}

#[tokio::test]
async fn a_job_that_is_cancelled_in_the_queue_leaves_no_feed() {
    let bench = Bench::new();
    let id = bench.submit().await;
    let mut watcher = bench.watch(id, 1).await;
    let cancelled =
        ending(Outcome::Cancelled, Validated::default(), all_applied(StorageSet::ALL, 0), None);
    bench.record(id, vec![EventKind::CancelRequested, cancelled]).await;
    assert!(bench.hub.is_empty());
    assert_eq!(next_event(&mut watcher).await, (2, 0));
    assert_eq!(next_event(&mut watcher).await, (3, 0));
    assert!(watcher.next().await.is_none());
}

#[tokio::test]
async fn a_job_of_an_earlier_process_is_followed_from_any_event() {
    let bench = Bench::new();
    let id = bench.validating().await;
    bench.advance(id, 10).await;
    bench.handle.close().await.unwrap();
    let hub = Arc::new(Hub::default());
    let observers: Vec<Arc<dyn Observer>> = vec![hub.clone()];
    let handle = journal::start(bench.journal.clone(), observers, Poison::default()).unwrap();
    for job in handle.unfinished() {
        hub.seed(&job);
    }
    let bench = Bench { hub, journal: bench.journal, handle };
    let mut early = bench.watch(id, 1).await;
    let mut late = bench.watch(id, 0).await;
    bench.advance(id, 10).await;
    let ended = bench.fail(id).await;
    assert_eq!(follow(&mut early, 1).await, (Arc::clone(&ended), 0));
    assert_eq!(follow(&mut late, 0).await, (ended, 0));
}

/// Hears of commits before the hub and lets none by while it is shut.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    fn set_shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.moved.notify_all();
    }
}

impl Observer for Gate {
    fn committed(&self, _: &[Committed]) {
        let mut shut = self.shut.lock().unwrap();
        while *shut {
            shut = self.moved.wait(shut).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_shows_before_the_hub_heard_of_it_can_be_followed() {
    let gate = Arc::new(Gate::default());
    let bench = Arc::new(Bench::hearing_after(vec![gate.clone()]));
    gate.set_shut(true);
    let submitting = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.submit().await })
    };
    let id = loop {
        match bench.handle.unfinished().first() {
            Some(job) => break job.spec.id,
            None => sleep(Duration::from_millis(1)).await,
        }
    };
    let watching = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            let mut watcher = bench.watch(id, 0).await;
            follow(&mut watcher, 0).await
        })
    };
    sleep(Duration::from_millis(30)).await;
    gate.set_shut(false);
    assert_eq!(submitting.await.unwrap(), id);
    bench.record(id, vec![EventKind::DeQueued, EventKind::ValidationStarted]).await;
    let ended = bench.fail(id).await;
    assert_eq!(watching.await.unwrap(), (ended, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_shows_before_the_hub_heard_of_it_is_not_from_the_future() {
    let gate = Arc::new(Gate::default());
    let bench = Arc::new(Bench::hearing_after(vec![gate.clone()]));
    let id = bench.validating().await;
    for last in [checkpoint(), failed()] {
        gate.set_shut(true);
        let known = bench.handle.job(id).await.unwrap().unwrap().seq;
        let recording = {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.record(id, vec![checkpoint(), last]).await })
        };
        while bench.handle.job(id).await.unwrap().unwrap().seq == known {
            sleep(Duration::from_millis(1)).await;
        }
        let watching = {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.watch(id, known + 2).await })
        };
        let refused = Watcher::start(&bench.hub, &bench.handle, id, known + 3).await;
        assert_eq!(refused.err().unwrap().code, Code::SeqOutOfRange);
        sleep(Duration::from_millis(20)).await;
        gate.set_shut(false);
        recording.await.unwrap();
        let mut watcher = watching.await.unwrap();
        if bench.hub.is_empty() {
            assert!(watcher.next().await.is_none());
        } else {
            bench.advance(id, 1).await;
            assert_eq!(next_event(&mut watcher).await, (known + 3, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_begins_while_the_job_ends_sees_its_end() {
    let bench = Arc::new(Bench::new());
    for round in 0..200 {
        let id = bench.validating().await;
        let watching = {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move {
                let after_seq = round % 4;
                let mut watcher = bench.watch(id, after_seq).await;
                follow(&mut watcher, after_seq).await
            })
        };
        let ended = bench.fail(id).await;
        assert_eq!(watching.await.unwrap(), (ended, 0));
    }
    assert!(bench.hub.is_empty());
}
