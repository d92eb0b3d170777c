//! A job's events as server-sent events.

use std::convert::Infallible;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::sse::{Event, Sse},
};
use futures_util::{Stream, stream};

use super::{
    openapi::{EventRefusals, JobId, LastEventId, examples},
    problem::Problem,
    request::{self, Caller, Id, NoParameters},
    routes::Face,
    view::Full,
};
use crate::{
    domain::Job,
    error::Error,
    watch::{Message, Watcher},
};

/// Follow a job
///
/// Server-sent events until the job's last one: `event: job`, `id:` its number, `data:` the full view
/// without error lists. Without `Last-Event-ID` a snapshot comes first. An error in mid-stream is
/// `event: problem` with a problem as `data:`.
#[utoipa::path(
    get, path = "/v0/async/cvrs/jobs/{job-id}/events", operation_id = "watchJob", tag = "Jobs",
    params(JobId, LastEventId),
    responses(
        (
            status = OK, description = "Events as they become durable",
            content(("text/event-stream", example = examples::events))
        ),
        EventRefusals,
    )
)]
pub(super) async fn events(
    State(face): State<Face>,
    Caller(caller): Caller,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    request::query::<NoParameters>(&uri)?;
    let after_seq = request::last_event_id(&headers)?.unwrap_or(0);
    let watcher = face.service.watch(&caller, id, after_seq).await?;
    Ok(Sse::new(told(watcher)))
}

/// Each event is made when the connection asks for it, so a slow reader holds nothing here. After
/// a drain or an error the stream ends, and the reader resumes by `Last-Event-ID`.
fn told(watcher: Watcher) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(watcher), |watcher| async move {
        let mut watcher = watcher?;
        let message = watcher.next().await?;
        let ends = matches!(message, Err(_) | Ok(Message::Draining { .. }));
        let event = message.and_then(|m| event(&m)).unwrap_or_else(failed);
        Some((Ok(event), (!ends).then_some(watcher)))
    })
}

fn event(message: &Message) -> Result<Event, Error> {
    match message {
        Message::Snapshot(job) => with_job(job, 0),
        Message::Event { job, coalesced } => with_job(job, *coalesced),
        Message::Bookmark { .. } => Ok(Event::default().comment("nothing happened")),
        Message::Draining { .. } => Ok(Event::default().comment("draining")),
    }
}

fn with_job(job: &Job, coalesced: u64) -> Result<Event, Error> {
    let event = Event::default().event("job").id(job.seq.to_string());
    let event = match coalesced {
        0 => event,
        _ => event.comment(format!("events left out: {coalesced}")),
    };
    event.json_data(Full::new(job, None)).map_err(Error::internal)
}

fn failed(error: Error) -> Event {
    Event::default().event("problem").data(Problem(error).json())
}
