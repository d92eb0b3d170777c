//! The lines of the log: JSON objects that end with the hash of the line before and their own.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{entry::Entry, verify::Broken};
use crate::{clock, limits::AUDIT_LINE_BYTES_MAX};

/// What stands between a line's hashed bytes and their hash.
const SEAL: &str = ",\"hash\":\"";
/// What stands behind it.
const END: &str = "\"}";
/// Hexadecimal digits of a hash.
const HASH_CHARS: usize = 64;
const SUFFIX: &str = ".log";

/// Where the chain stands: the newest entry's number and hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) seq: u64,
    pub(super) hash: String,
    /// The newest submit that the log knows of; `None` before the first start over a journal has ended.
    pub(super) order: Option<u64>,
}

impl Tip {
    /// Before the first entry.
    pub(super) fn origin() -> Self {
        Self { seq: 0, hash: "0".repeat(HASH_CHARS), order: None }
    }
}

/// What every line has.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    pub(super) seq: u64,
    pub(super) time: jiff::Timestamp,
    pub(super) kind: String,
    pub(super) segment: Option<u64>,
    order: Option<u64>,
    prev: String,
}

#[derive(Serialize)]
struct Written<'a> {
    seq: u64,
    time: String,
    #[serde(flatten)]
    entry: &'a Entry,
    prev: &'a str,
}

/// The next line of the chain, with its end, and where the chain stands then.
pub(super) fn next(tip: &Tip, entry: &Entry, time_us: i64) -> io::Result<(String, Tip)> {
    let seq = tip.seq + 1;
    let written = Written { seq, time: clock::rfc3339(time_us), entry, prev: &tip.hash };
    let mut line = serde_json::to_string(&written)?;
    // The hash covers all before itself.
    line.pop();
    let hash = hex::encode(Sha256::digest(&line));
    line.extend([SEAL, &hash, END, "\n"]);
    Ok((line, Tip { seq, hash, order: entry.order.or(tip.order) }))
}

/// Reads a line without its end, as the next of the chain. `tip` is `None` where the line before is not kept.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(line: &[u8], tip: Option<&Tip>) -> Result<(Stored, Tip), &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "it is no text")?;
    let sealed = line.strip_suffix(END).and_then(|rest| {
        let at = rest.len().checked_sub(HASH_CHARS)?;
        let (body, hash) = (rest.get(..at)?, rest.get(at..)?);
        Some((body.strip_suffix(SEAL)?, hash))
    });
    let (body, hash) = sealed.ok_or("it does not end with its hash")?;
    if hex::encode(Sha256::digest(body)) != hash {
        return Err("its hash is that of other bytes");
    }
    let read: Stored = serde_json::from_str(line).map_err(|_| "it is no entry")?;
    if let Some(tip) = tip {
        if read.prev != tip.hash {
            return Err("it does not follow the entry before it");
        }
        if read.seq != tip.seq + 1 {
            return Err("its number does not follow");
        }
    }
    let order = read.order.or(tip.and_then(|tip| tip.order));
    let tip = Tip { seq: read.seq, hash: hash.to_owned(), order };
    Ok((read, tip))
}

/// What is left at the end of a segment.
pub(super) struct Ended {
    pub(super) tip: Tip,
    /// Bytes of whole lines.
    pub(super) bytes: u64,
    /// Bytes behind the last whole line.
    pub(super) unfinished: u64,
}

/// Reads a segment, line by line; `visit` gets each with its text. `None` where it has no whole line.
pub(super) fn read_segment(
    path: &Path,
    number: u64,
    tip: Option<&Tip>,
    visit: &mut dyn FnMut(&Stored, &Tip, &[u8]),
) -> Result<Option<Ended>, Broken> {
    let broken = |line: u64, what: &str| Broken::new(path, line, what);
    let failed = |line: u64, e: &io::Error| Broken::new(path, line, &format!("cannot read: {e}"));
    let mut file = BufReader::new(fs::File::open(path).map_err(|e| failed(0, &e))?);
    let mut tip = tip.cloned();
    let (mut bytes, mut count, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let mut bounded = (&mut file).take(AUDIT_LINE_BYTES_MAX);
        let length =
            bounded.read_until(b'\n', &mut line).map_err(|e| failed(count + 1, &e))? as u64;
        if line.pop_if(|last| *last == b'\n').is_none() {
            let rest = io::copy(&mut file, &mut Lines);
            let rest = rest.map_err(|e| failed(count + 1, &e))?;
            let unfinished = length + rest;
            return Ok(tip.filter(|_| count > 0).map(|tip| Ended { tip, bytes, unfinished }));
        }
        count += 1;
        bytes += length;
        let (entry, next) = read(&line, tip.as_ref()).map_err(|what| broken(count, what))?;
        let begins = entry.kind == super::Kind::Segment.as_str();
        if begins != (count == 1) || (begins && entry.segment != Some(number)) {
            return Err(broken(count, "segment and entry do not belong together"));
        }
        visit(&entry, &next, &line);
        tip = Some(next);
    }
}

/// Takes what follows a line that has no end; a further line among it means that one is broken.
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.contains(&b'\n') {
            return Err(io::Error::other("a line is too long"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file of a segment.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}{SUFFIX}"))
}

/// The numbers of the segments that are there, in order. Other files are not looked at.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        numbers.extend(number.filter(|number| path(dir, *number).file_name() == Some(&name)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
