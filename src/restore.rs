//! Offline: a data directory out of a backup.
//!
//! It is made beside its place, held against every checksum and verified as a whole, and only then gets its name.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufReader, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Component, Path, PathBuf},
};

use crate::{
    backup::{Entry, FILES, FileEntry, JOURNAL, Manifest, PAUSES, RECORDS, Reader},
    config::Config,
    daemon,
    domain::JobId,
    journal::{self, Sled},
    records,
    verify::{self, Findings},
};

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What verification found in it.
    pub findings: Findings,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is no place for it.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// The directory has a file system of its own.
    #[error("{0} is a mount point; name a directory inside of it, and make that data.dir")]
    MountPoint(PathBuf),
    /// A file, or the backup itself.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The record store.
    #[error("{0}")]
    Records(#[from] records::Error),
    /// What was restored does not fit together.
    #[error("what was restored is not sound: {part}: {what}")]
    Unsound {
        /// Where.
        part: &'static str,
        /// The first thing that is wrong.
        what: String,
    },
    /// It could not be verified.
    #[error(transparent)]
    Verify(#[from] verify::Refused),
}

/// Makes the data directory of that configuration out of a backup. Files of single jobs may be damaged, as they may
/// have been where the backup was taken; the findings name them. Blocks.
///
/// # Errors
/// When the directory is not empty or a mount point, another restore is at work there, the backup is damaged or of
/// another version, or cannot be written; then nothing is left in its place or beside it.
pub fn run(file: &Path, config: &Config) -> Result<Restored, Error> {
    // Records are nobody else's to read.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let dir = place(&config.data.dir)?;
    let from = BufReader::with_capacity(1 << 20, File::open(file)?);
    let unfinished = unfinished(&dir);
    let refused = |ended: daemon::Ended| verify::Refused { exit: ended.exit, reason: ended.reason };
    let _lock = daemon::lock(&unfinished).map_err(refused)?;
    let restored = clear(&unfinished).map_err(Error::from).and_then(|()| {
        let restored = fill(from, &unfinished, config)?;
        fs::rename(&unfinished, &dir)?;
        sync_dir(&parent(&dir))?;
        Ok(restored)
    });
    if restored.is_err() && unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    restored
}

/// The directory, behind links and without what its name may end with.
fn place(dir: &Path) -> Result<PathBuf, Error> {
    let dir = match dir.canonicalize() {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(dir.components().collect());
        }
        Err(error) => return Err(error.into()),
    };
    if fs::read_dir(&dir)?.next().is_some() {
        return Err(Error::NotEmpty(dir));
    }
    // What is made beside it cannot be moved there.
    if fs::metadata(&dir)?.dev() != fs::metadata(parent(&dir))?.dev() {
        return Err(Error::MountPoint(dir));
    }
    Ok(dir)
}

fn unfinished(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".restoring");
    name.into()
}

/// Removes what a restore that was killed left, but for the lock.
fn clear(unfinished: &Path) -> io::Result<()> {
    for entry in fs::read_dir(unfinished)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != daemon::LOCK_FILE {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn parent(dir: &Path) -> PathBuf {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

fn fill(from: impl Read, dir: &Path, config: &Config) -> Result<Restored, Error> {
    let mut backup = Reader::new(from)?;
    let mut missing = vec![FILES, RECORDS, JOURNAL];
    while let Some(mut part) = backup.next_part()? {
        let expected = missing.pop();
        if expected != Some(part.name()) {
            return Err(io::Error::other(format!("part {:?} is not expected", part.name())).into());
        }
        match expected {
            Some(JOURNAL) => Sled::restore(&dir.join("journal"), &config.journal, &mut || {
                let entry = Entry::read(&mut part);
                let entry = entry.map_err(|e| journal::Error::Storage(e.to_string()))?;
                Ok(entry.map(|entry| (entry.space, entry.key, entry.value)))
            })?,
            Some(RECORDS) => {
                let dir = dir.join("records");
                records::embedded::restore(&dir, &config.records, &mut || {
                    let entry = Entry::read(&mut part);
                    let entry = entry.map_err(|e| records::Error::Storage(e.to_string()))?;
                    Ok(entry.map(|entry| (entry.space, entry.key, entry.value)))
                })?;
            }
            _ => files(&mut part, dir)?,
        }
    }
    let manifest = backup.finish()?;
    if let Some(part) = missing.pop() {
        return Err(io::Error::other(format!("part {part:?} is missing")).into());
    }
    sync_dir(dir)?;
    let mut config = config.clone();
    dir.clone_into(&mut config.data.dir);
    let findings = verify::locked(&config);
    if findings.damages == findings.of_jobs {
        return Ok(Restored { manifest, findings });
    }
    let mut listed = findings.listed.into_iter();
    let first = listed.find(|(part, _)| !verify::is_of_a_job(part));
    let (part, what) = first.unwrap_or(("records", "more than are listed".to_owned()));
    Err(Error::Unsound { part, what })
}

/// What is paused, payloads, keys and reports.
fn files(part: &mut impl Read, dir: &Path) -> Result<(), Error> {
    for name in ["payloads", "reports", "work", "spool"] {
        DirBuilder::new().mode(0o700).create(dir.join(name))?;
    }
    while let Some(FileEntry { name, length }) = FileEntry::read(part)? {
        let path = dir.join(checked(&name)?);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut file = File::create_new(&path)?;
        if io::copy(&mut part.take(length), &mut file)? != length {
            return Err(io::Error::other(format!("{name} is cut short")).into());
        }
        file.sync_all()?;
        path.parent().map_or(Ok(()), sync_dir)?;
    }
    for name in ["payloads", "reports", "work"] {
        sync_dir(&dir.join(name))?;
    }
    Ok(())
}

/// A name of a file of a job or of what is paused, and no other.
fn checked(name: &str) -> io::Result<&Path> {
    let path = Path::new(name);
    if name == PAUSES {
        return Ok(path);
    }
    let parts: Vec<&str> = path
        .components()
        .map(|part| if let Component::Normal(part) = part { part.to_str() } else { None })
        .collect::<Option<_>>()
        .unwrap_or_default();
    let job = match parts.as_slice() {
        ["payloads", id] | ["work", id, "keys"] => Some(*id),
        ["reports", file] => file.strip_suffix(".tsv"),
        _ => None,
    };
    match job.map(str::parse::<JobId>) {
        Some(Ok(_)) => Ok(path),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a file is not one of a job")),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_jobs_are_made() {
        let id = JobId::generate();
        for good in
            [format!("payloads/{id}"), format!("work/{id}/keys"), format!("reports/{id}.tsv")]
        {
            assert!(checked(&good).is_ok(), "{good}");
        }
        for bad in [
            String::new(),
            "payloads/x".to_owned(),
            format!("/payloads/{id}"),
            format!("payloads/../payloads/{id}"),
            format!("keys.json/{id}"),
            format!("work/{id}"),
            format!("reports/{id}"),
        ] {
            assert!(checked(&bad).is_err(), "{bad}");
        }
    }
}
