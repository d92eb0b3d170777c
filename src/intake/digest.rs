//! The digest of a payload.

use std::{fs::File, io::Read};

use sha2::{Digest, Sha256};

use super::Stored;
use crate::limits::TEXT_BLOCK_BYTES;

/// SHA-256 of a payload, to hold against its receipt. Blocks the thread.
///
/// # Errors
/// When its file cannot be read.
pub fn digest<'a>(payload: impl Into<Stored<'a>>) -> std::io::Result<[u8; 32]> {
    let path = match payload.into() {
        Stored::Memory(bytes) => return Ok(Sha256::digest(bytes).into()),
        Stored::File(path) => path,
    };
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = Vec::with_capacity(TEXT_BLOCK_BYTES);
    loop {
        block.clear();
        let limit = u64::try_from(TEXT_BLOCK_BYTES).unwrap_or(u64::MAX);
        if (&mut file).take(limit).read_to_end(&mut block)? == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_sha_256_of_all_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("payload");
        for length in [0, 1, TEXT_BLOCK_BYTES, TEXT_BLOCK_BYTES + 1, 3 * TEXT_BLOCK_BYTES] {
            let bytes: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0]).collect();
            std::fs::write(&path, &bytes).unwrap();
            let expected: [u8; 32] = Sha256::digest(&bytes).into();
            assert_eq!(digest(&path).unwrap(), expected, "{length} bytes");
            assert_eq!(digest(Stored::Memory(&bytes)).unwrap(), expected, "{length} bytes");
        }
    }

    #[test]
    fn a_missing_file_has_no_digest() {
        let directory = tempfile::tempdir().unwrap();
        assert!(digest(&directory.path().join("none")).is_err());
    }
}
