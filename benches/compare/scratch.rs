//! The directory of a run. It is removed however the run ends.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use crate::Result;

/// The directory of this process, for the end by a signal.
static MADE: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A directory with room for gigabytes.
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes it inside `parent`, or where temporary files go.
    pub fn new(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let dir = tempfile::Builder::new().prefix("cvrsd-bench-").tempdir_in(parent)?;
        // The cluster of PostgreSQL belongs to another user where this one is root.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;
        *MADE.lock().unwrap_or_else(PoisonError::into_inner) = Some(dir.path().to_owned());
        Ok(Self(dir))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A new, empty directory inside.
    pub fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.path().join(name);
        remove(&path)?;
        fs::create_dir(&path)?;
        Ok(path)
    }
}

/// Removes a directory where there is one.
pub fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

/// Removes the directory of this process at its end by a signal.
pub fn remove_made() {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(path) = made
        && fs::remove_dir_all(&path).is_err()
    {
        // A child may have written a last file meanwhile.
        let _ = fs::remove_dir_all(&path);
    }
}
