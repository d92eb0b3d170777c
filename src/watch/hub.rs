//! Newest states of live jobs, fed by the journal's committer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, PoisonError},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Event, Job, JobId},
    journal::{Committed, Observer},
    limits::WATCH_RING_EVENTS,
    sync::{Mutex, MutexGuard},
};

/// Feeds of all live jobs.
#[derive(Debug, Default)]
pub struct Hub {
    feeds: Mutex<HashMap<JobId, Arc<Feed>>>,
    drain: CancellationToken,
}

/// Newest states of one job.
#[derive(Debug)]
pub(super) struct Feed {
    latest: watch::Sender<Arc<Job>>,
    /// States right after the newest events, oldest first, without a gap; the last one is `latest`.
    ring: Mutex<VecDeque<Arc<Job>>>,
}

impl Hub {
    /// Makes a live job known that was there before this process.
    pub fn seed(&self, job: &Arc<Job>) {
        self.feeds().insert(job.spec.id, Arc::new(Feed::new(Arc::clone(job))));
    }

    /// Ends every watch with a last message.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Watches of live jobs.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.feeds().values().map(|feed| feed.latest.receiver_count()).sum()
    }

    pub(super) fn draining(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// The feed of a live job; `None` once it is terminal.
    pub(super) fn feed(&self, id: JobId) -> Option<Arc<Feed>> {
        self.feeds().get(&id).cloned()
    }

    fn publish(&self, committed: &Committed) {
        let Some(first) = committed.events.first() else { return };
        let id = committed.job.spec.id;
        let feed = self.feed(id);
        let states = states_after(feed.as_deref(), committed, first);
        let is_new = feed.is_none();
        let feed = feed.unwrap_or_else(|| Arc::new(Feed::new(Arc::clone(&committed.job))));
        feed.publish(states);
        if committed.job.is_terminal() {
            self.feeds().remove(&id);
        } else if is_new {
            self.feeds().insert(id, feed);
        }
    }

    /// Whether no job has a feed.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.feeds().is_empty()
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Hub {
    fn committed(&self, group: &[Committed]) {
        for committed in group {
            self.publish(committed);
        }
    }
}

/// The job after each of the committed events. Where the state before them is not known, only the
/// newest one: readers that need more find it in the journal.
fn states_after(feed: Option<&Feed>, committed: &Committed, first: &Event) -> Vec<Arc<Job>> {
    let mut state = feed.map(|feed| (**feed.latest.borrow()).clone());
    let mut states = Vec::with_capacity(committed.events.len());
    for event in &committed.events {
        let next = match state.take() {
            Some(job) => job.next(event),
            None if first.seq == 1 => Job::first(event),
            None => return vec![Arc::clone(&committed.job)],
        };
        let Ok(job) = next else { return vec![Arc::clone(&committed.job)] };
        states.push(Arc::new(job.clone()));
        state = Some(job);
    }
    states
}

impl Feed {
    fn new(job: Arc<Job>) -> Self {
        let ring = Mutex::new(VecDeque::from([Arc::clone(&job)]));
        Self { latest: watch::Sender::new(job), ring }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Job>> {
        self.latest.subscribe()
    }

    /// The state right after that event, while the ring still has it.
    pub(super) fn state_at(&self, seq: u64) -> Option<Arc<Job>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = ring.front()?.seq;
        let index = usize::try_from(seq.checked_sub(oldest)?).ok()?;
        ring.get(index).filter(|job| job.seq == seq).cloned()
    }

    fn publish(&self, states: Vec<Arc<Job>>) {
        let Some(newest) = states.last().cloned() else { return };
        {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            for state in states {
                let follows = ring.back().is_some_and(|last| last.seq + 1 == state.seq);
                if !follows {
                    ring.clear();
                }
                if ring.len() == WATCH_RING_EVENTS {
                    ring.pop_front();
                }
                ring.push_back(state);
            }
        }
        self.latest.send_replace(newest);
    }
}
