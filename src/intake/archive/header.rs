//! The headers of an entry: the one in the directory, the local one, the data descriptor.

use super::{Defect, Source, fields::Fields, malformed, name, refuse};
use crate::error::{Code, Error};

const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const CENTRAL_BYTES: u64 = 46;
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const LOCAL_BYTES: u64 = 30;
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const ZIP64_EXTRA: u16 = 1;

const FLAG_ENCRYPTED: u16 = 1;
const FLAG_DESCRIPTOR: u16 = 1 << 3;
const FLAG_PATCH: u16 = 1 << 5;
const FLAG_STRONG_ENCRYPTION: u16 = 1 << 6;
const FLAG_MASKED: u16 = 1 << 13;

const METHOD_STORED: u16 = 0;
const METHOD_DEFLATED: u16 = 8;

const DOS_FOLDER: u32 = 0x10;
const UNIX_TYPE: u32 = 0o170_000;
const UNIX_FOLDER: u32 = 0o040_000;
const UNIX_REGULAR: u32 = 0o100_000;
const UNIX_PIPE: u32 = 0o010_000;

/// Lengths of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub compressed: u64,
    pub inflated: u64,
}

/// An entry as the directory has it.
pub(super) struct Central {
    flags: u16,
    method: u16,
    pub crc32: u32,
    pub sizes: Sizes,
    pub name: Vec<u8>,
    attributes: u32,
    /// Offset of the local header.
    pub offset: u64,
}

/// An entry as the header in front of its data has it.
pub(super) struct Local {
    flags: u16,
    method: u16,
    crc32: u32,
    sizes: Sizes,
    name: Vec<u8>,
}

impl Central {
    /// Reads the header that starts at `at`; also returns where it ends, at most at `end`.
    pub(super) fn read(source: &Source<'_>, at: u64, end: u64) -> Result<(Self, u64), Defect> {
        let fixed = source.read(at, CENTRAL_BYTES.min(end.saturating_sub(at)))?;
        let parsed =
            Self::parse(&fixed).ok_or_else(|| malformed("the zip's directory is damaged"))?;
        let (mut central, [name, extra, comment]) = parsed;
        let variable = u64::from(name) + u64::from(extra);
        let next = at + CENTRAL_BYTES + variable + u64::from(comment);
        if next > end {
            return Err(malformed("the zip's directory is cut short"));
        }
        let bytes = source.read(at + CENTRAL_BYTES, variable)?;
        let (name, extra) = bytes.split_at_checked(name.into()).unwrap_or_default();
        central.name = name.to_vec();
        widen(extra, &mut central.sizes, Some(&mut central.offset))
            .ok_or_else(|| malformed("the zip64 field of the zip's directory is damaged"))?;
        Ok((central, next))
    }

    /// The part of fixed length, and the lengths of name, extra fields and comment.
    fn parse(fixed: &[u8]) -> Option<(Self, [u16; 3])> {
        let mut f = Fields::after(CENTRAL, fixed)?;
        f.skip(2 + 2)?; // versions
        let (flags, method) = (f.u16()?, f.u16()?);
        f.skip(4)?; // time
        let crc32 = f.u32()?;
        let sizes = Sizes { compressed: f.u32()?.into(), inflated: f.u32()?.into() };
        let lengths = [f.u16()?, f.u16()?, f.u16()?];
        f.skip(2 + 2)?; // disk, internal attributes
        let attributes = f.u32()?;
        let offset = f.u32()?.into();
        let name = Vec::new();
        Some((Self { flags, method, crc32, sizes, name, attributes, offset }, lengths))
    }

    /// Refuses what can be told from this header alone.
    pub(super) fn check(&self) -> Result<(), Defect> {
        name::check(&self.name)?;
        if self.is_folder() {
            return Err(name::folder().into());
        }
        // Info-ZIP notes a pipe for text that it read from one (`zip -`).
        if !matches!(self.unix_type(), 0 | UNIX_REGULAR | UNIX_PIPE) {
            return Err(refuse(Code::ZipLink, "the zip's entry is a link or another special file"));
        }
        if self.flags & (FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_MASKED) != 0 {
            return Err(refuse(Code::ZipEncrypted, "the zip's entry is encrypted"));
        }
        if !matches!(self.method, METHOD_STORED | METHOD_DEFLATED) || self.flags & FLAG_PATCH != 0 {
            let method = self.method;
            let message =
                format!("the zip's entry is compressed by method {method}, not by deflate");
            return Err(Error::new(Code::ZipMethod, message).into());
        }
        if self.is_stored() && self.sizes.compressed != self.sizes.inflated {
            return Err(malformed("the zip's entry is not compressed but has two lengths"));
        }
        Ok(())
    }

    pub(super) fn is_stored(&self) -> bool {
        self.method == METHOD_STORED
    }

    pub(super) fn has_descriptor(&self) -> bool {
        self.flags & FLAG_DESCRIPTOR != 0
    }

    pub(super) fn is_folder(&self) -> bool {
        self.attributes & DOS_FOLDER != 0
            || self.unix_type() == UNIX_FOLDER
            || name::is_in_folder(&self.name)
    }

    fn unix_type(&self) -> u32 {
        (self.attributes >> 16) & UNIX_TYPE
    }
}

impl Local {
    /// Reads the header that starts at `at`; also returns where it ends.
    pub(super) fn read(source: &Source<'_>, at: u64) -> Result<(Self, u64), Defect> {
        let fixed = source.read(at, LOCAL_BYTES)?;
        let Some((mut local, name, extra)) = Self::parse(&fixed) else {
            return Err(refuse(
                Code::ZipHeaders,
                "no local header stands where the directory says",
            ));
        };
        let variable = u64::from(name) + u64::from(extra);
        let bytes = source.read(at + LOCAL_BYTES, variable)?;
        let (name, extra) = bytes.split_at_checked(name.into()).unwrap_or_default();
        local.name = name.to_vec();
        widen(extra, &mut local.sizes, None)
            .ok_or_else(|| malformed("the zip64 field of the entry's local header is damaged"))?;
        Ok((local, at + LOCAL_BYTES + variable))
    }

    fn parse(fixed: &[u8]) -> Option<(Self, u16, u16)> {
        let mut f = Fields::after(LOCAL, fixed)?;
        f.skip(2)?; // version
        let (flags, method) = (f.u16()?, f.u16()?);
        f.skip(4)?; // time
        let crc32 = f.u32()?;
        let sizes = Sizes { compressed: f.u32()?.into(), inflated: f.u32()?.into() };
        let (name, extra) = (f.u16()?, f.u16()?);
        Some((Self { flags, method, crc32, sizes, name: Vec::new() }, name, extra))
    }

    /// What the directory has otherwise. With a descriptor, what was not known yet is zero here.
    pub(super) fn disagreement(&self, central: &Central) -> Option<&'static str> {
        let open = central.has_descriptor();
        let differs = |here: u64, there: u64| here != there && !(open && here == 0);
        if self.name != central.name {
            Some("its name")
        } else if self.method != central.method {
            Some("its method")
        } else if self.flags != central.flags {
            Some("its flags")
        } else if differs(self.crc32.into(), central.crc32.into()) {
            Some("its checksum")
        } else if differs(self.sizes.compressed, central.sizes.compressed)
            || differs(self.sizes.inflated, central.sizes.inflated)
        {
            Some("its sizes")
        } else {
            None
        }
    }
}

/// Whether a descriptor says what the directory says. Its length tells its form: with or without
/// a signature, lengths of four or eight bytes.
pub(super) fn descriptor_agrees(descriptor: &[u8], central: &Central) -> bool {
    let (mut f, wide) = match descriptor.len() {
        12 => (Some(Fields(descriptor)), false),
        16 => (Fields::after(DESCRIPTOR, descriptor), false),
        20 => (Some(Fields(descriptor)), true),
        24 => (Fields::after(DESCRIPTOR, descriptor), true),
        _ => (None, false),
    };
    let read = |f: &mut Fields<'_>| if wide { f.u64() } else { f.u32().map(u64::from) };
    f.as_mut().is_some_and(|f| {
        f.u32() == Some(central.crc32)
            && read(f) == Some(central.sizes.compressed)
            && read(f) == Some(central.sizes.inflated)
    })
}

/// Takes from the zip64 extra field what the header only marks as too large for it. Other extra
/// fields are passed over, as are odd bytes behind the last one. `None` where a marked value is
/// missing or the field is there twice.
fn widen(extra: &[u8], sizes: &mut Sizes, offset: Option<&mut u64>) -> Option<()> {
    let mut wide = None;
    let mut f = Fields(extra);
    while let (Some(id), Some(length)) = (f.u16(), f.u16()) {
        let Some(value) = f.bytes(length) else { break };
        if id == ZIP64_EXTRA && wide.replace(Fields(value)).is_some() {
            return None;
        }
    }
    let mut wide = wide.unwrap_or(Fields(&[]));
    for value in
        [Some(&mut sizes.inflated), Some(&mut sizes.compressed), offset].into_iter().flatten()
    {
        if *value == u64::from(u32::MAX) {
            *value = wide.u64()?;
        }
    }
    Some(())
}
