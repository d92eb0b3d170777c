//! Clearing away snapshots that sled would stumble over.
//!
//! A kill while sled opens leaves `snap.*.generating`. sled 0.34.7 takes it for its newest snapshot
//! and then refuses to open, for ever; an empty or torn final snapshot does the same. A snapshot only
//! saves time: without one sled reads its whole log.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

const PREFIX: &str = "snap.";
const UNFINISHED: &str = ".generating";
/// What a snapshot that was moved aside is called; sled looks only at names that start with `snap.`.
const ASIDE: &str = "broken-";
/// A snapshot ends with its length (8 bytes) and its CRC-32 (4 bytes, little-endian).
const TRAILER_BYTES: usize = 12;
const CRC_BYTES: usize = 4;
const LSN_DIGITS: usize = 16;

/// Deletes unfinished snapshots. Where a finished one is broken, moves all of them aside: an older
/// one may point at parts of the log that were written anew since.
pub(super) fn clean(sled_dir: &Path) -> io::Result<()> {
    let mut finished = Vec::new();
    for (path, name) in snapshots(sled_dir)? {
        if name.ends_with(UNFINISHED) {
            tracing::warn!(file = name, "deleted a snapshot that a kill left unfinished");
            fs::remove_file(path)?;
        } else {
            let sound = has_known_name(&name) && is_sound(&fs::read(&path)?);
            finished.push((path, name, sound));
        }
    }
    if finished.iter().all(|(_, _, sound)| *sound) {
        return Ok(());
    }
    for (path, name, _) in finished {
        tracing::warn!(file = name, "moved snapshots aside, as one of them is broken");
        fs::rename(path, sled_dir.join(format!("{ASIDE}{name}")))?;
    }
    Ok(())
}

fn snapshots(sled_dir: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(sled_dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) {
            found.push((entry.path(), name));
        }
    }
    Ok(found)
}

fn has_known_name(name: &str) -> bool {
    let lsn = name.strip_prefix(PREFIX).unwrap_or_default();
    lsn.len() == LSN_DIGITS && lsn.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_sound(bytes: &[u8]) -> bool {
    let Some((rest, crc)) = bytes.split_last_chunk::<CRC_BYTES>() else { return false };
    let Some(content_bytes) = bytes.len().checked_sub(TRAILER_BYTES) else { return false };
    let content = rest.get(..content_bytes).unwrap_or_default();
    !content.is_empty() && crc32fast::hash(content) == u32::from_le_bytes(*crc)
}
