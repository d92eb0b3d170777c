//! One body on its way in.

use std::{fmt, pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Spool,
    slots::{Slot, Slots},
    writer::{self, Body, Command, Content, Reply},
};
use crate::{
    domain::{JobId, Payload},
    error::{Code, Error},
    limits::UPLOAD_BYTES_MIN,
};

/// An upload that runs. Dropping it removes what came so far.
#[derive(Debug)]
pub struct Upload {
    spool: Spool,
    /// Its place among all uploads.
    slot: Slot,
    writer: Writer,
    idle_timeout: Duration,
}

enum Writer {
    /// The body is small so far: it needs no thread.
    Here(Box<Body>),
    Running(mpsc::Sender<Command>, oneshot::Receiver<Reply>),
    Refused(Error),
}

impl Writer {
    /// The way to the thread, where there is one.
    fn commands(&self) -> Option<&mpsc::Sender<Command>> {
        if let Self::Running(commands, _) = self { Some(commands) } else { None }
    }

    /// Hands over to a thread, where there is none yet and a slot for one.
    async fn start(&mut self, slots: &Slots) {
        if !matches!(self, Self::Here(_)) {
            return;
        }
        let slot = slots.take().await;
        let between = Self::Refused(Error::new(Code::Internal, "an upload has no writer"));
        if let Self::Here(body) = std::mem::replace(self, between) {
            *self = match slot.and_then(|slot| writer::start(*body, slot)) {
                Ok((commands, reply)) => Self::Running(commands, reply),
                Err(error) => Self::Refused(error),
            };
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Here(_) => "Here",
            Self::Running(..) => "Running",
            Self::Refused(_) => "Refused",
        })
    }
}

/// Waits until no further command is taken.
async fn ended(commands: Option<&mpsc::Sender<Command>>) {
    match commands {
        Some(commands) => commands.closed().await,
        None => std::future::pending().await,
    }
}

/// What the sender said of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Bytes after content decoding.
    pub length: Option<u64>,
    /// SHA-256 of those bytes.
    pub sha256: Option<[u8; 32]>,
}

/// The error of a body whose stream broke. The cause is for the log.
pub fn aborted(cause: impl fmt::Display) -> Error {
    tracing::debug!(%cause, "an upload broke off");
    Error::new(Code::BodyAborted, "the connection broke before the body ended")
}

impl Upload {
    pub(super) fn new(spool: Spool, slot: Slot, body: Body, idle_timeout: Duration) -> Self {
        Self { spool, slot, writer: Writer::Here(Box::new(body)), idle_timeout }
    }

    /// Hands over the next bytes; waits while the writer is behind.
    ///
    /// # Errors
    /// A refusal that earlier bytes earned: `BodyTooLarge`, `EncodingBroken`, `Internal`, or that of
    /// the upload's meter; `UploadsExhausted` where the body is no longer small while
    /// `intake.uploads_max` others run, none of which is slow. It stays the same from then on.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        if chunk.is_empty() {
            return Ok(());
        }
        metrics::counter!("cvrsd_upload_received_bytes_total").increment(chunk.len() as u64);
        if let Writer::Here(body) = &mut self.writer
            && body.has_room(chunk.len())
        {
            let taken = body.push(&chunk);
            return taken.inspect_err(|error| self.writer = Writer::Refused(error.clone()));
        }
        self.writer.start(self.spool.files()).await;
        self.send(Command::Chunk(chunk)).await
    }

    /// Writes a whole stream. Each `intake.idle_timeout` must bring at least
    /// `limits::UPLOAD_BYTES_MIN` bytes or the end.
    ///
    /// # Errors
    /// Those of [`Upload::write`], `BodyTimeout`, and the stream's own; see [`aborted`].
    /// `UploadsExhausted` where others had no slot while `limits::UPLOAD_SLOW` brought less than that.
    pub async fn pump<S>(&mut self, body: S) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, Error>>,
    {
        let mut body = pin!(body);
        let mut began = Instant::now();
        let mut came = 0;
        loop {
            let next = tokio::select! {
                // What is there counts, however late our own disk lets us look.
                biased;
                next = body.next() => next,
                // A sender that pauses is told of its refusal all the same.
                () = ended(self.writer.commands()) => return self.send(Command::Chunk(Bytes::new())).await,
                () = sleep_until(began + self.idle_timeout) => return Err(self.stalled()),
                refusal = self.slots().yielded(began) => return Err(refusal),
            };
            let Some(chunk) = next else { return Ok(()) };
            let chunk = chunk?;
            came += chunk.len();
            let waited = Instant::now();
            self.write(chunk).await?;
            // Time in which we were not ready is not the sender's.
            began += waited.elapsed();
            if came >= UPLOAD_BYTES_MIN {
                came = 0;
                began = Instant::now();
            }
        }
    }

    /// Ends the body and checks it; one that is not small is durable then.
    ///
    /// # Errors
    /// Those of [`Upload::write`]; `BodyEmpty`, `BodyLength`, `BodyDigest`; what the inspection
    /// finds: `MediaTypeMismatch` or one of the `Zip` codes.
    pub async fn finish(mut self, expected: Expected) -> Result<Received, Error> {
        let (payload, content) = match self.writer {
            Writer::Here(body) if body.is_small() => body.finish(&expected)?,
            _ => self.finish_elsewhere(expected).await?,
        };
        Ok(Received { payload, content, spool: self.spool, _slot: self.slot })
    }

    async fn finish_elsewhere(&mut self, expected: Expected) -> Reply {
        self.writer.start(self.spool.files()).await;
        self.send(Command::Finish(expected)).await?;
        let Writer::Running(_, reply) = &mut self.writer else {
            return Err(Error::internal("an upload ended twice"));
        };
        reply.await.map_err(|_| writer_gone())?
    }

    async fn send(&mut self, command: Command) -> Result<(), Error> {
        let error = match &mut self.writer {
            Writer::Refused(error) => return Err(error.clone()),
            Writer::Here(_) => return Err(Error::internal("an upload has no thread")),
            Writer::Running(commands, reply) => {
                if commands.send(command).await.is_ok() {
                    return Ok(());
                }
                match reply.await {
                    Ok(Err(error)) => error,
                    Ok(Ok(_)) | Err(_) => writer_gone(),
                }
            }
        };
        self.writer = Writer::Refused(error.clone());
        Err(error)
    }

    /// Those of which it makes one free where it has to make room.
    fn slots(&self) -> &Slots {
        if self.writer.commands().is_some() { self.spool.files() } else { self.spool.begun() }
    }

    fn stalled(&self) -> Error {
        let message =
            format!("fewer than {UPLOAD_BYTES_MIN} bytes came within {:?}", self.idle_timeout);
        Error::new(Code::BodyTimeout, message)
    }
}

fn writer_gone() -> Error {
    Error::internal("the writer of an upload stopped")
}

/// A body that was checked, and is on disk unless it is small. Dropping it removes it again.
#[derive(Debug)]
pub struct Received {
    /// What the receipt says of it.
    pub payload: Payload,
    content: Content,
    spool: Spool,
    /// Held as long as the upload is on its way.
    _slot: Slot,
}

impl Received {
    /// Makes it the payload of that job: durably in a file, or, where it is small, the bytes that belong
    /// into the journal. Keeping and committing the job belong into one
    /// task that a lost connection doesn't drop: a payload without a job stays until the next
    /// start.
    ///
    /// # Errors
    /// `Internal` where the file or its directory could not be written, or the body is longer than what
    /// was to be kept; nothing is kept then.
    pub async fn keep(self, id: JobId) -> Result<Option<Bytes>, Error> {
        let draft = match self.content {
            Content::Memory(bytes) => return Ok(Some(bytes)),
            Content::File(draft) => draft,
            Content::Nowhere => {
                return Err(Error::internal("a body that was only hashed was kept"));
            }
        };
        let target = self.spool.path(id);
        tokio::task::spawn_blocking(move || draft.publish(&target))
            .await
            .map_err(|e| Error::internal(format_args!("spool: {e}")))?
            .map_err(|e| writer::disk(&e))?;
        Ok(None)
    }
}
