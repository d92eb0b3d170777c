//! The handle on the log, and the thread that writes for all of them.

use std::{
    collections::HashSet,
    fmt,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::{
    runtime::Builder,
    sync::{Notify, mpsc, oneshot},
    time::timeout,
};

use super::{
    Error,
    chain::Tip,
    entry::{Entry, Kind},
    refusals::Refusals,
    writer::Writer,
};
use crate::{
    clock, config,
    domain::JobId,
    limits::{
        AUDIT_DELAY, AUDIT_GROUP_MAX, AUDIT_LOOK, AUDIT_QUEUE, AUDIT_READS_MAX, COMMIT_STALL,
    },
    poison::{Lookout, Poison},
};

/// Records entries. A cheap handle.
#[derive(Clone, Default)]
pub struct Log {
    /// `None` where nothing is recorded.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    sender: mpsc::Sender<Command>,
    /// Tells the writer that somebody waits for what was sent.
    urgent: Arc<Notify>,
    job_reads: bool,
    anchor_interval: Duration,
    opened_at: Option<u64>,
    /// When the write that runs began.
    busy: Mutex<Option<Instant>>,
    lookout: Mutex<Option<Lookout>>,
    state: Mutex<State>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    tip: Tip,
    /// When the tip was logged, and which.
    anchored: (Instant, u64),
    refusals: Refusals,
    /// Reads of jobs that were recorded.
    reads: HashSet<(JobId, String, Option<IpAddr>, bool)>,
}

enum Command {
    Append(Box<Entry>, Option<oneshot::Sender<()>>),
    Close,
}

/// The writer's end of the queue.
struct Queue {
    receiver: mpsc::Receiver<Command>,
    urgent: Arc<Notify>,
    /// How long an entry that nobody waits for may wait.
    delay: Duration,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("on", &self.inner.is_some()).finish()
    }
}

impl Log {
    /// Opens the log of that folder and starts its writer. Where a write fails, `poison` stops the process: no
    /// act goes unrecorded. Blocks.
    ///
    /// # Errors
    /// Where the log does not hold together, or cannot be read or written.
    pub fn open(dir: &Path, config: &config::Audit, poison: &Poison) -> Result<Self, Error> {
        let writer = Writer::open(dir, config, clock::now_us())?;
        let (sender, receiver) = mpsc::channel(AUDIT_QUEUE);
        let urgent = Arc::new(Notify::new());
        let now = Instant::now();
        let state = State {
            tip: writer.tip().clone(),
            anchored: (now, 0),
            refusals: Refusals::new(now),
            reads: HashSet::new(),
        };
        let inner = Arc::new(Inner {
            sender,
            urgent: Arc::clone(&urgent),
            job_reads: config.job_reads,
            anchor_interval: config.anchor_interval,
            opened_at: writer.tip().order,
            busy: Mutex::default(),
            lookout: Mutex::default(),
            state: Mutex::new(state),
            thread: Mutex::default(),
        });
        let (shared, poison) = (Arc::downgrade(&inner), poison.clone());
        let watched = shared.clone();
        let stalled = move || watched.upgrade().map_or(Ok(()), |inner| inner.check_stall());
        let lookout = poison.look_out("audit-lookout", stalled)?;
        *inner.lookout.lock().unwrap_or_else(PoisonError::into_inner) = Some(lookout);
        let tell = move |begins: bool, tip: &Tip| {
            if let Some(inner) = shared.upgrade() {
                inner.tell(begins, tip);
            }
        };
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let queue = Queue { receiver, urgent, delay: AUDIT_DELAY };
        let work = move || runtime.block_on(write(writer, queue, &poison, &tell));
        let thread = thread::Builder::new().name("audit-writer".to_owned()).spawn(work)?;
        *inner.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        inner.anchor(now);
        Ok(Self { inner: Some(inner) })
    }

    /// Records an entry, which is durable when this returns. Once it waits in the queue it is recorded, also
    /// where the caller goes away.
    ///
    /// # Errors
    /// [`Error::Stopped`] after a failure.
    pub async fn record(&self, entry: Entry) -> Result<(), Error> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let (written, waiting) = oneshot::channel();
        let command = Command::Append(Box::new(entry), Some(written));
        inner.sender.send(command).await.map_err(|_| Error::Stopped)?;
        inner.urgent.notify_one();
        waiting.await.map_err(|_| Error::Stopped)
    }

    /// [`Log::record`] for a thread that is none of the runtime's; panics on one that is.
    ///
    /// # Errors
    /// As [`Log::record`].
    pub fn record_blocking(&self, entry: Entry) -> Result<(), Error> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let (written, waiting) = oneshot::channel();
        let command = Command::Append(Box::new(entry), Some(written));
        inner.sender.blocking_send(command).map_err(|_| Error::Stopped)?;
        inner.urgent.notify_one();
        waiting.blocking_recv().map_err(|_| Error::Stopped)
    }

    /// Records an entry without waiting for the disk, for a thread that is none of the runtime's. Waits for room.
    ///
    /// # Errors
    /// [`Error::Stopped`] after a failure.
    pub fn queue_blocking(&self, entry: Entry) -> Result<(), Error> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let command = Command::Append(Box::new(entry), None);
        inner.sender.blocking_send(command).map_err(|_| Error::Stopped)
    }

    /// Place of the newest submit that the log knew of when it was opened; `None` where it was new, or nothing is
    /// recorded.
    #[must_use]
    pub fn newest_order(&self) -> Option<u64> {
        self.inner.as_ref().and_then(|inner| inner.opened_at)
    }

    /// Records an entry without waiting for the disk: of what changes nothing.
    ///
    /// # Errors
    /// [`Error::Stopped`] after a failure.
    pub async fn note(&self, entry: Entry) -> Result<(), Error> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let command = Command::Append(Box::new(entry), None);
        inner.sender.send(command).await.map_err(|_| Error::Stopped)
    }

    /// Records a refusal, or counts it: at a bounded rate, and where the queue has room. Never waits.
    pub fn refuse(&self, entry: Entry) {
        let Some(inner) = &self.inner else { return };
        let mut state = inner.state();
        let command = || Command::Append(Box::new(entry), None);
        if state.refusals.take(Instant::now()) && inner.sender.try_send(command()).is_err() {
            state.refusals.suppress(1);
        }
    }

    /// Records that a job is read: a client polls every second, so only its first one from an address is, and its
    /// first one after the job's end.
    ///
    /// # Errors
    /// As [`Log::note`].
    pub async fn note_read(&self, entry: Entry, ended: bool) -> Result<(), Error> {
        let Some(inner) = self.inner.as_ref().filter(|inner| inner.job_reads) else {
            return Ok(());
        };
        let (Some(job), Some(client)) = (entry.job, entry.client.clone()) else { return Ok(()) };
        let read = (job, client, entry.origin.peer.map(|peer| peer.ip()), ended);
        if inner.state().reads.contains(&read) {
            return Ok(());
        }
        self.note(entry).await?;
        let mut state = inner.state();
        if state.reads.len() >= AUDIT_READS_MAX {
            // Some reads are then recorded again.
            state.reads.clear();
        }
        state.reads.insert(read);
        Ok(())
    }

    /// Does what is due: records how many refusals were suppressed, and logs where the chain stands.
    pub fn upkeep(&self) {
        let Some(inner) = &self.inner else { return };
        let now = Instant::now();
        inner.tell_suppressed(now, false);
        if now.saturating_duration_since(inner.state().anchored.0) >= inner.anchor_interval {
            inner.anchor(now);
        }
    }

    /// Records what is queued, then ends the writer. Blocks.
    pub fn close(&self) {
        let Some(inner) = &self.inner else { return };
        inner.tell_suppressed(Instant::now(), true);
        // A writer that failed is gone already.
        let _ = inner.sender.blocking_send(Command::Close);
        inner.urgent.notify_one();
        let thread = inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic has tripped the poison.
        thread.map(JoinHandle::join).transpose().ok();
        inner.anchor(Instant::now());
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write begins, or has come to that tip.
    fn tell(&self, begins: bool, tip: &Tip) {
        let now = begins.then(Instant::now);
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = now;
        if !begins {
            self.state().tip = tip.clone();
        }
    }

    /// As the journal's commits, a write must come back.
    fn check_stall(&self) -> Result<(), String> {
        let busy = *self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        match busy.map(|began| began.elapsed()).filter(|elapsed| *elapsed > COMMIT_STALL) {
            Some(elapsed) => Err(format!("audit log: a write takes {} s", elapsed.as_secs())),
            None => Ok(()),
        }
    }

    fn tell_suppressed(&self, now: Instant, at_end: bool) {
        let mut state = self.state();
        let Some(count) = state.refusals.due(now, at_end) else { return };
        let entry = Entry { count: Some(count), ..Entry::new(Kind::Suppressed) };
        if self.sender.try_send(Command::Append(Box::new(entry), None)).is_err() {
            state.refusals.suppress(count);
        }
    }

    /// A log that is kept elsewhere shows with this line that entries are missing, should they ever.
    fn anchor(&self, now: Instant) {
        let mut state = self.state();
        let (last, seq) = (state.anchored.1, state.tip.seq);
        state.anchored = (now, seq);
        if seq != last {
            tracing::info!(seq, head = state.tip.hash, "audit anchor");
        }
    }
}

/// Appends what comes, as much together as waits, until closed or until a write fails. Blocks its thread, which
/// has nothing else to do.
async fn write(mut writer: Writer, mut queue: Queue, poison: &Poison, tell: &dyn Fn(bool, &Tip)) {
    let _guard = poison.guard("the audit writer");
    let mut commands = Vec::new();
    let mut closed = false;
    while !closed && queue.gather(&mut commands).await {
        let (mut entries, mut waiting) = (Vec::new(), Vec::new());
        for command in commands.drain(..) {
            match command {
                Command::Append(entry, written) => {
                    entries.push(*entry);
                    waiting.extend(written);
                }
                Command::Close => closed = true,
            }
        }
        tell(true, writer.tip());
        if let Err(error) = writer.append(&entries, clock::now_us()) {
            // The callers that wait are refused as their senders are dropped.
            return poison.trip(format!("audit log: {error}"));
        }
        tell(false, writer.tip());
        // A caller that is gone needs no answer.
        for written in waiting {
            let _ = written.send(());
        }
    }
}

impl Command {
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Close | Self::Append(_, Some(_)))
    }
}

impl Queue {
    /// Takes what is to be written together; whether there is anything, and ever will be. Where nobody waits for the
    /// disk, it waits a moment for more, so that a sync is of many entries. They do not wake it one by one, as
    /// thousands come in a second.
    async fn gather(&mut self, commands: &mut Vec<Command>) -> bool {
        let Self { receiver, urgent, delay } = self;
        if receiver.recv_many(commands, AUDIT_GROUP_MAX).await == 0 {
            return false;
        }
        let until = Instant::now() + *delay;
        let mut is_urgent = commands.iter().any(Command::is_urgent);
        while !is_urgent && commands.len() + receiver.len() < AUDIT_GROUP_MAX {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            is_urgent = timeout(left.min(AUDIT_LOOK), urgent.notified()).await.is_ok();
        }
        // Whoever told of an entry so far finds it in this group or, where that is full, in the next.
        let _ = urgent.notified().now_or_never();
        while commands.len() < AUDIT_GROUP_MAX
            && let Ok(command) = receiver.try_recv()
        {
            commands.push(command);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(40);

    fn queue(delay: Duration) -> (mpsc::Sender<Command>, Queue) {
        let (sender, receiver) = mpsc::channel(AUDIT_QUEUE);
        (sender, Queue { receiver, urgent: Arc::default(), delay })
    }

    fn append(waiting: Option<oneshot::Sender<()>>) -> Command {
        Command::Append(Box::new(Entry::new(Kind::Stop)), waiting)
    }

    /// How many the next group has.
    async fn gathered(queue: &mut Queue) -> usize {
        let mut commands = Vec::new();
        assert!(queue.gather(&mut commands).await);
        commands.len()
    }

    #[tokio::test]
    async fn entries_that_nobody_waits_for_are_written_together_after_a_moment() {
        let (sender, mut queue) = queue(SHORT);
        let began = Instant::now();
        sender.send(append(None)).await.unwrap();
        sender.send(append(None)).await.unwrap();
        assert_eq!(gathered(&mut queue).await, 2);
        assert!(began.elapsed() >= SHORT);
        drop(sender);
        assert!(!queue.gather(&mut Vec::new()).await, "nothing will come any more");
    }

    #[tokio::test]
    async fn an_entry_that_somebody_waits_for_ends_the_moment() {
        let (sender, mut queue) = queue(LONG);
        sender.send(append(None)).await.unwrap();
        let tell = Arc::clone(&queue.urgent);
        let late = async move {
            tokio::time::sleep(SHORT).await;
            sender.send(append(Some(oneshot::channel().0))).await.unwrap();
            tell.notify_one();
        };
        assert_eq!(tokio::join!(gathered(&mut queue), late).0, 2);
    }

    #[tokio::test]
    async fn an_entry_that_was_found_before_it_was_told_of_ends_no_later_moment() {
        let (sender, mut queue) = queue(SHORT);
        sender.send(append(Some(oneshot::channel().0))).await.unwrap();
        queue.urgent.notify_one();
        assert_eq!(gathered(&mut queue).await, 1);
        sender.send(append(None)).await.unwrap();
        let began = Instant::now();
        assert_eq!(gathered(&mut queue).await, 1);
        assert!(began.elapsed() >= SHORT);
    }

    #[tokio::test]
    async fn a_full_group_does_not_wait_and_has_no_more_than_its_bound() {
        let (sender, mut queue) = queue(LONG);
        for _ in 0..=AUDIT_GROUP_MAX {
            sender.send(append(None)).await.unwrap();
        }
        assert_eq!(gathered(&mut queue).await, AUDIT_GROUP_MAX);
        queue.delay = SHORT;
        assert_eq!(gathered(&mut queue).await, 1);
    }
}
