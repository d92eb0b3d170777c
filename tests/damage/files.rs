//! The files of a data directory, by what they are.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

/// Files of one kind.
pub struct Part {
    pub name: &'static str,
    /// Below the data directory.
    pub files: Vec<PathBuf>,
}

/// One bit of one file.
pub struct Spot {
    pub file: PathBuf,
    pub at: u64,
    pub bit: u32,
}

/// Name of a kind, and whether a file is of it.
type Kind = (&'static str, fn(&str) -> bool);

const KINDS: &[Kind] = &[
    ("journal db", |name| name == "journal/sled/db"),
    ("journal snap", |name| name.starts_with("journal/sled/snap.")),
    ("journal conf", |name| name == "journal/sled/conf"),
    ("journal tip", |name| name == "journal/tip"),
    ("journal format", |name| name == "journal/format"),
    ("records log", |name| name.starts_with("records/") && name.contains(".jnl")),
    ("records tables", |name| name.contains("/tables/")),
    ("records lists", |name| name.starts_with("records/keyspaces/") && !name.contains("/tables/")),
    ("records tip", |name| name == "records/tip"),
    ("records format", |name| name == "records/format" || name == "records/version"),
    ("payloads", |name| name.starts_with("payloads/")),
    ("keys", |name| name.starts_with("work/")),
    ("reports", |name| name.starts_with("reports/")),
    ("audit", |name| name.starts_with("audit/")),
];

/// Every file, each in its part; one that belongs to none fails the test.
pub fn parts(dir: &Path) -> Vec<Part> {
    let mut parts: Vec<Part> =
        KINDS.iter().map(|(name, _)| Part { name, files: Vec::new() }).collect();
    for file in below(dir) {
        let name = file.to_str().unwrap();
        // Locks are empty, addresses are those of a daemon that is gone.
        if name.ends_with("lock") || name == "listen.json" {
            continue;
        }
        let kind = KINDS.iter().position(|(_, is)| is(name));
        let kind = kind.unwrap_or_else(|| panic!("{name} is of no known kind"));
        if fs::metadata(dir.join(&file)).unwrap().len() > 0 {
            parts[kind].files.push(file);
        }
    }
    for part in &parts {
        assert!(!part.files.is_empty(), "there is nothing of {}", part.name);
    }
    parts
}

/// Files below a directory, relative to it, sorted.
pub fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Up to the zeros at the end.
pub fn data_length(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// What all files hold, but the addresses of a daemon that was killed.
pub fn digest(dir: &Path) -> Vec<(PathBuf, [u8; 32])> {
    let hash = |file: PathBuf| {
        let bytes = fs::read(dir.join(&file)).unwrap();
        (file, Sha256::digest(&bytes[..data_length(&bytes)]).into())
    };
    below(dir).into_iter().filter(|file| file != Path::new("listen.json")).map(hash).collect()
}

/// Copies a directory with its holes.
pub fn copy(from: &Path, to: &Path) {
    let status =
        Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

impl Part {
    /// A random bit of what its files hold.
    pub fn spot(&self, dir: &Path, random: &mut fastrand::Rng) -> Spot {
        let file = self.files[random.usize(..self.files.len())].clone();
        let length = data_length(&fs::read(dir.join(&file)).unwrap()).max(1);
        Spot { file, at: random.u64(..length as u64), bit: random.u32(..8) }
    }
}

impl Spot {
    pub fn flip(&self, dir: &Path) {
        let path = dir.join(&self.file);
        let mut file = File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.seek(SeekFrom::Start(self.at)).unwrap();
        file.read_exact(&mut byte).unwrap();
        byte[0] ^= 1 << self.bit;
        file.seek(SeekFrom::Start(self.at)).unwrap();
        file.write_all(&byte).unwrap();
    }
}
