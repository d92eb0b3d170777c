//! Watchers that read along, and what they were told.

use std::sync::{Arc, Mutex};

use cvrsd::{
    domain::{Job, JobId},
    watch::{Message, Watcher},
};
use tokio::task::JoinHandle;

use super::oracle::Oracle;

/// What was told and not looked at yet, in order.
type Told = Arc<Mutex<Vec<Message>>>;

pub struct Watching {
    job: JobId,
    /// The newest event that it was told of.
    at: u64,
    told: Told,
    reader: JoinHandle<()>,
    last: Option<Last>,
}

#[derive(Debug, PartialEq, Eq)]
enum Last {
    Terminal,
    Draining,
}

impl Watching {
    pub fn new(job: JobId, after: u64, mut watcher: Watcher) -> Self {
        let told = Told::default();
        let heard = Arc::clone(&told);
        let reader = tokio::spawn(async move {
            while let Some(message) = watcher.next().await {
                heard.lock().unwrap().push(message.unwrap());
            }
        });
        Self { job, at: after, told, reader, last: None }
    }

    /// Checks what came since the last look.
    pub fn look(&mut self, oracle: &mut Oracle) {
        let messages = std::mem::take(&mut *self.told.lock().unwrap());
        for message in messages {
            assert_eq!(self.last, None, "{message:?} behind the last message");
            match message {
                Message::Snapshot(job) => {
                    assert_eq!(self.at, 0, "a snapshot nobody asked for");
                    self.told_of(&job, oracle);
                }
                Message::Event { job, coalesced } => {
                    assert_eq!(job.seq, self.at + 1 + coalesced, "a gap, or an event twice");
                    self.told_of(&job, oracle);
                }
                Message::Bookmark { seq } => assert_eq!(seq, self.at),
                Message::Draining { seq } => {
                    assert_eq!(seq, self.at);
                    self.last = Some(Last::Draining);
                }
            }
        }
    }

    fn told_of(&mut self, job: &Arc<Job>, oracle: &mut Oracle) {
        assert_eq!(job.spec.id, self.job);
        self.at = job.seq;
        if job.is_terminal() {
            self.last = Some(Last::Terminal);
        }
        oracle.told(job);
    }

    pub fn has_ended(&self) -> bool {
        self.reader.is_finished()
    }

    /// Waits for the end, which has come or comes by itself.
    pub async fn end(mut self, oracle: &mut Oracle) {
        (&mut self.reader).await.unwrap();
        self.look(oracle);
        let newest = oracle.newest(self.job);
        let had_all = newest.is_terminal() && newest.seq == self.at;
        assert!(self.last.is_some() || had_all, "a watch of {} ended at {}", self.job, self.at);
    }
}
