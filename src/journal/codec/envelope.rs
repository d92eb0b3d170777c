//! The outer shape of every stored value: a version byte, a CRC-32, the content.

use super::super::Error;

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;

/// What is wrong with one stored value.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is whole, but of a version that this program does not know.
    Version(u8),
    /// It is not what was written.
    Damaged(&'static str),
}

impl From<&'static str> for Fault {
    fn from(what: &'static str) -> Self {
        Self::Damaged(what)
    }
}

impl Fault {
    /// The journal's error, with the name of the value.
    pub(super) fn of(&self, name: &str) -> Error {
        match self {
            Self::Version(version) => {
                Error::Format(format!("{name} has version {version}, known is {VERSION}"))
            }
            Self::Damaged(what) => Error::Damaged(format!("{name}: {what}")),
        }
    }
}

/// Wraps the parts, one after the other. The CRC covers everything but itself.
pub(crate) fn seal(parts: &[&[u8]]) -> Vec<u8> {
    let content: usize = parts.iter().map(|p| p.len()).sum();
    let mut bytes = Vec::with_capacity(1 + CRC_BYTES + content);
    bytes.push(VERSION);
    bytes.extend_from_slice(&crc(VERSION, parts).to_be_bytes());
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The content of an envelope. The place of version and CRC is the same in every version, so
/// another version is told from damage.
pub(super) fn open(bytes: &[u8]) -> Result<&[u8], Fault> {
    let (version, rest) = bytes.split_first().ok_or("it is empty")?;
    let (stored, content) =
        rest.split_first_chunk::<CRC_BYTES>().ok_or("it is shorter than an envelope")?;
    if crc(*version, &[content]) != u32::from_be_bytes(*stored) {
        return Err("its checksum is wrong".into());
    }
    if *version != VERSION {
        return Err(Fault::Version(*version));
    }
    Ok(content)
}

fn crc(version: u8, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_opens_to_its_parts() {
        assert_eq!(open(&seal(&[b"ab", b"", b"c"])).unwrap(), b"abc");
        assert_eq!(open(&seal(&[])).unwrap(), b"");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let sealed = seal(&[b"content"]);
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(open(&damaged), Err(Fault::Damaged(_))), "bit {bit}");
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let sealed = seal(&[b"content"]);
        for length in 0..sealed.len() {
            assert!(matches!(open(&sealed[..length]), Err(Fault::Damaged(_))), "{length}");
        }
    }

    #[test]
    fn a_whole_value_of_another_version_is_told_from_damage() {
        let mut bytes = vec![2];
        bytes.extend_from_slice(&crc(2, &[b"new"]).to_be_bytes());
        bytes.extend_from_slice(b"new");
        assert!(matches!(open(&bytes), Err(Fault::Version(2))));
    }
}
