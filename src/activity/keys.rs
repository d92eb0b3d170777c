//! The keys file: hash and line of every valid row, in line order, in frames with a checksum.
//!
//! A delete sorts it and never reads the payload again; a create or update reads it beside the payload.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use super::workspace::open_cut;
use crate::records::KeyHash;

/// Hash and line of one row, in the order (hash, line).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyEntry {
    // Two words, as a number of 16 bytes would be padded to twice that.
    high: u64,
    low: u64,
    line: u32,
}

impl KeyEntry {
    /// Bytes of an entry in a file.
    pub const BYTES: usize = 20;

    /// The entry of a row.
    #[must_use]
    pub fn new(key: KeyHash, line: u32) -> Self {
        let (words, _) = key.0.as_chunks::<8>();
        let word = |place: usize| words.get(place).map_or(0, |word| u64::from_be_bytes(*word));
        Self { high: word(0), low: word(1), line }
    }

    /// Hash of the row's key.
    #[must_use]
    pub fn key(&self) -> KeyHash {
        KeyHash(((u128::from(self.high) << 64) | u128::from(self.low)).to_be_bytes())
    }

    /// Line of the row.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; Self::BYTES];
        match from.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(Self::from_bytes(&bytes))),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (mut hash, mut line) = ([0; 16], [0; 4]);
        let (head, tail) = bytes.split_at(hash.len());
        hash.copy_from_slice(head);
        line.copy_from_slice(tail);
        Self::new(KeyHash(hash), u32::from_be_bytes(line))
    }

    pub(super) fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (hash, tail) = bytes.split_at_mut(16);
        hash.copy_from_slice(&self.key().0);
        tail.copy_from_slice(&self.line.to_be_bytes());
        bytes
    }
}

/// Entries of a full frame.
const FRAME_ENTRIES: usize = 8_192;
/// Count and CRC-32 of the entries, both big-endian.
const FRAME_HEAD: usize = 8;

/// Appends to a keys file.
pub struct KeysWriter {
    file: File,
    length: u64,
    frame: Vec<u8>,
}

impl KeysWriter {
    /// Goes on after the first `length` bytes.
    pub fn open(path: &Path, length: u64) -> io::Result<Self> {
        let file = open_cut(path, length)?;
        let frame = Vec::with_capacity(FRAME_HEAD + FRAME_ENTRIES * KeyEntry::BYTES);
        let mut writer = Self { file, length, frame };
        writer.begin();
        Ok(writer)
    }

    pub fn push(&mut self, entry: KeyEntry) -> io::Result<()> {
        self.frame.extend_from_slice(&entry.bytes());
        if self.frame.len() == FRAME_HEAD + FRAME_ENTRIES * KeyEntry::BYTES {
            self.end_frame()?;
        }
        Ok(())
    }

    /// Makes everything durable; returns the length of the file.
    pub fn sync(&mut self) -> io::Result<u64> {
        self.end_frame()?;
        self.file.sync_data()?;
        Ok(self.length)
    }

    fn begin(&mut self) {
        self.frame.clear();
        self.frame.resize(FRAME_HEAD, 0);
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let (head, entries) = self.frame.split_at_mut(FRAME_HEAD);
        if entries.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(entries.len() / KeyEntry::BYTES).map_err(io::Error::other)?;
        let (count_bytes, crc_bytes) = head.split_at_mut(4);
        count_bytes.copy_from_slice(&count.to_be_bytes());
        crc_bytes.copy_from_slice(&crc32fast::hash(entries).to_be_bytes());
        self.file.write_all(&self.frame)?;
        self.length += self.frame.len() as u64;
        self.begin();
        Ok(())
    }
}

/// Reads the first `length` bytes of a keys file.
///
/// # Errors
/// When a frame is not what was written, or the file cannot be read.
pub fn check_keys(path: &Path, length: u64) -> io::Result<()> {
    if length > 0 {
        let mut keys = KeysReader::open(path, length)?;
        while keys.next()?.is_some() {}
    }
    Ok(())
}

/// Reads the first `length` bytes of a keys file.
pub struct KeysReader {
    file: io::Take<BufReader<File>>,
    frame: io::Cursor<Vec<u8>>,
}

impl KeysReader {
    pub fn open(path: &Path, length: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() < length {
            return Err(damaged("it is shorter than it was"));
        }
        let file = BufReader::with_capacity(64 << 10, file).take(length);
        Ok(Self { file, frame: io::Cursor::new(Vec::new()) })
    }

    /// The next entry, in line order.
    pub fn next(&mut self) -> io::Result<Option<KeyEntry>> {
        loop {
            if let Some(entry) = KeyEntry::read(&mut self.frame)? {
                return Ok(Some(entry));
            }
            if !self.read_frame()? {
                return Ok(None);
            }
        }
    }

    /// The entry of that line; lines are asked for in ascending order.
    pub fn find(&mut self, line: u32) -> io::Result<Option<KeyEntry>> {
        while let Some(entry) = self.next()? {
            if entry.line() >= line {
                return Ok(Some(entry).filter(|entry| entry.line() == line));
            }
        }
        Ok(None)
    }

    fn read_frame(&mut self) -> io::Result<bool> {
        if self.file.limit() == 0 {
            return Ok(false);
        }
        let mut number = [0; 4];
        self.file.read_exact(&mut number)?;
        let count = u32::from_be_bytes(number) as usize;
        self.file.read_exact(&mut number)?;
        let crc = u32::from_be_bytes(number);
        if count == 0 || count > FRAME_ENTRIES {
            return Err(damaged("a frame's count is impossible"));
        }
        let entries = self.frame.get_mut();
        entries.resize(count * KeyEntry::BYTES, 0);
        self.file.read_exact(entries)?;
        if crc32fast::hash(entries) != crc {
            return Err(damaged("a frame's checksum is wrong"));
        }
        self.frame.set_position(0);
        Ok(true)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the keys file is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u32) -> KeyEntry {
        KeyEntry::new(KeyHash([u8::try_from(n % 251).unwrap(); 16]), n)
    }

    #[test]
    fn entries_read_back_across_frames_and_resumes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let mut writer = KeysWriter::open(&path, 0).unwrap();
        (1..=10_000).for_each(|n| writer.push(entry(n)).unwrap());
        let durable = writer.sync().unwrap();
        (10_001..=30_000).for_each(|n| writer.push(entry(n)).unwrap());
        drop(writer);
        let mut writer = KeysWriter::open(&path, durable).unwrap();
        (10_001..=10_005).for_each(|n| writer.push(entry(n)).unwrap());
        let durable = writer.sync().unwrap();
        let mut reader = KeysReader::open(&path, durable).unwrap();
        for n in 1..=10_005 {
            let read = reader.next().unwrap().unwrap();
            assert_eq!((read.line(), read.key()), (n, entry(n).key()));
        }
        assert!(reader.next().unwrap().is_none());
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let mut writer = KeysWriter::open(&path, 0).unwrap();
        (1..=100).for_each(|n| writer.push(entry(n)).unwrap());
        let durable = writer.sync().unwrap();
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            let mut reader = KeysReader::open(&path, durable).unwrap();
            let mut read = || -> io::Result<()> {
                while reader.next()?.is_some() {}
                Ok(())
            };
            assert!(read().is_err(), "byte {at}");
        }
    }
}
