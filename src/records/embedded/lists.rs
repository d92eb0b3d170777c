//! fjall's lists of tables, looked at before fjall reads them.
//!
//! Each keyspace has a directory; its file `current` names the list that counts, with a checksum that fjall
//! writes but does not look at. A keyspace without `current` it takes for one that was never finished, and
//! deletes.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{
    audit::Report,
    spaces::{Spaces, io_failed},
    tables::TABLES,
};
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

/// Holds each table against its checksum in the list; returns how many there are.
///
/// # Errors
/// When a list or table cannot be read.
pub(super) fn check_tables(spaces: &Spaces, report: Report<'_>) -> Result<u64, Error> {
    let mut checked = 0;
    for keyspace in directories(&spaces.db_dir().join(KEYSPACES))? {
        for (number, checksum) in listed(&current(&keyspace)?)? {
            let path = keyspace.join(TABLES).join(number.to_string());
            let name = keyspace.file_name().unwrap_or_default().display();
            let mut wrong =
                |why: String| report(format!("table {number} of keyspace {name} {why}"));
            match file_checksum(&path) {
                Ok(found) if found == checksum => {}
                Ok(_) => wrong("does not match its checksum".to_owned()),
                Err(error) => wrong(format!("cannot be read: {error}")),
            }
            checked += 1;
        }
    }
    Ok(checked)
}

/// Numbers and checksums of the tables in a list of lsm-tree 3: levels, of runs, of tables.
fn listed(list: &Path) -> Result<Vec<(u64, u128)>, Error> {
    let damaged = |_| Error::Damaged("a list of tables does not read back".to_owned());
    let archive = sfa::Reader::new(list).map_err(damaged)?;
    let section = archive.toc().section(b"tables");
    let section = section.ok_or_else(|| Error::Damaged("a list has no tables".to_owned()))?;
    let mut file = File::open(list).map_err(io_failed)?;
    file.seek(SeekFrom::Start(section.pos())).map_err(io_failed)?;
    let mut section = BufReader::new(file.take(section.len()));
    let mut read = || -> io::Result<Vec<(u64, u128)>> {
        let mut tables = Vec::new();
        for _ in 0..u8::from_le_bytes(array(&mut section)?) {
            for _ in 0..u8::from_le_bytes(array(&mut section)?) {
                for _ in 0..u32::from_le_bytes(array(&mut section)?) {
                    let number = u64::from_le_bytes(array(&mut section)?);
                    let _checksum_type: [u8; 1] = array(&mut section)?;
                    tables.push((number, u128::from_le_bytes(array(&mut section)?)));
                    let _global_number: [u8; 8] = array(&mut section)?;
                }
            }
        }
        Ok(tables)
    };
    read().map_err(io_failed)
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    from.read_exact(&mut array)?;
    Ok(array)
}

/// What fjall takes for the checksum of a table.
fn file_checksum(path: &Path) -> io::Result<u128> {
    let (mut file, mut checksum) = (File::open(path)?, Xxh3::new());
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        checksum.update(bytes);
    }
    Ok(checksum.digest128())
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
