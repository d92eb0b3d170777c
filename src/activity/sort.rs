//! A job's keys in index order, sorted in memory or, above a bound, in runs on disk.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::Path,
};

use super::keys::{KeyEntry, KeysReader};

/// Entries in the order (hash, line); the same on every run over the same keys.
pub struct Sorted {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(KeyEntry, usize)>>,
}

enum Run {
    Memory(std::vec::IntoIter<KeyEntry>),
    Disk(BufReader<File>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<KeyEntry>> {
        match self {
            Self::Memory(entries) => Ok(entries.next()),
            Self::Disk(file) => KeyEntry::read(file),
        }
    }
}

impl Sorted {
    /// Sorts the `count` entries of a keys file, with at most `memory` bytes of them at once; runs go
    /// into `dir`.
    pub fn new(mut keys: KeysReader, count: u64, memory: usize, dir: &Path) -> io::Result<Self> {
        let most = (memory / size_of::<KeyEntry>()).max(1);
        let mut runs = Vec::new();
        loop {
            let room = usize::try_from(count).map_or(most, |count| count.min(most));
            let mut entries = Vec::with_capacity(room);
            while entries.len() < most
                && let Some(entry) = keys.next()?
            {
                entries.push(entry);
            }
            let full = entries.len() == most;
            entries.sort_unstable();
            if !full {
                runs.push(Run::Memory(entries.into_iter()));
                break;
            }
            runs.push(Run::Disk(spill(&entries, &dir.join(format!("run-{}", runs.len())))?));
        }
        let mut sorted = Self { runs, heads: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }

    /// The next entry.
    pub fn next(&mut self) -> io::Result<Option<KeyEntry>> {
        // One run is the common case and needs no heap.
        if let [run] = self.runs.as_mut_slice() {
            return match self.heads.pop() {
                Some(Reverse((entry, _))) => Ok(Some(entry)),
                None => run.next(),
            };
        }
        let Some(Reverse((entry, run))) = self.heads.pop() else { return Ok(None) };
        self.refill(run)?;
        Ok(Some(entry))
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        if let Some(source) = self.runs.get_mut(run)
            && let Some(entry) = source.next()?
        {
            self.heads.push(Reverse((entry, run)));
        }
        Ok(())
    }
}

/// Writes a sorted run and opens it; the name is given up at once, so a crash leaves no file.
fn spill(entries: &[KeyEntry], path: &Path) -> io::Result<BufReader<File>> {
    let mut file = BufWriter::with_capacity(256 << 10, File::create(path)?);
    for entry in entries {
        file.write_all(&entry.bytes())?;
    }
    file.flush()?;
    let reader = BufReader::with_capacity(256 << 10, File::open(path)?);
    std::fs::remove_file(path)?;
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use super::{super::keys::KeysWriter, *};
    use crate::records::KeyHash;

    #[test]
    fn the_order_is_the_same_in_memory_and_from_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let mut writer = KeysWriter::open(&path, 0).unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let mut expected: Vec<KeyEntry> =
            (2..5_002).map(|line| KeyEntry::new(KeyHash([random.u8(..40); 16]), line)).collect();
        for entry in &expected {
            writer.push(*entry).unwrap();
        }
        let length = writer.sync().unwrap();
        expected.sort_by_key(|e| (e.key(), e.line()));
        for memory in [1 << 20, 2_000 * size_of::<KeyEntry>(), 5_000 * size_of::<KeyEntry>(), 640] {
            let keys = KeysReader::open(&path, length).unwrap();
            let mut sorted = Sorted::new(keys, 5_000, memory, dir.path()).unwrap();
            let mut got = Vec::new();
            while let Some(entry) = sorted.next().unwrap() {
                got.push(entry);
            }
            assert!(got == expected, "memory {memory}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no run is left");
    }
}
