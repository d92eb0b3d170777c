//! Whether files have changed, told by what the system says of them.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

/// What a file is known by: another one in its place, behind a link or not, or another content, shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What some files were at one look; `None` for one that cannot be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look(Vec<Option<Stamp>>);

impl Look {
    /// Looks at these files, behind links. Blocks.
    pub(super) fn at(files: &[PathBuf]) -> Self {
        let stamp = |path: &PathBuf| {
            let found = fs::metadata(path).ok()?;
            Some(Stamp {
                file: (found.dev(), found.ino()),
                bytes: found.size(),
                modified: (found.mtime(), found.mtime_nsec()),
                changed: (found.ctime(), found.ctime_nsec()),
            })
        };
        Self(files.iter().map(stamp).collect())
    }
}

/// Files that are looked at again and again.
#[derive(Debug)]
pub(super) struct Watched {
    /// As they were taken over.
    taken: Look,
    /// As they were last.
    last: Look,
}

impl Watched {
    /// Files that were taken over as that look found them.
    pub(super) fn new(taken: Look) -> Self {
        Self { last: taken.clone(), taken }
    }

    /// Whether they are as they were taken over.
    pub(super) fn are_taken(&self) -> bool {
        self.last == self.taken
    }

    /// Whether they have changed since they were taken over, and come to rest: somebody may be writing them
    /// one after the other. They count as taken over then.
    pub(super) fn changed(&mut self, now: Look) -> bool {
        let rested = now == self.last;
        self.last = now;
        let changed = rested && self.last != self.taken;
        if changed {
            self.taken.clone_from(&self.last);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_change_counts_once_and_only_when_it_has_come_to_rest() {
        let dir = tempfile::tempdir().unwrap();
        let files = [dir.path().join("a"), dir.path().join("b")];
        fs::write(&files[0], "1").unwrap();
        let look = || Look::at(&files);
        let mut watched = Watched::new(look());
        assert!(!watched.changed(look()));
        fs::write(&files[0], "12").unwrap();
        assert!(!watched.changed(look()), "not yet at rest");
        fs::write(&files[1], "1").unwrap();
        assert!(!watched.changed(look()), "still not at rest");
        assert!(watched.changed(look()));
        assert!(!watched.changed(look()), "only once");
        fs::remove_file(&files[1]).unwrap();
        assert!(!watched.changed(look()));
        assert!(watched.changed(look()), "a file that is gone is a change too");
    }

    #[test]
    fn another_file_behind_the_same_links_shows() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for version in ["1", "2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("tls.crt"), "same length").unwrap();
        }
        symlink("1", at("..data")).unwrap();
        symlink("..data/tls.crt", at("tls.crt")).unwrap();
        let before = Look::at(&[at("tls.crt")]);
        symlink("2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert_ne!(Look::at(&[at("tls.crt")]), before);
    }
}
