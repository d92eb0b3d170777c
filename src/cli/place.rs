//! Which data directory a command that asks no daemon is about.

use std::path::PathBuf;

use super::Failure;
use crate::{
    config::{self, Config},
    exit::Exit,
};

/// Options that name a data directory.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Configuration file; without one, defaults and environment count
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory, in place of the configured one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Place {
    /// The configuration of that directory.
    ///
    /// # Errors
    /// When it is not usable.
    pub fn config(self) -> Result<Config, Failure> {
        let mut config = config::load(self.config.as_deref())
            .map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
        if let Some(dir) = self.dir {
            config.data.dir = dir;
        }
        Ok(config)
    }
}
