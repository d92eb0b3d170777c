//! What `SIGHUP` does, and a file that changes: clients and certificates are read again, the log level on
//! `SIGHUP` alone, nothing else.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::task::AbortOnDropHandle;

use super::files::{Look, Watched};
use crate::{
    auth::{Authenticator, Authorities},
    config::{self, Config, Effective, Origins},
    limits::{CERTIFICATE_EXPIRY_REMINDER, FILES_LOOK_INTERVAL, FILES_RETRY_INTERVAL},
    telemetry::Level,
    tls::{self, Tls},
};

/// Reads again what can change while the daemon runs, until it is dropped.
pub(super) struct Reload {
    asked: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Reload {
    /// Starts to look at the files. The one of the configuration, and those of certificates, were like that before
    /// they were read.
    pub(super) fn start(
        file: Option<&Path>,
        [config, certificates]: [Look; 2],
        changing: Changing,
    ) -> Self {
        let asked = Arc::new(Notify::new());
        let read = Read { file: file.map(Path::to_owned), changing };
        let watched = [config, certificates].map(Watched::new);
        let task = tokio::spawn(follow(read, watched, Arc::clone(&asked)));
        Self { asked, _task: AbortOnDropHandle::new(task) }
    }

    /// Has everything read again soon.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }
}

/// Why something is read again, as the log says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Hangup,
    File,
    /// What failed is tried again: a disk that could not be read for a moment changes no file.
    Retry,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::File => "a file has changed",
            Self::Retry => "at another try",
        }
    }
}

/// A reading that did not take all, and what of it is left.
#[derive(Clone, Copy, Debug)]
struct Failed {
    at: Instant,
    left: Left,
}

impl Failed {
    fn now(left: Left) -> Self {
        Self { at: Instant::now(), left }
    }
}

/// What a reading is to take over.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    /// The configuration, with whatever can change.
    config: bool,
    certificates: bool,
    /// Its log level too, as a hang-up asked for it.
    level: bool,
}

/// What can change while the daemon runs.
#[derive(Clone)]
pub(super) struct Changing {
    pub(super) authenticator: Authenticator,
    pub(super) tls: Option<Tls>,
    pub(super) level: Level,
    pub(super) effective: Arc<Effective>,
}

/// The same, and the file that it is read from.
#[derive(Clone)]
struct Read {
    file: Option<PathBuf>,
    changing: Changing,
}

/// Reads again whatever was asked for or has changed; never ends.
async fn follow(read: Read, [mut config, mut certificates]: [Watched; 2], asked: Arc<Notify>) {
    let mut ticks = interval(FILES_LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Instant::now();
    let mut failed: Option<Failed> = None;
    loop {
        let hangup = tokio::select! {
            () = asked.notified() => true,
            _ = ticks.tick() => false,
        };
        let Some([config_now, certificates_now]) = read.look().await else { return };
        let cause = if hangup {
            // As they are before they are read: what is written meanwhile is a further change.
            config = Watched::new(config_now);
            certificates = Watched::new(certificates_now);
            Some(Cause::Hangup)
        } else {
            let changed = [config.changed(config_now), certificates.changed(certificates_now)];
            // Not while they are being written.
            let rest = config.are_taken() && certificates.are_taken();
            let due = |failed: Failed| failed.at.elapsed() >= FILES_RETRY_INTERVAL;
            let retry = rest && failed.is_some_and(due);
            match changed {
                [true, _] => Some(Cause::File),
                // What was kept from clients by certificates that failed has to come with them.
                [_, true] if failed.is_some() => Some(Cause::File),
                [_, true] => {
                    failed = read.blocking(|read| read.certificates(Cause::File)).await;
                    None
                }
                _ => retry.then_some(Cause::Retry),
            }
        };
        if let Some(cause) = cause {
            let left = failed.map(|failed| failed.left).unwrap_or_default();
            failed = read.blocking(move |read| read.all(cause, left)).await;
        }
        if let Some(tls) = &read.changing.tls
            && told.elapsed() >= CERTIFICATE_EXPIRY_REMINDER
        {
            tls.tell_expiry();
            told = Instant::now();
        }
    }
}

impl Read {
    /// Looks at the configuration file and at those of certificates; `None` at the end of the process.
    async fn look(&self) -> Option<[Look; 2]> {
        let config: Vec<_> = self.file.iter().cloned().collect();
        let certificates = self.changing.tls.as_ref().map(Tls::files).unwrap_or_default();
        spawn_blocking(move || [Look::at(&config), Look::at(&certificates)]).await.ok()
    }

    /// Does that on a thread that may wait for files.
    async fn blocking(
        &self,
        work: impl FnOnce(&Self) -> Option<Failed> + Send + 'static,
    ) -> Option<Failed> {
        let read = self.clone();
        spawn_blocking(move || work(&read)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "reading again ended in a panic");
            let left = Left { config: true, certificates: true, level: false };
            Some(Failed::now(left))
        })
    }

    /// Reads the configuration and takes over what can change, or what an earlier reading left of it. The log says what
    /// was taken over: nothing of a configuration that is not usable.
    fn all(&self, cause: Cause, left: Left) -> Option<Failed> {
        let whole = cause != Cause::Retry;
        let left = Left {
            config: whole || left.config,
            certificates: whole || left.certificates,
            level: cause == Cause::Hangup || left.level,
        };
        match config::load_with_origins(self.file.as_deref()) {
            Ok((config, origins)) => {
                let steps = self.take_over(left, &config, &origins);
                tell(cause, &steps);
                let failed = |(what, done): &Step| *what == CERTIFICATES && done.is_err();
                let left = Left { certificates: true, ..Left::default() };
                steps.iter().any(failed).then(|| Failed::now(left))
            }
            Err(error) => {
                if whole {
                    tracing::error!(%error, "{}: nothing was changed", cause.as_str());
                }
                // They may have changed with it, and must not wait for it to be mended.
                let failed = left.certificates.then(|| self.certificates(cause)).flatten();
                let left = Left { config: true, certificates: failed.is_some(), ..left };
                Some(Failed::now(left))
            }
        }
    }

    /// Reads the certificates alone.
    fn certificates(&self, cause: Cause) -> Option<Failed> {
        let done = self.changing.tls.as_ref()?.renew().map_err(|e| e.to_string());
        let left = Left { certificates: true, ..Left::default() };
        let failed = done.is_err().then(|| Failed::now(left));
        tell(cause, &[(CERTIFICATES, done)]);
        failed
    }

    /// Each by itself: a bad certificate must not keep a client that was taken away. But who is named by a
    /// certificate for the first time is let in only by the authorities that were configured with it.
    fn take_over(&self, left: Left, config: &Config, origins: &Origins) -> Vec<Step> {
        let Changing { authenticator, tls, level, effective } = &self.changing;
        let taken = match tls {
            Some(tls) => Some(tls.reload(&config.tls)),
            None => config.tls.certificate.is_some().then_some(Err(tls::Error::Mode)),
        };
        let certificates = taken.map(|done| (CERTIFICATES, done.map_err(|e| e.to_string())));
        let failed = certificates.as_ref().is_some_and(|(_, done)| done.is_err());
        if failed && !left.config {
            return certificates.into_iter().collect();
        }
        if tls.is_some() && !failed {
            effective.take_tls(config, origins);
        }
        let authorities = if failed { Authorities::Former } else { Authorities::Current };
        let clients = authenticator.reload(&config.auth, authorities);
        if let Ok(withheld) = clients {
            effective.take_clients(config, origins);
            if withheld > 0 {
                tracing::warn!(withheld, "certificate names of clients wait for their authorities");
            }
        }
        let mut steps = vec![("clients", clients.map(drop).map_err(|e| e.to_string()))];
        steps.extend(certificates);
        if left.level {
            let set = effective.take_level(config, origins, |new: &str| level.set(new));
            steps.push(("log level", set.map_err(|e| e.to_string())));
        }
        steps
    }
}

/// What was read again, and why it stays as it was.
type Step = (&'static str, Result<(), String>);

const CERTIFICATES: &str = "certificates";

/// What fails again at a retry was told.
fn tell(cause: Cause, steps: &[Step]) {
    let mut taken = Vec::new();
    for (what, done) in steps {
        match done {
            Ok(()) => taken.push(*what),
            Err(_) if cause == Cause::Retry => {}
            Err(error) => {
                tracing::error!(error, "{}: {what}: what was in force stays", cause.as_str());
            }
        }
    }
    if !taken.is_empty() {
        tracing::info!("{}: {} were read again", cause.as_str(), taken.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit, config::AuthMode};

    #[test]
    fn what_cannot_be_taken_over_keeps_nothing_else_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.auth.mode = AuthMode::Token;
        let authenticator =
            Authenticator::open(&config.auth, dir.path(), audit::Log::default()).unwrap();
        let origins = Origins::new();
        let effective = Arc::new(Effective::new(config.clone(), origins.clone()));
        let level = Level::of_nothing();
        let changing = Changing { authenticator, tls: None, level, effective };
        let read = Read { file: None, changing };
        let file = Left { config: true, certificates: true, level: false };
        let hangup = Left { level: true, ..file };
        let done = |left, config: &Config| -> Vec<_> {
            let steps = read.take_over(left, config, &origins);
            steps.into_iter().map(|(what, done)| (what, done.is_ok())).collect()
        };
        assert_eq!(done(file, &config), [("clients", true)]);
        assert_eq!(done(hangup, &config), [("clients", true), ("log level", false)]);
        config.tls.certificate = Some(dir.path().join("none"));
        assert_eq!(done(file, &config), [("clients", true), ("certificates", false)]);
        config.auth.mode = AuthMode::None;
        assert_eq!(done(file, &config), [("clients", false), ("certificates", false)]);
        let again = Left { config: false, ..file };
        assert_eq!(done(again, &config), [("certificates", false)]);
    }

    #[test]
    fn what_a_configuration_that_could_not_be_read_was_to_change_is_left_for_the_next_try() {
        let dir = tempfile::tempdir().unwrap();
        let (auth, audit) = (config::Auth::default(), audit::Log::default());
        let changing = Changing {
            authenticator: Authenticator::open(&auth, dir.path(), audit).unwrap(),
            tls: None,
            level: Level::of_nothing(),
            effective: Arc::new(Effective::new(Config::default(), Origins::new())),
        };
        let file = dir.path().join("cvrsd.toml");
        let read = Read { file: Some(file.clone()), changing };
        let left = read.all(Cause::Hangup, Left::default()).unwrap().left;
        assert!(left.config && left.level && !left.certificates, "{left:?}");
        let left = read.all(Cause::Retry, left).unwrap().left;
        assert!(left.config && left.level && !left.certificates, "{left:?}");
        std::fs::write(file, "").unwrap();
        assert!(read.all(Cause::Retry, left).is_none(), "all is taken");
    }
}
