//! Zips made by hand, so that every field of theirs can lie.

use flate2::{Compression, write::DeflateEncoder};
use std::io::Write;

/// One entry and the records around it. `build` writes down what the fields say.
#[derive(Clone)]
pub struct Sample {
    pub before: Vec<u8>,
    pub local: Header,
    pub data: Vec<u8>,
    pub descriptor: Vec<u8>,
    pub central: Header,
    pub attributes: u32,
    pub entry_comment: Vec<u8>,
    pub offset: u32,
    pub between: Vec<u8>,
    pub entries: u16,
    pub comment: Vec<u8>,
    pub after: Vec<u8>,
}

/// What both headers of an entry have.
#[derive(Clone)]
pub struct Header {
    pub flags: u16,
    pub method: u16,
    pub crc32: u32,
    pub compressed: u32,
    pub inflated: u32,
    pub name: Vec<u8>,
    pub extra: Vec<u8>,
}

impl Header {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.flags.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.crc32.to_le_bytes());
        out.extend(self.compressed.to_le_bytes());
        out.extend(self.inflated.to_le_bytes());
        out.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        out.extend(u16::try_from(self.extra.len()).unwrap().to_le_bytes());
    }
}

pub fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub fn length32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

impl Sample {
    /// A deflated entry as most tools write it.
    pub fn deflated(text: &[u8]) -> Self {
        Self::of(text, deflate(text), 8)
    }

    /// An entry that is not compressed.
    pub fn stored(text: &[u8]) -> Self {
        Self::of(text, text.to_vec(), 0)
    }

    pub fn of(text: &[u8], data: Vec<u8>, method: u16) -> Self {
        let header = Header {
            flags: 0,
            method,
            crc32: crc32fast::hash(text),
            compressed: length32(&data),
            inflated: length32(text),
            name: b"data.txt".to_vec(),
            extra: Vec::new(),
        };
        Self {
            before: Vec::new(),
            local: header.clone(),
            data,
            descriptor: Vec::new(),
            central: header,
            attributes: 0o100_644 << 16,
            entry_comment: Vec::new(),
            offset: 0,
            between: Vec::new(),
            entries: 1,
            comment: Vec::new(),
            after: Vec::new(),
        }
    }

    /// The same as a tool writes it that cannot go back: zeros first, a descriptor behind.
    pub fn streamed(mut self, signature: bool, wide: bool) -> Self {
        for header in [&mut self.local, &mut self.central] {
            header.flags |= 8;
        }
        self.descriptor = descriptor(&self.central, signature, wide);
        self.local.crc32 = 0;
        self.local.compressed = 0;
        self.local.inflated = 0;
        self
    }

    pub fn named(mut self, name: &[u8]) -> Self {
        self.local.name = name.to_vec();
        self.central.name = name.to_vec();
        self
    }

    pub fn build(&self) -> Vec<u8> {
        let mut out = self.before.clone();
        out.extend(b"PK\x03\x04\x14\x00");
        self.local.write(&mut out);
        out.extend(&self.local.name);
        out.extend(&self.local.extra);
        out.extend(&self.data);
        out.extend(&self.descriptor);
        out.extend(&self.between);
        let directory = self.directory();
        let offset = length32(&out);
        out.extend(&directory);
        out.extend(end(self.entries, length32(&directory), offset, &self.comment));
        out.extend(&self.after);
        out
    }

    /// The same with a zip64 end record, whose fields `lie` may change.
    pub fn build64(&self, lie: impl FnOnce(&mut End64)) -> Vec<u8> {
        let plain = self.build();
        let tail = 22 + self.comment.len() + self.after.len();
        let mut out = plain[..plain.len() - tail].to_vec();
        let length = self.directory().len();
        let mut end64 = End64 {
            disk: 0,
            entries: self.entries.into(),
            length: length as u64,
            offset: (out.len() - length) as u64,
            end_at: out.len() as u64,
            disks: 1,
            short: (u16::MAX, u32::MAX, u32::MAX),
        };
        lie(&mut end64);
        end64.write(&mut out, &self.comment);
        out.extend(&self.after);
        out
    }

    fn directory(&self) -> Vec<u8> {
        let mut out = b"PK\x01\x02\x14\x03\x14\x00".to_vec();
        self.central.write(&mut out);
        out.extend(u16::try_from(self.entry_comment.len()).unwrap().to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.attributes.to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(&self.central.name);
        out.extend(&self.central.extra);
        out.extend(&self.entry_comment);
        out
    }
}

/// What a zip64 end record and its locator say.
pub struct End64 {
    pub disk: u32,
    pub entries: u64,
    pub length: u64,
    pub offset: u64,
    pub end_at: u64,
    pub disks: u32,
    /// Entries, length and offset in the short end record.
    pub short: (u16, u32, u32),
}

impl End64 {
    fn write(&self, out: &mut Vec<u8>, comment: &[u8]) {
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([45, 0, 45, 0]);
        out.extend(self.disk.to_le_bytes());
        out.extend(self.disk.to_le_bytes());
        out.extend(self.entries.to_le_bytes());
        out.extend(self.entries.to_le_bytes());
        out.extend(self.length.to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(b"PK\x06\x07");
        out.extend(self.disk.to_le_bytes());
        out.extend(self.end_at.to_le_bytes());
        out.extend(self.disks.to_le_bytes());
        out.extend(end(self.short.0, self.short.1, self.short.2, comment));
    }
}

/// A short end record.
pub fn end(entries: u16, length: u32, offset: u32, comment: &[u8]) -> Vec<u8> {
    let mut out = b"PK\x05\x06\0\0\0\0".to_vec();
    out.extend(entries.to_le_bytes());
    out.extend(entries.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend(u16::try_from(comment.len()).unwrap().to_le_bytes());
    out.extend(comment);
    out
}

pub fn descriptor(header: &Header, signature: bool, wide: bool) -> Vec<u8> {
    let mut out = if signature { b"PK\x07\x08".to_vec() } else { Vec::new() };
    out.extend(header.crc32.to_le_bytes());
    for length in [header.compressed, header.inflated] {
        if wide {
            out.extend(u64::from(length).to_le_bytes());
        } else {
            out.extend(length.to_le_bytes());
        }
    }
    out
}

/// The zip64 extra field with these values.
pub fn extra64(values: &[u64]) -> Vec<u8> {
    let mut out = 1u16.to_le_bytes().to_vec();
    out.extend(u16::try_from(values.len() * 8).unwrap().to_le_bytes());
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    out
}
