//! Holds every entry against the one before it. Reads only, also while a daemon writes.

use std::path::Path;

use super::{
    Kind,
    chain::{self, Stored, Tip},
};

/// Where the log does not hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} line {line}: {what}")]
pub struct Broken {
    /// Name of the file.
    pub file: String,
    /// Number of the line, from 1 on; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong there.
    pub what: String,
}

impl Broken {
    pub(super) fn new(path: &Path, line: u64, what: &str) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self { file: name.into_owned(), line, what: what.to_owned() }
    }
}

/// A log that holds together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files.
    pub segments: u64,
    /// Number of the oldest one; above 1 where older ones were purged.
    pub first_segment: u64,
    /// Entries that are kept.
    pub entries: u64,
    /// Time of the first and of the last of them.
    pub times: Option<(jiff::Timestamp, jiff::Timestamp)>,
    /// Number of the newest entry.
    pub seq: u64,
    /// Its hash, which covers all before it.
    pub head: String,
    /// Bytes of an entry that is being written, or that a crash left; the next start cuts them off.
    pub unfinished: u64,
    /// Whether the head that was asked for is among the entries.
    pub has_head: bool,
}

/// Verifies the log in that folder; `visit` gets each line and its time, also those before the place where
/// it is broken. `head` is the hash of an entry that must be there. Blocks.
///
/// # Errors
/// The first place where it does not hold together.
pub fn verify(
    dir: &Path,
    head: Option<&str>,
    visit: &mut dyn FnMut(jiff::Timestamp, &str),
) -> Result<Summary, Broken> {
    let whole = |what: String| Broken::new(dir, 0, &what);
    let numbers = chain::segments(dir).map_err(|e| whole(format!("cannot read: {e}")))?;
    let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else {
        return Err(whole("there is no segment".to_owned()));
    };
    let mut summary = Summary {
        segments: numbers.len() as u64,
        first_segment: first,
        has_head: head.is_none(),
        ..Summary::default()
    };
    // Of what was purged only the last hash is known, from the oldest segment that is kept.
    let mut tip = (first == 1).then(Tip::origin);
    let (mut expected, mut purged) = (first, 0);
    for number in numbers {
        let path = chain::path(dir, number);
        if number != expected {
            let what = format!("segments {expected} to {} are missing before it", number - 1);
            return Err(Broken::new(&path, 0, &what));
        }
        expected += 1;
        let mut each = |stored: &Stored, _: &Tip, line: &[u8]| {
            summary.entries += 1;
            let oldest = summary.times.map_or(stored.time, |(oldest, _)| oldest);
            summary.times = Some((oldest, stored.time));
            if stored.kind == Kind::Purge.as_str() {
                purged = purged.max(stored.segment.unwrap_or(0));
            }
            // Every line was read as text already.
            let text = std::str::from_utf8(line).unwrap_or_default();
            summary.has_head |= head.is_some_and(|head| text.ends_with(&format!("\"{head}\"}}")));
            visit(stored.time, text);
        };
        let ended = chain::read_segment(&path, number, tip.as_ref(), &mut each)?;
        match ended {
            Some(ended) if ended.unfinished == 0 || number == last => {
                summary.unfinished = ended.unfinished;
                tip = Some(ended.tip);
            }
            // The newest may have been made a moment ago.
            None if number == last && tip.is_some() => {}
            _ => return Err(Broken::new(&path, 0, "its end is missing")),
        }
    }
    if first > 1 && purged < first - 1 {
        let path = chain::path(dir, first);
        let what = format!("the segments before it are missing, and only {purged} were purged");
        return Err(Broken::new(&path, 0, &what));
    }
    let tip = tip.unwrap_or_else(Tip::origin);
    (summary.seq, summary.head) = (tip.seq, tip.hash);
    Ok(summary)
}
