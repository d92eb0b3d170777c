//! Looking into a zip: it must hold one plain file and nothing else, and every byte of it must be
//! accounted for, so that no two readers can see two different contents.
//!
//! The only layout that is taken, without a gap:
//!
//! ```text
//! local header | data | descriptor? | directory: 1 entry | zip64 end and locator? | end, comment
//! ```

mod end;
mod fields;
mod header;
mod name;
#[cfg(test)]
pub(super) mod sample;
#[cfg(test)]
mod tests;

use std::{fs::File, io, os::unix::fs::FileExt};

use self::header::{Central, Local};
use crate::{
    error::{Code, Error},
    limits::ZIP_ENTRIES_SCANNED,
};

/// Where the text of a zip is and what it must turn out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Offset of the first byte of data.
    pub data_start: u64,
    /// Bytes of data.
    pub compressed_length: u64,
    /// Bytes of text.
    pub inflated_length: u64,
    /// CRC-32 of the text.
    pub crc32: u32,
    /// The data is the text.
    pub stored: bool,
}

/// Why an inspection found no entry.
#[derive(Debug, thiserror::Error)]
pub(super) enum Defect {
    /// The file is to blame.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The disk is.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The one entry of a zip. Reads the directory and the headers, not the data, in bounded memory.
pub(super) fn inspect<'a>(zip: impl Into<Bytes<'a>>) -> Result<Entry, Defect> {
    let source = Source::new(zip.into())?;
    let directory = end::find(&source)?;
    match directory.entries {
        0 => return Err(refuse(Code::ZipEmpty, "the zip holds no entry")),
        1 => {}
        _ => return Err(refuse_several(&source, &directory)?.into()),
    }
    let (central, next) = Central::read(&source, directory.offset, directory.end())?;
    if next != directory.end() {
        return Err(refuse(Code::ZipLayout, "bytes follow the only entry of the zip's directory"));
    }
    central.check()?;
    let data_start = check_local(&source, &central)?;
    check_data(&source, &central, data_start, directory.offset)?;
    Ok(Entry {
        data_start,
        compressed_length: central.sizes.compressed,
        inflated_length: central.sizes.inflated,
        crc32: central.crc32,
        stored: central.is_stored(),
    })
}

/// Refuses a zip that was sent as text.
pub(super) fn refuse_zip<'a>(text: impl Into<Bytes<'a>>) -> Result<(), Defect> {
    let source = Source::new(text.into())?;
    let start = source.read(0, source.length.min(4))?;
    if matches!(start.as_slice(), b"PK\x03\x04" | b"PK\x05\x06") {
        return Err(refuse(
            Code::MediaTypeMismatch,
            "the body is a zip but was sent as text/plain",
        ));
    }
    Ok(())
}

impl Entry {
    /// Holds what the directory announces against the bounds.
    pub(super) fn check_announced(&self, max_inflated: u64, max_ratio: u64) -> Result<(), Error> {
        let announced = self.inflated_length;
        if announced > max_inflated {
            let message =
                format!("the zip announces {announced} bytes of text, {max_inflated} may be");
            return Err(Error::new(Code::ZipTooLarge, message));
        }
        if self.exceeds_ratio(announced, max_ratio) {
            let message = format!("the zip announces text of more than {max_ratio} times its size");
            return Err(Error::new(Code::ZipRatio, message));
        }
        Ok(())
    }

    /// Whether so many bytes of text are too many for the bytes of data.
    pub(super) fn exceeds_ratio(&self, inflated: u64, max_ratio: u64) -> bool {
        inflated > self.compressed_length.saturating_mul(max_ratio)
    }
}

/// The most helpful refusal of a zip with several entries, from the first of them.
fn refuse_several(source: &Source<'_>, directory: &end::Directory) -> Result<Error, Defect> {
    let mut folder = false;
    let mut at = directory.offset;
    for _ in 0..directory.entries.min(ZIP_ENTRIES_SCANNED) {
        let (central, next) = Central::read(source, at, directory.end())?;
        if name::is_mac(&central.name) {
            return Ok(name::mac_files());
        }
        folder |= central.is_folder();
        at = next;
    }
    if folder {
        return Ok(name::folder());
    }
    let entries = directory.entries;
    Ok(Error::new(Code::ZipEntries, format!("the zip holds {entries} entries, one is taken")))
}

/// Holds the local header against the directory; returns where the data starts.
fn check_local(source: &Source<'_>, central: &Central) -> Result<u64, Defect> {
    if central.offset != 0 {
        return Err(refuse(Code::ZipLayout, "bytes stand before the zip's entry"));
    }
    let (local, data_start) = Local::read(source, central.offset)?;
    if let Some(part) = local.disagreement(central) {
        let message =
            format!("the zip's directory and the entry's local header disagree on {part}");
        return Err(refuse(Code::ZipHeaders, &message));
    }
    Ok(data_start)
}

/// Holds what stands between the local header and the directory against both.
fn check_data(
    source: &Source<'_>,
    central: &Central,
    data_start: u64,
    directory_start: u64,
) -> Result<(), Defect> {
    let data_end = data_start.checked_add(central.sizes.compressed);
    let Some((data_end, rest)) =
        data_end.and_then(|end| Some((end, directory_start.checked_sub(end)?)))
    else {
        return Err(refuse(Code::ZipLayout, "the zip's entry reaches into its directory"));
    };
    if !central.has_descriptor() {
        if rest == 0 {
            return Ok(());
        }
        return Err(refuse(
            Code::ZipLayout,
            "bytes stand between the zip's entry and its directory",
        ));
    }
    if !matches!(rest, 12 | 16 | 20 | 24) {
        return Err(refuse(
            Code::ZipLayout,
            "no data descriptor stands before the zip's directory",
        ));
    }
    let descriptor = source.read(data_end, rest)?;
    if header::descriptor_agrees(&descriptor, central) {
        return Ok(());
    }
    Err(refuse(Code::ZipHeaders, "the zip's directory and the entry's data descriptor disagree"))
}

fn refuse(code: Code, message: &str) -> Defect {
    Defect::Refused(Error::new(code, message))
}

fn malformed(message: &str) -> Defect {
    refuse(Code::ZipMalformed, message)
}

/// A body under inspection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bytes<'a> {
    /// On disk.
    File(&'a File),
    /// In memory.
    Memory(&'a [u8]),
}

impl<'a> From<&'a File> for Bytes<'a> {
    fn from(file: &'a File) -> Self {
        Self::File(file)
    }
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Memory(bytes)
    }
}

/// It and its length.
struct Source<'a> {
    bytes: Bytes<'a>,
    length: u64,
}

impl<'a> Source<'a> {
    fn new(bytes: Bytes<'a>) -> io::Result<Self> {
        let length = match bytes {
            Bytes::File(file) => file.metadata()?.len(),
            Bytes::Memory(bytes) => bytes.len() as u64,
        };
        Ok(Self { bytes, length })
    }

    /// These bytes. Callers ask for no more than a tail or a header.
    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Defect> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(malformed("a part of the zip lies outside of it"));
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut part = vec![0; length];
        match self.bytes {
            Bytes::File(file) => file.read_exact_at(&mut part, offset)?,
            Bytes::Memory(bytes) => {
                let offset = usize::try_from(offset).map_err(io::Error::other)?;
                let from = bytes.get(offset..).unwrap_or_default();
                let from = from.get(..length).ok_or_else(|| malformed("the zip is cut short"))?;
                part.copy_from_slice(from);
            }
        }
        Ok(part)
    }
}
