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

/// A reading that did not take all.
#[derive(Clone, Copy, Debug)]
struct Failed {
    at: Instant,
    /// Certificates were among it.
    certificates: bool,
}

impl Failed {
    fn now(certificates: bool) -> Self {
        Self { at: Instant::now(), certificates }
    }
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
            let certificates_too = failed.is_none_or(|failed| failed.certificates);
            failed = read.blocking(move |read| read.all(cause, certificates_too)).await;
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
            Some(Failed::now(true))
        })
    }

    /// Reads the configuration and takes over what can change. The log says what was taken over: nothing of a
    /// configuration that is not usable, and then at a retry the certificates only where they have failed.
    fn all(&self, cause: Cause, certificates_too: bool) -> Option<Failed> {
        match config::load_with_origins(self.file.as_deref()) {
            Ok((config, origins)) => {
                let steps = self.take_over(cause, &config, &origins);
                tell(cause, &steps);
                let failed = |(what, done): &Step| *what == CERTIFICATES && done.is_err();
                steps.iter().any(failed).then(|| Failed::now(true))
            }
            Err(error) => {
                if cause != Cause::Retry {
                    tracing::error!(%error, "{}: nothing was changed", cause.as_str());
                }
                // They may have changed with it, and must not wait for it to be mended.
                let certificates = cause != Cause::Retry || certificates_too;
                let failed = certificates.then(|| self.certificates(cause)).flatten();
                failed.or_else(|| Some(Failed::now(false)))
            }
        }
    }

    /// Reads the certificates alone.
    fn certificates(&self, cause: Cause) -> Option<Failed> {
        let done = self.changing.tls.as_ref()?.renew().map_err(|e| e.to_string());
        let failed = done.is_err().then(|| Failed::now(true));
        tell(cause, &[(CERTIFICATES, done)]);
        failed
    }

    /// Each by itself: a bad certificate must not keep a client that was taken away. But who is named by a
    /// certificate for the first time is let in only by the authorities that were configured with it.
    fn take_over(&self, cause: Cause, config: &Config, origins: &Origins) -> Vec<Step> {
        let Changing { authenticator, tls, level, effective } = &self.changing;
        let taken = match tls {
            Some(tls) => Some(tls.reload(&config.tls)),
            None => config.tls.certificate.is_some().then_some(Err(tls::Error::Mode)),
        };
        let certificates = taken.map(|done| (CERTIFICATES, done.map_err(|e| e.to_string())));
        let failed = certificates.as_ref().is_some_and(|(_, done)| done.is_err());
        if failed && cause == Cause::Retry {
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
        if cause == Cause::Hangup {
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
        let done = |cause, config: &Config| -> Vec<_> {
            let steps = read.take_over(cause, config, &origins);
            steps.into_iter().map(|(what, done)| (what, done.is_ok())).collect()
        };
        assert_eq!(done(Cause::File, &config), [("clients", true)]);
        assert_eq!(done(Cause::Hangup, &config), [("clients", true), ("log level", false)]);
        config.tls.certificate = Some(dir.path().join("none"));
        assert_eq!(done(Cause::File, &config), [("clients", true), ("certificates", false)]);
        config.auth.mode = AuthMode::None;
        assert_eq!(done(Cause::File, &config), [("clients", false), ("certificates", false)]);
    }
}
