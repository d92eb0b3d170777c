//! The end of a zip: its end record, the zip64 one, and where they put the directory.

use memchr::memmem;

use super::{Defect, Source, fields::Fields, malformed, refuse};
use crate::error::Code;

const END: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: u64 = 22;
const COMMENT_BYTES_MAX: u64 = 0xffff;
const LOCATOR: [u8; 4] = *b"PK\x06\x07";
const LOCATOR_BYTES: u64 = 20;
const END64: [u8; 4] = *b"PK\x06\x06";
/// Of the fields that are known; the record may go on.
const END64_BYTES: u64 = 56;

/// Where the directory is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    pub offset: u64,
    pub length: u64,
    pub entries: u64,
}

impl Directory {
    /// Offset behind its last byte; [`find`] has checked the sum.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// Finds the directory and makes sure that it ends where the end records start and that nothing
/// follows them.
pub(super) fn find(source: &Source<'_>) -> Result<Directory, Defect> {
    let (record, at) = find_end(source)?;
    let located = at.checked_sub(LOCATOR_BYTES).map(|l| read_end64(source, l)).transpose()?;
    let (directory, end) = match located.flatten() {
        Some((end64, start)) => (record.widened(&end64)?, start),
        None if record.is_narrow() => (record.directory, at),
        None => {
            return Err(malformed("the zip's end record points to a zip64 one that is missing"));
        }
    };
    if record.disk != 0
        || record.directory_disk != 0
        || record.entries_here != record.directory.entries
    {
        return Err(malformed("the zip is one part of several"));
    }
    if directory.offset.checked_add(directory.length) != Some(end) {
        return Err(refuse(Code::ZipLayout, "the zip's directory does not end at its end record"));
    }
    Ok(directory)
}

/// An end record of either width.
struct End {
    disk: u32,
    directory_disk: u32,
    entries_here: u64,
    directory: Directory,
}

impl End {
    /// Reads the short form; also returns the length of the comment behind it.
    fn parse(bytes: &[u8]) -> Option<(Self, u64)> {
        let mut f = Fields::after(END, bytes)?;
        let (disk, directory_disk) = (f.u16()?.into(), f.u16()?.into());
        let (entries_here, entries) = (f.u16()?.into(), f.u16()?.into());
        let (length, offset) = (f.u32()?.into(), f.u32()?.into());
        let comment = f.u16()?.into();
        let directory = Directory { offset, length, entries };
        Some((Self { disk, directory_disk, entries_here, directory }, comment))
    }

    fn parse64(bytes: &[u8]) -> Option<Self> {
        let mut f = Fields::after(END64, bytes)?;
        f.skip(8 + 2 + 2)?; // its own length, two versions
        let (disk, directory_disk) = (f.u32()?, f.u32()?);
        let (entries_here, entries) = (f.u64()?, f.u64()?);
        let (length, offset) = (f.u64()?, f.u64()?);
        let directory = Directory { offset, length, entries };
        Some(Self { disk, directory_disk, entries_here, directory })
    }

    /// Whether every field says what it means, without a zip64 record.
    fn is_narrow(&self) -> bool {
        self.directory.length != u64::from(u32::MAX) && self.directory.offset != u64::from(u32::MAX)
    }

    /// The directory of the zip64 record, which must not contradict the short one.
    fn widened(&self, wide: &Self) -> Result<Directory, Defect> {
        let agree = |short: u64, wide: u64, marker: u64| short == marker || short == wide;
        let (short, long) = (&self.directory, &wide.directory);
        let agreed = agree(short.entries, long.entries, u16::MAX.into())
            && agree(short.length, long.length, u32::MAX.into())
            && agree(short.offset, long.offset, u32::MAX.into());
        let whole = wide.disk == 0 && wide.directory_disk == 0 && wide.entries_here == long.entries;
        if agreed && whole {
            return Ok(*long);
        }
        Err(malformed("the zip's two end records disagree"))
    }
}

/// The one end record whose comment ends the file. A second one, or one inside the comment, is
/// refused: readers differ in which they take.
fn find_end(source: &Source<'_>) -> Result<(End, u64), Defect> {
    let start = source.length.saturating_sub(END_BYTES + COMMENT_BYTES_MAX);
    let tail = source.read(start, source.length - start)?;
    let mut last = None;
    let mut whole = None;
    for at in memmem::find_iter(&tail, &END) {
        last = Some(at);
        let bytes = tail.get(at..).unwrap_or_default();
        let Some((record, comment)) = End::parse(bytes) else { continue };
        if bytes.len() as u64 == END_BYTES + comment {
            if whole.is_some() {
                return Err(refuse(Code::ZipLayout, "the zip has two end records"));
            }
            whole = Some((record, at));
        }
    }
    match (last, whole) {
        (None, _) => Err(malformed("the body is not a zip: it has no end record")),
        (Some(last), Some((record, at))) if last == at => Ok((record, start + at as u64)),
        (Some(_), Some(_)) => {
            Err(refuse(Code::ZipLayout, "the zip's comment holds the mark of an end record"))
        }
        (Some(last), None) => {
            let bytes = tail.get(last..).unwrap_or_default();
            match End::parse(bytes) {
                Some((_, comment)) if (bytes.len() as u64) > END_BYTES + comment => {
                    Err(refuse(Code::ZipLayout, "bytes follow the zip's end record"))
                }
                _ => Err(malformed("the zip's end record is cut short")),
            }
        }
    }
}

/// The zip64 end record and where it starts, if its locator stands here.
fn read_end64(source: &Source<'_>, locator_at: u64) -> Result<Option<(End, u64)>, Defect> {
    let locator = source.read(locator_at, LOCATOR_BYTES)?;
    let Some(mut f) = Fields::after(LOCATOR, &locator) else { return Ok(None) };
    let (Some(disk), Some(at), Some(disks)) = (f.u32(), f.u64(), f.u32()) else {
        return Ok(None);
    };
    if disk != 0 || disks > 1 {
        return Err(malformed("the zip is one part of several"));
    }
    let bytes = source.read(at, END64_BYTES)?;
    let Some(record) = End::parse64(&bytes) else {
        return Err(malformed("the zip64 end record is not where its locator says"));
    };
    let length = Fields::after(END64, &bytes).and_then(|mut f| f.u64()).unwrap_or_default();
    let end = length.checked_add(12).and_then(|length| at.checked_add(length));
    if length < END64_BYTES - 12 || end != Some(locator_at) {
        return Err(refuse(Code::ZipLayout, "the zip64 end record does not end at its locator"));
    }
    Ok(Some((record, at)))
}
