//! Taking one upload: decodes, bounds, hashes, writes, and inspects at the end.
//!
//! A body that stays small is kept in memory, and its bytes are taken where they arrive. For a longer
//! one, and for one that has to be decoded, there is a thread, so that a slow disk or a slow sender
//! holds nobody else up; there are at most `intake.uploads_max`, each with its slot.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::{
    Encoding,
    archive::{self, Defect},
    draft::Draft,
    encoding::Decoder,
    room::Room,
    slots::Slot,
    upload::Expected,
};
use crate::{
    config,
    domain::{MediaType, Payload},
    error::{Code, Error},
    failpoint::{Point, hit},
    limits::{
        ENCODED_GROWTH_MAX, SMALL_PAYLOAD_BYTES_MAX, SMALL_TEXT_BYTES_MAX, SPOOL_QUEUE_CHUNKS,
    },
};

/// What the thread is told. Where the channel closes without `Finish`, the upload is given up.
pub(super) enum Command {
    Chunk(Bytes),
    Finish(Expected),
}

/// What one upload is.
pub(super) struct Order {
    pub path: PathBuf,
    pub room: Arc<Room>,
    pub media: MediaType,
    pub encoding: Encoding,
    pub config: config::Intake,
    pub meter: Meter,
    pub keep_max: u64,
    /// Also a small body gets a file.
    pub to_file: bool,
}

/// Is told how many decoded bytes come next, before they are written; its refusal ends the upload.
pub type Meter = Box<dyn FnMut(u64) -> Result<(), Error> + Send>;

/// Where a finished body is. Dropped, it goes, and the slot of its file with it.
#[derive(Debug)]
pub(super) enum Content {
    /// A small one.
    Memory(Bytes),
    /// In the spool, durably but for its name.
    File(Draft),
    /// Nowhere: it is longer than what was to be kept.
    Nowhere,
}

/// A finished body, or why it was refused.
pub(super) type Reply = Result<(Payload, Content), Error>;

/// Starts the thread, which goes on with what there is of the body.
pub(super) fn start(
    mut body: Body,
    slot: Slot,
) -> Result<(mpsc::Sender<Command>, oneshot::Receiver<Reply>), Error> {
    let (commands, inbox) = mpsc::channel(SPOOL_QUEUE_CHUNKS);
    let (answer, reply) = oneshot::channel();
    body.sink.slot = Some(slot);
    std::thread::Builder::new()
        .name("spool-writer".to_owned())
        .spawn(move || {
            if let Some(result) = run(body, inbox).transpose() {
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
    mut body: Body,
    mut inbox: mpsc::Receiver<Command>,
) -> Result<Option<(Payload, Content)>, Error> {
    while let Some(command) = inbox.blocking_recv() {
        match command {
            Command::Chunk(chunk) => body.push(&chunk)?,
            Command::Finish(expected) => return body.finish(&expected).map(Some),
        }
    }
    Ok(None)
}

/// What came of an upload so far.
pub(super) struct Body {
    media: MediaType,
    encoding: Encoding,
    config: config::Intake,
    decoder: Decoder,
    /// Bytes before decoding.
    sent: u64,
    sink: Sink,
    to_file: bool,
}

impl Body {
    pub(super) fn new(order: Order) -> Self {
        let Order { path, room, media, encoding, config, meter, keep_max, to_file } = order;
        let sink = Sink {
            place: Place::Memory(Vec::new(), path),
            slot: None,
            hash: Sha256::new(),
            length: 0,
            room,
            max_body_bytes: config.max_body_bytes,
            meter,
            keep_max,
        };
        Self { media, encoding, config, decoder: Decoder::new(encoding), sent: 0, sink, to_file }
    }

    /// Whether so many more bytes are taken at once, without a file and without decoding.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.encoding == Encoding::Identity && self.sink.is_short(bytes)
    }

    /// Whether the end needs no file either. A small zip of much text does: its text is not read in
    /// memory.
    pub(super) fn is_small(&self) -> bool {
        let text = self.media == MediaType::Text;
        let small = |bytes: &[u8]| !self.to_file && (text || announces_little(bytes));
        self.sink.memory().is_some_and(|bytes| small(bytes))
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.sent = self.sent.saturating_add(chunk.len() as u64);
        // Empty gzip members decode to nothing, for ever.
        let max = self.sink.max_body_bytes;
        if self.sent > max.saturating_mul(ENCODED_GROWTH_MAX) {
            return Err(too_large(max));
        }
        let sink = &mut self.sink;
        self.decoder.push(chunk, |bytes| sink.take(bytes))
    }

    /// Checks the whole body; one in a file is durable then.
    pub(super) fn finish(mut self, expected: &Expected) -> Reply {
        self.decoder.end()?;
        let Sink { hash, length, keep_max, .. } = &self.sink;
        let (sha256, length) = (<[u8; 32]>::from(hash.clone().finalize()), *length);
        check_expected(expected, length, sha256)?;
        let payload = Payload { media_type: self.media, length, sha256, inline: false };
        if length > *keep_max {
            return Ok((payload, Content::Nowhere));
        }
        self.inspect()?;
        let inline = self.is_small();
        if !inline {
            self.sink.spill().map_err(|e| disk(&e))?;
        }
        let content = match self.sink.place {
            Place::Memory(bytes, _) => Content::Memory(bytes.into()),
            Place::File(file, draft) => {
                file.sync_data().map_err(|e| disk(&e))?;
                hit(Point::UploadSynced);
                Content::File(draft)
            }
            Place::Nowhere => return Err(Error::internal("an upload has lost its file")),
        };
        Ok((Payload { inline, ..payload }, content))
    }

    fn inspect(&self) -> Result<(), Error> {
        match &self.sink.place {
            Place::Memory(bytes, _) => inspect(bytes.as_slice(), self.media, &self.config),
            Place::File(file, _) => inspect(file, self.media, &self.config),
            Place::Nowhere => Ok(()),
        }
    }
}

/// Holds a body against what its sender said of it.
fn check_expected(expected: &Expected, length: u64, sha256: [u8; 32]) -> Result<(), Error> {
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
        return Err(Error::new(Code::BodyDigest, "the body does not have the announced digest"));
    }
    Ok(())
}

/// Where decoded bytes go.
struct Sink {
    place: Place,
    /// For the file; from the start of the thread until there is one.
    slot: Option<Slot>,
    hash: Sha256,
    length: u64,
    room: Arc<Room>,
    max_body_bytes: u64,
    meter: Meter,
    /// What comes behind so many bytes is hashed alone.
    keep_max: u64,
}

enum Place {
    /// While it is small; with the path of the file that it may get.
    Memory(Vec<u8>, PathBuf),
    File(File, Draft),
    /// The file could not be made; the upload is refused.
    Nowhere,
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
        if self.is_short(bytes.len()) {
            return self.write(bytes).map_err(|e| disk(&e));
        }
        self.room.look().map_err(|e| disk(&e))?;
        self.room.check(bytes.len() as u64)?;
        self.write(bytes).map_err(|e| disk(&e))
    }

    /// Whether it stays in memory with so many more bytes.
    fn is_short(&self, more: usize) -> bool {
        self.memory().is_some_and(|here| here.len() + more <= SMALL_PAYLOAD_BYTES_MAX)
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.is_short(bytes.len())
            && let Place::Memory(here, _) = &mut self.place
        {
            here.extend_from_slice(bytes);
            return Ok(());
        }
        self.spill()?;
        match &mut self.place {
            Place::File(file, _) => file.write_all(bytes),
            Place::Memory(..) | Place::Nowhere => Err(std::io::Error::other("there is no file")),
        }
    }

    /// Goes over to a file.
    fn spill(&mut self) -> std::io::Result<()> {
        match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Memory(bytes, path) => {
                let slot = self.slot.take();
                let slot = slot.ok_or_else(|| std::io::Error::other("an upload has no slot"))?;
                let (draft, mut file) = Draft::create(path, slot)?;
                file.write_all(&bytes)?;
                self.place = Place::File(file, draft);
            }
            other => self.place = other,
        }
        Ok(())
    }

    fn memory(&self) -> Option<&Vec<u8>> {
        if let Place::Memory(bytes, _) = &self.place { Some(bytes) } else { None }
    }
}

/// Whether what a zip says of its text is within the bound; that of one which is refused anyway is.
fn announces_little(zip: &[u8]) -> bool {
    archive::inspect(zip).map_or(true, |entry| entry.inflated_length <= SMALL_TEXT_BYTES_MAX)
}

/// Holds the body against its media type.
fn inspect<'a>(
    body: impl Into<archive::Bytes<'a>>,
    media: MediaType,
    config: &config::Intake,
) -> Result<(), Error> {
    let verdict = match media {
        MediaType::Zip => archive::inspect(body).and_then(|entry| {
            entry.check_announced(config.max_inflated_bytes, config.max_ratio)?;
            Ok(())
        }),
        MediaType::Text => archive::refuse_zip(body),
    };
    verdict.map_err(|defect| match defect {
        Defect::Refused(error) => error,
        Defect::Io(cause) => disk(&cause),
    })
}

/// A file of the spool could not be written or read.
pub(super) fn disk(cause: &io::Error) -> Error {
    if matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Error::new(Code::DiskReserve, "the disk is full");
    }
    Error::internal(format_args!("spool: {cause}"))
}
