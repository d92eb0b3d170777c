//! The floor of anything durable: an append of 4 KiB and its fdatasync.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    time::Instant,
};

use crate::Result;

/// A file that grows.
pub struct Synced(File);

impl Synced {
    pub fn new(path: &Path) -> Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// Seconds for one append to be durable.
    pub fn seconds(&mut self) -> Result<f64> {
        let began = Instant::now();
        self.0.write_all(&[7; 4_096])?;
        self.0.sync_data()?;
        Ok(began.elapsed().as_secs_f64())
    }
}
