//! What `SIGHUP` does: clients and log level are read again, nothing else.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

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

    /// Reads the configuration and takes over clients, then the log level. The log says what was
    /// taken over: nothing of a configuration that is not usable.
    pub(super) async fn run(&self) {
        let file = self.file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(file.as_deref())).await;
        let result = match loaded {
            Ok(Ok(config)) => self.take_over(&config),
            Ok(Err(error)) => Err(Failure::nothing(error)),
            Err(panicked) => Err(Failure::nothing(panicked)),
        };
        match result {
            Ok(()) => tracing::info!("SIGHUP: clients and log level were read again"),
            Err(Failure { changed, error }) => tracing::error!(error, "SIGHUP: {changed}"),
        }
    }

    fn take_over(&self, config: &config::Config) -> Result<(), Failure> {
        self.authenticator.reload(&config.auth).map_err(Failure::nothing)?;
        self.level.set(&config.log.level).map_err(Failure::clients_only)
    }
}

/// A step of a reload failed.
#[derive(Debug)]
struct Failure {
    /// What the steps before it changed, as the log says it.
    changed: &'static str,
    error: String,
}

impl Failure {
    fn nothing(error: impl Display) -> Self {
        Self { changed: "nothing was changed", error: error.to_string() }
    }

    fn clients_only(error: impl Display) -> Self {
        let changed = "the clients were read again, the log level is as it was";
        Self { changed, error: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthMode, Config};

    #[test]
    fn a_failure_says_which_steps_were_done_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.auth.mode = AuthMode::Token;
        let authenticator = Authenticator::open(&config.auth, dir.path()).unwrap();
        let reload = Reload::new(None, authenticator, Level::of_nothing());
        let failure = reload.take_over(&config).unwrap_err();
        assert!(failure.changed.starts_with("the clients were read again"), "{failure:?}");
        config.auth.mode = AuthMode::None;
        let failure = reload.take_over(&config).unwrap_err();
        assert_eq!(failure.changed, "nothing was changed");
    }
}
