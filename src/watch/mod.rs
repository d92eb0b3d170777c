//! Placeholder of the hub, for its signatures only.

use std::sync::Arc;

use crate::{domain::Job, error::Error};

/// Follows one job.
#[derive(Debug)]
pub struct Watcher;

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum Message {
    /// The job as it stands.
    Snapshot(Arc<Job>),
    /// The job right after its newest event, and how many events before were left out.
    Event {
        /// The job.
        job: Arc<Job>,
        /// Events left out.
        coalesced: u64,
    },
    /// Nothing happened for a while.
    Bookmark {
        /// Newest event told of.
        seq: u64,
    },
    /// The daemon drains; the stream ends.
    Draining {
        /// Newest event told of.
        seq: u64,
    },
}

impl Watcher {
    /// The next message; `None` after the terminal event.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        std::future::ready(None).await
    }
}
