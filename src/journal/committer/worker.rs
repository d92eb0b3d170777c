//! The committer's loop.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use metrics::{counter, histogram};
use tokio::sync::mpsc;

use super::{
    super::{Error, Journal, Purge, Purged},
    Answer, Command, Committed, Observer, Submission,
    group::{Group, Staged},
    live::{self, Shared},
    watchdog::Watchdog,
};
use crate::failpoint::{Point, hit};
use crate::{limits::COMMIT_GROUP_MAX, poison::Poison};

/// Everything that the committer's thread owns.
pub(super) struct Worker {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) live: Shared,
    pub(super) observers: Vec<Arc<dyn Observer>>,
    pub(super) poison: Poison,
    pub(super) watchdog: Watchdog,
    pub(super) now_us: fn() -> i64,
    pub(super) last_order: u64,
}

/// An answer that is ready but must wait for the commit.
enum Reply {
    Submit(Answer<Submission>, Result<Submission, Error>),
    Record(Answer<Committed>, Result<Committed, Error>),
    RecordAll(Answer<Vec<Result<Committed, Error>>>, Vec<Result<Committed, Error>>),
}

impl Reply {
    /// Answers. A caller that has gone does not need it.
    fn send(self) {
        match self {
            Self::Submit(answer, result) => drop(answer.send(result)),
            Self::Record(answer, result) => drop(answer.send(result)),
            Self::RecordAll(answer, results) => drop(answer.send(Ok(results))),
        }
    }

    fn poisoned(self) {
        match self {
            Self::Submit(answer, _) => drop(answer.send(Err(Error::Poisoned))),
            Self::Record(answer, _) => drop(answer.send(Err(Error::Poisoned))),
            Self::RecordAll(answer, _) => drop(answer.send(Err(Error::Poisoned))),
        }
    }

    /// An error that is the journal's and not the command's own.
    fn failure(&self) -> Option<Error> {
        match self {
            Self::Submit(_, result) => failure(result),
            Self::Record(_, result) => failure(result),
            Self::RecordAll(_, results) => results.iter().find_map(failure),
        }
    }
}

impl Worker {
    /// Takes commands until the last handle is gone or one says to close.
    pub(super) fn run(mut self, mut receiver: mpsc::Receiver<Command>) {
        let _guard = self.poison.guard("the committer");
        while let Some(first) = receiver.blocking_recv() {
            let commands = gather(first, &mut receiver);
            if self.poison.is_tripped() {
                commands.into_iter().for_each(refuse);
                continue;
            }
            // A panic drops the answers of its group, which callers take as poisoned.
            let processed = catch_unwind(AssertUnwindSafe(|| self.process(commands)));
            if processed.is_err() {
                self.poison.trip("the committer panicked");
            }
        }
    }

    /// Purges come last: they are about jobs of which nothing else is decided any more.
    fn process(&mut self, commands: Vec<Command>) {
        let (mut purges, mut others) = (Vec::new(), Vec::with_capacity(commands.len()));
        for command in commands {
            match command {
                Command::Purge { purge, answer } => purges.push((purge, answer)),
                other => others.push(other),
            }
        }
        if !others.is_empty() {
            self.decide_all(others);
        }
        for (purge, answer) in purges {
            let result = if self.poison.is_tripped() {
                Err(Error::Poisoned)
            } else {
                self.purge(purge).inspect_err(|error| self.poison.trip(error.to_string()))
            };
            // A caller that has gone does not need it.
            drop(answer.send(result));
        }
    }

    /// Takes out those of the jobs that have ended.
    fn purge(&self, mut purge: Purge) -> Result<Purged, Error> {
        let mut ended = Vec::with_capacity(purge.jobs.len());
        for id in purge.jobs {
            if self.journal.job(id)?.is_some_and(|job| job.is_terminal()) {
                ended.push(id);
            }
        }
        purge.jobs = ended;
        self.watchdog.began();
        let purged = self.journal.purge(&purge)?;
        self.watchdog.ended();
        if self.poison.is_tripped() { Err(Error::Poisoned) } else { Ok(purged) }
    }

    fn decide_all(&mut self, commands: Vec<Command>) {
        histogram!("cvrsd_journal_group_commands").record(count(commands.len()));
        let mut group = Group::new(&*self.journal, &self.live, (self.now_us)(), self.last_order);
        let replies: Vec<_> = commands.into_iter().filter_map(|c| decide(&mut group, c)).collect();
        let staged = group.finish();
        let failure = replies.iter().find_map(Reply::failure);
        match failure.map_or_else(|| self.commit(&staged), Err) {
            Ok(()) => {
                self.publish(&staged);
                hit(Point::CommitPublished);
                replies.into_iter().for_each(Reply::send);
            }
            Err(error) => {
                self.poison.trip(error.to_string());
                replies.into_iter().for_each(Reply::poisoned);
            }
        }
    }

    fn commit(&self, staged: &Staged) -> Result<(), Error> {
        if staged.changes.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        self.watchdog.began();
        self.journal.commit(&staged.changes)?;
        self.watchdog.ended();
        counter!("cvrsd_journal_commits_total").increment(1);
        histogram!("cvrsd_journal_commit_seconds").record(began.elapsed().as_secs_f64());
        // Given up meanwhile: the callers were told so.
        if self.poison.is_tripped() { Err(Error::Poisoned) } else { Ok(()) }
    }

    fn publish(&mut self, staged: &Staged) {
        self.last_order = staged.last_order;
        let mut live = live::write(&self.live);
        for change in &staged.changes {
            live.publish(&change.job);
        }
        drop(live);
        if staged.published.is_empty() {
            return;
        }
        for observer in &self.observers {
            observer.committed(&staged.published);
        }
    }
}

/// The first command and what else waits, up to the group's bound.
fn gather(first: Command, receiver: &mut mpsc::Receiver<Command>) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut jobs = 0;
    let mut next = Some(first);
    while let Some(command) = next {
        jobs += command.jobs();
        match command {
            Command::Close => receiver.close(),
            command => commands.push(command),
        }
        next = if jobs < COMMIT_GROUP_MAX { receiver.try_recv().ok() } else { None };
    }
    commands
}

fn decide(group: &mut Group<'_>, command: Command) -> Option<Reply> {
    match command {
        Command::Submit { spec, payload, answer } => {
            Some(Reply::Submit(answer, group.submit(*spec, payload)))
        }
        Command::Record { id, decision, answer } => {
            Some(Reply::Record(answer, group.record(id, decision)))
        }
        Command::RecordAll { decisions, answer } => {
            let results = decisions.into_iter().map(|(id, decision)| group.record(id, decision));
            Some(Reply::RecordAll(answer, results.collect()))
        }
        // Purges are taken out before.
        Command::Purge { .. } | Command::Close => None,
    }
}

fn refuse(command: Command) {
    match command {
        Command::Submit { answer, .. } => drop(answer.send(Err(Error::Poisoned))),
        Command::Record { answer, .. } => drop(answer.send(Err(Error::Poisoned))),
        Command::RecordAll { answer, .. } => drop(answer.send(Err(Error::Poisoned))),
        Command::Purge { answer, .. } => drop(answer.send(Err(Error::Poisoned))),
        Command::Close => {}
    }
}

fn failure<T>(result: &Result<T, Error>) -> Option<Error> {
    let error = result.as_ref().err()?;
    let own = matches!(error, Error::Illegal(_) | Error::NoJob(_));
    (!own).then(|| error.clone())
}

/// A number for a histogram.
fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
