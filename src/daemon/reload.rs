//! What `SIGHUP` does: clients and log level are read again, nothing else.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    auth::Authenticator,
    config::{self, Config, Effective, Origins},
    telemetry::Level,
};

/// What can change while the daemon runs, and where it is read from.
pub(super) struct Reload {
    file: Option<PathBuf>,
    authenticator: Authenticator,
    level: Level,
    effective: Arc<Effective>,
}

impl Reload {
    pub(super) fn new(
        file: Option<&Path>,
        authenticator: Authenticator,
        level: Level,
        effective: Arc<Effective>,
    ) -> Self {
        Self { file: file.map(Path::to_owned), authenticator, level, effective }
    }

    /// Reads the configuration and takes over clients, then the log level. The log says what was
    /// taken over: nothing of a configuration that is not usable.
    pub(super) async fn run(&self) {
        let file = self.file.clone();
        let loaded =
            tokio::task::spawn_blocking(move || config::load_with_origins(file.as_deref())).await;
        let result = match loaded {
            Ok(Ok((config, origins))) => self.take_over(&config, &origins),
            Ok(Err(error)) => Err(Failure::nothing(error)),
            Err(panicked) => Err(Failure::nothing(panicked)),
        };
        match result {
            Ok(()) => tracing::info!("SIGHUP: clients and log level were read again"),
            Err(Failure { changed, error }) => tracing::error!(error, "SIGHUP: {changed}"),
        }
    }

    fn take_over(&self, config: &Config, origins: &Origins) -> Result<(), Failure> {
        self.authenticator.reload(&config.auth).map_err(Failure::nothing)?;
        self.effective.take_clients(config, origins);
        let set = |level: &str| self.level.set(level);
        self.effective.take_level(config, origins, set).map_err(Failure::clients_only)
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
    use crate::config::AuthMode;

    #[test]
    fn a_failure_says_which_steps_were_done_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.auth.mode = AuthMode::Token;
        let authenticator = Authenticator::open(&config.auth, dir.path()).unwrap();
        let origins = Origins::new();
        let effective = Arc::new(Effective::new(config.clone(), origins.clone()));
        let reload = Reload::new(None, authenticator, Level::of_nothing(), effective);
        let failure = reload.take_over(&config, &origins).unwrap_err();
        assert!(failure.changed.starts_with("the clients were read again"), "{failure:?}");
        config.auth.mode = AuthMode::None;
        let failure = reload.take_over(&config, &origins).unwrap_err();
        assert_eq!(failure.changed, "nothing was changed");
    }
}
