//! Writing a backup.

use std::io::{self, Write};

use super::{BEGIN, BYTES, END, MAGIC, MANIFEST, Manifest, Part, SEAL};
use crate::limits::BACKUP_FRAME_BYTES;

/// Writes parts one after the other, then the manifest.
pub struct Writer<W> {
    to: W,
    parts: Vec<Part>,
    part: Option<Open>,
    buffer: Vec<u8>,
}

struct Open {
    name: String,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl<W: Write> Writer<W> {
    /// A backup without a part.
    ///
    /// # Errors
    /// As writing fails; so do all others.
    pub fn new(mut to: W) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        let buffer = Vec::with_capacity(BACKUP_FRAME_BYTES);
        Ok(Self { to, parts: Vec::new(), part: None, buffer })
    }

    /// Begins a part; what is written next belongs to it.
    ///
    /// # Errors
    /// As writing fails.
    pub fn begin(&mut self, name: &str) -> io::Result<()> {
        self.end()?;
        self.frame(BEGIN, name.as_bytes())?;
        let (name, hasher) = (name.to_owned(), blake3::Hasher::new());
        self.part = Some(Open { name, bytes: 0, hasher });
        Ok(())
    }

    /// Ends the part and the backup, with its manifest.
    ///
    /// # Errors
    /// As writing fails.
    pub fn finish(mut self, taken_us: i64) -> io::Result<Manifest> {
        self.end()?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let manifest = Manifest { version, taken_us, parts: std::mem::take(&mut self.parts) };
        let text = serde_json::to_vec(&manifest)?;
        self.frame(MANIFEST, &text)?;
        self.frame(SEAL, blake3::hash(&text).as_bytes())?;
        self.to.flush()?;
        Ok(manifest)
    }

    fn end(&mut self) -> io::Result<()> {
        self.write_out()?;
        let Some(Open { name, bytes, hasher }) = self.part.take() else { return Ok(()) };
        let hash = hasher.finalize();
        self.frame(END, &[bytes.to_be_bytes().as_slice(), hash.as_bytes()].concat())?;
        self.parts.push(Part { name, bytes, blake3: hash.to_hex().to_string() });
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.buffer);
        if let Some(part) = &mut self.part {
            part.bytes += bytes.len() as u64;
            part.hasher.update(&bytes);
        }
        let written = self.frame(BYTES, &bytes);
        bytes.clear();
        self.buffer = bytes;
        written
    }

    fn frame(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        self.to.write_all(&[kind])?;
        self.to.write_all(&length.to_be_bytes())?;
        self.to.write_all(content)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == BACKUP_FRAME_BYTES {
            self.write_out()?;
        }
        let room = BACKUP_FRAME_BYTES - self.buffer.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()
    }
}
