//! Reading a backup, every byte of it against its checksums.

use std::io::{self, Read};

use super::{
    BEGIN, BYTES, END, END_BYTES, MAGIC, MANIFEST, Manifest, NAME_BYTES_MAX, Part, SEAL, damaged,
};
use crate::limits::{BACKUP_FRAME_BYTES, BACKUP_MANIFEST_BYTES_MAX};

/// Reads parts one after the other, then the manifest.
pub struct Reader<R> {
    from: R,
    parts: Vec<Part>,
    manifest: Option<Vec<u8>>,
}

/// The part that was begun last.
pub struct PartReader<'a, R> {
    reader: &'a mut Reader<R>,
    name: String,
    frame: io::Cursor<Vec<u8>>,
    bytes: u64,
    hasher: blake3::Hasher,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// A backup of which nothing is read.
    ///
    /// # Errors
    /// When it cannot be read, or is none of this version.
    pub fn new(mut from: R) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        let read = from.read_exact(&mut magic);
        if read.is_err() || magic != MAGIC {
            let text = "this is no backup of a version that this program reads";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Self { from, parts: Vec::new(), manifest: None })
    }

    /// The next part; `None` after the last. The one before must have been read to its end.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn next_part(&mut self) -> io::Result<Option<PartReader<'_, R>>> {
        let (kind, content) = self.frame()?;
        match kind {
            BEGIN if content.len() <= NAME_BYTES_MAX => {
                let name = String::from_utf8(content).map_err(|_| damaged("a part has no name"))?;
                let (frame, hasher) = (io::Cursor::new(Vec::new()), blake3::Hasher::new());
                Ok(Some(PartReader { reader: self, name, frame, bytes: 0, hasher, ended: false }))
            }
            MANIFEST => {
                self.manifest = Some(content);
                Ok(None)
            }
            _ => Err(damaged("a part does not begin where it should")),
        }
    }

    /// The manifest, after the last part: what was read must be what it says.
    ///
    /// # Errors
    /// When it is not, or bytes follow.
    pub fn finish(mut self) -> io::Result<Manifest> {
        let text = self.manifest.take().ok_or_else(|| damaged("it has no manifest"))?;
        let (kind, seal) = self.frame()?;
        if kind != SEAL || seal != blake3::hash(&text).as_bytes() {
            return Err(damaged("its manifest does not match its checksum"));
        }
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|_| damaged("its manifest cannot be read"))?;
        if manifest.parts != self.parts {
            return Err(damaged("its manifest names other parts than it has"));
        }
        if self.from.read(&mut [0])? != 0 {
            return Err(damaged("something follows its end"));
        }
        Ok(manifest)
    }

    fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.from.read_exact(&mut head).map_err(cut)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        let most = if kind == MANIFEST { BACKUP_MANIFEST_BYTES_MAX } else { BACKUP_FRAME_BYTES };
        if length > most {
            return Err(damaged(format_args!("a frame has {length} bytes")));
        }
        // The length may be made up, so room is made for what comes.
        let mut content = Vec::new();
        (&mut self.from).take(length as u64).read_to_end(&mut content)?;
        if content.len() < length {
            return Err(damaged("it is cut short"));
        }
        Ok((kind, content))
    }
}

fn cut(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { damaged("it is cut short") } else { error }
}

impl<R: Read> PartReader<'_, R> {
    /// Its name, as it stands there.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn end(&mut self, content: &[u8]) -> io::Result<()> {
        let hash = self.hasher.finalize();
        let expected = [self.bytes.to_be_bytes().as_slice(), hash.as_bytes()].concat();
        if content.len() != END_BYTES || content != expected {
            return Err(damaged(format_args!("part {:?} does not match its checksum", self.name)));
        }
        let (name, bytes, blake3) = (self.name.clone(), self.bytes, hash.to_hex().to_string());
        self.reader.parts.push(Part { name, bytes, blake3 });
        self.ended = true;
        Ok(())
    }
}

/// Its end is told only where the whole part matches its checksum.
impl<R: Read> Read for PartReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.frame.read(buffer)?;
            if read > 0 || self.ended || buffer.is_empty() {
                return Ok(read);
            }
            let (kind, content) = self.reader.frame()?;
            match kind {
                BYTES => {
                    self.bytes += content.len() as u64;
                    self.hasher.update(&content);
                    self.frame = io::Cursor::new(content);
                }
                END => self.end(&content)?,
                _ => return Err(damaged(format_args!("part {:?} has no end", self.name))),
            }
        }
    }
}
