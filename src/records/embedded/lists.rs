//! fjall's lists of tables, looked at before fjall reads them.
//!
//! Each keyspace has a directory; its file `current` names the list that counts, with a checksum that fjall
//! writes but does not look at. A keyspace without `current` it takes for one that was never finished, and
//! deletes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_128;

use super::spaces::io_failed;
use crate::records::Error;

const KEYSPACES: &str = "keyspaces";
const CURRENT: &str = "current";

/// Checks the list of each of so many keyspaces.
///
/// # Errors
/// [`Error::Damaged`] where one is missing or is not what was written.
pub(super) fn check(dir: &Path, keyspaces: usize) -> Result<(), Error> {
    let found = directories(&dir.join(KEYSPACES))?;
    if found.len() != keyspaces {
        let text = format!("it has {} keyspaces, {keyspaces} belong there", found.len());
        return Err(Error::Damaged(text));
    }
    found.iter().try_for_each(|keyspace| current(keyspace).map(drop))
}

/// The list that counts in the directory of a keyspace: number, checksum of its bytes.
pub(super) fn current(keyspace: &Path) -> Result<PathBuf, Error> {
    let name = keyspace.file_name().unwrap_or_default().display();
    let damaged =
        |what: &str| Error::Damaged(format!("the list of tables of keyspace {name} {what}"));
    let read = |path: &Path| match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged("is missing")),
        read => read.map_err(io_failed),
    };
    let bytes = read(&keyspace.join(CURRENT))?;
    let (Some((number, rest)), 25) = (bytes.split_first_chunk::<8>(), bytes.len()) else {
        return Err(damaged("is not named"));
    };
    let list = keyspace.join(format!("v{}", u64::from_le_bytes(*number)));
    let Some((checksum, [0])) = rest.split_first_chunk::<16>() else {
        return Err(damaged("has an unknown checksum"));
    };
    if xxh3_128(&read(&list)?) != u128::from_le_bytes(*checksum) {
        return Err(damaged("does not match its checksum"));
    }
    Ok(list)
}

/// The directories of the keyspaces. Of another name fjall does not take them.
pub(super) fn directories(keyspaces: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(keyspaces).map_err(io_failed)? {
        let entry = entry.map_err(io_failed)?;
        if !entry.file_type().map_err(io_failed)?.is_dir() {
            continue;
        }
        let name = entry.file_name();
        if name.to_str().is_none_or(|name| name.parse::<u64>().is_err()) {
            return Err(Error::Damaged("a directory among the keyspaces has no number".to_owned()));
        }
        found.push(entry.path());
    }
    Ok(found)
}
