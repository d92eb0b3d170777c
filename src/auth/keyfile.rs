//! `<data>/keys.json`: the keys that sign tokens, readable to this user alone.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::clients::unhex;
use crate::replace::replace;

/// Name of the file in the data directory.
pub(super) const KEY_FILE: &str = "keys.json";

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("cannot use key file {0}: {1}")]
    Io(PathBuf, io::Error),
    /// It is not what was written.
    #[error("key file {0} is damaged: {1}; remove it to make a new one, which ends all tokens")]
    Damaged(PathBuf, &'static str),
}

/// A key, with what says how long it is needed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name in a token's header.
    pub(super) kid: String,
    pub(super) secret: [u8; 32],
    /// When it was made, in seconds since the Unix epoch.
    pub(super) created_s: i64,
    /// Longest lifetime of a token that it signed.
    pub(super) lifetime_s: i64,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    /// BLAKE3 of the keys as compact JSON.
    check: String,
    /// Oldest first.
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kid: String,
    secret: String,
    created_s: i64,
    lifetime_s: i64,
}

/// The keys, oldest first; none where there is no file yet. Blocks.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub(super) fn read(dir: &Path) -> Result<Vec<Key>, Error> {
    let path = dir.join(KEY_FILE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|e| Error::Io(path.clone(), e))?,
    };
    parse(&bytes).map_err(|what| Error::Damaged(path, what))
}

/// Whether the keys of a data directory read back. Blocks.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn check_keys(dir: &Path) -> Result<(), Error> {
    read(dir).map(drop)
}

fn parse(bytes: &[u8]) -> Result<Vec<Key>, &'static str> {
    // The parser's own sentence could quote a secret.
    let document: Document = serde_json::from_slice(bytes).map_err(|_| "it is not as written")?;
    if document.version != 1 {
        return Err("its version is unknown");
    }
    if checksum(&document.keys).as_deref() != Some(document.check.as_str()) {
        return Err("its checksum is wrong");
    }
    if document.keys.is_empty() {
        return Err("it has no key");
    }
    document.keys.into_iter().map(key).collect::<Option<_>>().ok_or("a key is malformed")
}

fn key(entry: Entry) -> Option<Key> {
    let Entry { kid, secret, created_s, lifetime_s } = entry;
    Some(Key { kid, secret: unhex(&secret)?, created_s, lifetime_s })
}

/// Replaces the file; durable when this returns, and never half written. Blocks.
///
/// # Errors
/// When it cannot be written. The old or the new file is there whole.
pub(super) fn write(dir: &Path, keys: &[Key]) -> Result<(), Error> {
    let path = dir.join(KEY_FILE);
    let replace = || -> io::Result<()> {
        let keys = keys.iter().map(|key| Entry {
            kid: key.kid.clone(),
            secret: hex::encode(key.secret),
            created_s: key.created_s,
            lifetime_s: key.lifetime_s,
        });
        let keys: Vec<_> = keys.collect();
        let check = checksum(&keys).unwrap_or_default();
        let mut bytes = serde_json::to_vec(&Document { version: 1, check, keys })?;
        bytes.push(b'\n');
        replace(dir, KEY_FILE, &bytes)
    };
    replace().map_err(|e| Error::Io(path, e))
}

fn checksum(keys: &[Entry]) -> Option<String> {
    let json = serde_json::to_vec(keys).ok()?;
    Some(blake3::hash(&json).to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn keys() -> Vec<Key> {
        let key = |n: u8| Key {
            kid: format!("k{n}"),
            secret: [n; 32],
            created_s: i64::from(n),
            lifetime_s: 900,
        };
        vec![key(1), key(200)]
    }

    #[test]
    fn keys_read_back_and_nobody_else_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
        write(dir.path(), &keys()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), keys());
        let mode = fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{:?}", keys()).contains("200, 200"));
    }

    #[test]
    fn a_file_with_any_byte_changed_or_missing_is_damaged_by_name() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &keys()).unwrap();
        let path = dir.path().join(KEY_FILE);
        let whole = fs::read(&path).unwrap();
        let end = whole.len() - 1; // behind it is only the newline
        let cut = (0..end).map(|n| whole[..n].to_vec());
        let flipped = (0..end).map(|n| {
            let mut bytes = whole.clone();
            bytes[n] ^= 1;
            bytes
        });
        for bytes in cut.chain(flipped) {
            fs::write(&path, &bytes).unwrap();
            let error = read(dir.path()).unwrap_err();
            assert!(matches!(error, Error::Damaged(..)), "{error}");
            assert!(error.to_string().contains(KEY_FILE));
            assert!(!error.to_string().contains(&hex::encode([200; 32])));
        }
    }
}
