//! One stream of one job's events.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    hub::{Feed, Hub},
    replay::Replay,
};
use crate::{
    domain::{Job, JobId},
    error::{Code, Error},
    journal::Handle,
    limits::{WATCH_BOOKMARK, WATCH_LAG_EVENTS_MAX},
};

/// Wait before another look for the feed of a job that was submitted this moment.
const FEED_LOOK: Duration = Duration::from_millis(1);

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum Message {
    /// The job as it stood when the watch began.
    Snapshot(Arc<Job>),
    /// The job right after event `job.seq`.
    Event {
        /// The state after the event.
        job: Arc<Job>,
        /// Events right before it that were left out because the reader was slow.
        coalesced: u64,
    },
    /// Nothing happened for a while.
    Bookmark {
        /// The newest event that this watcher was told of.
        seq: u64,
    },
    /// The daemon is draining; the last message.
    Draining {
        /// The newest event that this watcher was told of.
        seq: u64,
    },
}

/// Follows one job. Nothing is buffered: each call of [`Watcher::next`] looks at what is newest.
pub struct Watcher {
    live: Option<Live>,
    drain: CancellationToken,
    replay: Replay,
    /// Events up to this one are all told, however far behind the reader is: they were there when
    /// it asked.
    replay_until: u64,
    snapshot: Option<Arc<Job>>,
    told: u64,
    ended: bool,
    /// Silence after which a bookmark is told.
    pub(super) bookmark: Duration,
    _count: Count,
}

#[derive(Debug)]
struct Live {
    feed: Arc<Feed>,
    latest: watch::Receiver<Arc<Job>>,
}

impl Watcher {
    /// Follows a job from event `after_seq + 1` on; from a snapshot where it is 0.
    ///
    /// # Errors
    /// `CVRS-JOB-NOT-FOUND` where there is no such job, `CVRS-SEQ-OUT-OF-RANGE` for an
    /// `after_seq` above the newest event, or when the journal cannot be read.
    pub async fn start(
        hub: &Hub,
        journal: &Handle,
        id: JobId,
        after_seq: u64,
    ) -> Result<Self, Error> {
        let (mut live, mut newest) = find(hub, journal, id).await?;
        if let Some(live) = &mut live
            && after_seq > newest.seq
            && after_seq <= journal.job(id).await.map_err(Error::internal)?.map_or(0, |j| j.seq)
        {
            // Whoever read the journal may know of an event a moment before the hub does.
            let heard = live.latest.wait_for(|job| job.seq >= after_seq).await;
            newest = Arc::clone(&*heard.map_err(Error::internal)?);
        }
        if after_seq > newest.seq {
            let text = format!("after_seq {after_seq} is above the newest event {}", newest.seq);
            return Err(Error::new(Code::SeqOutOfRange, text));
        }
        Ok(Self {
            live,
            drain: hub.draining(),
            replay: Replay::new(journal.clone(), id),
            replay_until: if after_seq == 0 { 0 } else { newest.seq },
            ended: after_seq == newest.seq && newest.is_terminal(),
            snapshot: (after_seq == 0).then_some(newest),
            told: after_seq,
            bookmark: WATCH_BOOKMARK,
            _count: Count::new(),
        })
    }

    /// The next message; `None` after the terminal event or the draining message.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        if self.ended {
            return None;
        }
        let message = self.advance().await;
        match &message {
            Ok(Message::Snapshot(job) | Message::Event { job, .. }) => {
                self.told = job.seq;
                self.ended = job.is_terminal();
            }
            Ok(Message::Bookmark { .. }) => {}
            Ok(Message::Draining { .. }) | Err(_) => self.ended = true,
        }
        Some(message)
    }

    async fn advance(&mut self) -> Result<Message, Error> {
        if let Some(job) = self.snapshot.take() {
            return Ok(Message::Snapshot(job));
        }
        if self.told < self.replay_until {
            let job = self.replay.state_at(self.told + 1).await?;
            return Ok(Message::Event { job, coalesced: 0 });
        }
        let Some(live) = self.live.as_mut() else {
            return Err(Error::internal("a watch of a terminal job has no end"));
        };
        loop {
            let newest = Arc::clone(&live.latest.borrow_and_update());
            if newest.seq > self.told {
                return Ok(live.event_after(self.told, newest));
            }
            tokio::select! {
                // A reader that comes back after a while is told what happened, not that nothing did.
                biased;
                changed = live.latest.changed() => {
                    changed.map_err(Error::internal)?;
                }
                () = self.drain.cancelled() => return Ok(Message::Draining { seq: self.told }),
                () = sleep(self.bookmark) => return Ok(Message::Bookmark { seq: self.told }),
            }
        }
    }
}

/// The newest state of a job, and its feed unless it is terminal.
async fn find(hub: &Hub, journal: &Handle, id: JobId) -> Result<(Option<Live>, Arc<Job>), Error> {
    loop {
        // The feed first: an event after this is seen there, one before it is in the state below.
        if let Some(feed) = hub.feed(id) {
            let latest = feed.subscribe();
            let newest = Arc::clone(&latest.borrow());
            return Ok((Some(Live { feed, latest }), newest));
        }
        let newest = journal.job(id).await.map_err(Error::internal)?;
        let newest = newest.ok_or_else(|| Error::no_job(id))?;
        if newest.is_terminal() {
            return Ok((None, newest));
        }
        // A job shows in the journal a moment before the hub hears of its submit.
        sleep(FEED_LOOK).await;
    }
}

impl Live {
    fn event_after(&self, told: u64, newest: Arc<Job>) -> Message {
        let behind = newest.seq - told;
        if behind <= WATCH_LAG_EVENTS_MAX
            && let Some(job) = self.feed.state_at(told + 1)
        {
            return Message::Event { job, coalesced: 0 };
        }
        Message::Event { job: newest, coalesced: behind - 1 }
    }
}

/// Counts the watchers that there are.
#[derive(Debug)]
struct Count;

impl Count {
    fn new() -> Self {
        metrics::gauge!("cvrsd_watchers").increment(1.0);
        Self
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        metrics::gauge!("cvrsd_watchers").decrement(1.0);
    }
}

#[cfg(all(test, feature = "interleavings"))]
mod interleavings;
