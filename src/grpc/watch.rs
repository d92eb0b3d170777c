//! A watch as a stream of messages. Each is made when the transport asks for it, so a slow reader
//! holds nothing here.

use futures_util::{Stream, stream};
use tonic::Status;

use super::{message, status::status};
use crate::{
    domain::Job,
    error::{Code, Error},
    proto::jobs::{self as proto, watch_job_response::Kind},
    watch::{Message, Watcher},
};

enum State {
    Live(Box<Watcher>),
    Drained,
    Ended,
}

/// What the watcher tells, until the terminal event; a drain ends it with `UNAVAILABLE`.
pub(super) fn messages(
    watcher: Watcher,
) -> impl Stream<Item = Result<proto::WatchJobResponse, Status>> {
    stream::unfold(State::Live(Box::new(watcher)), |state| async move {
        match state {
            State::Live(mut watcher) => Some(match watcher.next().await? {
                Ok(told) => {
                    let draining = matches!(told, Message::Draining { .. });
                    let next = if draining { State::Drained } else { State::Live(watcher) };
                    (Ok(response(&told)), next)
                }
                Err(error) => (Err(status(error)), State::Ended),
            }),
            State::Drained => {
                let error = Error::new(Code::Draining, "the daemon is draining; watch again");
                Some((Err(status(error)), State::Ended))
            }
            State::Ended => None,
        }
    })
}

fn response(told: &Message) -> proto::WatchJobResponse {
    match told {
        Message::Snapshot(job) => with_job(Kind::Snapshot, job, 0),
        Message::Event { job, coalesced } => with_job(Kind::Event, job, *coalesced),
        Message::Bookmark { seq } => without_job(Kind::Bookmark, *seq),
        Message::Draining { seq } => without_job(Kind::Draining, *seq),
    }
}

fn with_job(kind: Kind, job: &Job, coalesced_count: u64) -> proto::WatchJobResponse {
    proto::WatchJobResponse {
        kind: kind.into(),
        seq: job.seq,
        job: Some(message::job(job)),
        coalesced_count,
    }
}

fn without_job(kind: Kind, seq: u64) -> proto::WatchJobResponse {
    proto::WatchJobResponse { kind: kind.into(), seq, job: None, coalesced_count: 0 }
}
