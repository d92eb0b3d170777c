//! The thread that reads a payload and hands its text over in blocks.
//!
//! A fixed number of blocks goes round: filled ones to the consumer, empty ones back.

use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom, Take},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use flate2::{Decompress, FlushDecompress, Status};

use super::archive::{self, Defect, Entry};
use crate::{
    domain::{Failure, MediaType},
    error::Code,
    limits::{INFLATE_INPUT_BYTES, PLAIN_RATIO_MAX, TEXT_BLOCK_BYTES, TEXT_QUEUE_BLOCKS},
};

/// Where the bytes of a payload are.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// In a file, which is read on a thread of its own.
    File(&'a Path),
    /// In memory, as small ones are; no thread is needed for them.
    Memory(&'a [u8]),
}

impl<'a> From<&'a Path> for Stored<'a> {
    fn from(path: &'a Path) -> Self {
        Self::File(path)
    }
}

impl<'a> From<&'a PathBuf> for Stored<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self::File(path)
    }
}

/// Bounds that are held while a text is read for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLimits {
    /// Bytes that a zip entry may inflate to.
    pub max_inflated_bytes: u64,
    /// How many times its compressed size a zip entry may inflate to.
    pub max_ratio: u64,
    /// Bytes of one line, without its newline.
    pub max_line_bytes: usize,
}

/// Inflates a zip entry that announces unusually much for its size once without looking at its lines, as
/// long as `go_on` says so: to check a line costs many times what it costs to inflate it, and whether the
/// entry is what it announces shows only behind its last line. Any other payload is not read.
///
/// # Errors
/// Those of [`super::Lines::next`], but for the length of lines.
pub fn probe(
    payload: Stored<'_>,
    media: MediaType,
    limits: TextLimits,
    go_on: impl Fn() -> bool,
) -> Result<(), Failure> {
    let mut source = Source::open(payload, media, Some(limits))?;
    let Source::Zip(text) = &source else { return Ok(()) };
    if !text.entry.exceeds_ratio(text.entry.inflated_length, PLAIN_RATIO_MAX) {
        return Ok(());
    }
    let mut block = Vec::with_capacity(TEXT_BLOCK_BYTES);
    while go_on() {
        block.clear();
        source.fill(&mut block)?;
        if block.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Blocks of text in order.
pub(super) enum Blocks {
    /// Read ahead on a thread.
    Threaded(Threaded),
    /// Read when asked for.
    Direct(Source),
}

/// The thread that reads ahead. Dropping this ends it.
#[derive(Debug)]
pub(super) struct Threaded {
    channels: Option<Channels>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Channels {
    filled: Receiver<Message>,
    empty: SyncSender<Vec<u8>>,
}

/// An empty block is the end of the text.
type Message = Result<Vec<u8>, Failure>;

impl Blocks {
    /// Opens a payload and starts to read it.
    pub(super) fn open(
        payload: Stored<'_>,
        media: MediaType,
        limits: Option<TextLimits>,
    ) -> Result<Self, Failure> {
        let source = Source::open(payload, media, limits)?;
        match payload {
            Stored::File(_) => {
                Threaded::start(source).map(Self::Threaded).map_err(|e| io_failure(&e))
            }
            Stored::Memory(_) => Ok(Self::Direct(source)),
        }
    }

    /// The next block in exchange for one that is done; an empty one at the end of the text.
    pub(super) fn next(&mut self, mut done: Vec<u8>) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Threaded(thread) => thread.next(done),
            Self::Direct(source) => {
                done.clear();
                // As large as for a file, so that a damaged one is found to be damaged in the same way.
                if matches!(source, Source::Zip(_)) {
                    done.reserve_exact(TEXT_BLOCK_BYTES);
                }
                source.fill(&mut done)?;
                Ok(done)
            }
        }
    }
}

impl Threaded {
    fn start(mut source: Source) -> std::io::Result<Self> {
        // Room for every block there is, so that neither side ever waits to send.
        let (filled_in, filled) = sync_channel::<Message>(TEXT_QUEUE_BLOCKS);
        let (empty, empty_out) = sync_channel(TEXT_QUEUE_BLOCKS);
        for _ in 0..TEXT_QUEUE_BLOCKS {
            drop(empty.try_send(Vec::new()));
        }
        let thread =
            std::thread::Builder::new().name("text-reader".to_owned()).spawn(move || {
                while let Ok(mut block) = empty_out.recv() {
                    block.clear();
                    block.reserve_exact(TEXT_BLOCK_BYTES);
                    let message = source.fill(&mut block).map(|()| block);
                    let last = message.as_ref().map_or(true, Vec::is_empty);
                    if filled_in.send(message).is_err() || last {
                        break;
                    }
                }
            })?;
        Ok(Self { channels: Some(Channels { filled, empty }), thread: Some(thread) })
    }

    fn next(&mut self, done: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let gone = || Failure::new(Code::JobIo, "the thread that reads the payload stopped");
        let channels = self.channels.as_ref().ok_or_else(gone)?;
        if done.capacity() > 0 {
            // Fails only once the thread has ended, after which no block is needed.
            drop(channels.empty.try_send(done));
        }
        channels.filled.recv().map_err(|_| gone())?
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        // The thread meets a closed channel after at most one more block.
        self.channels = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

pub(super) enum Source {
    Text(Input),
    Zip(Box<ZipText>),
}

/// Bytes of a payload.
pub(super) enum Input {
    File(File),
    Memory(Cursor<Vec<u8>>),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Memory(bytes) => bytes.seek(to),
        }
    }
}

impl Source {
    fn open(
        payload: Stored<'_>,
        media: MediaType,
        limits: Option<TextLimits>,
    ) -> Result<Self, Failure> {
        let path = match payload {
            Stored::File(path) => path,
            Stored::Memory(bytes) => return Self::memory(bytes, media, limits),
        };
        let file = File::open(path).map_err(|e| io_failure(&e))?;
        Ok(match media {
            MediaType::Text => Self::Text(Input::File(file)),
            MediaType::Zip => {
                let entry = inspect(&file)?;
                Self::Zip(Box::new(ZipText::new(Input::File(file), entry, limits)?))
            }
        })
    }

    fn memory(bytes: &[u8], media: MediaType, limits: Option<TextLimits>) -> Result<Self, Failure> {
        let input = Input::Memory(Cursor::new(bytes.to_vec()));
        Ok(match media {
            MediaType::Text => Self::Text(input),
            MediaType::Zip => Self::Zip(Box::new(ZipText::new(input, inspect(bytes)?, limits)?)),
        })
    }

    /// Fills an empty block; leaves it empty at the end.
    fn fill(&mut self, block: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Text(input) => read_block(input, block),
            Self::Zip(text) => text.fill(block),
        }
    }
}

/// The text of a zip's entry, held against what the directory says of it.
pub(super) struct ZipText {
    entry: Entry,
    limits: Option<TextLimits>,
    data: BufReader<Take<Input>>,
    /// None where the entry is stored.
    inflate: Option<Decompress>,
    ended: bool,
    inflated: u64,
    crc: crc32fast::Hasher,
}

impl ZipText {
    fn new(mut input: Input, entry: Entry, limits: Option<TextLimits>) -> Result<Self, Failure> {
        input.seek(SeekFrom::Start(entry.data_start)).map_err(|e| io_failure(&e))?;
        // A small one needs no large buffer.
        let buffer = INFLATE_INPUT_BYTES
            .min(usize::try_from(entry.compressed_length).unwrap_or(usize::MAX))
            .max(1);
        let data = input.take(entry.compressed_length);
        Ok(Self {
            entry,
            limits,
            data: BufReader::with_capacity(buffer, data),
            inflate: (!entry.stored).then(|| Decompress::new(false)),
            ended: false,
            inflated: 0,
            crc: crc32fast::Hasher::new(),
        })
    }

    fn fill(&mut self, block: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.inflate {
            None => read_block(&mut self.data, block)?,
            Some(inflate) if !self.ended => {
                self.ended = inflate_block(inflate, &mut self.data, block)?;
            }
            Some(_) => {}
        }
        self.inflated = self.inflated.saturating_add(block.len() as u64);
        self.crc.update(block);
        self.check_bounds()?;
        if block.is_empty() { self.check_end() } else { Ok(()) }
    }

    fn check_bounds(&self) -> Result<(), Failure> {
        if let Some(limits) = &self.limits {
            if self.inflated > limits.max_inflated_bytes {
                let message = format!(
                    "the zip entry inflates to more than {} bytes",
                    limits.max_inflated_bytes
                );
                return Err(Failure::new(Code::FileTooLarge, message));
            }
            if self.entry.exceeds_ratio(self.inflated, limits.max_ratio) {
                let message = format!(
                    "the zip entry inflates to more than {} times its size",
                    limits.max_ratio
                );
                return Err(Failure::new(Code::FileRatio, message));
            }
        }
        let announced = self.entry.inflated_length;
        if self.inflated > announced {
            return Err(damaged(format!(
                "the zip entry is longer than the {announced} bytes announced"
            )));
        }
        Ok(())
    }

    fn check_end(&mut self) -> Result<(), Failure> {
        let rest = self.data.fill_buf().map_err(|e| io_failure(&e))?;
        if !rest.is_empty() {
            return Err(damaged("bytes follow the deflate stream inside the zip entry"));
        }
        let announced = self.entry.inflated_length;
        if self.inflated != announced {
            let message =
                format!("the zip entry has {} bytes, not {announced} as announced", self.inflated);
            return Err(damaged(message));
        }
        if self.crc.clone().finalize() != self.entry.crc32 {
            return Err(damaged("the checksum of the zip entry is wrong"));
        }
        Ok(())
    }
}

fn inspect<'a>(zip: impl Into<archive::Bytes<'a>>) -> Result<Entry, Failure> {
    archive::inspect(zip).map_err(|defect| match defect {
        Defect::Refused(error) => damaged(error.message),
        Defect::Io(cause) => io_failure(&cause),
    })
}

/// Fills the block up to the bound; shorter only at the end.
fn read_block(data: impl Read, block: &mut Vec<u8>) -> Result<(), Failure> {
    data.take(TEXT_BLOCK_BYTES as u64).read_to_end(block).map_err(|e| io_failure(&e))?;
    Ok(())
}

/// Fills the block; returns whether the deflate stream has ended.
fn inflate_block(
    inflate: &mut Decompress,
    data: &mut impl BufRead,
    block: &mut Vec<u8>,
) -> Result<bool, Failure> {
    while block.len() < block.capacity() {
        let input = data.fill_buf().map_err(|e| io_failure(&e))?;
        let at_end = input.is_empty();
        let (before, length) = (inflate.total_in(), block.len());
        let status = inflate
            .decompress_vec(input, block, FlushDecompress::None)
            .map_err(|_| damaged("the deflate stream of the zip entry is damaged"))?;
        let used = usize::try_from(inflate.total_in() - before).unwrap_or_default();
        data.consume(used);
        if status == Status::StreamEnd {
            return Ok(true);
        }
        if used == 0 && block.len() == length {
            let what = if at_end { "cut short" } else { "damaged" };
            return Err(damaged(format!("the deflate stream of the zip entry is {what}")));
        }
    }
    Ok(false)
}

fn damaged(message: impl Into<String>) -> Failure {
    Failure::new(Code::FileDamaged, message)
}

fn io_failure(cause: &std::io::Error) -> Failure {
    Failure::new(Code::JobIo, format!("the payload could not be read: {cause}"))
}
