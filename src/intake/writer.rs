//! The thread that writes one upload: decodes, bounds, hashes, writes, and inspects at the end.
//!
//! One thread for each upload, so that a slow disk or a slow sender holds nobody else up; there
//! are at most `intake.uploads_max`.

use std::{fs::File, io::Write, path::PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::{
    Encoding,
    archive::{self, Defect},
    draft::{Draft, Slot},
    encoding::Decoder,
    upload::Expected,
};
use crate::{
    config,
    domain::{MediaType, Payload},
    error::{Code, Error},
    limits::{ENCODED_GROWTH_MAX, SPOOL_QUEUE_CHUNKS},
};

/// What the thread is told. Where the channel closes without `Finish`, the upload is given up.
pub(super) enum Command {
    Chunk(Bytes),
    Finish(Expected),
}

/// What one upload is.
pub(super) struct Order {
    pub path: PathBuf,
    pub slot: Slot,
    pub media: MediaType,
    pub encoding: Encoding,
    pub config: config::Intake,
    pub meter: Meter,
    pub keep_max: u64,
}

/// Is told how many decoded bytes come next, before they are written; its refusal ends the upload.
pub type Meter = Box<dyn FnMut(u64) -> Result<(), Error> + Send>;

/// A finished body, with its file where it is kept, or why it was refused.
pub(super) type Reply = Result<(Payload, Option<Draft>), Error>;

/// Starts the thread.
pub(super) fn start(
    order: Order,
) -> Result<(mpsc::Sender<Command>, oneshot::Receiver<Reply>), Error> {
    let (commands, inbox) = mpsc::channel(SPOOL_QUEUE_CHUNKS);
    let (answer, reply) = oneshot::channel();
    std::thread::Builder::new()
        .name("spool-writer".to_owned())
        .spawn(move || {
            if let Some(result) = run(order, inbox).transpose() {
                // Nobody waits any more where the upload was dropped; the draft then goes too.
                drop(answer.send(result));
            }
        })
        .map_err(|e| Error::internal(format_args!("no thread for an upload: {e}")))?;
    Ok((commands, reply))
}

/// A body that is as long as the bound, or longer.
pub(super) fn too_large(max_body_bytes: u64) -> Error {
    Error::new(Code::BodyTooLarge, format!("the body has {max_body_bytes} bytes or more"))
}

/// Writes until told to finish; `None` where the upload was given up.
fn run(
    order: Order,
    mut inbox: mpsc::Receiver<Command>,
) -> Result<Option<(Payload, Option<Draft>)>, Error> {
    let (draft, file) = Draft::create(order.path, order.slot).map_err(|e| disk(&e))?;
    let mut body = Body {
        decoder: Decoder::new(order.encoding),
        sent: 0,
        sink: Sink {
            file,
            hash: Sha256::new(),
            length: 0,
            max_body_bytes: order.config.max_body_bytes,
            meter: order.meter,
            keep_max: order.keep_max,
        },
    };
    while let Some(command) = inbox.blocking_recv() {
        match command {
            Command::Chunk(chunk) => body.push(&chunk)?,
            Command::Finish(expected) => {
                let payload = body.finish(order.media, &expected, &order.config)?;
                let draft = (payload.length <= order.keep_max).then_some(draft);
                return Ok(Some((payload, draft)));
            }
        }
    }
    Ok(None)
}

struct Body {
    decoder: Decoder,
    /// Bytes before decoding.
    sent: u64,
    sink: Sink,
}

impl Body {
    fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.sent = self.sent.saturating_add(chunk.len() as u64);
        // Empty gzip members decode to nothing, for ever.
        let max = self.sink.max_body_bytes;
        if self.sent > max.saturating_mul(ENCODED_GROWTH_MAX) {
            return Err(too_large(max));
        }
        let sink = &mut self.sink;
        self.decoder.push(chunk, |bytes| sink.take(bytes))
    }

    fn finish(
        self,
        media: MediaType,
        expected: &Expected,
        config: &config::Intake,
    ) -> Result<Payload, Error> {
        self.decoder.end()?;
        let Sink { file, hash, length, keep_max, .. } = self.sink;
        let sha256: [u8; 32] = hash.finalize().into();
        if length == 0 {
            return Err(Error::new(Code::BodyEmpty, "the body is empty"));
        }
        if let Some(announced) = expected.length
            && announced != length
        {
            let message = format!("{announced} bytes were announced, {length} came");
            return Err(Error::new(Code::BodyLength, message));
        }
        if expected.sha256.is_some_and(|announced| announced != sha256) {
            return Err(Error::new(
                Code::BodyDigest,
                "the body does not have the announced digest",
            ));
        }
        if length <= keep_max {
            inspect(&file, media, config)?;
            file.sync_data().map_err(|e| disk(&e))?;
        }
        Ok(Payload { media_type: media, length, sha256 })
    }
}

/// Where decoded bytes go.
struct Sink {
    file: File,
    hash: Sha256,
    length: u64,
    max_body_bytes: u64,
    meter: Meter,
    /// What comes behind so many bytes is hashed alone.
    keep_max: u64,
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if self.length >= self.max_body_bytes {
            return Err(too_large(self.max_body_bytes));
        }
        (self.meter)(bytes.len() as u64)?;
        self.hash.update(bytes);
        if self.length > self.keep_max {
            return Ok(());
        }
        self.file.write_all(bytes).map_err(|e| disk(&e))
    }
}

/// Holds the body against its media type.
fn inspect(file: &File, media: MediaType, config: &config::Intake) -> Result<(), Error> {
    let verdict = match media {
        MediaType::Zip => archive::inspect(file).and_then(|entry| {
            entry.check_announced(config.max_inflated_bytes, config.max_ratio)?;
            Ok(())
        }),
        MediaType::Text => archive::refuse_zip(file),
    };
    verdict.map_err(|defect| match defect {
        Defect::Refused(error) => error,
        Defect::Io(cause) => disk(&cause),
    })
}

/// A file of the spool could not be written or read.
pub(super) fn disk(cause: &std::io::Error) -> Error {
    Error::internal(format_args!("spool: {cause}"))
}
