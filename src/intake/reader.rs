//! The thread that reads a payload and hands its text over in blocks.
//!
//! A fixed number of blocks goes round: filled ones to the consumer, empty ones back.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Take},
    path::Path,
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
    path: &Path,
    media: MediaType,
    limits: TextLimits,
    go_on: impl Fn() -> bool,
) -> Result<(), Failure> {
    if media != MediaType::Zip {
        return Ok(());
    }
    let file = File::open(path).map_err(|e| io_failure(&e))?;
    let mut text = ZipText::new(file, Some(limits))?;
    if !text.entry.exceeds_ratio(text.entry.inflated_length, PLAIN_RATIO_MAX) {
        return Ok(());
    }
    let mut block = Vec::with_capacity(TEXT_BLOCK_BYTES);
    while go_on() {
        block.clear();
        text.fill(&mut block)?;
        if block.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Blocks of text in order. Dropping them ends the thread.
#[derive(Debug)]
pub(super) struct Blocks {
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
        path: &Path,
        media: MediaType,
        limits: Option<TextLimits>,
    ) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|e| io_failure(&e))?;
        let source = match media {
            MediaType::Text => Source::Text(file),
            MediaType::Zip => Source::Zip(Box::new(ZipText::new(file, limits)?)),
        };
        Self::start(source).map_err(|e| io_failure(&e))
    }

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

    /// The next block in exchange for one that is done; an empty one at the end of the text.
    pub(super) fn next(&mut self, done: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let gone = || Failure::new(Code::JobIo, "the thread that reads the payload stopped");
        let channels = self.channels.as_ref().ok_or_else(gone)?;
        if done.capacity() > 0 {
            // Fails only once the thread has ended, after which no block is needed.
            drop(channels.empty.try_send(done));
        }
        channels.filled.recv().map_err(|_| gone())?
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // The thread meets a closed channel after at most one more block.
        self.channels = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

enum Source {
    Text(File),
    Zip(Box<ZipText>),
}

impl Source {
    /// Fills an empty block; leaves it empty at the end.
    fn fill(&mut self, block: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Text(file) => read_block(file, block),
            Self::Zip(text) => text.fill(block),
        }
    }
}

/// The text of a zip's entry, held against what the directory says of it.
struct ZipText {
    entry: Entry,
    limits: Option<TextLimits>,
    data: BufReader<Take<File>>,
    /// None where the entry is stored.
    inflate: Option<Decompress>,
    ended: bool,
    inflated: u64,
    crc: crc32fast::Hasher,
}

impl ZipText {
    fn new(mut file: File, limits: Option<TextLimits>) -> Result<Self, Failure> {
        let entry = archive::inspect(&file).map_err(|defect| match defect {
            Defect::Refused(error) => damaged(error.message),
            Defect::Io(cause) => io_failure(&cause),
        })?;
        file.seek(SeekFrom::Start(entry.data_start)).map_err(|e| io_failure(&e))?;
        let data = file.take(entry.compressed_length);
        Ok(Self {
            entry,
            limits,
            data: BufReader::with_capacity(INFLATE_INPUT_BYTES, data),
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
