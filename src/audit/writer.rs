//! The one who writes: appends, rotates, purges.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Error,
    chain::{self, Ended, Stored, Tip},
    entry::{Entry, Kind},
    sync_folder,
    verify::Broken,
};
use crate::{
    clock, config,
    failpoint::{Point, hit},
    limits::{AUDIT_GROUP_MAX, AUDIT_LINE_BYTES_MAX},
};

/// Format of the lines; a segment names it.
const FORMAT: u64 = 1;
/// Microseconds of the log that one day removes at most: two days.
const PURGE_US: i64 = 2 * 24 * 3_600 * 1_000_000;
/// Bytes that are written together at most.
const GROUP_BYTES_MAX: u64 = AUDIT_GROUP_MAX as u64 * AUDIT_LINE_BYTES_MAX;

/// The last entry of a segment that is sound, and the bytes up to its end.
struct Sound {
    tip: Tip,
    bytes: u64,
    time: jiff::Timestamp,
}

/// The newest segment, and where the chain stands.
pub(super) struct Writer {
    dir: PathBuf,
    segment_bytes: u64,
    keep: Duration,
    file: File,
    number: u64,
    bytes: u64,
    /// When its segment began.
    began_us: i64,
    tip: Tip,
}

impl Writer {
    /// Opens the log of that folder, or makes one. The newest segment is verified; an unfinished entry at its
    /// end is cut off, which an entry then tells. Blocks.
    ///
    /// # Errors
    /// Where it does not hold together, or cannot be read or written.
    pub(super) fn open(dir: &Path, config: &config::Audit, now_us: i64) -> Result<Self, Error> {
        if !dir.is_dir() {
            fs::create_dir(dir)?;
            if let Some(parent) = dir.parent() {
                sync_folder(parent)?;
            }
        }
        let numbers = chain::segments(dir)?;
        let gap = numbers.iter().zip(numbers.iter().skip(1)).find(|(a, b)| *a + 1 != **b);
        if let Some((_, after)) = gap {
            return Err(
                Broken::new(&chain::path(dir, *after), 0, "the one before it is missing").into()
            );
        }
        let mut numbers = numbers.into_iter().rev();
        let number = numbers.next().unwrap_or(1);
        let before = match numbers.next() {
            Some(before) => Some(last_tip(&chain::path(dir, before))?),
            None => (number == 1).then(Tip::origin),
        };
        let path = chain::path(dir, number);
        let mut began_us = now_us;
        let mut sound: Option<Sound> = None;
        let mut each = |stored: &Stored, tip: &Tip, line: &[u8]| {
            if stored.kind == Kind::Segment.as_str() {
                began_us = stored.time.as_microsecond();
            }
            let before = sound.as_ref().map_or(0, |sound| sound.bytes);
            let bytes = before + line.len() as u64 + 1;
            sound = Some(Sound { tip: tip.clone(), bytes, time: stored.time });
        };
        let ended = if path.exists() {
            match chain::read_segment(&path, number, before.as_ref(), &mut each) {
                Ok(ended) => ended,
                Err(broken) => Some(torn(&path, sound, broken)?),
            }
        } else {
            None
        };
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        let Some(ended) = ended else {
            let mut tip = before.ok_or_else(|| Broken::new(&path, 0, "it has no entry"))?;
            if number > 1 {
                // Its last line alone does not tell of the newest submit.
                let path = chain::path(dir, number - 1);
                let whole = chain::read_segment(&path, number - 1, None, &mut |_, _, _| ())?;
                tip.order = whole.and_then(|ended| ended.tip.order);
            }
            let mut writer = Self::on(dir, config, file, number, now_us, tip);
            writer.file.set_len(0)?;
            writer.begin(now_us)?;
            return Ok(writer);
        };
        let mut writer = Self::on(dir, config, file, number, began_us, ended.tip);
        writer.bytes = ended.bytes;
        writer.file.set_len(ended.bytes)?;
        // What is chained to must be there.
        writer.file.sync_data()?;
        writer.file.seek(SeekFrom::Start(ended.bytes))?;
        if ended.unfinished > 0 {
            let cut = Entry { bytes: Some(ended.unfinished), ..Entry::new(Kind::Cut) };
            writer.append(&[cut], now_us)?;
        }
        Ok(writer)
    }

    fn on(
        dir: &Path,
        config: &config::Audit,
        file: File,
        number: u64,
        began_us: i64,
        tip: Tip,
    ) -> Self {
        let (segment_bytes, keep) = (config.segment_bytes, config.keep);
        Self { dir: dir.to_owned(), segment_bytes, keep, file, number, bytes: 0, began_us, tip }
    }

    /// Where the chain stands.
    pub(super) fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Appends; the entries are durable when this returns. Blocks.
    ///
    /// # Errors
    /// When they could not be; how much of them is stored is not known then.
    pub(super) fn append(&mut self, entries: &[Entry], now_us: i64) -> io::Result<()> {
        let day = clock::utc_day(now_us) != clock::utc_day(self.began_us);
        if day || self.bytes >= self.segment_bytes {
            self.rotate(now_us)?;
        }
        if day {
            self.purge(now_us)?;
        }
        self.write(entries, now_us)
    }

    fn write(&mut self, entries: &[Entry], now_us: i64) -> io::Result<()> {
        let (mut lines, mut tip) = (String::new(), self.tip.clone());
        for entry in entries {
            let (line, next) = chain::next(&tip, entry, now_us)?;
            lines.push_str(&line);
            tip = next;
        }
        self.file.write_all(lines.as_bytes())?;
        hit(Point::AuditWritten);
        self.file.sync_data()?;
        hit(Point::AuditSynced);
        self.bytes += lines.len() as u64;
        self.tip = tip;
        Ok(())
    }

    fn rotate(&mut self, now_us: i64) -> io::Result<()> {
        self.number += 1;
        let path = chain::path(&self.dir, self.number);
        self.file = File::options().create_new(true).write(true).open(path)?;
        (self.bytes, self.began_us) = (0, now_us);
        self.begin(now_us)
    }

    /// The first entry of a segment.
    fn begin(&mut self, now_us: i64) -> io::Result<()> {
        let (segment, format) = (Some(self.number), Some(FORMAT));
        let order = self.tip.order;
        let begins = Entry { segment, count: format, order, ..Entry::new(Kind::Segment) };
        self.write(&[begins], now_us)?;
        sync_folder(&self.dir)
    }

    /// Removes the segments that are due. One that cannot be read or removed stays, with all behind it: no reason
    /// to stop. A write that fails is one.
    fn purge(&mut self, now_us: i64) -> io::Result<()> {
        let told = |error: &io::Error| {
            tracing::error!(%error, "old segments of the audit log cannot be removed");
        };
        let due = self.due(now_us).inspect_err(told).unwrap_or_default();
        let Some(last) = due.last() else { return Ok(()) };
        let (segment, count) = (Some(*last), Some(due.len() as u64));
        self.write(&[Entry { segment, count, ..Entry::new(Kind::Purge) }], now_us)?;
        let mut removed = due.iter().map(|number| fs::remove_file(chain::path(&self.dir, *number)));
        // Not one behind one that stays: that would be a gap.
        if let Some(Err(error)) = removed.find(Result::is_err) {
            told(&error);
        }
        sync_folder(&self.dir)
    }

    /// The segments from the oldest on whose entries are all older than `audit.keep`; at a day not more than
    /// `PURGE_US` of the log, so that a clock which is years ahead does not end it.
    fn due(&self, now_us: i64) -> io::Result<Vec<u64>> {
        let keep_us = i64::try_from(self.keep.as_micros()).unwrap_or(i64::MAX);
        let numbers = chain::segments(&self.dir)?;
        let Some(oldest) = numbers.first() else { return Ok(Vec::new()) };
        let oldest_us = began_us(&chain::path(&self.dir, *oldest))?;
        let end_us = now_us.saturating_sub(keep_us).min(oldest_us.saturating_add(PURGE_US));
        let mut due = Vec::new();
        for (number, after) in numbers.iter().zip(numbers.iter().skip(1)) {
            if began_us(&chain::path(&self.dir, *after))? >= end_us {
                break;
            }
            due.push(*number);
        }
        Ok(due)
    }
}

/// Where a power loss kept some of the last group's bytes and not others, they end like an unfinished entry: nobody was
/// told of any of them. All of one group have one time; whatever else is wrong is no such loss.
fn torn(path: &Path, sound: Option<Sound>, broken: Broken) -> Result<Ended, Error> {
    let Some(sound) = sound else { return Err(broken.into()) };
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(sound.bytes))?;
    let mut rest = Vec::new();
    file.take(GROUP_BYTES_MAX + 1).read_to_end(&mut rest)?;
    let lines = rest.split(|byte| *byte == b'\n');
    let mut times =
        lines.filter_map(|line| Some(serde_json::from_slice::<Stored>(line).ok()?.time));
    let first: Option<jiff::Timestamp> = times.next();
    let is_one = first.is_none_or(|first| first >= sound.time && times.all(|time| time == first));
    if rest.len() as u64 > GROUP_BYTES_MAX || !is_one {
        return Err(broken.into());
    }
    Ok(Ended { tip: sound.tip, bytes: sound.bytes, unfinished: rest.len() as u64 })
}

/// When a segment began.
fn began_us(path: &Path) -> io::Result<i64> {
    let mut head = Vec::new();
    File::open(path)?.take(AUDIT_LINE_BYTES_MAX).read_to_end(&mut head)?;
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (stored, _) = chain::read(line, None).map_err(io::Error::other)?;
    Ok(stored.time.as_microsecond())
}

/// Where the chain stood at the end of a segment, from its last line.
fn last_tip(path: &Path) -> Result<Tip, Error> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(AUDIT_LINE_BYTES_MAX)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let broken = |what: &str| Broken::new(path, 0, what);
    let tail = tail.strip_suffix(b"\n").ok_or_else(|| broken("its end is missing"))?;
    let line = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let (_, tip) = chain::read(line, None)
        .map_err(|what| broken(&format!("its last line cannot be read: {what}")))?;
    Ok(tip)
}
