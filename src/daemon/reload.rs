//! What `SIGHUP` does: clients and log level are read again, nothing else.

use std::path::{Path, PathBuf};

use crate::{auth::Authenticator, config, telemetry::Level};

/// What can change while the daemon runs, and where it is read from.
pub(super) struct Reload {
    file: Option<PathBuf>,
    authenticator: Authenticator,
    level: Level,
}

impl Reload {
    pub(super) fn new(file: Option<&Path>, authenticator: Authenticator, level: Level) -> Self {
        Self { file: file.map(Path::to_owned), authenticator, level }
    }

    /// Reads the configuration and takes over clients and log level. Where it is not usable, all
    /// stays as it was and the log says why.
    pub(super) async fn run(&self) {
        let file = self.file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(file.as_deref())).await;
        let result = match loaded {
            Ok(Ok(config)) => self.take_over(&config),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panicked) => Err(panicked.to_string()),
        };
        match result {
            Ok(()) => tracing::info!("SIGHUP: clients and log level were read again"),
            Err(error) => tracing::error!(error, "SIGHUP: nothing was changed"),
        }
    }

    fn take_over(&self, config: &config::Config) -> Result<(), String> {
        self.authenticator.reload(&config.auth).map_err(|e| e.to_string())?;
        self.level.set(&config.log.level).map_err(|e| e.to_string())
    }
}
