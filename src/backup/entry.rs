//! What parts are made of.

use std::io::{self, Read, Write};

use super::damaged;

/// Bytes of a key, a value or a name that are read at once; far above all that are stored.
const BYTES_MAX: u32 = 256 << 20;

/// An entry of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which of its keyspaces, as the store numbers them.
    pub space: u8,
    /// Key.
    pub key: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

impl Entry {
    /// Writes an entry.
    ///
    /// # Errors
    /// As writing fails.
    pub fn write(to: &mut impl Write, space: u8, key: &[u8], value: &[u8]) -> io::Result<()> {
        to.write_all(&[space])?;
        for part in [key, value] {
            to.write_all(&u32::try_from(part.len()).map_err(io::Error::other)?.to_be_bytes())?;
        }
        to.write_all(key)?;
        to.write_all(value)
    }

    /// Reads the next entry; `None` at the end.
    ///
    /// # Errors
    /// When it cannot be read or is not whole.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some([space]) = first(from)? else { return Ok(None) };
        let (key, value) = (number(from)?, number(from)?);
        Ok(Some(Self { space, key: bytes(from, key)?, value: bytes(from, value)? }))
    }
}

/// A file, whose bytes follow its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name below the data directory.
    pub name: String,
    /// Its bytes.
    pub length: u64,
}

impl FileEntry {
    /// Writes the entry and the bytes, which `from` must have.
    ///
    /// # Errors
    /// As reading and writing fail.
    pub fn write(to: &mut impl Write, name: &str, length: u64, from: impl Read) -> io::Result<()> {
        let name_length = u8::try_from(name.len()).map_err(io::Error::other)?;
        to.write_all(&[name_length])?;
        to.write_all(name.as_bytes())?;
        to.write_all(&length.to_be_bytes())?;
        if io::copy(&mut from.take(length), to)? != length {
            return Err(io::Error::other(format!("{name} is shorter than it was")));
        }
        Ok(())
    }

    /// Reads the next entry; `None` at the end. Its bytes must be read before the next.
    ///
    /// # Errors
    /// When it cannot be read or is not whole.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some([length]) = first(from)? else { return Ok(None) };
        let name = String::from_utf8(bytes(from, length.into())?);
        let name = name.map_err(|_| damaged("a file has no name"))?;
        let mut length = [0; 8];
        from.read_exact(&mut length)?;
        Ok(Some(Self { name, length: u64::from_be_bytes(length) }))
    }
}

/// The first byte of an entry; `None` at the end.
fn first(from: &mut impl Read) -> io::Result<Option<[u8; 1]>> {
    let mut byte = [0];
    Ok((from.read(&mut byte)? > 0).then_some(byte))
}

fn number(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn bytes(from: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    if length > BYTES_MAX {
        return Err(damaged(format_args!("an entry has {length} bytes")));
    }
    // The length may be made up, so room is made for what comes.
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == u64::from(length) {
        Ok(bytes)
    } else {
        Err(damaged("an entry is cut short"))
    }
}
